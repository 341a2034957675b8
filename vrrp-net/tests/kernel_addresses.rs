//! Virtual addresses on the real kernel: leases, leftovers, and what belongs to somebody else.

mod node;

use std::time::{Duration, Instant};

use ipnet::IpNet;
use node::lan::pair;
use node::netlink::{add, held};
use node::{PATIENCE, Setup, has, ip, pause, within};
use rtnetlink::packet_route::address::AddressFlags;
use vrrp_core::{Priority, State, Vrid};
use vrrp_net::lab::{self, Lab};
use vrrp_net::{AddressError, DriverEvent, StartError, VirtualAddress};

const VIP: &str = "192.0.2.100";
const VIP6: &str = "2001:db8::100";
/// A lease of a second ends 1.0 to 1.3 s after its last renewal; the rest is for a busy machine.
const LEASE_END: Duration = Duration::from_millis(1900);
#[test]
fn a_driver_that_hangs_loses_its_addresses_within_the_lease() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        let (release, hang) = std::sync::mpsc::channel::<()>();
        let setup = Setup::new(a, 255, &[VIP]).attachment(|attachment| attachment.lease(one_second()));
        let node = setup
            .start_with(a, move || {
                let _ = hang.recv();
            })
            .unwrap();
        within(PATIENCE, || has(a, VIP));
        within(LEASE_END, || !has(a, VIP));
        // Alive again, it puts them back: nobody else has taken over.
        drop(release);
        within(PATIENCE, || has(a, VIP));
        node.stop();
        assert!(!has(a, VIP));
    });
}

#[test]
fn without_a_lease_an_address_stays_until_it_is_released() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        let node = Setup::new(a, 255, &[VIP])
            .attachment(|attachment| attachment.lease(None))
            .start(a);
        node.wait_for(State::Master);
        let held = &held(a, VIP)[0];
        assert_eq!((held.mark, held.valid), (Some(112), u32::MAX));
        node.stop();
        assert!(!has(a, VIP));
    });
}

#[test]
fn an_added_address_has_our_mark_and_a_lease_and_serves_at_once() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        let node = Setup::new(a, 255, &["fe80::200", VIP6]).start(a);
        node.wait_for(State::Master);
        let held = &held(a, VIP6)[0];
        assert_eq!(
            (held.net.to_string().as_str(), held.mark),
            ("2001:db8::100/128", Some(112))
        );
        assert_eq!((held.valid, held.preferred), (3, 0));
        assert!(
            held.flags
                .contains(AddressFlags::Nodad | AddressFlags::Noprefixroute)
        );
        assert!(!held.flags.contains(AddressFlags::Tentative));
    });
}

#[test]
fn leftovers_are_swept_at_the_start() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        // An earlier run without leases held these: one is still configured, the other no longer.
        add(a, VIP, Some(112), u32::MAX);
        add(a, "192.0.2.200", Some(112), u32::MAX);
        // Another program of ours may live here: its addresses are its own.
        add(a, "192.0.2.201", Some(112), 30);
        // And this is nobody's business.
        add(a, "192.0.2.202", None, u32::MAX);
        let node = Setup::new(a, 100, &[VIP]).start(a);
        assert!(!has(a, VIP) && !has(a, "192.0.2.200"));
        assert!(has(a, "192.0.2.201") && has(a, "192.0.2.202"));
        node.wait_for(State::Master);
        assert!(has(a, VIP));
    });
}

#[test]
fn a_second_process_leaves_what_the_first_holds_without_a_lease() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        let start = |vrid, vip| {
            Setup::with_vrid(a, Vrid::new(vrid).unwrap(), Priority::OWNER, &[vip])
                .attachment(|attachment| attachment.lease(None))
                .start(a)
        };
        let first = start(1, VIP);
        first.wait_for(State::Master);
        let second = start(2, "192.0.2.101");
        second.wait_for(State::Master);
        assert!(has(a, VIP) && has(a, "192.0.2.101"));
        assert_eq!(first.handle.counters().restored, 0, "never gone");
    });
}

#[test]
fn a_virtual_router_that_another_process_runs_is_refused() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        let first = Setup::new(a, 255, &[VIP]).start(a);
        first.wait_for(State::Master);
        let error = Setup::new(a, 100, &[VIP]).try_start(a).err().unwrap();
        let expected = format!(
            "VRID 51 of IPv4 on eth0 is run by another process of this host ({}): stop it, or use another VRID",
            std::process::id()
        );
        assert_eq!(error.to_string(), expected);
        assert!(has(a, VIP), "and it is left alone");
        first.stop();
        Setup::new(a, 100, &[VIP]).start(a).wait_for(State::Master);
    });
}

#[test]
fn somebody_elses_equal_address_keeps_the_node_from_starting() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        for theirs in ["192.0.2.100/32", "192.0.2.100/24"] {
            let theirs: IpNet = theirs.parse().unwrap();
            a.add_address(theirs).unwrap();
            let error = Setup::new(a, 254, &[VIP]).try_start(a).err().unwrap();
            assert!(
                matches!(error, StartError::Address(AddressError::Foreign { .. })),
                "{error}"
            );
            assert_eq!(
                error.to_string(),
                "192.0.2.100/32 is already on eth0, and vrrp did not add it: remove it (ip address del \
                 192.0.2.100/32 dev eth0), or give the virtual router priority 255 if it owns the address"
            );
            assert!(a.addresses().unwrap().contains(&theirs));
            a.remove_address(theirs).unwrap();
        }
    });
}

