//! Members of a sync group take over, and step down, together.

use std::net::IpAddr;

use vrrp_core::{State, SyncGroup, VirtualRouter};
use vrrp_net::RouterSet;

use crate::MASTER_DOWN;
use crate::fake::{self, Act, Fact, advert, ms, run_set, up};

#[test]
fn a_sync_group_takes_over_and_stops_together() {
    let configs = [fake::config(1, 100), fake::config(2, 100)];
    let routers = configs.map(|config| VirtualRouter::new(config, IpAddr::from([0, 0, 0, 0])));
    let group = SyncGroup::new([0, 1]).unwrap();
    let set = RouterSet::with_groups(routers.to_vec(), vec![group]).unwrap();
    // The second hears a master until 2 s; the first is superseded at 9 s.
    let script = [
        (ms(1000), advert(2, 200)),
        (ms(2000), advert(2, 200)),
        (ms(9000), advert(1, 200)),
    ];
    let outcome = run_set(set, up(), |attachment| attachment, ms(9500), script);
    let took = ms(2000) + MASTER_DOWN;
    assert_eq!(outcome.times(|act| matches!(act, Act::Acquire(_))), [took, took]);
    assert_eq!(
        outcome.times(|act| matches!(act, Act::Transition(_, change) if change.from == State::Master)),
        [ms(9000), ms(9000)]
    );
    // The first has a last advert for its successor, the second calls for one.
    let last: Vec<_> = outcome
        .acts()
        .into_iter()
        .filter(|(at, act)| *at == ms(9000) && matches!(act, Act::Advert(..)))
        .map(|(_, act)| act)
        .filter(|act| *act != Act::Advert(2, 100))
        .collect();
    assert_eq!(last, [Act::Advert(1, 100), Act::Advert(2, 0)]);
}

/// The process is stopped between two effects of one member: none of the group serves after it.
#[test]
fn a_sync_group_that_stood_still_steps_down_together_before_it_sends_anything() {
    let configs = [fake::config(1, 100), fake::config(2, 100)];
    let routers = configs.map(|config| VirtualRouter::new(config, IpAddr::from([0, 0, 0, 0])));
    let group = SyncGroup::new([0, 1]).unwrap();
    let set = RouterSet::with_groups(routers.to_vec(), vec![group]).unwrap();
    let script = [(MASTER_DOWN + ms(500), Fact::Pause(ms(20_000)))];
    let outcome = run_set(set, up(), |attachment| attachment, ms(24_200), script);
    let resumed = MASTER_DOWN + ms(20_500);
    let after: Vec<_> = outcome
        .log
        .iter()
        .filter(|(at, act)| {
            *at >= resumed && *at < ms(24_200) && matches!(act, Act::Advert(..) | Act::Release(_))
        })
        .collect();
    assert!(
        matches!(after[..], [(_, Act::Release(_)), (_, Act::Release(_))]),
        "{after:?}"
    );
}
