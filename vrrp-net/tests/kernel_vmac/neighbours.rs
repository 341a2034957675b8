//! Which MAC neighbours learn for the address, and what answers there.

use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};

use vrrp_core::State;
use vrrp_net::lab::{Frame, LabTest};
use vrrp_net::{DriverEvent, Vmac};

use crate::node::netlink::interface;
use crate::node::probe::{Echo, neighbour};
use crate::node::{PATIENCE, Setup, ip, within};
use crate::world::{MINUTE, World, client_reaches, neighbour_messages, who_has};

/// Else the client would take the MAC of the interface below for that of the address.
#[test]
fn a_master_that_speaks_for_the_address_does_not_give_another_mac_for_it() {
    LabTest::new().timeout(MINUTE).run(|| {
        for world in [World::ipv4(), World::ipv6()] {
            let World { lab, vips, mac } = &world;
            let (a, client) = (lab.host("a"), lab.host("client"));
            let vip = ip(vips.last().unwrap());
            let other = if vip.is_ipv4() {
                "192.0.2.77/24"
            } else {
                "2001:db8::77/64"
            };
            let other: ipnet::IpNet = other.parse().unwrap();
            client.add_address(other).unwrap();
            let mut capture = lab.capture().unwrap();
            let node = Setup::new(a, 255, vips)
                .attachment(|attachment| attachment.vmac(Vmac::new()))
                .start(a);
            node.wait_for(State::Master);
            let heard = client.run(|| UdpSocket::bind((other.addr(), 9)).unwrap());
            heard.set_read_timeout(Some(PATIENCE)).unwrap();
            // It has to ask for the client's MAC first.
            a.run(|| {
                UdpSocket::bind((vip, 0))
                    .unwrap()
                    .send_to(&[1], (other.addr(), 9))
            })
            .unwrap();
            assert_eq!(heard.recv_from(&mut [0; 8]).unwrap().1.ip(), vip);
            let asked = |frame: &Frame| frame.source() == a.mac() && frame.vrrp().is_none();
            assert!(capture.wait_for(PATIENCE, asked).is_some());
            let told = neighbour_messages(capture.frames(), vip);
            assert!(
                !told.is_empty() && told.iter().all(|teller| teller == mac),
                "{told:?}"
            );
        }
    });
}

#[test]
fn a_stranger_that_claims_the_address_is_told_from_the_virtual_mac() {
    LabTest::new().timeout(MINUTE).run(|| {
        for world in [World::ipv4(), World::ipv6()] {
            let World { lab, vips, .. } = &world;
            let (a, b) = (lab.host("a"), lab.host("b"));
            let vip = ip(vips.last().unwrap());
            let theirs = ipnet::IpNet::from(vip);
            b.add_address(theirs).unwrap();
            let node = Setup::new(a, 255, vips)
                .attachment(|attachment| attachment.vmac(Vmac::new()))
                .start(a);
            let (_, (address, mac)) = node.wait_for_event(|event| match event {
                DriverEvent::Conflict { address, mac, .. } => Some((*address, mac.to_string())),
                _ => None,
            });
            assert_eq!((address, mac), (vip, b.mac().to_string()));
        }
    });
}

/// What hosts take as their gateway: it must answer on its own interface.
#[test]
fn a_link_local_address_on_a_virtual_mac_can_be_spoken_to() {
    LabTest::new().timeout(MINUTE).run(|| {
        let World { lab, vips, mac } = &World::ipv6();
        let (a, client) = (lab.host("a"), lab.host("client"));
        let node = Setup::new(a, 255, vips)
            .attachment(|attachment| attachment.vmac(Vmac::new()))
            .start(a);
        node.wait_for(State::Master);
        let gateway: Ipv6Addr = "fe80::200".parse().unwrap();
        let at = |port, index| SocketAddrV6::new(gateway, port, 0, index);
        let index = interface(a, "vrrp6.51").unwrap().index;
        let server = a.run(|| UdpSocket::bind(at(7, index)).unwrap());
        server.set_read_timeout(Some(PATIENCE)).unwrap();
        let asking = client.run(|| UdpSocket::bind("[::]:0").unwrap());
        asking.set_read_timeout(Some(PATIENCE)).unwrap();
        asking.send_to(&[1], at(7, client.interface_index())).unwrap();
        let (_, from) = server.recv_from(&mut [0; 8]).unwrap();
        server.send_to(&[2], from).unwrap();
        assert_eq!(asking.recv_from(&mut [0; 8]).unwrap().0, 1);
        assert_eq!(neighbour(client, gateway.into()), Some(*mac));
    });
}

#[test]
fn an_address_that_is_not_accepted_answers_for_the_virtual_mac_and_nothing_more() {
    LabTest::new().timeout(MINUTE).run(|| {
        for world in [World::ipv4(), World::ipv6()] {
            let World { lab, vips, mac } = &world;
            let (a, client) = (lab.host("a"), lab.host("client"));
            let vip = ip(vips.last().unwrap());
            let _echo = Echo::start(a, vip);
            for accept in [true, false] {
                let node = Setup::new(a, 150, vips)
                    .attachment(|attachment| attachment.vmac(Vmac::new()).accept(accept))
                    .start(a);
                node.wait_for(State::Master);
                assert_eq!(who_has(client, vip), [*mac]);
                if accept {
                    within(PATIENCE, || client_reaches(client, vip));
                } else {
                    assert!(!client_reaches(client, vip));
                }
                node.stop();
            }
        }
    });
}
