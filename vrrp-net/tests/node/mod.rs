//! A VRRP node on a lab host, for tests on the real kernel.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part")]

pub mod client;
pub mod lan;
pub mod netlink;
pub mod probe;
pub mod routing;

use std::net::IpAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use vrrp_core::{
    AddressList, AdverInterval, Config, ConfigBuilder, Family, Priority, RivalCause, State, SwitchoverEnd,
    SyncGroup, Transition, Version, VirtualRouter, Vrid,
};
use vrrp_net::lab::Host;
use vrrp_net::{
    Attachment, AttachmentBuilder, DriverEvent, DriverHandle, DriverOptions, RouterCommand, RouterSet,
    StartError,
};

/// What no test should need.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Longer than any Master_Down_Interval at 100 ms.
pub const A_WHILE: Duration = Duration::from_millis(800);

/// A virtual router to be started.
pub struct Setup {
    config: ConfigBuilder,
    attachment: AttachmentBuilder,
    options: DriverOptions,
}

impl Setup {
    /// VRRPv3 at 100 ms, VRID 51.
    pub fn new(host: &Host, priority: u8, addresses: &[&str]) -> Self {
        Self::with_vrid(host, Vrid::new(51).unwrap(), Priority::new(priority), addresses)
    }

    pub fn with_vrid(host: &Host, vrid: Vrid, priority: Priority, addresses: &[&str]) -> Self {
        Self::on(host.interface(), vrid, priority, addresses)
    }

    pub fn on(interface: &str, vrid: Vrid, priority: Priority, addresses: &[&str]) -> Self {
        let addresses: Vec<IpAddr> = addresses.iter().map(|address| ip(address)).collect();
        let list = AddressList::new(&addresses).unwrap();
        Self {
            config: Config::builder(vrid, list)
                .version(Version::V3)
                .priority(priority)
                .adver_interval(AdverInterval::from_centis(10).unwrap()),
            attachment: Attachment::builder(interface),
            options: DriverOptions::default(),
        }
    }

    pub fn config(mut self, change: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> Self {
        self.config = change(self.config);
        self
    }

    pub fn attachment(mut self, change: impl FnOnce(AttachmentBuilder) -> AttachmentBuilder) -> Self {
        self.attachment = change(self.attachment);
        self
    }

    /// Before all ordinary threads if we may: what the test shows is not the machine's load.
    pub fn realtime(mut self) -> Self {
        self.options = DriverOptions {
            realtime: Some(50),
            best_effort: true,
            ..DriverOptions::default()
        };
        self
    }

    pub fn start(self, host: &Host) -> Node {
        self.try_start(host).unwrap()
    }

    pub fn try_start(self, host: &Host) -> Result<Node, StartError> {
        self.start_with(host, || {})
    }

    /// In the namespace that we are in: a process on a host starts its node so.
    pub fn start_here(self) -> DriverHandle<RouterCommand> {
        let set = RouterSet::from(router(self.config.build().unwrap()));
        let attachments = vec![self.attachment.build().unwrap()];
        vrrp_net::spawn_with(self.options, set, attachments, |_| {}).unwrap()
    }

    /// Runs `work` on the driver's thread after each transition.
    pub fn start_with(self, host: &Host, work: impl Fn() + Send + 'static) -> Result<Node, StartError> {
        let config = self.config.build().unwrap();
        let routers = vec![(config, self.attachment.build().unwrap())];
        Node::start_with(host, self.options, routers, Vec::new(), work)
    }
}

fn router(config: Config) -> VirtualRouter {
    let unset = match config.family() {
        Family::Ipv4 => ip("0.0.0.0"),
        Family::Ipv6 => ip("::"),
    };
    VirtualRouter::new(config, unset)
}

/// A running node.
pub struct Node {
    pub handle: DriverHandle<RouterCommand>,
    pub events: mpsc::Receiver<(Instant, DriverEvent<std::convert::Infallible>)>,
}

impl Node {
    pub fn start(host: &Host, routers: Vec<(Config, Attachment)>) -> Result<Self, StartError> {
        Self::start_with(host, DriverOptions::default(), routers, Vec::new(), || {})
    }

    /// Starts routers that are master together or not at all.
    pub fn start_group(host: &Host, setups: Vec<Setup>) -> Self {
        let group = SyncGroup::new(0..setups.len()).unwrap();
        let built = setups.into_iter().map(|setup| {
            let config = setup.config.build().unwrap();
            (config, setup.attachment.build().unwrap())
        });
        let options = DriverOptions::default();
        Self::start_with(host, options, built.collect(), vec![group], || {}).unwrap()
    }

