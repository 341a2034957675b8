//! `vmac`, `use_vmac`.

use vrrp_net::lab::MacAddr;

use crate::file::{Said, in_both_formats};
use crate::lan::{VRID, ip, lab_test, wait_until, who_has};

#[test]
fn use_vmac_answers_arp_with_the_virtual_mac() {
    lab_test().run(|| {
        let said = Said::QUICK.and("vmac = \"vip33\"", "use_vmac vip33");
        in_both_formats("vmac", said, |lab, start| {
            let daemon = start();
            let mac = MacAddr::new(0, 0, 0x5e, 0, 1, VRID);
            wait_until(|| who_has(lab) == [mac]);
            let links = ip(lab.host("a"), "link show vip33");
            assert!(links.contains("00:00:5e:00:01:21"), "{links}");
            daemon.stop();
            assert!(ip(lab.host("a"), "link show vip33").is_empty());
        });
    });
}
