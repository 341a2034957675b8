//! `routes` and `rules`, `virtual_routes` and `virtual_rules`.

use crate::file::{Said, in_both_formats};
use crate::lan::{ip, lab_test, wait_until, who_has};

#[test]
fn virtual_routes_and_rules_are_there_while_master() {
    lab_test().run(|| {
        let said = Said::QUICK.and(
            "routes = [\"203.0.113.0/24 via 192.0.2.20 table 100\"]\n\
             rules = [\"from 198.51.100.0/24 table 100 priority 500\"]",
            "virtual_routes {\n203.0.113.0/24 via 192.0.2.20 table 100\n}\n\
             virtual_rules {\nfrom 198.51.100.0/24 table 100 priority 500\n}",
        );
        in_both_formats("routes", said, |lab, start| {
            let host = lab.host("a");
            let has_route = || ip(host, "route show table 100").contains("203.0.113.0/24 via 192.0.2.20");
            let has_rule = || ip(host, "rule show priority 500").contains("from 198.51.100.0/24 lookup 100");
            let daemon = start();
            wait_until(|| has_route() && has_rule());
            assert_eq!(who_has(lab), [host.mac()]);
            daemon.stop();
            assert!(!has_route() && !has_rule());
        });
    });
}
