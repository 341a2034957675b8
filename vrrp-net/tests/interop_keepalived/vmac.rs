//! keepalived's `use_vmac` and ours on one LAN: both speak from the same virtual MAC, and hear each other all the same.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use vrrp_core::{
    AddressList, AdverInterval, Config, Priority, Reason, State, Transition, Version, VirtualRouter, Vrid,
};
use vrrp_net::lab::{Capture, Frame, Host, Lab, LabTest, MacAddr};
use vrrp_net::{Attachment, DriverEvent, DriverHandle, RouterCommand, RouterSet, Vmac};

use crate::keepalived::{self, Keepalived};
use crate::protocol::{Protocol, V3};
use crate::world::{PATIENCE, wait_until};

#[test]
fn ipv4_moves_between_keepalived_and_ours_on_one_virtual_mac() {
    LabTest::new().timeout(MINUTE).run(|| moves(&IPV4, false, false));
}

#[test]
fn ipv4_moves_between_keepalived_and_ours_with_adverts_from_the_base() {
    LabTest::new().timeout(MINUTE * 2).run(|| {
        moves(&IPV4, true, true);
        moves(&IPV4, true, false);
    });
}

#[test]
fn ipv6_moves_between_keepalived_and_ours_on_one_virtual_mac() {
    LabTest::new().timeout(MINUTE).run(|| moves(&IPV6, false, false));
}

#[test]
fn ipv6_moves_between_keepalived_and_ours_with_adverts_from_the_base() {
    LabTest::new().timeout(MINUTE * 2).run(|| {
        moves(&IPV6, true, true);
        moves(&IPV6, true, false);
    });
}

// Not here: a keepalived with `vmac_xmit_base` among senders from the virtual MAC. Its own interface of that MAC takes
// their adverts away from the one on which it listens.

const MINUTE: Duration = Duration::from_secs(60);

/// VRRPv3, each 200 ms.
const PROTOCOL: Protocol = V3;

struct Family {
    /// Addresses of our host, keepalived's, and the client's.
    hosts: [&'static str; 3],
    /// The last is what the client asks for.
    vips: &'static [&'static str],
    mac: [u8; 6],
}

const IPV4: Family = Family {
    hosts: ["192.168.192.10/24", "192.168.192.11/24", "192.168.192.20/24"],
    vips: &["192.168.192.130"],
    mac: [0, 0, 0x5e, 0, 1, 33],
};

const IPV6: Family = Family {
    hosts: ["2001:db8::10/64", "2001:db8::11/64", "2001:db8::20/64"],
    vips: &["fe80::200", "2001:db8::130"],
    mac: [0, 0, 0x5e, 0, 2, 33],
};

/// keepalived hands over to ours and takes back; ours takes over when its link is cut, and gives back when it heals; then
/// ours takes it from keepalived, and hands over.
fn moves(family: &'static Family, we_send_from_base: bool, they_send_from_base: bool) {
    keepalived::require();
    let mut world = World::new(family);
    let (ours, theirs) = (world.lab.host("ours").clone(), world.lab.host("theirs").clone());
    let start_theirs = || Keepalived::start_config(&theirs, config(family, they_send_from_base));
    let keepalived = start_theirs();
    world.expect_advert_of("theirs", 150);
    let node = Node::start(&ours, family, 100, we_send_from_base);
    world.expect_served_by("theirs");
    assert_eq!(node.last(), Some(State::Backup));

    let stops = Instant::now();
    keepalived.terminate();
    let (at, transition) = node.expect(State::Master);
    assert_eq!(transition.reason, Reason::MasterStopped);
    println!(
        "ours took over {:?} after keepalived was told to stop",
        at - stops
    );
    world.expect_served_by("ours");

    let keepalived = start_theirs();
    node.expect(State::Backup);
    world.expect_served_by("theirs");

    world.lab.cut("theirs").unwrap();
    let cut = Instant::now();
    let (at, transition) = node.expect(State::Master);
    assert_eq!(transition.reason, Reason::MasterDown);
    let took = at - cut;
    println!("ours took over {took:?} after the cut");
    assert!(
        took < PROTOCOL.master_down_interval(100) + PROTOCOL.interval() * 3 / 2,
        "{took:?}"
    );
    world.expect_served_by("ours");
    world.lab.heal("theirs").unwrap();
    node.expect(State::Backup);
    world.expect_served_by("theirs");
    node.stop();

    let node = Node::start(&ours, family, 200, we_send_from_base);
    node.expect(State::Master);
    wait_until("keepalived is backup", PATIENCE, || {
        keepalived.log().matches("Entering BACKUP STATE").count() >= 2
    });
    world.expect_served_by("ours");
    world.expect_sources(we_send_from_base, they_send_from_base);
    let stops = Instant::now();
    node.stop();
    let entered = || keepalived.log().matches("Entering MASTER STATE").count() >= 3;
    wait_until("keepalived is master again", PATIENCE, entered);
    println!(
        "keepalived took over {:?} after ours was told to stop",
        stops.elapsed()
    );
    world.expect_served_by("theirs");
}

