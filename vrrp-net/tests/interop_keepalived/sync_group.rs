//! Two virtual routers in a sync group on each side, each on a network of its own: they move together, ours by
//! [`SyncGroup`], keepalived's by `vrrp_sync_group`.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::time::{Duration, Instant};

use vrrp_core::{AddressList, Config, Fault, Priority, Reason, State, SyncGroup, Transition, Vrid};
use vrrp_net::lab::{self, Host};
use vrrp_net::{Attachment, DriverEvent};

use crate::client::Client;
use crate::keepalived::{self, Keepalived};
use crate::node::Node;
use crate::protocol::{Protocol, v3};
use crate::steady::steadily;
use crate::wire::Advert;
use crate::world::{OURS, PATIENCE, THEIRS, VIP, World, pause, wait_until};

/// The skew time is well above what a machine stands still.
const PROTOCOL: Protocol = v3(50);
/// The second network's interface on both hosts, and what is there.
const OTHER_INTERFACE: &str = "other";
const OTHER_OURS: Ipv4Addr = Ipv4Addr::new(192, 168, 193, 10);
const OTHER_THEIRS: Ipv4Addr = Ipv4Addr::new(192, 168, 193, 11);
const OTHER_VIP: Ipv4Addr = Ipv4Addr::new(192, 168, 193, 130);
const BOTH: [Ipv4Addr; 2] = [VIP, OTHER_VIP];

#[test]
fn a_group_of_ours_follows_keepalived_and_takes_over_both_when_one_of_its_networks_is_cut_and_when_it_stops()
{
    lab::test(|| steadily(PROTOCOL, ours_backs_keepalived));
}

#[test]
fn a_group_of_keepalived_follows_ours_and_takes_over_both_when_one_of_our_networks_is_cut_and_when_we_stop() {
    lab::test(|| steadily(PROTOCOL, keepalived_backs_ours));
}

#[test]
fn a_group_of_keepalived_takes_over_both_without_a_gap_when_our_priority_drops() {
    lab::test(|| steadily(PROTOCOL, keepalived_is_elected));
}

fn ours_backs_keepalived() {
    let mut world = Pair::new();
    let keepalived = world.start_keepalived(200);
    let mut node = world.start_ours(100);
    world.expect_both_on("theirs", PROTOCOL.master_down_interval(200) + PATIENCE);
    // Longer than our timers would have waited.
    pause(PROTOCOL.master_down_interval(100));
    assert_eq!(
        states(&mut node),
        [State::Backup; 2],
        "it hears keepalived on both"
    );

    // Nothing is wrong with keepalived's first network: it gives that up by priority 0, and falls silent on the other.
    let cut = Instant::now();
    set_link(world.theirs(), "down");
    world.expect_both_on_from(cut, "ours", PROTOCOL.master_down_interval(100));
    assert_eq!(states(&mut node), [State::Master; 2]);
    set_link(world.theirs(), "up");
    world.expect_both_on("theirs", PROTOCOL.master_down_interval(200) + PATIENCE);
    wait_until("ours is backup of both", PATIENCE, || {
        states(&mut node) == [State::Backup; 2]
    });

    node.events();
    let stops = Instant::now();
    keepalived.terminate();
    world.expect_both_on_from(stops, "ours", PROTOCOL.skew_time(100));
    let last = last_transitions(&mut node);
    assert!(
        last.iter().any(|last| last.reason == Reason::MasterStopped),
        "{last:?}"
    );
    assert_eq!(states(&mut node), [State::Master; 2]);
}

