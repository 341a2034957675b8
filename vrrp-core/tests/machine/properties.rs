//! What holds whatever comes.

use std::net::IpAddr;

use proptest::prelude::*;
use vrrp_core::{
    AddressList, AuthenticationConfig, Config, ConfigBuilder, Demotion, Fault, Output, State, Version,
    VirtualRouter, Vrid,
};

use crate::support::*;

/// A router in any state that facts can bring it to.
fn any_state() -> impl Strategy<Value = Bench> {
    let config = (
        prop_oneof![Just(Version::V2), Just(Version::V3)],
        any::<bool>(),
        any::<bool>(),
    );
    let facts = prop::collection::vec((0..9_u8, any::<u8>()), 0..12);
    (config, facts).prop_map(|((version, preempt, authentic), facts)| {
        let mut config = builder(version, 100).preempt(preempt).preempt_delay(secs(2));
        if authentic && version == Version::V2 {
            config = config.authentication(AuthenticationConfig::simple("1111").unwrap());
        }
        if facts.len() % 2 == 0 {
            config = config.demotion(Demotion::Yield);
        }
        let mut bench = Bench::new(config.clone());
        for (fact, value) in facts {
            match fact {
                0 | 1 => _ = bench.startup(),
                2 => _ = bench.set_priority(value),
                3 => _ = bench.fault(Fault::Link),
                4 => _ = bench.recovery(Fault::Link),
                5 => _ = bench.receive(&Heard::new(config.clone(), value)),
                6 => bench.wait(ms(u64::from(value) * 10)),
                _ => {
                    bench.now = bench.router.poll_timeout().unwrap_or(bench.now).max(bench.now);
                    bench.timeout();
                }
            }
            bench.outputs();
        }
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
        bench.router.take_counters();
        prop_assert_eq!(&bench.router, &before);
    }

    /// `handle_timeout` is harmless whenever it is called before the deadline.
    #[test]
    fn an_early_timeout_changes_nothing(bench in any_state(), early in 1..10_000_000_u64) {
        let mut bench = bench;
        let before = bench.router.clone();
        let Some(deadline) = before.poll_timeout() else { return Ok(()) };
        bench.now = deadline.saturating_sub(std::time::Duration::from_nanos(early));
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
        let mut bench = Bench::master(config.clone().announce_delay(secs(1)));
        // An announcement, an advert and a demotion that was put off, all due at once.
        watch(&bench.set_priority(90));
        watch(&bench.set_priority(80));
        bench.wait(secs(3));
        watch(&bench.timeout());
        watch(&bench.hear(1));
        watch(&bench.fault(Fault::Link));
        watch(&bench.recovery(Fault::Link));
        watch(&bench.expire());
        watch(&bench.shutdown());
        watch(&Bench::new(config).startup());
    }
    assert_eq!(longest, VirtualRouter::MAX_OUTPUTS);
}
