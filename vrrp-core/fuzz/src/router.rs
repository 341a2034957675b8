//! Target `router`: facts in any order, at any time.
//!
//! Input: an octet of flags, the priority, the interval, and then facts until the input ends: an octet that names one
//! (modulo [`FACTS`]) and what belongs to it. Flags: 1 VRRPv2, 2 no preemption, 4 password or (VRRPv3) HMAC, 8 yield,
//! 16 plain, 32 preempt_delay of three intervals, 64 no second announcement, 128 another octet of flags follows the
//! interval: 1 a
//! down timer of one advert, 2 announcements refreshed, 4 no reassertion, 8 no last advert, 16 damping after two
//! transitions in ten intervals, 32 startup delayed by an interval, 64 no second announcement after a losing advert, 128 (VRRPv2)
//! AH. A fact:
//!
//! | octet | fact | then |
//! |---|---|---|
//! | 0 | startup | |
//! | 1 | shutdown | |
//! | 2 | advert | priority, source (last octet of 192.0.2.x), how it differs |
//! | 3 | time passes to the deadline, and it is told | |
//! | 4 | time passes, and it is not told | two octets of milliseconds |
//! | 5 | it is told that time has come | |
//! | 6 | fault | which |
//! | 7 | recovery | which |
//! | 8 | it stood still | |
//! | 9 | priority | priority |
//! | 10 | source address | last octet |
//! | 11 | switchover | |
//! | 12 | the hold ends | |
//!
//! How an advert differs, as bits: 1 other password or key, 2 other interval, 4 other VRID, 8 unicast, 16 other addresses,
//! 32 other version, 64 a sequence number that was used before, 128 not signed.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use vrrp_core::{
    AddressList, AdverInterval, Advert, AhKey, AuthenticationConfig, ChecksumForm, Config, ConfigBuilder,
    Damping, Demotion, Discard, Envelope, Fault, GROUP_V4, HOP_LIMIT, HmacConfig, HmacKey, Output, Packet,
    Priority, Sequence, State, SwitchoverEnd, Version, VirtualRouter, Vrid,
};

use super::input::Input;

/// How many kinds of facts there are.
pub const FACTS: u8 = 14;

/// Facts that one input may feed; the rest of it is not read.
const MAX_FACTS: usize = 4096;

const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 128));
const PASSWORD: &str = "1111";
const SECRET: &[u8] = &[0x5a; 32];

/// Runs one input; those that describe no valid configuration are done early.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let Some(config) = config(&mut input) else {
        return;
    };
    let mut watch = Watch::new(VirtualRouter::new(config, SOURCE));
    for _ in 0..MAX_FACTS {
        if input.is_empty() {
            break;
        }
        watch.feed(&mut input);
    }
}

fn config(input: &mut Input<'_>) -> Option<Config> {
    let flags = input.u8();
    let set = |bit: u8| flags & bit != 0;
    let priority = Priority::new(input.u8());
    let interval = input.u16();
    let (version, interval) = match set(1) {
        true => (Version::V2, AdverInterval::from_secs(interval as u8)?),
        false => (Version::V3, AdverInterval::from_centis(interval)?),
    };
    let addresses = AddressList::new(&[[192, 0, 2, 1].into(), [192, 0, 2, 2].into()]).ok()?;
    let mut config = Config::builder(Vrid::new(51)?, addresses)
        .version(version)
        .priority(priority)
        .adver_interval(interval)
        .preempt(!set(2));
    if set(4) {
        config = config.authentication(match version {
            Version::V2 => AuthenticationConfig::simple(PASSWORD).ok()?,
            Version::V3 => HmacConfig::new(HmacKey::new(1, SECRET).ok()?).into(),
        });
    }
    if set(8) {
        config = config.demotion(Demotion::Yield);
    } else if set(16) {
        config = config.demotion(Demotion::Plain);
    }
    if set(32) {
        config = config.preempt_delay(interval.duration() * 3);
    }
    if set(64) {
        config = config.announce_delay(Duration::ZERO);
    }
    if set(128) {
        config = more(config, interval.duration(), input.u8())?;
    }
    config.build().ok()
}

