//! An interface that goes, comes, or lacks the address to send from.

use vrrp_core::{Fault, Reason, State};
use vrrp_net::LinkState;

use crate::fake::{Act, Fact, ms, run, run_attached, run_with, up};
use crate::states;

#[test]
fn a_link_that_goes_is_a_fault_and_one_that_comes_a_recovery() {
    let down = LinkState { up: false, ..up() };
    let script = [(ms(500), Fact::Link(down)), (ms(800), Fact::Link(up()))];
    let outcome = run(&[255], ms(900), script);
    let transitions = outcome.transitions();
    assert_eq!(transitions[1].1.reason, Reason::Fault(Fault::Link));
    assert_eq!(transitions[1].0, ms(500));
    assert_eq!((transitions[2].0, transitions[2].1.from), (ms(800), State::Fault));
    assert_eq!(outcome.times(|act| matches!(act, Act::Release(_)))[0], ms(500));
}

#[test]
fn without_an_address_to_send_from_there_is_a_fault() {
    let bare = LinkState { ipv4: None, ..up() };
    let outcome = run_with(&[255], bare, ms(900), [(ms(500), Fact::Link(up()))]);
    let transitions = outcome.transitions();
    assert_eq!(transitions[0].1.reason, Reason::Fault(Fault::SourceAddress));
    assert_eq!((transitions[1].0, transitions[1].1.from), (ms(500), State::Fault));
}

#[test]
fn a_router_that_does_not_track_its_interface_goes_on_over_a_dead_link_but_not_without_one() {
    let down = LinkState { up: false, ..up() };
    let gone = LinkState {
        present: false,
        ..down
    };
    let script = [(ms(500), Fact::Link(down)), (ms(1500), Fact::Link(gone))];
    let outcome = run_attached(&[255], up(), |with| with.track_primary(false), ms(1900), script);
    assert_eq!(
        outcome.times(|act| *act == Act::Advert(1, 255)),
        [0, 1000].map(ms)
    );
    let (at, transition) = outcome.transitions()[1];
    assert_eq!((at, transition.reason), (ms(1500), Reason::Fault(Fault::Link)));
}

#[test]
fn a_router_that_tracks_its_source_is_in_fault_while_the_interface_lacks_it() {
    let source = up().ipv4.unwrap();
    let other = LinkState {
        ipv4: Some([192, 0, 2, 99].into()),
        ..up()
    };
    let script = || [(ms(500), Fact::Link(other)), (ms(800), Fact::Link(up()))];
    let tracked = run_attached(
        &[255],
        up(),
        |with| with.source(source.into()).track_source(true),
        ms(900),
        script(),
    );
    let transitions = tracked.transitions();
    assert_eq!(
        (transitions[1].0, transitions[1].1.reason),
        (ms(500), Reason::Fault(Fault::SourceAddress))
    );
    assert_eq!((transitions[2].0, transitions[2].1.from), (ms(800), State::Fault));
    let untracked = run_attached(&[255], up(), |with| with.source(source.into()), ms(900), script());
    assert_eq!(states(&untracked), [State::Master, State::Initialize]);
}

#[test]
fn recovering_from_one_fault_into_another_is_no_recovery() {
    let bare = LinkState {
        present: true,
        up: true,
        ipv4: None,
        ipv6: None,
    };
    let down = LinkState { up: false, ..up() };
    let outcome = run_with(
        &[255],
        down,
        ms(900),
        [(ms(500), Fact::Link(bare)), (ms(700), Fact::Link(up()))],
    );
    assert_eq!(outcome.transitions()[1].0, ms(700));
}