struct World {
    family: &'static Family,
    lab: Lab,
    capture: Capture,
    mac: MacAddr,
}

impl World {
    fn new(family: &'static Family) -> Self {
        let [ours, theirs, client] = family.hosts;
        let lab = Lab::builder()
            .host("ours", [ours])
            .host("theirs", [theirs])
            .host("client", [client])
            .build()
            .unwrap();
        let capture = lab.capture().unwrap();
        Self {
            family,
            lab,
            capture,
            mac: MacAddr::from(family.mac),
        }
    }

    fn expect_advert_of(&mut self, host: &str, priority: u8) {
        let own = self.own(host);
        let advert = self.capture.wait_for(PATIENCE, |frame| {
            frame
                .vrrp()
                .is_some_and(|ip| own.contains(&ip.source) && ip.payload.get(2) == Some(&priority))
        });
        assert!(advert.is_some(), "no advert of {host}");
    }

    /// Waits until a host alone has the virtual address, and checks that the virtual MAC answers for it, once, and that
    /// nobody has ever given another.
    #[track_caller]
    fn expect_served_by(&mut self, by: &str) {
        let vip: IpAddr = self.family.vips.last().unwrap().parse().unwrap();
        for host in ["ours", "theirs"] {
            let wanted = by == host;
            wait_until(&format!("{host} has {vip}: {wanted}"), PATIENCE, || {
                holds(self.lab.host(host), vip) == wanted
            });
        }
        let client = self.lab.host("client");
        let wait = Duration::from_millis(100);
        let answers = || match vip {
            IpAddr::V4(vip) => client.arp_who_has(vip, wait).unwrap(),
            IpAddr::V6(vip) => client.ndp_who_has(vip, wait).unwrap(),
        };
        wait_until("the virtual MAC answers", PATIENCE, || answers() == [self.mac]);
        for frame in self.capture.frames() {
            let arp = frame.arp().filter(|arp| vip == IpAddr::V4(arp.sender_ip));
            let ndp = frame
                .neighbor_advert()
                .filter(|advert| vip == IpAddr::V6(advert.target));
            let told = arp
                .map(|arp| arp.sender_mac)
                .or(ndp.and_then(|advert| advert.mac));
            assert!(
                told.is_none_or(|told| told == self.mac),
                "{told:?} was given for {vip}"
            );
        }
    }