fn keepalived_backs_ours() {
    let mut world = Pair::new();
    let keepalived = world.start_keepalived(100);
    let mut node = world.start_ours(200);
    world.expect_both_on("ours", PROTOCOL.master_down_interval(200) + PATIENCE);
    pause(PROTOCOL.master_down_interval(100));
    assert_eq!(states(&mut node), [State::Master; 2]);
    assert!(
        !keepalived.log().contains("Entering MASTER STATE"),
        "it hears ours on both"
    );

    let cut = Instant::now();
    set_link(world.ours(), "down");
    world.expect_both_on_from(cut, "theirs", PROTOCOL.master_down_interval(100));
    wait_until("ours is in Fault", PATIENCE, || {
        states(&mut node) == [State::Fault; 2]
    });
    let last = last_transitions(&mut node);
    assert_eq!(
        last.map(|last| last.reason),
        [Reason::Fault(Fault::SyncGroup), Reason::Fault(Fault::Link)]
    );
    set_link(world.ours(), "up");
    world.expect_both_on("ours", PROTOCOL.master_down_interval(200) + PATIENCE);
    assert_eq!(states(&mut node), [State::Master; 2]);
    pause(PROTOCOL.interval());

    let stops = Instant::now();
    node.stop();
    world.expect_both_on_from(stops, "theirs", PROTOCOL.skew_time(100));
}

fn keepalived_is_elected() {
    let mut world = Pair::new();
    let _keepalived = world.start_keepalived(90);
    let mut node = world.start_ours(100);
    world.expect_both_on("ours", PROTOCOL.master_down_interval(100) + PATIENCE);
    pause(PROTOCOL.interval() * 2);
    let client = Client::start(&world.0);
    pause(Duration::from_millis(100));

    // As a check with a weight does to one member, in a group that is told to mind weights.
    let drops = Instant::now();
    node.set_priority(80);
    // On a busy machine keepalived's members don't time out in one instant, and the first may wait anew. By lowering the
    // priority alone it would take most of the Master_Down_Interval: more than five times the skew time.
    world.expect_both_on_from(drops, "theirs", PROTOCOL.skew_time(90) * 2);
    assert_eq!(states(&mut node), [State::Backup; 2]);
    let last = last_transitions(&mut node);
    let served_until_then = |last: &Transition| last.from == State::Master;
    assert!(last.iter().all(served_until_then), "{last:?}");
    pause(Duration::from_millis(100));
    let service = client.stop();
    assert_eq!(service.answered_by(), ["ours", "theirs"]);
    let gap = service.longest_gap();
    println!("longest gap of the client {gap:?}");
    assert!(gap < PROTOCOL.no_gap(90), "nobody answered for {gap:?}");

    node.set_priority(100);
    world.expect_both_on("ours", PROTOCOL.master_down_interval(100) + PATIENCE);
    assert_eq!(states(&mut node), [State::Master; 2]);
}

/// The LAN with a second network on it.
struct Pair(World);

impl Pair {
    fn new() -> Self {
        keepalived::require();
        let world = World::new();
        for (host, address) in [(world.ours(), OTHER_OURS), (world.theirs(), OTHER_THEIRS)] {
            let interface = host.interface();
            ip(
                host,
                &format!("link add link {interface} name {OTHER_INTERFACE} type macvlan mode bridge"),
            );
            ip(host, &format!("address add {address}/24 dev {OTHER_INTERFACE}"));
            set_link(host, "up");
        }
        Self(world)
    }

    fn ours(&self) -> &Host {
        self.0.ours()
    }

    fn theirs(&self) -> &Host {
        self.0.theirs()
    }

    fn start_ours(&self, priority: u8) -> Node {
        let members = members(self.ours()).map(|(vrid, interface, vip)| {
            let config = Config::builder(vrid, AddressList::new(&[vip.into()]).unwrap())
                .version(PROTOCOL.version)
                .adver_interval(PROTOCOL.adver_interval())
                .priority(Priority::new(priority))
                .build()
                .unwrap();
            (config, Attachment::builder(interface).build().unwrap())
        });
        let group = SyncGroup::new([0, 1]).unwrap().tracking_weight(true);
        Node::start_group(self.ours(), members, group)
    }