fn more(mut config: ConfigBuilder, interval: Duration, flags: u8) -> Option<ConfigBuilder> {
    let set = |bit: u8| flags & bit != 0;
    if set(1) {
        config = config.down_timer_adverts(1);
    }
    if set(2) {
        config = config.announce_refresh(Duration::from_secs(1).max(interval / 2));
    }
    if set(16) {
        config = config.damping(Some(Damping::new(2, interval * 10).ok()?));
    }
    if set(32) {
        config = config.startup_delay(interval);
    }
    if set(64) {
        config = config.lower_prio_announce_delay(Some(Duration::ZERO));
    }
    if set(128) {
        config = config.authentication(AuthenticationConfig::ah(PASSWORD).ok()?);
    }
    Some(config.reassert(!set(4)).higher_prio_send_advert(!set(8)))
}

/// A router, the time, and what its outputs have come to.
struct Watch {
    router: VirtualRouter,
    now: Duration,
    holds_addresses: bool,
    became_master: u64,
    /// Adverts that were signed with a number of their own.
    adverts: u32,
    /// Startups that were not shut down.
    started: bool,
    /// A switchover has begun, and its end has not been told.
    switching: bool,
}

/// A fact as it was fed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fact {
    Advert(Result<(), Discard>),
    Timeout,
    Own,
}

impl Watch {
    fn new(router: VirtualRouter) -> Self {
        Self {
            router,
            now: Duration::from_secs(1_000_000),
            holds_addresses: false,
            became_master: 0,
            adverts: 0,
            started: false,
            switching: false,
        }
    }

    fn feed(&mut self, input: &mut Input<'_>) {
        self.router.set_wall_clock(self.now, self.now);
        let before = self.router.clone();
        let now = self.now;
        let fact = match input.u8() % FACTS {
            0 => {
                self.started = true;
                self.own(|router| router.handle_startup(now))
            }
            1 => {
                self.started = false;
                self.own(|router| router.handle_shutdown(now))
            }
            2 => self.advert(input),
            3 => {
                self.now = self.router.poll_timeout().unwrap_or(now).max(now);
                self.timeout()
            }
            4 => {
                self.now += Duration::from_millis(input.u16().into());
                Fact::Own
            }
            5 => self.timeout(),
            6 => {
                let fault = fault(input.u8());
                self.own(|router| router.handle_fault(now, fault))
            }
            7 => {
                let fault = fault(input.u8());
                self.own(|router| router.handle_recovery(now, fault))
            }
            8 => self.own(|router| router.handle_pause(now)),
            9 => {
                let priority = Priority::new(input.u8());
                self.own(|router| router.set_priority(now, priority))
            }
            10 => {
                let source = [192, 0, 2, input.u8()].into();
                self.own(|router| router.set_source(source))
            }
            11 => {
                let begun = self.router.handle_switchover(now).is_ok();
                assert!(!begun || !std::mem::replace(&mut self.switching, true));
                assert!(!begun || before.state() == State::Master && before.priority() != Priority::OWNER);
                Fact::Own
            }
            12 => {
                let speaks = self.router.advert_due().is_some();
                let fact = self.own(|router| router.handle_advert_early(now));
                assert!(!speaks || self.router.advert_due() > Some(now));
                fact
            }
            _ => {
                let fact = self.own(|router| router.handle_resume(now));
                assert!(!self.router.is_held());
                fact
            }
        };
        self.check(&before, fact);
    }

    fn own(&mut self, feed: impl FnOnce(&mut VirtualRouter)) -> Fact {
        feed(&mut self.router);
        Fact::Own
    }

    fn timeout(&mut self) -> Fact {
        self.router.handle_timeout(self.now);
        Fact::Timeout
    }

