//! What is sent to the virtual MAC and to another address, a master forwards.

use std::fs;
use std::time::Duration;

use vrrp_core::{AdverInterval, State};
use vrrp_net::Vmac;
use vrrp_net::lab::{Frame, LabTest, MacAddr};

use crate::node::{PATIENCE, Setup, ip};
use crate::world::{MINUTE, World};

/// RFC 9568 §6.4.3: a master forwards what is sent to the virtual MAC.
#[test]
fn a_virtual_mac_forwards_if_the_interface_below_does() {
    LabTest::new().timeout(MINUTE).run(|| {
        for (world, name, setting) in [
            (World::ipv4(), "vrrp.51", "ipv4/conf/eth0/forwarding"),
            (World::ipv6(), "vrrp6.51", "ipv6/conf/eth0/forwarding"),
        ] {
            let World { lab, vips, .. } = &world;
            let a = lab.host("a");
            a.run(|| fs::write(format!("/proc/sys/net/{setting}"), "1").unwrap());
            let capture = lab.capture().unwrap();
            let node = Setup::new(a, 255, vips)
                .attachment(|attachment| attachment.vmac(Vmac::new()))
                .start(a);
            node.wait_for(State::Master);
            let of_vmac = setting.replace("eth0", name);
            let value = a.run(|| fs::read_to_string(format!("/proc/sys/net/{of_vmac}")).unwrap());
            assert_eq!(value.trim_end(), "1");
            let frames = capture.stop();
            let adverts: Vec<_> = frames.iter().filter_map(Frame::neighbor_advert).collect();
            assert_eq!(adverts.is_empty(), vips.len() == 1);
            assert!(
                adverts.iter().all(|advert| advert.router),
                "a router says that it is one"
            );
        }
    });
}

/// RFC 9568 §6.4.2, §6.4.3: a switch that doesn't know where the virtual MAC is sends its frames to all.
#[test]
fn a_backup_drops_frames_to_the_virtual_mac_and_a_master_forwards_them() {
    LabTest::new().timeout(MINUTE).run(|| {
        for (priority, state) in [(100, State::Backup), (255, State::Master)] {
            let World { lab, vips, mac } = &World::ipv4();
            let (a, client) = (lab.host("a"), lab.host("client"));
            client.add_address("192.0.2.77/24".parse().unwrap()).unwrap();
            a.run(|| fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap());
            let mut capture = lab.capture().unwrap();
            let node = Setup::new(a, priority, vips)
                // It stays backup for half a minute.
                .config(|config| config.adver_interval(AdverInterval::from_centis(1000).unwrap()))
                .attachment(|attachment| attachment.vmac(Vmac::new()))
                .start(a);
            node.wait_for(state);
            client.send_frame(&udp(client.mac(), *mac)).unwrap();
            let forwarded = |frame: &Frame| {
                let to = frame.ip().map(|ip| ip.destination);
                frame.source() == a.mac() && to == Some(ip("192.0.2.77"))
            };
            let wait = if state == State::Master {
                PATIENCE
            } else {
                Duration::from_millis(500)
            };
            let frame = capture.wait_for(wait, forwarded);
            assert_eq!(frame.is_some(), state == State::Master, "{state}");
        }
    });
}

/// UDP from 192.0.2.20 to 192.0.2.77, two hosts whom a router stands between.
fn udp(source: MacAddr, destination: MacAddr) -> Vec<u8> {
    let mut frame = [destination.octets(), source.octets()].concat();
    frame.extend([8, 0]);
    let mut header = [
        0x45, 0, 0, 29, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 20, 192, 0, 2, 77,
    ];
    let sum: u32 = header
        .chunks(2)
        .map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]))
        .sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    frame.extend(header);
    // Ports, length, no checksum, an octet.
    frame.extend([0, 9, 0, 9, 0, 9, 0, 0, 1]);
    frame
}
