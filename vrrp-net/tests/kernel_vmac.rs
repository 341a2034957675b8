//! Virtual MAC addresses on the real kernel: what clients see of a takeover, and what they don't.

mod node;

use std::net::IpAddr;
use std::time::Duration;

use node::probe::{Asking, Echo, neighbour};
use node::{PATIENCE, Setup, ip, pause, within};
use vrrp_core::State;
use vrrp_net::Vmac;
use vrrp_net::lab::{Frame, Host, Lab, LabTest, MacAddr};

const VIP: &str = "192.0.2.100";
const VIP6: &str = "2001:db8::100";
/// Three adverts of 100 ms and a skew of 61 ms, and room for a busy machine.
const TAKEOVER: Duration = Duration::from_millis(800);

#[test]
fn the_clients_entry_never_changes_over_a_takeover() {
    LabTest::new()
        .timeout(MINUTE)
        .run(|| moves(World::ipv4(), Vmac::new()));
}

#[test]
fn the_clients_entry_never_changes_over_a_takeover_with_adverts_from_the_base() {
    LabTest::new()
        .timeout(MINUTE)
        .run(|| moves(World::ipv4(), Vmac::new().xmit_base(true)));
}

#[test]
fn the_clients_ipv6_entry_never_changes_over_a_takeover() {
    LabTest::new()
        .timeout(MINUTE)
        .run(|| moves(World::ipv6(), Vmac::new()));
}

#[test]
fn the_clients_ipv6_entry_never_changes_over_a_takeover_with_adverts_from_the_base() {
    LabTest::new()
        .timeout(MINUTE)
        .run(|| moves(World::ipv6(), Vmac::new().xmit_base(true)));
}

/// Where reports of MLDv2 go (RFC 3810 §5.2.14).
const MLD: MacAddr = MacAddr(0x33, 0x33, 0, 0, 0, 0x16);
const MINUTE: Duration = Duration::from_secs(60);

/// A planned stop, preempting back, and a cut link; and each frame from the virtual MAC is the master's.
fn moves(world: World, vmac: Vmac) {
    let World { lab, vips, mac } = &world;
    let (a, b, client) = (lab.host("a"), lab.host("b"), lab.host("client"));
    let vip = ip(vips.last().unwrap());
    let start = |host: &Host, priority| {
        Setup::new(host, priority, vips)
            .attachment(|attachment| attachment.vmac(vmac.clone()))
            .start(host)
    };
    let _echoes = [a, b].map(|host| Echo::start(host, vip));
    let mut capture = lab.capture().unwrap();
    let mut frames = Vec::new();

    let high = start(a, 150);
    high.wait_for(State::Master);
    let low = start(b, 100);
    low.wait_for(State::Backup);
    within(PATIENCE, || client_reaches(client, vip));
    assert_eq!(neighbour(client, vip), Some(*mac));
    let keeps_its_entry = |what: &str, takeover: &mut dyn FnMut()| {
        let asking = Asking::start(client, vip);
        pause(Duration::from_millis(100));
        takeover();
        pause(Duration::from_millis(100));
        let gap = asking.longest_gap();
        println!("{what}: {gap:?} without an answer");
        assert!(gap < TAKEOVER, "{what}: {gap:?} without an answer");
        assert_eq!(neighbour(client, vip), Some(*mac), "{what}");
    };

    let mut high = Some(high);
    keeps_its_entry("planned stop", &mut || {
        high.take().unwrap().stop();
        low.wait_for(State::Master);
    });
    frames.extend(capture.frames().to_vec());
    keeps_its_entry("preemption", &mut || {
        let node = start(a, 150);
        node.wait_for(State::Master);
        low.wait_for(State::Backup);
        high = Some(node);
    });
    keeps_its_entry("link cut", &mut || {
        lab.cut("a").unwrap();
        low.wait_for(State::Master);
    });
    let told = neighbour_messages(capture.frames(), vip);
    assert!(!told.is_empty());
    assert!(told.iter().all(|teller| teller == mac), "{told:?}");
    for node in [low, high.unwrap()] {
        let counters = node.handle.counters();
        assert_eq!((counters.send_errors, counters.announce_errors), (0, 0));
        assert_eq!((counters.address_errors, counters.conflicts), (0, 0));
        node.stop();
    }
}

