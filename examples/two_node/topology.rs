//! The tutorial's network: two nodes, one virtual IP, two web servers, one client.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use vrrp_core::{
    AddressList, AdverInterval, AuthenticationConfig, Config, ConfigError, Priority, Version, VirtualRouter,
    Vrid,
};

pub(crate) const INTERFACE: &str = "ens33";
pub(crate) const INSTANCE: &str = "VI_1";
pub(crate) const VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 192, 130);
pub(crate) const PREFIX_LEN: u8 = 24;
pub(crate) const CLIENT: (&str, Ipv4Addr) = ("client", Ipv4Addr::new(192, 168, 192, 20));
pub(crate) const CHECK_INTERVAL: Duration = Duration::from_secs(1);
pub(crate) const CHECK_WEIGHT: i32 = -20;
const VRID: u8 = 33;
const PASSWORD: &str = "1111";

/// One of the two load balancers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeSpec {
    pub(crate) name: &'static str,
    pub(crate) address: Ipv4Addr,
    pub(crate) priority: u8,
}

pub(crate) const LB1: NodeSpec = NodeSpec {
    name: "lb1",
    address: Ipv4Addr::new(192, 168, 192, 10),
    priority: 100,
};
pub(crate) const LB2: NodeSpec = NodeSpec {
    name: "lb2",
    address: Ipv4Addr::new(192, 168, 192, 11),
    priority: 90,
};

impl NodeSpec {
    pub(crate) fn named(name: &str) -> Option<Self> {
        [LB1, LB2].into_iter().find(|node| node.name == name)
    }

    /// The tutorial's `vrrp_instance`.
    pub(crate) fn config(&self) -> Result<Config, ConfigError> {
        let addresses = AddressList::new(&[VIP.into()]).expect("one address is a list");
        Config::builder(Vrid::new(VRID).expect("33 is not 0"), addresses)
            .version(Version::V2)
            .priority(Priority::new(self.priority))
            .adver_interval(AdverInterval::DEFAULT)
            .authentication(AuthenticationConfig::simple(PASSWORD)?)
            .build()
    }

    fn router(&self) -> VirtualRouter {
        VirtualRouter::new(
            self.config().expect("the tutorial's values are valid"),
            self.address.into(),
        )
    }

    /// Time that a takeover by this node may take after the master's priority 0.
    pub(crate) fn skew_time(&self) -> Duration {
        self.router().skew_time()
    }

    /// Time that a takeover by this node may take after the master's last advert.
    pub(crate) fn master_down_interval(&self) -> Duration {
        self.router().master_down_interval()
    }
}

/// One of the two web servers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Web {
    pub(crate) name: &'static str,
    pub(crate) address: Ipv4Addr,
    pub(crate) port: u16,
}

pub(crate) const WEBS: [Web; 2] = [
    Web {
        name: "web1",
        address: Ipv4Addr::new(192, 168, 192, 31),
        port: 8080,
    },
    Web {
        name: "web2",
        address: Ipv4Addr::new(192, 168, 192, 32),
        port: 8081,
    },
];

impl Web {
    pub(crate) fn socket(&self) -> SocketAddr {
        (self.address, self.port).into()
    }
}

/// Where clients go.
pub(crate) fn service() -> SocketAddr {
    SocketAddr::new(IpAddr::V4(VIP), 80)
}
