//! A router on a bench: facts go in by name, outputs come out as lists.

use std::net::IpAddr;
use std::time::Duration;

use vrrp_core::Output::{AcquireAddresses, Advertise, AnnounceAddresses, HandOverAddresses};
use vrrp_core::{
    AddressList, AdverInterval, Announcement, ChecksumForm, Config, ConfigBuilder, Discard, Envelope, Fault,
    GROUP_V4, GROUP_V6, HOP_LIMIT, Output, Packet, Peer, Priority, Reason, State, Transition, Version,
    VirtualRouter, Vrid,
};

/// Source of the router under test; lies between [`LOWER`] and [`HIGHER`].
pub(crate) const OWN: &str = "192.0.2.10";
pub(crate) const LOWER: &str = "192.0.2.9";
pub(crate) const HIGHER: &str = "192.0.2.11";
pub(crate) const VIP: &str = "192.0.2.100";

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
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

pub(crate) fn centis(cs: u16) -> AdverInterval {
    AdverInterval::from_centis(cs).unwrap()
}

pub(crate) fn builder(version: Version, priority: u8) -> ConfigBuilder {
    let addresses = AddressList::new(&[ip(VIP)]).unwrap();
    Config::builder(Vrid::new(51).unwrap(), addresses)
        .version(version)
        .priority(Priority::new(priority))
}

pub(crate) fn v2(priority: u8) -> ConfigBuilder {
    builder(Version::V2, priority)
}

pub(crate) fn v3(priority: u8) -> ConfigBuilder {
    builder(Version::V3, priority)
}

/// Both versions, for clauses on which they agree.
pub(crate) const BOTH: [Version; 2] = [Version::V2, Version::V3];

/// The advert of another router.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) config: ConfigBuilder,
    pub(crate) priority: u8,
    pub(crate) source: IpAddr,
    pub(crate) destination: Option<IpAddr>,
}

impl Heard {
    pub(crate) fn new(config: ConfigBuilder, priority: u8) -> Self {
        Self {
            config,
            priority,
            source: ip(HIGHER),
            destination: None,
        }
    }

    pub(crate) fn from(mut self, source: &str) -> Self {
        self.source = ip(source);
        self
    }

    pub(crate) fn to(mut self, destination: &str) -> Self {
        self.destination = Some(ip(destination));
        self
    }

    /// The octets and their envelope.
    pub(crate) fn wire(&self) -> (Vec<u8>, Envelope) {
        let router = VirtualRouter::new(self.config.clone().build().unwrap(), self.source);
        let group = if self.source.is_ipv4() {
            IpAddr::from(GROUP_V4)
        } else {
            IpAddr::from(GROUP_V6)
        };
        let destination = self.destination.unwrap_or(group);
        let mut octets = Vec::new();
        let advert = router.advert(Priority::new(self.priority));
        advert
            .emit(self.source, destination, ChecksumForm::PseudoHeader, &mut octets)
            .unwrap();
        (
            octets,
            Envelope {
                source: self.source,
                destination,
                hop_limit: HOP_LIMIT,
            },
        )
    }
}

/// A router and the time.
#[derive(Clone, Debug)]
pub(crate) struct Bench {
    pub(crate) router: VirtualRouter,
    pub(crate) now: Duration,
    version: Version,
}

impl Bench {
    /// In Initialize, at a time that is not zero.
    pub(crate) fn new(config: ConfigBuilder) -> Self {
        let config = config.build().unwrap();
        let version = config.version();
        Self {
            router: VirtualRouter::new(config, ip(OWN)),
            now: secs(1000),
            version,
        }
    }

    /// Just started, with its outputs drained.
    pub(crate) fn started(config: ConfigBuilder) -> Self {
        let mut bench = Self::new(config);
        bench.startup();
        bench
    }

    /// A backup that has become master just now, with its outputs drained.
    pub(crate) fn master(config: ConfigBuilder) -> Self {
        let mut bench = Self::started(config);
        if bench.router.state() == State::Backup {
            bench.expire();
        }
        assert_eq!(bench.router.state(), State::Master);
        bench
    }