    #[track_caller]
    fn start_keepalived(&self, priority: u8) -> Keepalived {
        let version = PROTOCOL.version.get();
        let interval = PROTOCOL.interval().as_secs_f64();
        let instances = members(self.theirs()).map(|(vrid, interface, vip)| {
            let vrid = vrid.get();
            format!(
                "vrrp_instance VI_{vrid} {{
                    version {version}
                    state BACKUP
                    interface {interface}
                    virtual_router_id {vrid}
                    priority {priority}
                    advert_int {interval}
                    virtual_ipaddress {{
                        {vip}
                    }}
                }}
                "
            )
        });
        let group = "vrrp_sync_group both {\n group {\n VI_33\n VI_34\n }\n }\n";
        Keepalived::start_config(self.theirs(), instances.concat() + group)
    }

    /// Waits until one host has both addresses, and the other none.
    #[track_caller]
    fn expect_both_on(&mut self, holder: &str, timeout: Duration) {
        wait_until(&format!("both addresses on {holder} alone"), timeout, || {
            let expected = |host: &str| if host == holder { BOTH.to_vec() } else { Vec::new() };
            ["ours", "theirs"]
                .iter()
                .all(|host| self.held(host) == expected(host))
        });
    }

    /// The same, where the new master must have advertised on both networks before a time has passed, with room for a
    /// busy machine that is less than an interval, and on both at nearly the same moment.
    #[track_caller]
    fn expect_both_on_from(&mut self, since: Instant, holder: &str, bound: Duration) {
        let sources = match holder {
            "ours" => [OURS, OTHER_OURS],
            _ => [THEIRS, OTHER_THEIRS],
        };
        let took = sources.map(|source| {
            let of_it = |advert: &Advert| {
                advert.source == IpAddr::V4(source) && advert.at > since && advert.priority > 0
            };
            self.0.wire.first("advert", bound + PATIENCE, of_it).at - since
        });
        println!("{holder}: master of each after {took:?}, {bound:?} by the protocol");
        let slack = PROTOCOL.interval() * 4 / 5;
        assert!(took.iter().all(|took| *took < bound + slack), "{took:?}");
        assert!(took[0].abs_diff(took[1]) < PROTOCOL.interval() / 4, "{took:?}");
        self.expect_both_on(holder, PATIENCE);
    }

    /// Which of the virtual addresses a host has, on any interface.
    fn held(&self, host: &str) -> Vec<Ipv4Addr> {
        let addresses = ip(self.0.lab.host(host), "-oneline -4 address show");
        let is_held = |vip: &Ipv4Addr| addresses.contains(&format!(" {vip}/"));
        BOTH.into_iter().filter(is_held).collect()
    }
}

/// The virtual router of each network: VRID, interface and address.
fn members(host: &Host) -> [(Vrid, &str, Ipv4Addr); 2] {
    let vrid = |vrid| Vrid::new(vrid).unwrap();
    [
        (vrid(33), host.interface(), VIP),
        (vrid(34), OTHER_INTERFACE, OTHER_VIP),
    ]
}

fn states(node: &mut Node) -> [State; 2] {
    last_transitions(node).map(|last| last.to)
}

/// The last transition of each member.
#[track_caller]
fn last_transitions(node: &mut Node) -> [Transition; 2] {
    let events = node.events();
    [0, 1].map(|member| {
        let of_it = |event: &DriverEvent<_>| match event {
            DriverEvent::Transition { router, transition } if *router == member => Some(*transition),
            _ => None,
        };
        events.iter().rev().find_map(of_it).unwrap()
    })
}

/// Sets a host's interface on the second network up or down.
fn set_link(host: &Host, state: &str) {
    ip(host, &format!("link set {OTHER_INTERFACE} {state}"));
}

fn ip(host: &Host, arguments: &str) -> String {
    let mut command = Command::new("ip");
    command.args(arguments.split(' '));
    let output = host.output(command).unwrap();
    assert!(output.status.success(), "ip {arguments}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}
