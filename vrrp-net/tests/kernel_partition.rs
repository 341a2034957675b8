//! Two masters at once, for the network between them was parted: who finds it out, and who puts clients right.

mod node;

use std::convert::Infallible;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use node::lan::pair_and_client;
use node::probe::{Asking, Echo, neighbour};
use node::{PATIENCE, Setup, has, ip, pause, within};
use vrrp_core::{
    AddressList, AdverInterval, Config, Priority, Rival, RivalCause, State, Version, VirtualRouter, Vrid,
};
use vrrp_net::lab::{Frame, Host, Lab, LabTest};
use vrrp_net::{Attachment, DriverEvent, DriverHandle, Effect, RouterCommand, RouterSet, Routers};

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
    let lab = pair_and_client();
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

/// However many adverts it is heard by, and however long it lasts.
#[test]
fn two_masters_at_once_are_counted_once_an_episode_with_the_peer_and_the_likely_cause() {
    LabTest::new().timeout(Duration::from_secs(60)).run(|| {
        let lab = Lab::builder()
            .host("a", ["192.0.2.10/24"])
            .host("b", ["192.0.2.11/24"])
            .build()
            .unwrap();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let (high, counted) = Counted::start(a, 150);
        within(PATIENCE, || has(a, VIP));
        let low = Setup::new(b, 100, &[VIP]).start(b);
        low.wait_for(State::Backup);
        assert_eq!(counted.rivals.load(Ordering::Relaxed), 0);
        let mut causes = Vec::new();
        for (episode, deaf) in [false, true, false, true].into_iter().enumerate() {
            if deaf {
                // It does not hear us, and we hear it: two seconds of its adverts.
                lab.cut_path("a", "b").unwrap();
                low.wait_for(State::Master);
                pause(Duration::from_secs(2));
                lab.heal_path("a", "b").unwrap();
            } else {
                lab.cut_silently("a").unwrap();
                low.wait_for(State::Master);
                lab.heal("a").unwrap();
            }
            low.wait_for(State::Backup);
            // Until it is forgotten.
            pause(Duration::from_secs(1));
            assert_eq!(counted.rivals.load(Ordering::Relaxed), episode as u64 + 1);
            let told: Vec<_> = counted.told.try_iter().collect();
            let [rival] = told[..] else {
                panic!("told {} times: {told:?}", told.len());
            };
            assert_eq!(rival.peer.address, ip("192.0.2.11"));
            assert_eq!(rival.peer.priority, Priority::new(100));
            causes.push(rival.cause);
            if deaf {
                assert_eq!(rival.cause, RivalCause::Deaf);
            }
        }
        println!("{causes:?}");
        high.join().unwrap();
        low.stop();
    });
}

/// What a node says of rivals.
struct Counted {
    /// The counter of its virtual router.
    rivals: Arc<AtomicU64>,
    told: mpsc::Receiver<Rival>,
}

impl Counted {
    fn start(host: &Host, priority: u8) -> (DriverHandle<RouterCommand>, Self) {
        let list = AddressList::new(&[ip(VIP)]).unwrap();
        let config = Config::builder(Vrid::new(51).unwrap(), list)
            .version(Version::V3)
            .priority(Priority::new(priority))
            .adver_interval(AdverInterval::from_centis(10).unwrap())
            .build()
            .unwrap();
        let rivals = Arc::new(AtomicU64::new(0));
        let routers = Watched {
            set: RouterSet::from(VirtualRouter::new(config, ip("0.0.0.0"))),
            rivals: Arc::clone(&rivals),
        };
        let attachment = Attachment::builder(host.interface()).build().unwrap();
        let (tell, told) = mpsc::channel();
        let tell = move |event| {
            if let DriverEvent::Rival { rival, .. } = event {
                // The test may be over.
                let _ = tell.send(rival);
            }
        };
        let handle = host.run(|| vrrp_net::spawn(routers, vec![attachment], tell).unwrap());
        (handle, Self { rivals, told })
    }
}

/// Shows the counter of the virtual router to other threads.
struct Watched {
    set: RouterSet,
    rivals: Arc<AtomicU64>,
}

impl Routers for Watched {
    type Command = RouterCommand;
    type Event = Infallible;

    fn len(&self) -> usize {
        self.set.len()
    }

    fn router(&self, index: usize) -> &VirtualRouter {
        self.set.router(index)
    }

    fn router_mut(&mut self, index: usize) -> &mut VirtualRouter {
        self.set.router_mut(index)
    }

    fn settle(&mut self, now: Duration) {
        self.set.settle(now);
    }

    fn handle_timeout(&mut self, now: Duration) {
        self.set.handle_timeout(now);
    }

    fn handle_command(&mut self, now: Duration, command: RouterCommand) {
        self.set.handle_command(now, command);
    }

    fn poll_output(&mut self) -> Option<Effect<Infallible>> {
        let rivals = self.set.router(0).counters().rivals;
        self.rivals.store(rivals, Ordering::Relaxed);
        self.set.poll_output()
    }

    fn poll_timeout(&self) -> Option<Duration> {
        self.set.poll_timeout()
    }
}
