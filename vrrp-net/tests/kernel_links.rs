//! Interfaces that come and go, strangers on the link, and many routers on one interface.

mod node;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use ipnet::IpNet;
use node::lan::pair;
use node::{Node, Setup, has, ip, pause, within};
use rtnetlink::{Handle, LinkUnspec, LinkVeth};
use vrrp_core::{AddressList, AdverInterval, Config, Fault, Priority, Reason, State, Version, Vrid};
use vrrp_net::lab::{self, Host, Lab, LabTest};
use vrrp_net::{Attachment, DriverEvent, OpenError, StartError, VirtualAddress};

const VIP: &str = "192.0.2.100";

#[test]
fn an_interface_that_is_deleted_and_made_anew_is_used_again() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        make_interface(a);
        let node = on_own_interface(255).start(a);
        node.wait_for(State::Master);
        for _ in 0..2 {
            netlink(a, async |handle| {
                let index = index_of(&handle, "vrrp0").await;
                handle.link().del(index).execute().await.unwrap();
            });
            let (_, transition) = node.wait_for(State::Fault);
            assert_eq!(transition.reason, Reason::Fault(Fault::Link));
            make_interface(a);
            node.wait_for(State::Master);
            // Its sockets are bound to the new one: adverts go out.
            let errors = node.handle.counters().send_errors;
            pause(Duration::from_millis(300));
            assert_eq!(node.handle.counters().send_errors, errors);
        }
        assert!(
            node.take_events()
                .iter()
                .all(|event| !matches!(event, DriverEvent::AddressesRefused { .. })),
            "an address that goes with its interface is not refused"
        );
    });
}

#[test]
fn a_renamed_interface_is_gone_until_the_name_is_back() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        make_interface(a);
        let node = on_own_interface(255).start(a);
        node.wait_for(State::Master);
        rename(a, "vrrp0", "other0");
        node.wait_for(State::Fault);
        rename(a, "other0", "vrrp0");
        node.wait_for(State::Master);
    });
}

#[test]
fn a_link_that_is_down_at_the_start_is_a_fault_until_it_is_up() {
    lab::test(|| {
        let lab = pair();
        lab.cut("a").unwrap();
        let a = lab.host("a");
        let node = Setup::new(a, 255, &[VIP]).start(a);
        node.wait_for(State::Fault);
        lab.heal("a").unwrap();
        node.wait_for(State::Master);
    });
}

#[test]
fn an_interface_that_does_not_exist_is_refused_in_one_line() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        let error = on_own_interface(255).try_start(a).err().unwrap();
        assert!(matches!(error, StartError::Open(OpenError::NoInterface { .. })));
        assert_eq!(
            error.to_string(),
            "interface vrrp0 does not exist: create it, or correct the name (ip link shows all)"
        );
    });
}

#[test]
fn a_stranger_that_claims_the_address_after_a_takeover_is_reported_with_its_mac() {
    lab::test(|| {
        let lab = pair();
        let (a, b) = (lab.host("a"), lab.host("b"));
        for (vips, theirs) in [
            (&[VIP][..], "192.0.2.100/32"),
            (&["fe80::200", "2001:db8::100"], "2001:db8::100/128"),
        ] {
            let theirs: IpNet = theirs.parse().unwrap();
            b.add_address(theirs).unwrap();
            let node = Setup::new(a, 255, vips).start(a);
            let (_, (address, mac)) = node.wait_for_event(|event| match event {
                DriverEvent::Conflict { address, mac, .. } => Some((*address, *mac)),
                _ => None,
            });
            assert_eq!(address, theirs.addr());
            assert_eq!(mac.to_string(), b.mac().to_string());
            assert_eq!(node.handle.counters().conflicts, 1);
            node.stop();
            b.remove_address(theirs).unwrap();
        }
    });
}

#[test]
fn a_stranger_is_found_on_another_interface_than_the_adverts_as_well() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        make_interface(a);
        // Whoever asks on one end of the cable is answered by the other: it is a host with the same address.
        let vip = VirtualAddress::from(ip(VIP)).on("vrrp0");
        let node = Setup::new(a, 255, &[VIP])
            .attachment(|attachment| attachment.address(vip).lease(Some(Duration::from_secs(1))))
            .start(a);
        let (_, address) = node.wait_for_event(|event| match event {
            DriverEvent::Conflict { address, .. } => Some(*address),
            _ => None,
        });
        assert_eq!(address, ip(VIP));
    });
}

#[test]
fn a_stranger_is_found_without_a_link_local_address_to_ask_from() {
    lab::test(|| {
        let lab = Lab::builder()
            .host("a", ["2001:db8::10/64"])
            .host("b", ["2001:db8::11/64"])
            .build()
            .unwrap();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let theirs: IpNet = "2001:db8::100/128".parse().unwrap();
        b.add_address(theirs).unwrap();
        for net in a.addresses().unwrap() {
            if matches!(net.addr(), IpAddr::V6(address) if address.is_unicast_link_local()) {
                a.remove_address(net).unwrap();
            }
        }
        let node = Setup::new(a, 255, &["fe80::200", "2001:db8::100"])
            .attachment(|attachment| attachment.source(ip("2001:db8::10")))
            .start(a);
        let (_, mac) = node.wait_for_event(|event| match event {
            DriverEvent::Conflict { mac, .. } => Some(*mac),
            _ => None,
        });
        assert_eq!(mac.to_string(), b.mac().to_string());
    });
}

