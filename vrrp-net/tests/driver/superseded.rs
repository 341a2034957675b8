//! A master that another supersedes keeps its addresses until the other has announced them.

use vrrp_core::{Family, State, Vrid};
use vrrp_net::{LinkState, MacAddr, Vmac};

use crate::fake::{Act, Fact, advert, fast_advert, ms, run, run_attached, up, vip};

#[test]
fn a_superseded_master_keeps_its_addresses_until_the_winner_announces_them() {
    let winner = MacAddr([2, 0, 0, 0, 0, 2]);
    let script = [
        (ms(4000), advert(1, 200)),
        (ms(4007), Fact::Claim(vip(2), winner)),
        (ms(4013), Fact::Claim(vip(1), winner)),
    ];
    let outcome = run(&[100], ms(4500), script);
    assert_eq!(outcome.times(|act| matches!(act, Act::Release(_))), [ms(4013)]);
    let (at, transition) = outcome.transitions()[2];
    assert_eq!((at, transition.to), (ms(4000), State::Backup), "told at once");
}

#[test]
fn a_winner_that_announces_nothing_is_not_waited_for_longer_than_50_ms() {
    let outcome = run(&[100], ms(4500), [(ms(4000), advert(1, 200))]);
    assert_eq!(outcome.times(|act| matches!(act, Act::Release(_))), [ms(4050)]);
}

/// The winner's first advert has drawn the switch's traffic for the virtual MAC to it; or, where adverts come from the
/// interface below, its announcement will.
#[test]
fn a_superseded_master_keeps_a_virtual_mac_only_where_the_winners_adverts_leave_it_alone() {
    let winner = Vmac::default_mac(Family::Ipv4, Vrid::new(1).unwrap());
    let script = [
        (ms(4000), advert(1, 200)),
        (ms(4013), Fact::Claim(vip(1), winner)),
    ];
    for (xmit_base, released_at) in [(false, ms(4000)), (true, ms(4013))] {
        let vmac = || Vmac::new().xmit_base(xmit_base);
        let outcome = run_attached(&[100], up(), |with| with.vmac(vmac()), ms(4500), script.clone());
        assert_eq!(outcome.times(|act| matches!(act, Act::Release(_))), [released_at]);
    }
}

#[test]
fn a_takeover_in_the_meantime_ends_the_wait_and_keeps_the_addresses() {
    let script = [
        (ms(4000), advert(1, 200)),
        // It stops at once, and its skew time of 22 ms at 10 cs is all that we wait.
        (ms(4001), fast_advert(1, 200)),
        (ms(4002), fast_advert(1, 0)),
    ];
    let outcome = run(&[200], ms(4500), script);
    let releases = outcome.times(|act| matches!(act, Act::Release(_)));
    assert_eq!(releases, [ms(4500)], "at the shutdown");
    assert_eq!(outcome.times(|act| matches!(act, Act::Acquire(_))).len(), 2);
}

#[test]
fn nobody_is_waited_for_after_a_fault_or_a_shutdown() {
    let down = LinkState { up: false, ..up() };
    let script = [(ms(4000), advert(1, 200)), (ms(4010), Fact::Link(down))];
    let outcome = run(&[100], ms(4500), script);
    assert_eq!(outcome.times(|act| matches!(act, Act::Release(_))), [ms(4010)]);
    let outcome = run(&[100], ms(4010), [(ms(4000), advert(1, 200))]);
    assert_eq!(outcome.times(|act| matches!(act, Act::Release(_))), [ms(4010)]);
}

#[test]
fn a_wait_that_ended_while_the_process_stood_still_ends_before_anything_is_read() {
    let script = [
        (ms(4000), advert(1, 200)),
        (ms(4001), Fact::Pause(ms(500))),
        (ms(4100), Fact::Claim(vip(1), MacAddr([2, 0, 0, 0, 0, 2]))),
        (ms(4100), Fact::ReadingTakes(ms(3))),
    ];
    let outcome = run(&[100], ms(5000), script);
    assert_eq!(outcome.times(|act| matches!(act, Act::Release(_))), [ms(4501)]);
}