    fn advert(&mut self, input: &mut Input<'_>) -> Fact {
        let priority = Priority::new(input.u8());
        let source = IpAddr::from([192, 0, 2, input.u8()]);
        let differs = input.u8();
        let set = |bit: u8| differs & bit != 0;
        let ours = self.router.config();
        let version = match (ours.version(), set(32)) {
            (Version::V2, false) | (Version::V3, true) => Version::V2,
            (Version::V3, false) | (Version::V2, true) => Version::V3,
        };
        let mut interval = ours.adver_interval();
        if set(2) || !interval.fits(version) {
            interval = AdverInterval::from_secs(40).expect("an interval of both versions");
        }
        let vrid = if set(4) {
            Vrid::new(52).expect("a VRID")
        } else {
            ours.vrid()
        };
        let two = [[192, 0, 2, 1].into(), [192, 0, 2, 2].into()];
        let addresses = AddressList::new(if set(16) { &two[..1] } else { &two }).expect("addresses");
        let mut advert = Advert::new(version, vrid, priority, interval, addresses.as_addresses())
            .expect("an interval that fits the version");
        let with_password = *b"1111\0\0\0\0";
        if version == Version::V2 && !set(1) {
            advert = advert.with_password(&with_password).expect("VRRPv2");
        }
        let destination = if set(8) { SOURCE } else { GROUP_V4.into() };
        self.adverts += u32::from(!set(64));
        let wrong = u8::from(set(1));
        let ah_key = AhKey::new(if set(1) { "1112" } else { PASSWORD }).expect("four octets");
        let hmac_key = HmacKey::new(1, &[0x5a ^ wrong; 32]).expect("long enough");
        match (ours.authentication(), version) {
            _ if set(128) => {}
            (AuthenticationConfig::Ah(_), Version::V2) => {
                advert = advert.with_ah(&ah_key, self.adverts).expect("VRRPv2");
            }
            (AuthenticationConfig::Hmac(_), Version::V3) => {
                let sequence = Sequence::from_bits(Sequence::at(self.now).bits() + u64::from(self.adverts));
                advert = advert.with_hmac(&hmac_key, sequence).expect("VRRPv3");
            }
            _ => {}
        }
        let mut octets = Vec::new();
        if let (Some(ah), IpAddr::V4(source), IpAddr::V4(destination)) = (advert.ah(), source, destination) {
            ah.emit(source, destination, HOP_LIMIT, 1, &mut octets)
                .expect("room");
            let packet = Packet::parse_ah(&octets).expect("own emission");
            return Fact::Advert(self.router.handle_advert(self.now, &packet));
        }
        advert
            .emit(source, destination, ChecksumForm::PseudoHeader, &mut octets)
            .expect("room");
        let envelope = Envelope {
            source,
            destination,
            hop_limit: HOP_LIMIT,
        };
        let packet = Packet::parse(&octets, &envelope).expect("own emission");
        Fact::Advert(self.router.handle_advert(self.now, &packet))
    }