#[test]
fn the_last_master_that_still_has_the_address_is_no_stranger() {
    lab::test(|| {
        let lab = pair();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let backup = Setup::new(a, 100, &[VIP]).start(a);
        backup.wait_for(State::Backup);
        // It takes the address for good, says so once, and hangs.
        let (release, hang) = std::sync::mpsc::channel::<()>();
        let master = Setup::new(b, 255, &[VIP]).attachment(|attachment| attachment.lease(None));
        let master = master
            .start_with(b, move || {
                let _ = hang.recv();
            })
            .unwrap();
        let taken_over = backup.wait_for(State::Master).0;
        within(Duration::from_secs(2), || {
            taken_over.elapsed() > Duration::from_millis(900)
        });
        assert!(has(b, VIP), "both answer");
        assert_eq!(backup.handle.counters().conflicts, 0);
        assert!(backup.take_events().is_empty());
        drop(release);
        master.stop();
    });
}

#[test]
fn nobody_on_the_link_is_no_conflict() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        let node = Setup::new(a, 255, &[VIP]).start(a);
        node.wait_for(State::Master);
        pause(Duration::from_millis(900));
        assert!(node.take_events().is_empty());
    });
}

/// All on one pair of sockets, and all at once when the master goes.
#[test]
fn all_255_virtual_routers_of_an_interface_move_together() {
    LabTest::new().timeout(Duration::from_secs(60)).run(|| {
        let lab = pair();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let low = Node::start(b, routers(b, 100)).unwrap();
        let masters = |node: &Node, state| {
            let mut count = 0;
            node.wait_for_event(|event| {
                let arrived =
                    matches!(event, DriverEvent::Transition { transition, .. } if transition.to == state);
                count += usize::from(arrived);
                (count == 255).then_some(())
            });
        };
        masters(&low, State::Master);
        let high = Node::start(a, routers(a, 150)).unwrap();
        masters(&high, State::Master);
        masters(&low, State::Backup);
        // They leave the old master when the new one has announced them.
        within(Duration::from_secs(1), || {
            a.addresses().unwrap().len() == b.addresses().unwrap().len() + 255
        });
        let stopped = Instant::now();
        high.stop();
        masters(&low, State::Master);
        println!("255 routers moved in {:?}", stopped.elapsed());
        let counters = low.handle.counters();
        assert_eq!(
            (
                counters.send_errors,
                counters.announce_errors,
                counters.address_errors
            ),
            (0, 0, 0)
        );
        assert_eq!(counters.conflicts, 0);
    });
}

fn routers(host: &Host, priority: u8) -> Vec<(Config, Attachment)> {
    let router = |vrid: u8| {
        let vip = ip(&format!("10.0.0.{vrid}"));
        let config = Config::builder(Vrid::new(vrid).unwrap(), AddressList::new(&[vip]).unwrap())
            .version(Version::V3)
            .priority(Priority::new(priority))
            .adver_interval(AdverInterval::from_centis(20).unwrap());
        (
            config.build().unwrap(),
            Attachment::builder(host.interface()).build().unwrap(),
        )
    };
    (1..=255).map(router).collect()
}

fn on_own_interface(priority: u8) -> Setup {
    let vrid = Vrid::new(1).unwrap();
    Setup::on("vrrp0", vrid, Priority::new(priority), &["198.51.100.100"])
}

/// A cable with both ends on the host.
fn make_interface(host: &Host) {
    netlink(host, async |handle| {
        let pair = LinkVeth::new("vrrp0", "vrrp1").up().build();
        handle.link().add(pair).execute().await.unwrap();
        let peer = index_of(&handle, "vrrp1").await;
        let up = LinkUnspec::new_with_index(peer).up().build();
        handle.link().set(up).execute().await.unwrap();
        let index = index_of(&handle, "vrrp0").await;
        let own = handle.address().add(index, ip("198.51.100.1"), 24);
        own.execute().await.unwrap();
    });
}

fn rename(host: &Host, from: &str, to: &str) {
    netlink(host, async |handle| {
        let index = index_of(&handle, from).await;
        let change = LinkUnspec::new_with_index(index);
        handle
            .link()
            .set(change.name(to).build())
            .execute()
            .await
            .unwrap();
    });
}

async fn index_of(handle: &Handle, name: &str) -> u32 {
    use futures_util::TryStreamExt;
    let mut links = handle.link().get().match_name(name).execute();
    links.try_next().await.unwrap().unwrap().header.index
}

fn netlink(host: &Host, work: impl AsyncFnOnce(Handle) + Send) {
    host.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (connection, handle, _) = rtnetlink::new_connection().unwrap();
            tokio::spawn(connection);
            work(handle).await;
        });
    });
}
