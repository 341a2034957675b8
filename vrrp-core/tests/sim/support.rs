//! Small LANs.

use std::net::IpAddr;
use std::time::Duration;

use vrrp_core::sim::{Event, NodeId, Sim};
use vrrp_core::{AddressList, AdverInterval, Config, ConfigBuilder, Family, Priority, State, Version, Vrid};

pub(crate) const VRID: Vrid = Vrid::new(51).unwrap();

pub(crate) fn vip() -> IpAddr {
    "192.0.2.100".parse().unwrap()
}

/// Node `index` has .10 + index: of two, the later wins a tie.
pub(crate) fn source(index: usize) -> IpAddr {
    IpAddr::from([192, 0, 2, 10 + u8::try_from(index).unwrap()])
}

pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) fn us(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) fn config(version: Version, interval_cs: u16, priority: u8) -> ConfigBuilder {
    Config::builder(VRID, AddressList::new(&[vip()]).unwrap())
        .version(version)
        .adver_interval(AdverInterval::from_centis(interval_cs).unwrap())
        .priority(Priority::new(priority))
}

/// Starts these in order, waits until they have settled, and measures outages from there.
pub(crate) fn settled(configs: Vec<ConfigBuilder>) -> Sim {
    let mut sim = Sim::new(1);
    for (index, config) in configs.into_iter().enumerate() {
        sim.add_node(config.build().unwrap(), source(index));
    }
    sim.run_until_settled().unwrap();
    sim.reset_outages();
    sim
}

pub(crate) fn masters(sim: &Sim) -> Vec<NodeId> {
    sim.masters(VRID, Family::Ipv4)
}

/// When each node became master since `since`, as time since then.
pub(crate) fn takeovers(sim: &Sim, since: Duration) -> Vec<(NodeId, Duration)> {
    let takeover = |record: &vrrp_core::sim::Record| match record.event {
        Event::Changed(_, change) if change.to == State::Master && record.at >= since => {
            Some((record.node, record.at - since))
        }
        _ => None,
    };
    sim.trace().filter_map(takeover).collect()
}
