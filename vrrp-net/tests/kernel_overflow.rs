//! More changes at once than the kernel keeps reports of for a node that is busy: it finds the truth again.

mod node;

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use node::netlink::with_netlink;
use node::{Node, PATIENCE, Setup, has, ip, within};
use vrrp_core::{AdverInterval, Priority, State, Vrid};
use vrrp_net::lab::{Host, Lab, LabTest};

const VIP: &str = "192.0.2.100";
const OTHER_VIP: &str = "192.0.2.101";
/// Comes and goes all the time.
const RESTLESS: &str = "203.0.113.1";
/// Rounds of two changes each, of which a node may have to keep at most a fraction.
const MAX_ROUNDS: usize = 50_000;

#[test]
fn an_address_that_goes_while_reports_are_lost_is_put_back() {
    LabTest::new().timeout(Duration::from_secs(90)).run(|| {
        let lab = Lab::builder().host("a", ["192.0.2.10/24"]).build().unwrap();
        let a = lab.host("a");
        let (held, release, node) = start(a);
        node.wait_for(State::Master);
        within(PATIENCE, || has(a, VIP));
        held.recv_timeout(PATIENCE).unwrap();
        assert_eq!(drops(a), 0);
        overflow(a);
        // Nobody is told of this one.
        a.remove_address(format!("{VIP}/32").parse().unwrap()).unwrap();
        assert!(!has(a, VIP));
        node.take_events();
        release.send(()).unwrap();
        let took = within(PATIENCE, || has(a, VIP));
        println!("put back {took:?} after the node was let go");
        // It has known without starting over: this virtual router was master all the time.
        let of_it = |event: &vrrp_net::DriverEvent<_>| {
            matches!(event, vrrp_net::DriverEvent::Transition { router: 0, .. })
        };
        let events = node.take_events();
        assert!(!events.iter().any(of_it), "{events:?}");
        // And it hears of the next change as ever.
        a.remove_address(format!("{VIP}/32").parse().unwrap()).unwrap();
        within(PATIENCE, || has(a, VIP));
        node.stop();
        assert!(!has(a, VIP));
    });
}

/// A node whose thread stands still, without having been overdue for its first virtual router, from when the second
/// becomes master, which it tells, until it is let go.
fn start(host: &Host) -> (mpsc::Receiver<()>, mpsc::Sender<()>, Node) {
    // No lease is renewed: what is gone is put back for no other reason than that it is known to be gone.
    let setup = |vrid, vip: &str, priority, centis| {
        Setup::with_vrid(host, Vrid::new(vrid).unwrap(), Priority::new(priority), &[vip])
            .config(|config| config.adver_interval(AdverInterval::from_centis(centis).unwrap()))
            .attachment(|attachment| attachment.lease(None))
    };
    let (tell, held) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let released = Mutex::new(released);
    let transitions = AtomicUsize::new(0);
    // The owner becomes master at once, the other a second after it has become backup.
    let setups = vec![setup(51, VIP, 255, 4095), setup(52, OTHER_VIP, 254, 33)];
    let node = Node::start_working(host, setups, move || {
        if transitions.fetch_add(1, Ordering::Relaxed) == 2 {
            tell.send(()).unwrap();
            released.lock().unwrap().recv_timeout(PATIENCE).unwrap();
        }
    });
    (held, release, node)
}

/// Changes addresses until a socket has no room for more reports, and then some more.
fn overflow(host: &Host) {
    let index = host.interface_index();
    for done in 0..MAX_ROUNDS / 1000 {
        with_netlink(host, async |handle| {
            for _ in 0..1000 {
                let address = ip(RESTLESS);
                let add = handle.address().add(index, address, 32);
                let message = {
                    let mut add = add;
                    let message = add.message_mut().clone();
                    add.execute().await.unwrap();
                    message
                };
                handle.address().del(message).execute().await.unwrap();
            }
        });
        let drops = drops(host);
        if drops > 0 {
            println!("{drops} reports lost of {}", (done + 1) * 2000);
            return;
        }
    }
    panic!("{MAX_ROUNDS} rounds were not too much");
}

/// Reports that sockets had no room for, in the namespace of the host.
fn drops(host: &Host) -> u64 {
    let table = host
        .run(|| fs::read_to_string("/proc/thread-self/net/netlink"))
        .unwrap();
    let drops = table
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().nth(8));
    drops.map(|drops| drops.parse::<u64>().unwrap()).sum()
}
