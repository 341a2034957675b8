//! Interfaces of virtual MACs: made, kept, and removed, by whoever and whatever happens to them.

mod node;

use std::fs;
use std::net::IpAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::mount::{MsFlags, mount};
use node::lan::dual_stack_pair;
use node::netlink::{Interface, add, count_interfaces, delete, held, interface, with_netlink};
use node::{Node, PATIENCE, Setup, ip, pause, within};
use rtnetlink::{LinkUnspec, LinkVeth};
use vrrp_core::{AddressList, AdverInterval, Config, Fault, Priority, Reason, State, Version, Vrid};
use vrrp_net::lab::{self, Host, LabTest};
use vrrp_net::{AddressError, Attachment, DriverEvent, OpenError, StartError, Vmac};

const VIP: &str = "192.0.2.100";
const VIP6: &str = "2001:db8::100";
/// Makes this program a node on the interface of that name; see `node_process`.
const INTERFACE: &str = "VRRP_TEST_NODE_INTERFACE";

#[test]
fn the_interface_is_there_while_the_driver_runs_and_up_while_it_is_master() {
    lab::test(|| {
        let lab = dual_stack_pair();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let high = setup(a, 150, &[VIP]).start(a);
        high.wait_for(State::Master);
        let low = setup(b, 100, &[VIP]).start(b);
        low.wait_for(State::Backup);
        let of = |host: &Host| interface(host, "vrrp.51").unwrap();
        let master = of(a);
        assert_eq!(master.mac.unwrap().to_string(), "00:00:5e:00:01:33");
        assert_eq!(master.base, Some(a.interface_index()));
        assert!(master.up && !of(b).up);
        assert_eq!(held(a, VIP).len(), 1);
        assert!(
            a.addresses().unwrap().iter().all(|net| net.addr() != ip(VIP)),
            "it is on the virtual MAC"
        );
        assert_eq!(conf(a, "ipv6/conf/vrrp.51/disable_ipv6"), "1");
        high.stop();
        assert!(interface(a, "vrrp.51").is_none());
        low.wait_for(State::Master);
        assert!(of(b).up);
        let high = setup(a, 150, &[VIP]).start(a);
        high.wait_for(State::Master);
        within(PATIENCE, || !of(b).up);
    });
}