    /// Adverts came from the MAC that each is configured to send from, and from its own address.
    fn expect_sources(&mut self, we_send_from_base: bool, they_send_from_base: bool) {
        for (host, from_base) in [("ours", we_send_from_base), ("theirs", they_send_from_base)] {
            let own = self.own(host);
            let mac = if from_base {
                self.lab.host(host).mac()
            } else {
                self.mac
            };
            let adverts = self
                .capture
                .frames()
                .iter()
                .filter(|frame| frame.vrrp().is_some_and(|ip| own.contains(&ip.source)));
            let sources: Vec<MacAddr> = adverts.map(Frame::source).collect();
            assert!(!sources.is_empty(), "no advert of {host} from {own:?}");
            let others = sources.iter().filter(|source| **source != mac).count();
            // Twice keepalived has preempted ours, whose last word leaves the virtual MAC to the new master.
            let last_words = if host == "ours" { 2 } else { 0 };
            assert!(others <= last_words, "{host}: {sources:?}, not {mac}");
        }
    }

    /// Addresses of a host itself.
    fn own(&self, host: &str) -> Vec<IpAddr> {
        let addresses = self.lab.host(host).addresses().unwrap();
        addresses.iter().map(ipnet::IpNet::addr).collect()
    }
}

/// Whether any interface of a host has the address.
fn holds(host: &Host, address: IpAddr) -> bool {
    host.run(|| {
        let socket = std::net::UdpSocket::bind((address, 0));
        socket.is_ok()
    })
}

/// keepalived of priority 150.
fn config(family: &Family, from_base: bool) -> String {
    let base = if from_base { "vmac_xmit_base" } else { "" };
    let vips = family.vips.join("\n");
    let interval = PROTOCOL.interval().as_secs_f64();
    format!(
        "vrrp_instance VI_1 {{
            version 3
            state BACKUP
            interface eth0
            virtual_router_id 33
            priority 150
            advert_int {interval}
            use_vmac
            {base}
            virtual_ipaddress {{
                {vips}
            }}
        }}
        "
    )
}

/// Our node.
struct Node {
    handle: DriverHandle<RouterCommand>,
    events: mpsc::Receiver<(Instant, Transition)>,
    last: std::cell::Cell<Option<State>>,
}

impl Node {
    fn start(host: &Host, family: &Family, priority: u8, from_base: bool) -> Self {
        let vips: Vec<IpAddr> = family.vips.iter().map(|vip| vip.parse().unwrap()).collect();
        let config = Config::builder(Vrid::new(33).unwrap(), AddressList::new(&vips).unwrap())
            .version(Version::V3)
            .priority(Priority::new(priority))
            .adver_interval(AdverInterval::from_centis(PROTOCOL.interval_cs).unwrap());
        let unset = match vips[0] {
            IpAddr::V4(_) => IpAddr::from([0; 4]),
            IpAddr::V6(_) => IpAddr::from([0; 16]),
        };
        let router = VirtualRouter::new(config.build().unwrap(), unset);
        let vmac = Vmac::new().xmit_base(from_base);
        let attachment = Attachment::builder(host.interface()).vmac(vmac).build().unwrap();
        let (tell, events) = mpsc::channel();
        let tell = move |event: DriverEvent<Infallible>| {
            if let DriverEvent::Transition { transition, .. } = event {
                let _ = tell.send((Instant::now(), transition));
            }
        };
        let start = || vrrp_net::spawn(RouterSet::from(router), vec![attachment], tell).unwrap();
        Self {
            handle: host.run(start),
            events,
            last: std::cell::Cell::new(None),
        }
    }

    /// Its state as far as it has told.
    fn last(&self) -> Option<State> {
        if let Some((_, transition)) = self.events.try_iter().last() {
            self.last.set(Some(transition.to));
        }
        self.last.get()
    }

    #[track_caller]
    fn expect(&self, state: State) -> (Instant, Transition) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok((at, transition)) = self.events.recv_timeout(left) else {
                panic!("not {state} within {PATIENCE:?}");
            };
            self.last.set(Some(transition.to));
            if transition.to == state {
                return (at, transition);
            }
        }
    }

    fn stop(self) {
        let counters = self.handle.counters();
        assert_eq!((counters.send_errors, counters.announce_errors), (0, 0));
        assert_eq!((counters.address_errors, counters.malformed.total()), (0, 0));
        self.handle.join().unwrap();
    }
}
