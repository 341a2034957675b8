//! Our node: the driver with one virtual router, in this process or, to be killed, in one of its own.

use std::convert::Infallible;
use std::net::IpAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use vrrp_core::{
    AddressList, AuthenticationConfig, ChecksumForm, Config, Demotion, Family, Priority, State, SyncGroup,
    Transition, Version, VirtualRouter, Vrid,
};
use vrrp_net::lab::Host;
use vrrp_net::{Attachment, DriverEvent, DriverHandle, RouterCommand, RouterSet};

use crate::protocol::{Protocol, V2, v3};
use crate::world::{PATIENCE, VIP};

/// Tells a process of its own what to be.
const ENV: &str = "VRRP_INTEROP_NODE";

/// How our node is configured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) protocol: Protocol,
    pub(crate) priority: u8,
    pub(crate) demotion: Demotion,
    pub(crate) checksum: ChecksumForm,
    pub(crate) lease: Duration,
}

impl Setup {
    pub(crate) fn new(protocol: Protocol, priority: u8) -> Self {
        Self {
            protocol,
            priority,
            demotion: Demotion::default(),
            checksum: ChecksumForm::PseudoHeader,
            lease: Attachment::DEFAULT_LEASE,
        }
    }

    fn router(self) -> VirtualRouter {
        let addresses = AddressList::new(&[IpAddr::V4(VIP)]).unwrap();
        let authentication = match self.protocol.version {
            Version::V2 => AuthenticationConfig::simple("1111").unwrap(),
            Version::V3 => AuthenticationConfig::None,
        };
        let config = Config::builder(Vrid::new(33).unwrap(), addresses)
            .version(self.protocol.version)
            .priority(Priority::new(self.priority))
            .adver_interval(self.protocol.adver_interval())
            .authentication(authentication)
            .checksum(self.checksum)
            .demotion(self.demotion)
            .build()
            .unwrap();
        VirtualRouter::new(config, IpAddr::from([0, 0, 0, 0]))
    }

    fn spawn(
        self,
        interface: &str,
        events: impl FnMut(DriverEvent<Infallible>) + Send + 'static,
    ) -> DriverHandle<RouterCommand> {
        let attachment = Attachment::builder(interface)
            .lease(Some(self.lease))
            .build()
            .unwrap();
        vrrp_net::spawn(RouterSet::from(self.router()), vec![attachment], events).unwrap()
    }
}

/// A driver on a thread of this process, on the host.
pub(crate) struct Node {
    handle: DriverHandle<RouterCommand>,
    arriving: mpsc::Receiver<DriverEvent<Infallible>>,
    events: Vec<DriverEvent<Infallible>>,
}

impl Node {
    pub(crate) fn start(host: &Host, setup: Setup) -> Self {
        Self::start_with(host, |events| setup.spawn(host.interface(), events))
    }

    /// Starts one virtual router of the test's own.
    pub(crate) fn start_configured(host: &Host, config: Config, attachment: Attachment) -> Self {
        let unset = match config.family() {
            Family::Ipv4 => IpAddr::from([0; 4]),
            Family::Ipv6 => IpAddr::from([0; 16]),
        };
        let router = VirtualRouter::new(config, unset);
        Self::start_with(host, |events| {
            vrrp_net::spawn(RouterSet::from(router), vec![attachment], events).unwrap()
        })
    }

    /// Starts virtual routers of the test's own that a group holds together.
    pub(crate) fn start_group(
        host: &Host,
        members: impl IntoIterator<Item = (Config, Attachment)>,
        group: SyncGroup,
    ) -> Self {
        let (configs, attachments): (Vec<_>, Vec<_>) = members.into_iter().unzip();
        let unset = IpAddr::from([0; 4]);
        let routers = configs
            .into_iter()
            .map(|config| VirtualRouter::new(config, unset));
        let set = RouterSet::with_groups(routers.collect(), vec![group]).unwrap();
        Self::start_with(host, |events| vrrp_net::spawn(set, attachments, events).unwrap())
    }

    fn start_with(
        host: &Host,
        spawn: impl FnOnce(Box<dyn FnMut(DriverEvent<Infallible>) + Send>) -> DriverHandle<RouterCommand> + Send,
    ) -> Self {
        let (sender, arriving) = mpsc::channel();
        // Nobody listens any more only when the node is being dropped.
        let events = Box::new(move |event| drop(sender.send(event)));
        Self {
            handle: host.run(|| spawn(events)),
            arriving,
            events: Vec::new(),
        }
    }