#[test]
fn settings_are_as_they_must_be_and_are_put_back() {
    lab::test(|| {
        let lab = dual_stack_pair();
        let a = lab.host("a");
        let base = |setting: &str| conf(a, &format!("ipv4/conf/eth0/{setting}"));
        let before = [base("arp_ignore"), base("arp_announce")];
        assert_eq!(before, ["0", "0"]);
        a.run(|| fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", "1").unwrap());
        let node = setup(a, 255, &[VIP]).start(a);
        node.wait_for(State::Master);
        assert_eq!([base("arp_ignore"), base("arp_announce")], ["1", "2"]);
        let vmac = |setting: &str| conf(a, &format!("ipv4/conf/vrrp.51/{setting}"));
        assert_eq!(
            [
                vmac("arp_ignore"),
                vmac("accept_local"),
                vmac("promote_secondaries")
            ],
            ["1", "1", "1"]
        );
        // The greater of this and that of all is what counts: loose, where strict would drop what the client sends.
        assert_eq!(
            [vmac("rp_filter"), conf(a, "ipv4/conf/all/rp_filter")],
            ["2", "1"]
        );
        node.stop();
        assert_eq!([base("arp_ignore"), base("arp_announce")], before);
    });
}

#[test]
fn the_interface_of_ipv6_has_no_address_but_the_virtual_ones() {
    lab::test(|| {
        let lab = dual_stack_pair();
        let a = lab.host("a");
        let node = setup(a, 255, &["fe80::200", VIP6]).start(a);
        node.wait_for(State::Master);
        let index = interface(a, "vrrp6.51").unwrap().index;
        let addresses = with_netlink(a, async |handle| {
            use futures_util::TryStreamExt;
            let all = handle.address().get().set_link_index_filter(index).execute();
            all.try_collect::<Vec<_>>().await.unwrap().len()
        });
        assert_eq!(addresses, 2);
        for setting in ["accept_ra", "autoconf"] {
            assert_eq!(conf(a, &format!("ipv6/conf/vrrp6.51/{setting}")), "0");
        }
    });
}

#[test]
fn what_a_killed_process_left_is_swept_by_the_next() {
    lab::test(|| {
        let lab = dual_stack_pair();
        let a = lab.host("a");
        let mut program = spawn_node(a);
        within(PATIENCE, || held(a, VIP).len() == 1);
        let index = |host| interface(host, "vrrp.51").map(|there: Interface| there.index);
        let left = index(a);
        // While it lives it is not to be robbed.
        let other = Setup::with_vrid(a, Vrid::new(53).unwrap(), Priority::new(150), &["192.0.2.103"])
            .attachment(|attachment| attachment.vmac(Vmac::new().name("vrrp.51")));
        let error = other.try_start(a).err().unwrap();
        assert!(
            matches!(error, StartError::Open(OpenError::VmacInUse { .. })),
            "{error}"
        );
        program.kill().unwrap();
        program.wait().unwrap();
        assert_eq!(index(a), left, "nobody was there to remove it");
        within(PATIENCE, || held(a, VIP).is_empty());
        // Another VRID: what is not wanted any more goes as well.
        let vrid = Vrid::new(52).unwrap();
        let node = Setup::with_vrid(a, vrid, Priority::OWNER, &[VIP])
            .attachment(|attachment| attachment.vmac(Vmac::new()))
            .start(a);
        node.wait_for(State::Master);
        assert_eq!(index(a), None);
        assert!(interface(a, "vrrp.52").unwrap().up);
    });
}

#[test]
fn somebody_elses_interface_of_that_name_is_refused_and_not_touched() {
    lab::test(|| {
        let lab = dual_stack_pair();
        let a = lab.host("a");
        with_netlink(a, async |handle| {
            let theirs = LinkVeth::new("vrrp.51", "peer9").build();
            handle.link().add(theirs).execute().await.unwrap();
        });
        let error = setup(a, 100, &[VIP]).try_start(a).err().unwrap();
        assert_eq!(
            error.to_string(),
            "vrrp.51 exists, and vrrp did not make it: remove it (ip link del vrrp.51), or choose another name for the \
             virtual MAC"
        );
        assert!(interface(a, "vrrp.51").is_some());
        let named = Setup::new(a, 255, &[VIP])
            .attachment(|attachment| attachment.vmac(Vmac::new().name("vip0")))
            .start(a);
        named.wait_for(State::Master);
        named.stop();
        assert!(interface(a, "vrrp.51").is_some() && interface(a, "vip0").is_none());
    });
}

#[test]
fn an_interface_that_somebody_deletes_is_back_with_its_addresses_at_once() {
    lab::test(|| {
        let lab = dual_stack_pair();
        let a = lab.host("a");
        // At a long interval: a machine that stands still for a moment is no pause.
        let node = Setup::with_vrid(a, Vrid::new(51).unwrap(), Priority::OWNER, &["fe80::200", VIP6])
            .config(|config| config.adver_interval(AdverInterval::from_centis(200).unwrap()))
            .attachment(|attachment| attachment.vmac(Vmac::new()))
            .start(a);
        node.wait_for(State::Master);
        for _ in 0..2 {
            delete(a, "vrrp6.51");
            let took = within(PATIENCE, || {
                held(a, VIP6).len() == 1 && held(a, "fe80::200").len() == 1
            });
            println!("back after {took:?}");
            assert!(
                took < Duration::from_secs(1),
                "before its leases are renewed: {took:?}"
            );
            assert!(interface(a, "vrrp6.51").unwrap().up);
        }
        let odd = |event: &DriverEvent<_>| !matches!(event, DriverEvent::AddressRestored { .. });
        let events = node.take_events();
        assert!(!events.iter().any(odd), "{events:?}");
    });
}

#[test]
fn an_interface_that_somebody_sets_down_is_up_again_with_its_addresses() {
    lab::test(|| {
        let lab = dual_stack_pair();
        let (a, b) = (lab.host("a"), lab.host("b"));
        for (vips, name) in [(&[VIP][..], "vrrp.51"), (&["fe80::200", VIP6], "vrrp6.51")] {
            let node = setup(a, 255, vips).start(a);
            node.wait_for(State::Master);
            let index = interface(a, name).unwrap().index;
            with_netlink(a, async |handle| {
                let down = LinkUnspec::new_with_index(index).down().build();
                handle.link().set(down).execute().await.unwrap();
            });
            within(PATIENCE, || {
                interface(a, name).unwrap().up && vips.iter().all(|vip| held(a, vip).len() == 1)
            });
            let wait = Duration::from_millis(100);
            within(PATIENCE, || {
                let answers = match ip(vips.last().unwrap()) {
                    IpAddr::V4(vip) => b.arp_who_has(vip, wait),
                    IpAddr::V6(vip) => b.ndp_who_has(vip, wait),
                };
                answers.unwrap() == [interface(a, name).unwrap().mac.unwrap()]
            });
        }
    });
}

#[test]
fn a_carrier_that_is_deleted_and_made_anew_gets_its_virtual_mac_again() {
    lab::test(|| {
        let lab = dual_stack_pair();
        let a = lab.host("a");
        make_carrier(a);
        let vrid = Vrid::new(51).unwrap();
        let node = Setup::on("eth9", vrid, Priority::OWNER, &["198.51.100.100"])
            .attachment(|attachment| attachment.vmac(Vmac::new()))
            .start(a);
        node.wait_for(State::Master);
        for _ in 0..2 {
            delete(a, "eth9");
            let (_, transition) = node.wait_for(State::Fault);
            assert_eq!(transition.reason, Reason::Fault(Fault::Link));
            within(PATIENCE, || interface(a, "vrrp.51").is_none());
            make_carrier(a);
            node.wait_for(State::Master);
            assert!(interface(a, "vrrp.51").unwrap().up);
            assert_eq!(held(a, "198.51.100.100").len(), 1);
            assert_eq!(conf(a, "ipv4/conf/eth9/arp_ignore"), "1");
            let errors = node.handle.counters().send_errors;
            pause(Duration::from_millis(300));
            assert_eq!(node.handle.counters().send_errors, errors);
        }
        let events = node.take_events();
        let refused = |event: &DriverEvent<_>| matches!(event, DriverEvent::AddressesRefused { .. });
        assert!(!events.iter().any(refused), "{events:?}");
    });
}

#[test]
fn a_carrier_that_is_renamed_takes_no_virtual_mac_with_it() {
    lab::test(|| {
        let lab = dual_stack_pair();
        let a = lab.host("a");
        make_carrier(a);
        let vrid = Vrid::new(51).unwrap();
        let node = Setup::on("eth9", vrid, Priority::OWNER, &["198.51.100.100"])
            .attachment(|attachment| attachment.vmac(Vmac::new()))
            .start(a);
        node.wait_for(State::Master);
        rename(a, "eth9", "other9");
        node.wait_for(State::Fault);
        within(PATIENCE, || interface(a, "vrrp.51").is_none());
        rename(a, "other9", "eth9");
        node.wait_for(State::Master);
        assert_eq!(held(a, "198.51.100.100").len(), 1);
        assert_eq!(
            interface(a, "vrrp.51").unwrap().base,
            interface(a, "eth9").map(|base| base.index)
        );
    });
}

/// As containers have it: what can be set by netlink is, and the rest is no reason not to serve.
#[test]
fn settings_that_are_read_only_keep_no_virtual_mac_from_serving() {
    lab::test(|| {
        let lab = dual_stack_pair();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let bind = |flags| mount(Some("/proc/sys"), "/proc/sys", None::<&str>, flags, None::<&str>);
        let read_only = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        let mounted = a.run(|| bind(MsFlags::MS_BIND).and_then(|()| bind(read_only)));
        if let Err(error) = mounted {
            lab::skip(&format!("/proc/sys can't be made read-only: {error}"));
        }
        assert!(a.run(|| fs::write("/proc/sys/net/ipv4/conf/all/arp_ignore", "0").is_err()));
        let four = setup(a, 255, &[VIP]).start(a);
        four.wait_for(State::Master);
        let six = setup(a, 255, &["fe80::200", VIP6]).start(a);
        six.wait_for(State::Master);
        assert_eq!(conf(a, "ipv4/conf/eth0/arp_ignore"), "1");
        assert_eq!(conf(a, "ipv4/conf/vrrp.51/arp_ignore"), "1");
        let wait = Duration::from_millis(200);
        let answers = b.arp_who_has(VIP.parse().unwrap(), wait).unwrap();
        assert_eq!(answers, [interface(a, "vrrp.51").unwrap().mac.unwrap()]);
        let answers = b.ndp_who_has(VIP6.parse().unwrap(), wait).unwrap();
        assert_eq!(answers, [interface(a, "vrrp6.51").unwrap().mac.unwrap()]);
    });
}

#[test]
fn an_address_of_the_carrier_itself_is_refused() {
    lab::test(|| {
        let lab = dual_stack_pair();
        let a = lab.host("a");
        add(a, VIP, None, u32::MAX);
        for priority in [100, 255] {
            let error = setup(a, priority, &[VIP]).try_start(a).err().unwrap();
            assert!(
                matches!(error, StartError::Address(AddressError::OnBase { .. })),
                "{error}"
            );
        }
        assert!(
            interface(a, "vrrp.51").is_none(),
            "nothing stays of a start that failed"
        );
        assert_eq!(conf(a, "ipv4/conf/eth0/arp_ignore"), "0");
    });
}

#[test]
fn all_255_virtual_routers_of_both_families_share_one_pair_of_sockets() {
    LabTest::new()
        .timeout(FOUR_MINUTES)
        .run(|| all_move_together(None));
}

#[test]
fn all_255_virtual_macs_of_both_families_move_together() {
    LabTest::new()
        .timeout(FOUR_MINUTES)
        .run(|| all_move_together(Some(&Vmac::new())));
}

const FOUR_MINUTES: Duration = Duration::from_secs(240);

fn all_move_together(vmac: Option<&Vmac>) {
    let lab = dual_stack_pair();
    let (a, b) = (lab.host("a"), lab.host("b"));
    let interfaces = if vmac.is_some() { 2 + 510 } else { 2 };
    // The whole may take a while on a busy machine.
    let all_are = |node: &Node, state| {
        let mut count = 0;
        while count < 510 {
            let (_, event) = node.events.recv_timeout(PATIENCE).unwrap();
            let arrived =
                matches!(event, DriverEvent::Transition { transition, .. } if transition.to == state);
            count += usize::from(arrived);
        }
    };
    let timed = |what: &str, limit: Duration, work: &mut dyn FnMut()| {
        let started = Instant::now();
        work();
        let took = started.elapsed();
        println!("{what}: {took:?}");
        assert!(took < limit, "{what}: {took:?}");
    };
    let mut nodes = Vec::new();
    timed("start", Duration::from_secs(15), &mut || {
        nodes.push(Node::start(b, routers(b, 100, vmac)).unwrap());
    });
    assert_eq!(count_interfaces(b), interfaces);
    // Beside the pair, one that sends from all virtual MACs: of IPv4 without a protocol.
    let senders = usize::from(vmac.is_some());
    assert_eq!(
        (vrrp_sockets(b, "raw"), vrrp_sockets(b, "raw6")),
        (1, 1 + senders)
    );
    all_are(&nodes[0], State::Master);
    nodes.push(Node::start(a, routers(a, 150, vmac)).unwrap());
    // 3.41 s of Master_Down_Interval, and the rest for 510 routers on one busy machine.
    timed("preemption", Duration::from_secs(30), &mut || {
        all_are(&nodes[1], State::Master);
        all_are(&nodes[0], State::Backup);
    });
    timed("stop", Duration::from_secs(15), &mut || {
        nodes.pop().unwrap().stop();
    });
    all_are(&nodes[0], State::Master);
    assert_eq!(count_interfaces(a), 2);
    let counters = nodes[0].handle.counters();
    println!("latest timer: {:?}", counters.max_lateness);
    let errors = (
        counters.send_errors,
        counters.announce_errors,
        counters.address_errors,
    );
    assert_eq!(errors, (0, 0, 0));
}

/// How many raw sockets of VRRP a host has, in /proc/net/raw or raw6.
fn vrrp_sockets(host: &Host, table: &str) -> usize {
    let table = host.run(|| fs::read_to_string(format!("/proc/thread-self/net/{table}")).unwrap());
    let locals = table
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().nth(1));
    locals.filter(|local| local.ends_with(":0070")).count()
}