    /// Starts routers on one thread, which runs `work` after each transition.
    pub fn start_working(host: &Host, setups: Vec<Setup>, work: impl Fn() + Send + 'static) -> Self {
        let built = setups.into_iter().map(|setup| {
            let config = setup.config.build().unwrap();
            (config, setup.attachment.build().unwrap())
        });
        Self::start_with(host, DriverOptions::default(), built.collect(), Vec::new(), work).unwrap()
    }

    fn start_with(
        host: &Host,
        options: DriverOptions,
        routers: Vec<(Config, Attachment)>,
        groups: Vec<SyncGroup>,
        work: impl Fn() + Send + 'static,
    ) -> Result<Self, StartError> {
        let (configs, attachments): (Vec<_>, Vec<_>) = routers.into_iter().unzip();
        let routers = configs.into_iter().map(router).collect();
        let set = RouterSet::with_groups(routers, groups).unwrap();
        let (tell, events) = mpsc::channel();
        let handle = host.run(move || {
            vrrp_net::spawn_with(options, set, attachments, move |event| {
                let transition = matches!(event, DriverEvent::Transition { .. });
                let _ = tell.send((Instant::now(), event));
                if transition {
                    work();
                }
            })
        })?;
        Ok(Self { handle, events })
    }

    /// Waits until the first router is in this state, and gives the moment.
    pub fn wait_for(&self, state: State) -> (Instant, Transition) {
        self.wait_for_event(|event| match event {
            DriverEvent::Transition {
                router: 0,
                transition,
            } if transition.to == state => Some(*transition),
            _ => None,
        })
    }

    pub fn wait_for_event<T>(
        &self,
        mut wanted: impl FnMut(&DriverEvent<std::convert::Infallible>) -> Option<T>,
    ) -> (Instant, T) {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok((at, event)) => match wanted(&event) {
                    Some(found) => return (at, found),
                    None => seen.push(event),
                },
                Err(_) => panic!("did not happen within {PATIENCE:?}; what did: {seen:?}"),
            }
        }
    }

    /// Everything that has happened and was not waited for.
    pub fn take_events(&self) -> Vec<DriverEvent<std::convert::Infallible>> {
        self.events.try_iter().map(|(_, event)| event).collect()
    }

    /// Waits until another master is told of, and gives the cause.
    #[track_caller]
    pub fn wait_for_rival(&self) -> RivalCause {
        let rival = |event: &DriverEvent<_>| match event {
            DriverEvent::Rival { rival, .. } => Some(rival.cause),
            _ => None,
        };
        self.wait_for_event(rival).1
    }

    /// Waits until the kernel has refused addresses, routes or rules, and gives the reason.
    #[track_caller]
    pub fn wait_for_refusal(&self) -> String {
        let reason = |event: &DriverEvent<_>| match event {
            DriverEvent::AddressesRefused { reason, .. } => Some(reason.clone()),
            _ => None,
        };
        self.wait_for_event(reason).1
    }

    /// None that was not waited for.
    #[track_caller]
    pub fn assert_no_transition(&self) {
        let events = self.take_events();
        let changed = |event: &&DriverEvent<_>| matches!(event, DriverEvent::Transition { .. });
        assert!(events.iter().find(changed).is_none(), "{events:?}");
    }

    pub fn stop(self) {
        self.handle.join().unwrap();
    }
}

/// Hands the first router's mastership over. On a busy machine nobody may take over in time; then it is asked again.
pub fn switch_over(node: &Node) {
    for _ in 0..10 {
        node.handle
            .command(RouterCommand::Switchover { router: 0 })
            .unwrap();
        let (_, end) = node.wait_for_event(|event| match event {
            DriverEvent::Switchover { router: 0, end } => Some(*end),
            _ => None,
        });
        if matches!(end, SwitchoverEnd::Done(_)) {
            return;
        }
    }
    panic!("nobody took over, ten times");
}

pub fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

/// Whether the host has the address, whatever its prefix.
pub fn has(host: &Host, address: &str) -> bool {
    let address = ip(address);
    host.addresses().unwrap().iter().any(|net| net.addr() == address)
}

/// Waits for something to become true, and says how long that took.
pub fn within(limit: Duration, mut true_at_last: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    while !true_at_last() {
        assert!(start.elapsed() < limit, "not true within {limit:?}");
        pause(Duration::from_millis(2));
    }
    start.elapsed()
}

/// A test may sleep: no one waits for its adverts.
pub fn pause(duration: Duration) {
    let (_keep, nothing) = mpsc::channel::<()>();
    let _ = nothing.recv_timeout(duration);
}

pub fn hex(hex: &str) -> Vec<u8> {
    let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    hex.as_bytes().chunks(2).map(octet).collect()
}
