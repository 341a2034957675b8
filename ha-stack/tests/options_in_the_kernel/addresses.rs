//! The virtual addresses in the kernel and in the adverts.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use crate::file::{Said, compare};
use crate::lan::{VIP, holds, ip, lab_test, pause, wait_until, who_has, who_has_address};
use crate::wire::{Wire, advertised};

const OTHER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 101);

#[test]
fn an_address_has_the_label_the_scope_and_the_interface_that_it_is_given() {
    let said = |toml, conf| Said {
        addresses: (toml, conf),
        ..Said::STILL
    };
    let rows = [
        (Said::STILL, "eth0 global eth0"),
        (
            said(
                "{ address = \"192.0.2.100\", label = \"eth0:vip\" }",
                "192.0.2.100 label eth0:vip",
            ),
            "eth0 global eth0:vip",
        ),
        (
            said(
                "{ address = \"192.0.2.100\", scope = \"link\" }",
                "192.0.2.100 scope link",
            ),
            "eth0 link eth0",
        ),
        (
            said(
                "{ address = \"192.0.2.100\", dev = \"eth1\" }",
                "192.0.2.100 dev eth1",
            ),
            "eth1 global eth1",
        ),
    ];
    let rows = rows.map(|(said, wanted)| (said, wanted.to_owned()));
    lab_test().run(|| {
        compare("address", &rows, |lab, start| {
            let host = lab.host("a");
            ip(host, "link add eth1 type veth peer name other");
            ip(host, "link set other up");
            ip(host, "link set eth1 up");
            let _daemon = start();
            wait_until(|| holds(lab));
            let shown = ip(host, "-4 -o address show");
            let lines: Vec<_> = shown
                .lines()
                .filter(|line| line.contains(" 192.0.2.100/"))
                .collect();
            let [line] = lines[..] else { panic!("{shown}") };
            // `2: eth0 inet 192.0.2.100/32 scope global dynamic eth0:vip\ valid_lft …`
            let (line, _) = line.split_once('\\').unwrap();
            let words: Vec<_> = line.split_whitespace().collect();
            let scope = words.iter().position(|word| *word == "scope").unwrap() + 1;
            format!("{} {} {}", words[1], words[scope], words.last().unwrap())
        });
    });
}

#[test]
fn an_excluded_address_is_held_and_announced_and_not_advertised() {
    let two = ("\"192.0.2.100\", \"192.0.2.101\"", "192.0.2.100\n192.0.2.101");
    let excluded = Said::STILL.and(
        "excluded_addresses = [\"192.0.2.101\"]",
        "virtual_ipaddress_excluded {\n192.0.2.101\n}",
    );
    let advertised_too = Said {
        addresses: two,
        ..Said::STILL
    };
    let (vip, other) = (IpAddr::V4(VIP), IpAddr::V4(OTHER));
    let rows = [
        (Said::STILL, (false, 0, vec![vip])),
        (excluded, (true, 5, vec![vip])),
        (advertised_too, (true, 5, vec![vip, other])),
    ];
    lab_test().run(|| {
        compare("excluded", &rows, |lab, start| {
            let own = lab.host("a").mac();
            let mut wire = Wire::listen(lab);
            let started = Instant::now();
            let _daemon = start();
            wait_until(|| who_has(lab) == [own]);
            let answers = who_has_address(lab, OTHER) == [own];
            wait_until(|| wire.announcements_of(vip) == 5);
            pause(Duration::from_millis(300));
            let advert = wire.advert_after(started);
            (answers, wire.announcements_of(other), advertised(&advert))
        });
    });
}

/// A host address alone needs it not, so that the kernel's setting stays.
#[test]
fn promote_secondaries_is_set_where_it_is_asked_for() {
    let rows = [
        (Said::STILL, "0".to_owned()),
        (
            Said::STILL.and("promote_secondaries = true", "promote_secondaries"),
            "1".to_owned(),
        ),
    ];
    lab_test().run(|| {
        compare("promote", &rows, |lab, start| {
            let host = lab.host("a");
            let path = |name: &str| format!("/proc/sys/net/ipv4/conf/{name}/promote_secondaries");
            for name in ["all", "eth0"] {
                host.run(|| fs::write(path(name), "0")).unwrap();
            }
            let _daemon = start();
            wait_until(|| who_has(lab) == [host.mac()]);
            let set = host.run(|| fs::read_to_string(path("eth0"))).unwrap();
            set.trim().to_owned()
        });
    });
}
