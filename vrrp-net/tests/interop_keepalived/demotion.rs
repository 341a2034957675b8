//! Re-election without a gap, with keepalived as the backup: ours drops from 100 to 80 while it serves.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use vrrp_core::{Demotion, Reason, State};
use vrrp_net::lab;

use crate::client::Client;
use crate::keepalived::{self, Keepalived};
use crate::node::{Node, Setup};
use crate::protocol::{Protocol, V2, V3, v3};
use crate::steady::steadily;
use crate::world::{PATIENCE, THEIRS, World, pause, wait_until};

#[test]
fn v2_keepalived_above_takes_over_after_its_skew_time_without_a_gap() {
    lab::test(|| steadily(V2, || keepalived_is_elected(V2)));
}

#[test]
fn v3_keepalived_above_takes_over_after_its_skew_time_without_a_gap() {
    lab::test(|| steadily(v3(100), || keepalived_is_elected(v3(100))));
}

#[test]
fn v3_at_300_ms_keepalived_above_takes_over_after_its_skew_time_without_a_gap() {
    lab::test(|| steadily(v3(30), || keepalived_is_elected(v3(30))));
}

#[test]
fn v2_lowering_the_priority_alone_takes_keepalived_most_of_its_master_down_interval() {
    lab::test(|| steadily(V2, || keepalived_notices(V2)));
}

#[test]
fn v3_at_100_ms_lowering_the_priority_alone_takes_keepalived_most_of_its_master_down_interval() {
    lab::test(|| steadily(v3(10), || keepalived_notices(v3(10))));
}

#[test]
fn v2_keepalived_at_the_new_priority_stays_backup() {
    lab::test(|| steadily(V2, || nothing_moves(V2, 80, "")));
}

#[test]
fn v3_keepalived_below_the_new_priority_stays_backup() {
    lab::test(|| steadily(V3, || nothing_moves(V3, 70, "")));
}

#[test]
fn v3_keepalived_above_that_may_not_preempt_stays_backup() {
    lab::test(|| steadily(V3, || nothing_moves(V3, 90, "nopreempt")));
}

#[test]
fn v3_keepalived_that_may_not_preempt_takes_over_when_ours_yields() {
    lab::test(|| steadily(V3, ours_yields));
}

/// At 10 ms a busy machine's scheduler is slower than the protocol, so the middle of several trials counts.
#[test]
fn v3_at_10_ms_keepalived_above_takes_over_several_times_as_fast_as_by_lowering_the_priority_alone() {
    lab::test(|| steadily(v3(1), electing_is_faster));
}

/// Both run, and ours of priority 100 has been master for long enough that keepalived has heard it.
fn ours_serves(protocol: Protocol, theirs: u8, lines: &str, demotion: Demotion) -> (World, Keepalived, Node) {
    keepalived::require();
    let world = World::new();
    let mut setup = Setup::new(protocol, 100);
    setup.demotion = demotion;
    let mut node = Node::start(world.ours(), setup);
    let keepalived = Keepalived::start_with(world.theirs(), protocol, theirs, lines);
    node.expect_state(State::Master, protocol.master_down_interval(100) + PATIENCE);
    world.expect_held_by(&["ours"]);
    (world, keepalived, node)
}

fn ours_yields() {
    let (mut world, _keepalived, mut node) = ours_serves(V3, 90, "nopreempt", Demotion::Yield);
    let drops = Instant::now();
    node.set_priority(80);
    let zero = world.our_advert(drops, Some(0), PATIENCE);
    let first = world.their_advert(drops, None, PATIENCE);
    V3.assert_after_skew(90, first.at - zero.at);
    node.expect_state(State::Backup, PATIENCE);
    let reason = node.transitions().last().unwrap().reason;
    assert!(
        matches!(reason, Reason::Yielded(peer) if peer.priority.get() == 90),
        "{reason:?}"
    );
    world.expect_held_by(&["theirs"]);
    node.assert_content();
}

fn electing_is_faster() {
    let protocol = v3(1);
    let elect = middle_of_trials(protocol, Demotion::Elect);
    let plain = middle_of_trials(protocol, Demotion::Plain);
    assert!(
        elect + Duration::from_millis(1) >= protocol.skew_time(90),
        "{elect:?}"
    );
    assert!(elect < plain / 2, "{elect:?} against {plain:?}");
}