/// A switch sends what is for the virtual MAC to where it last saw a frame from it: one of a router that has stepped down
/// would take the address from its master.
#[test]
fn nothing_leaves_from_the_virtual_mac_but_the_masters_frames() {
    LabTest::new().timeout(MINUTE).run(|| {
        for world in [World::ipv4(), World::ipv6()] {
            let World { lab, vips, mac } = &world;
            let (a, b) = (lab.host("a"), lab.host("b"));
            let start = |host: &Host, priority| {
                Setup::new(host, priority, vips)
                    .attachment(|attachment| attachment.vmac(Vmac::new()))
                    .start(host)
            };
            let mut capture = lab.capture().unwrap();
            let low = start(b, 100);
            low.wait_for(State::Master);
            let high = start(a, 150);
            high.wait_for(State::Master);
            low.wait_for(State::Backup);
            // The kernel's reports of groups come after up to a second, twice.
            pause(Duration::from_millis(2500));
            let frames: Vec<Frame> = capture.frames().to_vec();
            let mut ports: Vec<u32> = frames
                .iter()
                .filter(|frame| frame.source() == *mac)
                .map(|frame| frame.interface_index)
                .collect();
            ports.dedup();
            assert_eq!(ports.len(), 2, "the first one's, then the other's alone");
            let reports = |frame: &&Frame| frame.source() == *mac && frame.destination() == MLD;
            let reports = frames.iter().filter(reports).count();
            assert_eq!(
                reports > 0,
                vips.len() > 1,
                "{reports} reports of groups were there to be seen"
            );
            drop((low, high));
        }
    });
}

/// Which MAC addresses frames give for an address.
fn neighbour_messages(frames: &[Frame], vip: IpAddr) -> Vec<MacAddr> {
    let by_arp = |frame: &Frame| frame.arp().filter(|arp| vip == IpAddr::V4(arp.sender_ip));
    let by_ndp = |frame: &Frame| {
        frame
            .neighbor_advert()
            .filter(|advert| vip == IpAddr::V6(advert.target))
    };
    let arp = frames.iter().filter_map(by_arp).map(|arp| arp.sender_mac);
    let ndp = frames.iter().filter_map(by_ndp).filter_map(|advert| advert.mac);
    arp.chain(ndp).collect()
}

fn client_reaches(client: &Host, vip: IpAddr) -> bool {
    let any = if vip.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    client.run(|| {
        let socket = std::net::UdpSocket::bind(any).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let _ = socket.send_to(&[0; 4], (vip, 7));
        socket.recv_from(&mut [0; 8]).is_ok()
    })
}

/// Two routers, a client, and the addresses of one family.
struct World {
    lab: Lab,
    vips: &'static [&'static str],
    mac: MacAddr,
}

impl World {
    fn ipv4() -> Self {
        Self {
            lab: lab_of(["192.0.2.10/24", "192.0.2.11/24", "192.0.2.20/24"]),
            vips: &[VIP],
            mac: MacAddr::new(0, 0, 0x5e, 0, 1, 51),
        }
    }

    fn ipv6() -> Self {
        Self {
            lab: lab_of(["2001:db8::10/64", "2001:db8::11/64", "2001:db8::20/64"]),
            vips: &["fe80::200", VIP6],
            mac: MacAddr::new(0, 0, 0x5e, 0, 2, 51),
        }
    }
}

fn lab_of([a, b, client]: [&str; 3]) -> Lab {
    Lab::builder()
        .host("a", [a])
        .host("b", [b])
        .host("client", [client])
        .build()
        .unwrap()
}
