//! Two routers and a client of one family, and what the client sees.

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use vrrp_net::lab::{Frame, Host, Lab, MacAddr};

const VIP: &str = "192.0.2.100";

const VIP6: &str = "2001:db8::100";

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// Two routers, a client, and the addresses of one family.
pub(crate) struct World {
    pub(crate) lab: Lab,
    pub(crate) vips: &'static [&'static str],
    pub(crate) mac: MacAddr,
}

impl World {
    pub(crate) fn ipv4() -> Self {
        Self {
            lab: lab_of(["192.0.2.10/24", "192.0.2.11/24", "192.0.2.20/24"]),
            vips: &[VIP],
            mac: MacAddr::new(0, 0, 0x5e, 0, 1, 51),
        }
    }

    pub(crate) fn ipv6() -> Self {
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

pub(crate) fn who_has(client: &Host, vip: IpAddr) -> Vec<MacAddr> {
    let wait = Duration::from_millis(200);
    match vip {
        IpAddr::V4(vip) => client.arp_who_has(vip, wait).unwrap(),
        IpAddr::V6(vip) => client.ndp_who_has(vip, wait).unwrap(),
    }
}

/// Which MAC addresses frames give for an address.
pub(crate) fn neighbour_messages(frames: &[Frame], vip: IpAddr) -> Vec<MacAddr> {
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

pub(crate) fn client_reaches(client: &Host, vip: IpAddr) -> bool {
    let any = if vip.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    client.run(|| {
        let socket = UdpSocket::bind(any).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let _ = socket.send_to(&[0; 4], (vip, 7));
        socket.recv_from(&mut [0; 8]).is_ok()
    })
}