    fn check(&mut self, before: &VirtualRouter, fact: Fact) {
        let (from, to) = (before.state(), self.router.state());
        let outputs: Vec<Output> = std::iter::from_fn(|| self.router.poll_output()).collect();
        assert!(outputs.len() <= VirtualRouter::MAX_OUTPUTS, "{outputs:?}");
        let mut changes = 0;
        for output in &outputs {
            match output {
                Output::Advertise(Priority::STOP) => assert_eq!(from, State::Master, "only a master stops"),
                Output::Advertise(priority) => {
                    let last = (from, to) == (State::Master, State::Backup);
                    assert!(
                        to == State::Master || last,
                        "only a master advertises, and one that is superseded"
                    );
                    assert_eq!(*priority, self.router.priority());
                }
                Output::AcquireAddresses => assert!(!std::mem::replace(&mut self.holds_addresses, true)),
                Output::ReleaseAddresses | Output::HandOverAddresses => {
                    assert!(std::mem::replace(&mut self.holds_addresses, false));
                }
                Output::AnnounceAddresses(_) => assert!(self.holds_addresses),
                Output::Rival(_) => assert_eq!(from, State::Master, "only a master has rivals"),
                Output::Switchover(end) => {
                    assert!(
                        std::mem::replace(&mut self.switching, false),
                        "an end without a beginning"
                    );
                    assert_eq!(*end == SwitchoverEnd::NobodyTookOver, to == State::Master);
                    // A held router may have become master, and a shutdown ends the hold.
                    let held = matches!(end, SwitchoverEnd::Done(_)) || before.is_held();
                    assert_eq!(self.router.is_held(), held && to != State::Initialize);
                }
                Output::Transition(change) => {
                    assert_eq!((change.from, change.to), (from, to));
                    changes += 1;
                }
            }
        }
        assert_eq!(changes, usize::from(from != to), "one fact, one transition");
        assert!(
            !self.switching || to == State::Master,
            "a switchover ends with mastership"
        );
        assert_eq!(self.holds_addresses, to == State::Master);
        self.check_fact(before, fact, &self.router);
        self.check_deadline(fact);
        self.check_priority(before);
        self.became_master += u64::from(from != to && to == State::Master);
        assert_eq!(self.router.counters().became_master, self.became_master);
    }

    fn check_fact(&self, before: &VirtualRouter, fact: Fact, after: &VirtualRouter) {
        let (from, to) = (before.state(), after.state());
        match fact {
            Fact::Advert(Ok(())) => {
                let steps_down = (from, to) == (State::Master, State::Backup);
                assert!(from == to || steps_down, "an advert makes no master");
                assert!(
                    !steps_down || before.priority() != Priority::OWNER || {
                        after
                            .master()
                            .is_some_and(|peer| peer.priority == Priority::OWNER)
                    }
                );
            }
            Fact::Advert(Err(_)) => {
                let (mut before, mut after) = (before.clone(), after.clone());
                before.take_counters();
                after.take_counters();
                assert_eq!(before, after, "a rejected advert changes counters alone");
            }
            Fact::Timeout => {
                let due = before.poll_timeout().is_some_and(|at| at <= self.now);
                assert!(due || before == after, "a spurious timeout changes nothing");
                let took_over = (from, to) == (State::Backup, State::Master);
                let started = from == State::Initialize;
                assert!(from == to || took_over || started, "time makes nobody step down");
                assert!(
                    !due || took_over || started || from == State::Master,
                    "a backup whose timer fires is master, whatever holds its preemption back"
                );
                assert!(
                    !due || !started || to != State::Initialize,
                    "a start that is due is made"
                );
            }
            Fact::Own => {}
        }
    }

    fn check_deadline(&self, fact: Fact) {
        let waiting = match self.router.state() {
            State::Backup | State::Master => true,
            State::Initialize => self.started,
            State::Fault => false,
        };
        assert_eq!(self.router.poll_timeout().is_some(), waiting);
        let Some(deadline) = self.router.poll_timeout() else {
            return;
        };
        if fact == Fact::Timeout {
            assert!(deadline > self.now, "what was due is done");
        }
        // The longest of all timers: master-down at VRRPv2's 255 s, and the longest skew time at VRRPv3's 40.95 s.
        let longest = Duration::from_secs(3 * 255 + 41);
        assert!(deadline <= self.now + longest, "no timer runs for ever");
    }

    fn check_priority(&self, before: &VirtualRouter) {
        let priority = self.router.priority();
        if self.router.config().is_owner() {
            assert_eq!(priority, Priority::OWNER);
        } else {
            assert!((Priority::new(1)..=Priority::MAX_BACKUP).contains(&priority));
        }
        assert!(self.router.counters().adverts_sent >= before.counters().adverts_sent);
    }
}

fn fault(octet: u8) -> Fault {
    match octet % 4 {
        0 => Fault::Link,
        1 => Fault::SourceAddress,
        2 => Fault::Check,
        _ => Fault::Addresses,
    }
}