/// VRIDs 1 to 255 of IPv4, and the same of IPv6, at one second.
fn routers(host: &Host, priority: u8, vmac: Option<&Vmac>) -> Vec<(Config, Attachment)> {
    let router = |vrid: u8, vip: String| {
        let list = AddressList::new(&[ip(&vip)]).unwrap();
        let config = Config::builder(Vrid::new(vrid).unwrap(), list)
            .version(Version::V3)
            .priority(Priority::new(priority))
            .adver_interval(AdverInterval::from_centis(100).unwrap());
        let attachment = Attachment::builder(host.interface());
        let attachment = match vmac {
            Some(vmac) => attachment.vmac(vmac.clone()),
            None => attachment,
        };
        (config.build().unwrap(), attachment.build().unwrap())
    };
    let both = |vrid| {
        [
            router(vrid, format!("10.0.0.{vrid}")),
            router(vrid, format!("fe80::1:{vrid:x}")),
        ]
    };
    (1..=255).flat_map(both).collect()
}

fn setup(host: &Host, priority: u8, vips: &[&str]) -> Setup {
    Setup::new(host, priority, vips).attachment(|attachment| attachment.vmac(Vmac::new()))
}

/// A cable with both ends on the host.
fn make_carrier(host: &Host) {
    with_netlink(host, async |handle| {
        let pair = LinkVeth::new("eth9", "peer9").up().build();
        handle.link().add(pair).execute().await.unwrap();
    });
    let [index, peer] = ["eth9", "peer9"].map(|name| interface(host, name).unwrap().index);
    with_netlink(host, async |handle| {
        let up = LinkUnspec::new_with_index(peer).up().build();
        handle.link().set(up).execute().await.unwrap();
        let own = handle.address().add(index, ip("198.51.100.1"), 24);
        own.execute().await.unwrap();
    });
}

