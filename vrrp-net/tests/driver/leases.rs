//! Addresses are held by leases, and some are refused.

use vrrp_core::{Fault, Reason, State};
use vrrp_net::DriverEvent;

use crate::fake::{Acceptance, Act, Fact, advert, ms, run, vip};
use crate::{MASTER_DOWN, states};

#[test]
fn leases_are_renewed_at_half_their_time_while_master() {
    // From 4 s on another is master.
    let outcome = run(
        &[100],
        ms(9000),
        [(ms(0), Fact::Pause(ms(0))), (ms(7500), advert(1, 200))],
    );
    let renewals = outcome.times(|act| matches!(act, Act::Renew(_)));
    assert_eq!(renewals, [1500, 3000].map(|after| MASTER_DOWN + ms(after)));
    assert_eq!(outcome.counters.renewals, 2);
}

#[test]
fn renewals_of_several_routers_come_together() {
    // Routers 1 and 2 are masters from the start, router 3 from 3.4 s on.
    let outcome = run(&[255, 255, 150], ms(8500), []);
    let batches: Vec<_> = outcome
        .log
        .iter()
        .filter_map(|(at, act)| {
            if let Act::Renew(n) = act {
                Some((*at, *n))
            } else {
                None
            }
        })
        .collect();
    // Due at 4.5 s are two; the third, due at 4.914 s, goes with them.
    let expected = [(1500, 2), (3000, 2), (4500, 3), (6000, 3), (7500, 3)];
    assert_eq!(batches, expected.map(|(at, n)| (ms(at), n)));
}

#[test]
fn a_renewal_that_takes_long_delays_no_advert_and_one_at_a_time_is_made() {
    let script = [(ms(0), Fact::RenewalTakes(ms(2900)))];
    let outcome = run(&[255, 255], ms(9500), script);
    let adverts = outcome.times(|act| *act == Act::Advert(1, 255));
    assert_eq!(adverts, (0..10).map(|n| ms(1000 * n)).collect::<Vec<_>>());
    // Due again at 3 s, 5.9 s and so on; the next begins when the last has ended.
    let renewals = outcome.times(|act| matches!(act, Act::Renew(2)));
    assert_eq!(renewals, [1500, 4400, 7300].map(ms));
    assert_eq!(outcome.counters.renewals, 4);
}

#[test]
fn what_was_left_of_a_renewal_is_renewed_at_once() {
    let script = [
        (ms(0), Fact::Addresses(Acceptance::Left)),
        (ms(0), Fact::RenewalTakes(ms(300))),
        (ms(2000), Fact::Addresses(Acceptance::Fine)),
    ];
    let outcome = run(&[255], ms(3200), script);
    let renewals = outcome.times(|act| matches!(act, Act::Renew(_)));
    assert_eq!(renewals, [1500, 1800].map(ms));
    assert_eq!(outcome.counters.renewals, 1);
}

#[test]
fn refused_addresses_are_a_fault_and_nobody_is_told_that_they_are_here() {
    let script = [
        (ms(0), Fact::Addresses(Acceptance::Refused)),
        (ms(5000), Fact::Addresses(Acceptance::Fine)),
    ];
    let outcome = run(&[100], ms(9500), script);
    let at_takeover: Vec<_> = outcome
        .log
        .iter()
        .filter(|(at, _)| *at == MASTER_DOWN)
        .map(|(_, act)| act)
        .collect();
    assert!(
        !at_takeover.iter().any(|act| matches!(act, Act::Announce(..))),
        "{at_takeover:?}"
    );
    assert_eq!(at_takeover[0], &Act::Advert(1, 100));
    // What was added in part is removed, and the others may serve.
    assert!(at_takeover.contains(&&Act::Release(vec![vip(1)])));
    assert!(at_takeover.contains(&&Act::Advert(1, 0)));
    let faults = outcome.transitions();
    assert_eq!(faults[2].1.reason, Reason::Fault(Fault::Addresses));
    assert!(matches!(
        outcome.events()[0],
        DriverEvent::AddressesRefused { router: 0, .. }
    ));
    // A second later it is a backup again, and takes over when nobody else has.
    assert_eq!(faults[3].0, MASTER_DOWN + ms(1000));
    assert_eq!(faults[3].1.to, State::Backup);
    assert_eq!(faults[4].0, MASTER_DOWN + ms(1000) + MASTER_DOWN);
    assert_eq!(faults[4].1.to, State::Master);
    assert_eq!(outcome.counters.address_errors, 1);
}

#[test]
fn each_refusal_is_followed_by_a_longer_wait() {
    let outcome = run(
        &[100],
        ms(200_000),
        [(ms(0), Fact::Addresses(Acceptance::Refused))],
    );
    let tries = outcome.times(|act| matches!(act, Act::Acquire(_)));
    let waits: Vec<_> = tries
        .windows(2)
        .map(|pair| (pair[1] - pair[0] - MASTER_DOWN).as_secs())
        .collect();
    assert_eq!(waits[..7], [1, 2, 4, 8, 16, 32, 60]);
}

#[test]
fn a_lease_that_can_not_be_renewed_is_a_fault() {
    let outcome = run(
        &[255],
        ms(2000),
        [(ms(100), Fact::Addresses(Acceptance::Refused))],
    );
    assert_eq!(states(&outcome)[1], State::Fault);
    assert_eq!(outcome.transitions()[1].0, ms(1500));
}

#[test]
fn an_address_made_somebody_elses_is_served_and_not_renewed() {
    let outcome = run(
        &[255],
        ms(2000),
        [(ms(100), Fact::Addresses(Acceptance::Foreign))],
    );
    assert_eq!(states(&outcome), [State::Master, State::Initialize]);
    assert_eq!(outcome.counters.renewals, 0);
}