    pub(crate) fn set_priority(&self, priority: u8) {
        let priority = Priority::new(priority);
        self.command(RouterCommand::Priority { router: 0, priority });
    }

    pub(crate) fn command(&self, command: RouterCommand) {
        self.handle.command(command).unwrap();
    }

    /// Stops it: priority 0, and the address goes away.
    pub(crate) fn stop(self) {
        self.handle.join().unwrap();
    }

    /// Everything that it has told.
    pub(crate) fn events(&mut self) -> &[DriverEvent<Infallible>] {
        self.events.extend(self.arriving.try_iter());
        &self.events
    }

    /// Its changes of state so far.
    pub(crate) fn transitions(&mut self) -> Vec<Transition> {
        self.events().iter().filter_map(transition).collect()
    }

    pub(crate) fn state(&mut self) -> State {
        self.transitions()
            .last()
            .map_or(State::Initialize, |last| last.to)
    }

    /// Waits until it is in a state.
    #[track_caller]
    pub(crate) fn expect_state(&mut self, state: State, timeout: Duration) {
        let deadline = Instant::now() + timeout;
        while self.state() != state {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.arriving.recv_timeout(left) {
                Ok(event) => self.events.push(event),
                Err(_) => panic!("not {state} within {timeout:?}; it told {:?}", self.events),
            }
        }
    }

    /// Fails if the driver saw anything but elections: refused addresses, conflicts, send errors, packets that it
    /// takes for malformed.
    #[track_caller]
    pub(crate) fn assert_content(&mut self) {
        self.assert_content_except(|_| false);
    }

    /// Like [`assert_content`](Self::assert_content), where one event may have happened.
    #[track_caller]
    pub(crate) fn assert_content_but(&mut self, allowed: &DriverEvent<Infallible>) {
        self.assert_content_except(|event| event == allowed);
    }

    #[track_caller]
    fn assert_content_except(&mut self, is_allowed: impl Fn(&DriverEvent<Infallible>) -> bool) {
        let events = self.events().iter();
        let odd: Vec<_> = events
            .filter(|event| transition(event).is_none() && !is_allowed(event))
            .collect();
        assert!(odd.is_empty(), "{odd:?}");
        let counters = self.handle.counters();
        assert_eq!(counters.malformed.total(), 0, "{counters:?}");
        let errors = [
            counters.send_errors,
            counters.announce_errors,
            counters.unknown_vrid,
        ];
        assert_eq!(errors, [0; 3], "{counters:?}");
    }
}

fn transition(event: &DriverEvent<Infallible>) -> Option<Transition> {
    match event {
        DriverEvent::Transition { transition, .. } => Some(*transition),
        _ => None,
    }
}

/// A driver in a process of its own, on the host: this program, started again.
pub(crate) struct NodeProcess {
    process: Child,
}

impl NodeProcess {
    pub(crate) fn start(host: &Host, setup: Setup) -> Self {
        let Setup {
            protocol,
            priority,
            lease,
            ..
        } = setup;
        let words = format!(
            "{} {} {} {priority} {}",
            host.interface(),
            protocol.version.get(),
            protocol.interval_cs,
            lease.as_secs()
        );
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args([
                "--exact",
                "node::a_node_in_a_process_of_its_own",
                "--ignored",
                "--nocapture",
            ])
            .env(ENV, words)
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        Self {
            process: host.spawn(command).unwrap(),
        }
    }

    /// Kills it (SIGKILL): it can do nothing any more.
    pub(crate) fn kill(mut self) {
        self.kill_and_wait();
    }

    fn kill_and_wait(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for NodeProcess {
    fn drop(&mut self) {
        self.kill_and_wait();
    }
}

#[test]
#[ignore = "started on a host by other tests"]
fn a_node_in_a_process_of_its_own() {
    let Ok(words) = std::env::var(ENV) else { return };
    let words: Vec<&str> = words.split(' ').collect();
    let [interface, version, interval_cs, priority, lease] = words[..] else {
        panic!("{ENV} is written by this program: {words:?}");
    };
    let protocol = match version {
        "2" => V2,
        _ => v3(interval_cs.parse().unwrap()),
    };
    let mut setup = Setup::new(protocol, priority.parse().unwrap());
    setup.lease = Duration::from_secs(lease.parse().unwrap());
    let handle = setup.spawn(interface, |_| {});
    // Killed long before; if not, the test that started it has failed.
    crate::world::pause(PATIENCE * 20);
    drop(handle);
}
