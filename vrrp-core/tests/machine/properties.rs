//! What holds whatever comes.

use std::net::IpAddr;
use std::time::Duration;

use proptest::prelude::*;
use vrrp_core::{
    AddressList, AuthenticationConfig, Config, ConfigBuilder, Demotion, Fault, Output, State, Version,
    VirtualRouter, Vrid,
};

use crate::support::*;

/// A fact and a value that it may use.
type Step = (u8, u8);

/// What came of a step, and how long the router would wait after it.
type Told = (Vec<Output>, Option<Duration>);

fn any_config() -> impl Strategy<Value = ConfigBuilder> {
    let version = prop_oneof![Just(Version::V2), Just(Version::V3)];
    let demotion = prop_oneof![
        Just(Demotion::Elect),
        Just(Demotion::Yield),
        Just(Demotion::Plain)
    ];
    (version, any::<bool>(), any::<bool>(), demotion).prop_map(|(version, preempt, authentic, demotion)| {
        let config = builder(version, 100)
            .preempt(preempt)
            .preempt_delay(secs(2))
            .demotion(demotion);
        match version {
            Version::V2 if authentic => config.authentication(AuthenticationConfig::simple("1111").unwrap()),
            _ => config,
        }
    })
}

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((0..10_u8, any::<u8>()), 0..16)
}

/// Feeds the facts, from `epoch` on, and gives what came of each and how long it would wait after.
fn play(config: &ConfigBuilder, steps: &[Step], epoch: Duration) -> (Bench, Vec<Told>) {
    let mut bench = Bench::new(config.clone());
    bench.now = epoch;
    let mut story = Vec::new();
    for &(fact, value) in steps {
        let mut outputs = match fact {
            0 | 1 => bench.startup(),
            2 => bench.set_priority(value),
            3 => bench.fault(Fault::Link),
            4 => bench.recovery(Fault::Link),
            5 => {
                let _ = bench.receive(&Heard::new(config.clone(), value));
                bench.outputs()
            }
            6 => {
                bench.wait(ms(u64::from(value) * 10));
                Vec::new()
            }
            7 => {
                bench.router.handle_advert_early(bench.now);
                bench.outputs()
            }
            _ => {
                bench.now = bench.router.poll_timeout().unwrap_or(bench.now).max(bench.now);
                bench.timeout()
            }
        };
        outputs.extend(bench.outputs());
        story.push((
            outputs,
            bench.router.poll_timeout().map(|at| at.saturating_sub(bench.now)),
        ));
    }
    (bench, story)
}

/// A router in any state that facts can bring it to, with its counters taken.
fn any_state() -> impl Strategy<Value = Bench> {
    (any_config(), any_steps()).prop_map(|(config, steps)| {
        let (mut bench, _) = play(&config, &steps, secs(1000));
        bench.router.take_counters();
        bench
    })
}

