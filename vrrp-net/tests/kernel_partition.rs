//! Two masters at once, for the network between them was parted: who finds it out, and who puts clients right.

mod node;

use std::time::{Duration, Instant};

use node::probe::{Asking, Echo, neighbour};
use node::{PATIENCE, Setup, has, ip, pause, within};
use vrrp_core::{Priority, RivalCause, State};
use vrrp_net::DriverEvent;
use vrrp_net::lab::{Frame, Lab, LabTest};

const VIP: &str = "192.0.2.100";
/// Healed partitions at most, of which so many must have been as wanted.
const ROUNDS: usize = 12;
const WANTED: usize = 3;

/// The hard case: the winner hears of the other only that it gives way.
#[test]
fn a_client_that_was_led_to_the_loser_is_led_back_though_the_loser_hears_the_winner_first() {
    LabTest::new().timeout(Duration::from_secs(120)).run(|| {
        let mut wanted = 0;
        for _ in 0..ROUNDS {
            wanted += usize::from(part_and_heal());
            if wanted == WANTED {
                return;
            }
        }
        panic!("the loser heard the winner first in {wanted} rounds of {ROUNDS}");
    });
}

/// Whether the loser heard the winner before the winner heard the loser.
fn part_and_heal() -> bool {
    let lab = Lab::builder()
        .host("a", ["192.0.2.10/24"])
        .host("b", ["192.0.2.11/24"])
        .host("client", ["192.0.2.20/24"])
        .build()
        .unwrap();
    let (a, b, client) = (lab.host("a"), lab.host("b"), lab.host("client"));
    let _echoes = [Echo::start(a, ip(VIP)), Echo::start(b, ip(VIP))];
    let asking = Asking::start(client, ip(VIP));
    let high = Setup::new(a, 150, &[VIP]).start(a);
    high.wait_for(State::Master);
    let low = Setup::new(b, 100, &[VIP]).start(b);
    low.wait_for(State::Backup);
    within(PATIENCE, || neighbour(client, ip(VIP)) == Some(a.mac()));
    // The client is on the loser's side.
    lab.cut_silently("a").unwrap();
    low.wait_for(State::Master);
    within(PATIENCE, || neighbour(client, ip(VIP)) == Some(b.mac()));
    // Beyond what either announces once more after a takeover.
    pause(Duration::from_millis(5500));
    let mut capture = lab.capture().unwrap();
    let is_advert_of = |frame: &Frame, mac| frame.vrrp().is_some() && frame.source() == mac;
    // Right after the loser has spoken the winner is the next, unless healing takes too long.
    capture
        .wait_for(PATIENCE, |frame| is_advert_of(frame, b.mac()))
        .unwrap();
    lab.heal("a").unwrap();
    let healed = Instant::now();
    low.wait_for(State::Backup);
    within(PATIENCE, || neighbour(client, ip(VIP)) == Some(a.mac()));
    let took = healed.elapsed();
    within(PATIENCE, || has(a, VIP) && !has(b, VIP));

    // Told once, with its address.
    let (_, rival) = high.wait_for_event(|event| match event {
        DriverEvent::Rival { router: 0, rival } => Some(*rival),
        _ => None,
    });
    assert_eq!(rival.peer.address, ip("192.0.2.11"));
    assert_eq!(rival.peer.priority, Priority::new(100));
    assert!(
        matches!(rival.cause, RivalCause::Parted | RivalCause::Deaf),
        "{rival:?}"
    );
    pause(Duration::from_millis(1000));
    let told =
        |event: &DriverEvent<_>| matches!(event, DriverEvent::Rival { .. } | DriverEvent::Transition { .. });
    for node in [&high, &low] {
        let events = node.take_events();
        assert!(!events.iter().any(told), "{events:?}");
    }
    assert_eq!(neighbour(client, ip(VIP)), Some(a.mac()), "and so it stays");
    asking.longest_gap();

    let mut after = capture.frames().iter().filter(|frame| frame.at > healed);
    let announces = |frame: &&Frame| {
        let arp = frame
            .arp()
            .filter(|arp| arp.is_gratuitous() && ip(VIP) == arp.sender_ip);
        arp.is_some() && frame.source() == a.mac()
    };
    assert!(
        after.clone().any(|frame| announces(&frame)),
        "the winner announces the address anew"
    );
    let first = after.find(|frame| frame.vrrp().is_some()).unwrap();
    let loser_heard_first = first.source() == a.mac();
    println!("client led back after {took:?}; the loser heard the winner first: {loser_heard_first}");
    loser_heard_first
}