#[test]
fn an_owner_keeps_its_own_address() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        let own: IpNet = "192.0.2.100/24".parse().unwrap();
        a.add_address(own).unwrap();
        let setup = || Setup::new(a, 255, &[VIP]).attachment(|attachment| attachment.lease(one_second()));
        let node = setup().start(a);
        node.wait_for(State::Master);
        pause(LEASE_END);
        node.stop();
        let vips: Vec<_> = a
            .addresses()
            .unwrap()
            .into_iter()
            .filter(|net| net.addr() == own.addr())
            .collect();
        assert_eq!(vips, [own], "neither replaced, nor doubled, nor removed");
    });
}

#[test]
fn an_address_that_somebody_adds_meanwhile_is_a_fault_and_not_touched() {
    lab::test(|| {
        let lab = pair();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let high = Setup::new(a, 150, &[VIP]).start(a);
        high.wait_for(State::Master);
        let low = Setup::new(b, 100, &[VIP]).start(b);
        low.wait_for(State::Backup);
        let theirs: IpNet = "192.0.2.100/32".parse().unwrap();
        b.add_address(theirs).unwrap();
        high.stop();
        low.wait_for(State::Fault);
        assert!(b.addresses().unwrap().contains(&theirs));
        b.remove_address(theirs).unwrap();
        low.wait_for(State::Master);
    });
}

#[test]
fn an_address_that_somebody_removes_is_put_back() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        let four = Setup::new(a, 255, &[VIP]).start(a);
        four.wait_for(State::Master);
        let six = Setup::new(a, 255, &["fe80::200", VIP6]).start(a);
        six.wait_for(State::Master);
        for (node, vip) in [(&four, "192.0.2.100/32"), (&six, "2001:db8::100/128")] {
            let net: IpNet = vip.parse().unwrap();
            for _ in 0..3 {
                let removed = Instant::now();
                a.remove_address(net).unwrap();
                let restored = |event: &DriverEvent<_>| match event {
                    DriverEvent::AddressRestored { address, .. } => Some(*address),
                    _ => None,
                };
                let (at, address) = node.wait_for_event(restored);
                assert_eq!(address, net.addr());
                let took = at.duration_since(removed);
                assert!(took < Duration::from_millis(100), "took {took:?}");
                assert!(a.addresses().unwrap().contains(&net));
            }
            assert_eq!(node.handle.counters().restored, 3);
        }
    });
}

#[test]
fn a_longer_prefix_does_not_take_the_interfaces_address_with_it() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        // Below the primary of the subnet, and in a subnet of its own.
        let inside: IpNet = "192.0.2.100/24".parse().unwrap();
        let outside: IpNet = "198.51.100.100/24".parse().unwrap();
        let setup = Setup::new(a, 255, &[VIP]).attachment(|attachment| {
            let held = attachment.address(inside).address(VirtualAddress::new(outside));
            held.lease(one_second())
        });
        let node = setup.start(a);
        node.wait_for(State::Master);
        // A neighbour of ours in the second subnet comes after the virtual address.
        let neighbour: IpNet = "198.51.100.7/24".parse().unwrap();
        a.add_address(neighbour).unwrap();
        node.stop();
        let left = a.addresses().unwrap();
        assert!(left.contains(&"192.0.2.10/24".parse().unwrap()), "{left:?}");
        assert!(left.contains(&neighbour), "{left:?}");
        assert!(!left.contains(&inside) && !left.contains(&outside), "{left:?}");
    });
}

#[test]
fn a_leased_primary_that_expires_leaves_the_other_addresses() {
    lab::test(|| {
        let lab = Lab::builder().host("a", ["198.51.100.7/32"]).build().unwrap();
        let a = lab.host("a");
        let (release, hang) = std::sync::mpsc::channel::<()>();
        let vip: IpNet = "192.0.2.100/24".parse().unwrap();
        let setup =
            Setup::new(a, 255, &[VIP]).attachment(|attachment| attachment.address(vip).lease(one_second()));
        let node = setup
            .start_with(a, move || {
                let _ = hang.recv();
            })
            .unwrap();
        node.wait_for(State::Master);
        let neighbour: IpNet = "192.0.2.7/24".parse().unwrap();
        a.add_address(neighbour).unwrap();
        within(LEASE_END, || !has(a, VIP));
        assert!(a.addresses().unwrap().contains(&neighbour));
        drop(release);
        node.stop();
    });
}

#[test]
fn an_address_may_be_on_another_interface_than_the_adverts() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        let vip = VirtualAddress::from(ip(VIP)).on("lo");
        let node = Setup::new(a, 255, &[VIP])
            .attachment(|attachment| attachment.address(vip))
            .start(a);
        node.wait_for(State::Master);
        assert_eq!(held(a, VIP).len(), 1);
        assert!(!has(a, VIP), "not on eth0");
        node.stop();
        assert!(held(a, VIP).is_empty());
    });
}

#[test]
fn an_address_may_have_a_label_and_be_more_than_advertised() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        let setup = Setup::new(a, 255, &[VIP]).attachment(|attachment| {
            let labelled = VirtualAddress::from(ip(VIP)).labelled("eth0:vip");
            attachment
                .address(labelled)
                .address(ip(VIP6))
                .address(ip("192.0.2.101"))
        });
        let node = setup.start(a);
        node.wait_for(State::Master);
        assert!(has(a, VIP) && has(a, VIP6) && has(a, "192.0.2.101"));
        assert_eq!(held(a, VIP)[0].label.as_deref(), Some("eth0:vip"));
        node.stop();
        assert!(!has(a, VIP) && !has(a, VIP6) && !has(a, "192.0.2.101"));
    });
}

#[allow(clippy::unnecessary_wraps, reason = "the setting is optional")]
fn one_second() -> Option<Duration> {
    Some(Duration::from_secs(1))
}