/// An advert that differs from what a router of this version takes, in one way at least.
fn invalid(version: Version, kind: u8, priority: u8) -> Heard {
    let other_version = match version {
        Version::V2 => Version::V3,
        Version::V3 => Version::V2,
    };
    let addresses = |address: &str| AddressList::new(&[ip(address)]).unwrap();
    let fifty_two = Config::builder(Vrid::new(52).unwrap(), addresses(VIP));
    let config: ConfigBuilder = match (kind, version) {
        (0, _) => builder(other_version, 100),
        (1, _) => fifty_two.version(version),
        (2, Version::V2) => v2(100).adver_interval(centis(200)),
        (3, Version::V2) => v2(100).authentication(AuthenticationConfig::simple("wrong").unwrap()),
        _ => builder(version, 100),
    };
    let heard = Heard::new(config, priority);
    match kind {
        0 | 1 => heard,
        2 | 3 if version == Version::V2 => heard,
        4 => heard.to(OWN),
        _ => heard.from(OWN),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// RFC 9568 §7.1, RFC 3768 §7.1: a discarded advert touches no state and no timer. Rows B8, M10, I3, F3; trap 1.
    /// A master may tell of a rival, which is for people.
    #[test]
    fn a_rejected_advert_changes_counters_and_nothing_else(
        bench in any_state(), kind in 0..6_u8, priority in any::<u8>(), later in 0..5000_u64,
    ) {
        let mut bench = bench;
        let before = bench.router.clone();
        bench.wait(ms(later));
        let heard = invalid(before.config().version(), kind, priority);
        prop_assert!(bench.receive(&heard).is_err());
        prop_assert_eq!(bench.router.counters().discards.total(), 1);
        prop_assert_eq!(bench.router.counters().adverts_received, 0);
        prop_assert!(bench.outputs().iter().all(|output| matches!(output, Output::Rival(_))));
        bench.router.take_counters();
        prop_assert_eq!(&bench.router, &before);
    }

    /// `now` counts from whatever epoch the driver likes.
    #[test]
    fn the_epoch_does_not_matter(config in any_config(), steps in any_steps(), later in 0..1_000_000_000_000_u64) {
        let (_, story) = play(&config, &steps, secs(1000));
        let (_, shifted) = play(&config, &steps, secs(1000) + Duration::from_micros(later));
        prop_assert_eq!(story, shifted);
    }

    /// `handle_timeout` is harmless whenever it is called before the deadline.
    #[test]
    fn an_early_timeout_changes_nothing(bench in any_state(), early in 1..10_000_000_u64) {
        let mut bench = bench;
        let before = bench.router.clone();
        let Some(deadline) = before.poll_timeout() else { return Ok(()) };
        bench.now = deadline.saturating_sub(Duration::from_nanos(early));
        prop_assert!(bench.timeout().is_empty());
        prop_assert_eq!(&bench.router, &before);
    }

    /// Which of two masters yields never depends on who is asked: priority and address order all routers, so that
    /// exactly one of two steps down, and adverts answered with adverts come to an end.
    #[test]
    fn of_two_masters_exactly_one_steps_down(
        version in prop_oneof![Just(Version::V2), Just(Version::V3)],
        priorities in (1..=254_u8, 1..=254_u8), equal in any::<bool>(), addresses in any::<(u32, u32)>(),
    ) {
        let (one, mut two) = priorities;
        if equal {
            two = one;
        }
        let (a, b) = (IpAddr::from(addresses.0.to_be_bytes()), IpAddr::from(addresses.1.to_be_bytes()));
        prop_assume!(a != b);
        let yields = |own: u8, source: IpAddr, other: u8, from: IpAddr| {
            let mut bench = Bench::master(builder(version, own));
            bench.router.set_source(source);
            bench.hear_from(&from.to_string(), other);
            bench.router.state() == State::Backup
        };
        prop_assert_ne!(yields(one, a, two, b), yields(two, b, one, a));
    }
}

/// The queue is as long as it says, and no longer.
#[test]
fn a_fact_yields_at_most_max_outputs() {
    let mut longest = 0;
    let mut watch = |outputs: &[Output]| longest = longest.max(outputs.len());
    for config in [v3(100), v3(255), v2(100), v3(100).demotion(Demotion::Yield)] {
        let mut bench = Bench::master(config.clone().lower_prio_announce_delay(Some(secs(1))));
        // An announcement, an advert, a rival that has parted and a demotion that was put off, all due at once.
        bench.wait(secs(1));
        watch(&bench.hear(1));
        watch(&bench.set_priority(90));
        watch(&bench.set_priority(80));
        bench.wait(secs(3));
        watch(&bench.timeout());
        watch(&bench.hear(1));
        let _ = bench.router.handle_switchover(bench.now);
        watch(&bench.outputs());
        watch(&bench.fault(Fault::Link));
        watch(&bench.recovery(Fault::Link));
        watch(&bench.expire());
        watch(&bench.shutdown());
        watch(&Bench::new(config).startup());
    }
    assert_eq!(longest, VirtualRouter::MAX_OUTPUTS);
}