    pub(crate) fn startup(&mut self) -> Vec<Output> {
        self.router.handle_startup(self.now);
        self.outputs()
    }

    pub(crate) fn shutdown(&mut self) -> Vec<Output> {
        self.router.handle_shutdown(self.now);
        self.outputs()
    }

    pub(crate) fn fault(&mut self, fault: Fault) -> Vec<Output> {
        self.router.handle_fault(self.now, fault);
        self.outputs()
    }

    pub(crate) fn recovery(&mut self, fault: Fault) -> Vec<Output> {
        self.router.handle_recovery(self.now, fault);
        self.outputs()
    }

    pub(crate) fn set_priority(&mut self, priority: u8) -> Vec<Output> {
        self.router.set_priority(self.now, Priority::new(priority));
        self.outputs()
    }

    pub(crate) fn timeout(&mut self) -> Vec<Output> {
        self.router.handle_timeout(self.now);
        self.outputs()
    }

    /// Lets the next deadline come.
    pub(crate) fn expire(&mut self) -> Vec<Output> {
        self.now = self.now.max(self.router.poll_timeout().expect("a deadline"));
        self.timeout()
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    /// Time to the next deadline.
    pub(crate) fn deadline(&self) -> Duration {
        self.router.poll_timeout().expect("a deadline") - self.now
    }

    /// An advert of this priority from [`HIGHER`], alike in all else.
    pub(crate) fn hear(&mut self, priority: u8) -> Vec<Output> {
        self.hear_from(HIGHER, priority)
    }

    /// An advert of this priority from this address, alike in all else.
    pub(crate) fn hear_from(&mut self, source: &str, priority: u8) -> Vec<Output> {
        let interval = self.router.config().adver_interval();
        self.hear_every(interval, source, priority)
    }

    /// An advert with this interval.
    pub(crate) fn hear_every(&mut self, interval: AdverInterval, source: &str, priority: u8) -> Vec<Output> {
        let config = builder(self.version, 100).adver_interval(interval);
        self.receive(&Heard::new(config, priority).from(source))
            .expect("accepted");
        self.outputs()
    }

    pub(crate) fn receive(&mut self, heard: &Heard) -> Result<(), Discard> {
        let (octets, envelope) = heard.wire();
        self.router
            .handle_advert(self.now, &Packet::parse(&octets, &envelope).unwrap())
    }

    pub(crate) fn outputs(&mut self) -> Vec<Output> {
        let outputs: Vec<_> = std::iter::from_fn(|| self.router.poll_output()).collect();
        assert!(outputs.len() <= VirtualRouter::MAX_OUTPUTS);
        outputs
    }
}

/// An advert of this priority.
pub(crate) fn sends(priority: u8) -> Output {
    Advertise(Priority::new(priority))
}

pub(crate) fn changes(from: State, to: State, reason: Reason) -> Output {
    Output::Transition(Transition { from, to, reason })
}

pub(crate) fn peer(source: &str, priority: u8) -> Peer {
    Peer {
        address: ip(source),
        priority: Priority::new(priority),
    }
}

/// What a router does that becomes master with this priority: the advert before the addresses, the announcement after.
pub(crate) fn takes_over(from: State, priority: u8, reason: Reason) -> Vec<Output> {
    vec![
        sends(priority),
        AcquireAddresses,
        AnnounceAddresses(Announcement::Takeover),
        changes(from, State::Master, reason),
    ]
}

/// What a master of this priority does that hears a higher one: the last advert is for the winner.
pub(crate) fn superseded(priority: u8, by: Peer) -> Vec<Output> {
    vec![
        HandOverAddresses,
        sends(priority),
        changes(State::Master, State::Backup, Reason::Superseded(by)),
    ]
}

/// What a master does that hears anyone while it offers to yield.
pub(crate) fn yielded(to: Peer) -> Vec<Output> {
    vec![
        HandOverAddresses,
        changes(State::Master, State::Backup, Reason::Yielded(to)),
    ]
}

/// The announcement that a losing advert calls for.
pub(crate) fn reasserts() -> Output {
    AnnounceAddresses(Announcement::Reassert)
}