fn keepalived_is_elected(protocol: Protocol) {
    let (mut world, keepalived, mut node) = ours_serves(protocol, 90, "", Demotion::Elect);
    let client = Client::start(&world);
    pause(Duration::from_millis(100));
    let drops = Instant::now();
    node.set_priority(80);

    let zero = world.our_advert(drops, Some(0), PATIENCE);
    let lowered = world.our_advert(zero.at, Some(80), PATIENCE);
    let first = world.their_advert(drops, None, protocol.master_down_interval(90) + PATIENCE);
    let took = first.at - zero.at;
    protocol.assert_after_skew(90, took);
    assert!(
        lowered.at - zero.at < protocol.skew_time(90) / 4,
        "80 came {:?} after 0",
        lowered.at - zero.at
    );
    assert_eq!(
        world
            .our_adverts(zero.at)
            .iter()
            .filter(|advert| advert.priority == 0)
            .count(),
        1
    );

    node.expect_state(State::Backup, PATIENCE);
    let last = node.transitions().last().copied().unwrap();
    assert_eq!(last.from, State::Master, "it served until then");
    assert!(
        matches!(last.reason, Reason::Superseded(peer) if peer.address == IpAddr::V4(THEIRS)
            && peer.priority.get() == 90),
        "{last:?}"
    );
    keepalived.expect_log("Entering MASTER STATE", PATIENCE);
    world.expect_held_by(&["theirs"]);
    world.expect_announced_by("theirs", first.at);
    pause(Duration::from_millis(100));

    let service = client.stop();
    let (asked, lost) = service.asked_and_lost();
    let gap = service.longest_gap();
    println!(
        "{protocol}: keepalived was elected {took:?} after 0; {lost} of {asked} questions lost, {gap:?} in a row"
    );
    assert_eq!(service.answered_by(), ["ours", "theirs"]);
    assert!(gap < protocol.no_gap(90), "nobody answered for {gap:?}");
    node.assert_content();
}

/// What keepalived itself does when a check's weight lowers its priority, done by ours.
fn keepalived_notices(protocol: Protocol) {
    let (mut world, _keepalived, mut node) = ours_serves(protocol, 90, "", Demotion::Plain);
    let drops = Instant::now();
    node.set_priority(80);
    let first = world.their_advert(drops, None, protocol.master_down_interval(90) + PATIENCE);
    let took = first.at - drops;
    println!("{protocol}: keepalived took over {took:?} after the priority was lowered");
    let last_of_100 = world.our_adverts(drops - protocol.interval() * 2);
    let last_of_100 = last_of_100.iter().rfind(|advert| advert.priority == 100).unwrap();
    protocol.assert_after_master_down(90, first.at - last_of_100.at);
    assert!(world.our_adverts(drops).iter().all(|advert| advert.priority != 0));
    node.expect_state(State::Backup, PATIENCE);
    world.expect_held_by(&["theirs"]);
    node.assert_content();
}

fn nothing_moves(protocol: Protocol, theirs: u8, lines: &str) {
    let (mut world, keepalived, mut node) = ours_serves(protocol, theirs, lines, Demotion::Elect);
    let client = Client::start(&world);
    let drops = Instant::now();
    node.set_priority(80);
    let zero = world.our_advert(drops, Some(0), PATIENCE);
    // The 0 armed the skew timer; it would have fired by then.
    pause(protocol.skew_time(theirs) + protocol.interval());
    assert!(world.their_adverts(zero.at).is_empty());
    assert_eq!(node.state(), State::Master);
    assert!(!keepalived.log().contains("Entering MASTER STATE"));
    let since = world.our_adverts(zero.at);
    assert!(
        since.len() >= 4,
        "0, 80 at once, 80 a quarter later, and so on: {since:?}"
    );
    assert!(since[1..].iter().all(|advert| advert.priority == 80), "{since:?}");
    let service = client.stop();
    assert_eq!(service.answered_by(), ["ours"]);
    assert!(
        service.longest_gap() < protocol.no_gap(theirs),
        "nobody answered for {:?}",
        service.longest_gap()
    );
    world.expect_held_by(&["ours"]);
    node.assert_content();
}

/// Drops and rises several times under the eyes of a client. Returns how long it took from the drop to keepalived's
/// first advert, in the middle of the trials. The client's gap is printed alone: at 10 ms the skew time that a gap would
/// last is no more than processes' turns.
fn middle_of_trials(protocol: Protocol, demotion: Demotion) -> Duration {
    const TRIALS: usize = 9;
    let (mut world, _keepalived, mut node) = ours_serves(protocol, 90, "", demotion);
    let client = Client::start(&world);
    let mut took: Vec<_> = (0..TRIALS)
        .map(|_| drop_and_rise(protocol, &mut world, &mut node))
        .collect();
    took.sort_unstable();
    let service = client.stop();
    let (asked, lost) = service.asked_and_lost();
    let gap = service.longest_gap();
    println!(
        "{protocol}, {demotion:?}: keepalived took over {took:?} after the drop; \
         {lost} of {asked} questions lost, {gap:?} in a row"
    );
    node.assert_content();
    took[TRIALS / 2]
}

/// Lowers the priority, waits until keepalived is master, and gets everything back as it was. Returns how long after
/// the drop keepalived's first advert came.
fn drop_and_rise(protocol: Protocol, world: &mut World, node: &mut Node) -> Duration {
    let quiet = protocol.master_down_interval(1) * 3;
    wait_until("ours is the only one to advertise", PATIENCE, || {
        let since = Instant::now() - quiet;
        world.their_adverts(since).is_empty() && !world.our_adverts(since).is_empty()
    });
    let drops = Instant::now();
    node.set_priority(80);
    let first = world.their_advert(drops, None, PATIENCE);
    node.expect_state(State::Backup, PATIENCE);
    node.set_priority(100);
    node.expect_state(State::Master, PATIENCE);
    first.at - drops
}
