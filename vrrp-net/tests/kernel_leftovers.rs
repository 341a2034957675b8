//! What a killed process leaves behind beside its addresses, and what becomes of that.

mod node;

use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use node::routing::{MARK, add_route, add_rule, marked_routes, net, routes, rules};
use node::{PATIENCE, Setup, has, ip, pause, within};
use vrrp_core::{AddressList, AdverInterval, Config, Family, Priority, State, Version, VirtualRouter, Vrid};
use vrrp_net::lab::{self, Host, Lab};
use vrrp_net::{Attachment, AttachmentBuilder, RouterSet, RuleAction, VirtualRoute, VirtualRule};

const VIP: &str = "192.0.2.100";
/// A lease of a second ends 1.0 to 1.3 s after its last renewal; the rest is for a busy machine.
const LEASE_END: Duration = Duration::from_millis(1900);
/// Makes this program a node on the interface of that name; see `node_process`.
const INTERFACE: &str = "VRRP_TEST_NODE_INTERFACE";
const PORT: u16 = 4000;

#[test]
fn what_a_killed_process_left_is_swept_by_the_next_and_nothing_else_is() {
    lab::test(|| {
        let lab = lab();
        let a = lab.host("a");
        // Somebody else's, of the same kind.
        add_route(a, "10.7.0.0/16", 4, a.interface_index());
        add_rule(a, "11.0.0.0/8", 200, 77, 4);
        let mut program = spawn_node(a);
        within(PATIENCE, || has(a, VIP) && rules(a, MARK).len() == 1);
        kill(&mut program);
        // A route goes with the address that is its source; others and rules have no lifetimes, and stay.
        within(LEASE_END, || !has(a, VIP));
        assert!(routes(a, "10.1.0.0/16").is_empty());
        assert_eq!((marked_routes(a).len(), rules(a, MARK).len()), (1, 1));
        // The next has none of them configured, and is not even master.
        let next = Setup::new(a, 100, &[VIP]).start(a);
        assert_eq!((marked_routes(a).len(), rules(a, MARK).len()), (0, 0));
        assert_eq!((routes(a, "10.7.0.0/16").len(), rules(a, 4).len()), (1, 1));
        next.wait_for(State::Backup);
        next.stop();
    });
}

#[test]
fn a_process_that_is_started_again_at_once_takes_up_what_it_left() {
    lab::test(|| {
        let lab = lab();
        let a = lab.host("a");
        let mut program = spawn_node(a);
        within(PATIENCE, || has(a, VIP) && rules(a, MARK).len() == 1);
        kill(&mut program);
        let again = Setup::new(a, 150, &[VIP]).attachment(with_everything).start(a);
        again.wait_for(State::Master);
        assert_eq!((marked_routes(a).len(), rules(a, MARK).len()), (2, 1));
        again.stop();
        assert_eq!((marked_routes(a).len(), rules(a, MARK).len()), (0, 0));
    });
}

#[test]
fn no_filter_outlives_its_process() {
    lab::test(|| {
        let lab = lab();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let socket = a.run(|| UdpSocket::bind(("0.0.0.0", PORT)).unwrap());
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let arrives = || {
            b.run(|| {
                UdpSocket::bind("0.0.0.0:0")
                    .unwrap()
                    .send_to(b"anyone?", (ip(VIP), PORT))
            })
            .unwrap();
            socket.recv_from(&mut [0; 16]).is_ok()
        };
        let mut program = spawn_node(a);
        within(PATIENCE, || has(a, VIP));
        assert!(!arrives());
        kill(&mut program);
        // By hand, and for good: no table is there that nobody knows of.
        within(LEASE_END, || !has(a, VIP));
        a.add_address(net("192.0.2.100/32")).unwrap();
        within(PATIENCE, arrives);
    });
}

fn kill(program: &mut Child) {
    program.kill().unwrap();
    program.wait().unwrap();
}

/// A node of priority 150 (VRRPv3, VRID 51, 100 ms) in a process of its own.
fn spawn_node(host: &Host) -> Child {
    let mut program = Command::new(std::env::current_exe().unwrap());
    program
        .args(["--exact", "node_process", "--nocapture"])
        .env(INTERFACE, host.interface())
        .stdin(Stdio::null());
    host.spawn(program).unwrap()
}

/// Not a test by itself: the process that the others kill.
#[test]
fn node_process() {
    let Ok(interface) = std::env::var(INTERFACE) else {
        return;
    };
    let config = Config::builder(Vrid::new(51).unwrap(), AddressList::new(&[ip(VIP)]).unwrap())
        .version(Version::V3)
        .priority(Priority::new(150))
        .adver_interval(AdverInterval::from_centis(10).unwrap());
    let router = VirtualRouter::new(config.build().unwrap(), ip("0.0.0.0"));
    let attachment = with_everything(Attachment::builder(interface));
    let _handle = vrrp_net::spawn(RouterSet::from(router), vec![attachment.build().unwrap()], drop).unwrap();
    pause(Duration::from_secs(60));
}

fn with_everything(attachment: AttachmentBuilder) -> AttachmentBuilder {
    let route = VirtualRoute::builder(net("10.1.0.0/16"))
        .via(ip("192.0.2.1"))
        .src(ip(VIP));
    let other = VirtualRoute::default_route(Family::Ipv6).dev("eth0").table(100);
    let rule = VirtualRule::builder(Family::Ipv4, RuleAction::Lookup(100)).from(net("10.0.0.0/8"));
    attachment
        .lease(Some(Duration::from_secs(1)))
        .accept(false)
        .route(route.build().unwrap())
        .route(other.build().unwrap())
        .rule(rule.build().unwrap())
}

fn lab() -> Lab {
    Lab::builder()
        .host("a", ["192.0.2.10/24", "2001:db8::10/64"])
        .host("b", ["192.0.2.11/24"])
        .build()
        .unwrap()
}