fn rename(host: &Host, from: &str, to: &str) {
    let index = interface(host, from).unwrap().index;
    with_netlink(host, async |handle| {
        let named = LinkUnspec::new_with_index(index).name(to).build();
        handle.link().set(named).execute().await.unwrap();
    });
}

fn conf(host: &Host, setting: &str) -> String {
    let path = format!("/proc/sys/net/{setting}");
    let value = host.run(|| fs::read_to_string(path).unwrap());
    value.trim_end().to_owned()
}

fn spawn_node(host: &Host) -> Child {
    let mut program = Command::new(std::env::current_exe().unwrap());
    program
        .args(["--exact", "node_process", "--nocapture"])
        .env(INTERFACE, host.interface())
        .stdin(Stdio::null());
    host.spawn(program).unwrap()
}

/// Not a test by itself: the process that another kills.
#[test]
fn node_process() {
    let Ok(interface) = std::env::var(INTERFACE) else {
        return;
    };
    let list = AddressList::new(&[ip(VIP)]).unwrap();
    let config = Config::builder(Vrid::new(51).unwrap(), list)
        .priority(Priority::OWNER)
        .build()
        .unwrap();
    let attachment = Attachment::builder(interface)
        .vmac(Vmac::new())
        .lease(Some(Duration::from_secs(1)))
        .build()
        .unwrap();
    let router = vrrp_core::VirtualRouter::new(config, ip("0.0.0.0"));
    let handle = vrrp_net::spawn(vrrp_net::RouterSet::from(router), vec![attachment], |_| {}).unwrap();
    // Killed long before.
    pause(PATIENCE * 6);
    drop(handle);
}
