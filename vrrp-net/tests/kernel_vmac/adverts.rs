//! Which MAC adverts come from.

use std::time::Duration;

use vrrp_core::{AdverInterval, AuthenticationConfig, State, Version};
use vrrp_net::Vmac;
use vrrp_net::lab::{Frame, Host, LabTest};

use crate::node::{PATIENCE, Setup, ip, pause};
use crate::world::{MINUTE, World, who_has};

/// Each peer would learn the virtual MAC as that of the host.
#[test]
fn unicast_adverts_come_from_the_interface_below() {
    LabTest::new().timeout(MINUTE).run(|| {
        let World { lab, vips, mac } = &World::ipv4();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let mut capture = lab.capture().unwrap();
        let node = Setup::new(a, 255, vips)
            .config(|config| config.peers(&[ip("192.0.2.11")]))
            .attachment(|attachment| attachment.vmac(Vmac::new()))
            .start(a);
        node.wait_for(State::Master);
        let advert = capture
            .wait_for(PATIENCE, |frame| frame.vrrp().is_some())
            .unwrap();
        assert_eq!((advert.source(), advert.destination()), (a.mac(), b.mac()));
        assert_eq!(who_has(lab.host("client"), ip(vips[0])), [*mac]);
    });
}

#[test]
fn authenticated_adverts_come_from_the_virtual_mac_and_are_heard() {
    LabTest::new().timeout(MINUTE).run(|| {
        let World { lab, vips, mac } = &World::ipv4();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let mut capture = lab.capture().unwrap();
        let start = |host: &Host, priority| {
            Setup::new(host, priority, vips)
                .config(|config| {
                    config
                        .version(Version::V2)
                        .adver_interval(AdverInterval::DEFAULT)
                        .authentication(AuthenticationConfig::ah("1111").unwrap())
                })
                .attachment(|attachment| attachment.vmac(Vmac::new()))
                .start(host)
        };
        let high = start(a, 255);
        high.wait_for(State::Master);
        let low = start(b, 254);
        low.wait_for(State::Backup);
        let authenticated = |frame: &Frame| frame.ip().is_some_and(|ip| ip.protocol == 51);
        let advert = capture.wait_for(PATIENCE, authenticated).unwrap();
        assert_eq!(advert.source(), *mac);
        assert_eq!(advert.ip().unwrap().source, ip("192.0.2.10"));
        // Longer than its Master_Down_Interval.
        pause(Duration::from_millis(3500));
        assert!(low.take_events().is_empty(), "it hears the master");
        assert_eq!(high.handle.counters().send_errors, 0);
    });
}
