//! Two of them elect a master, and hand over.

use std::net::IpAddr;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ha_stack::admin::RouterReport;
use vrrp_net::lab::{Lab, LabTest};

use crate::process::{Daemon, data, pause, wait_until};
use crate::support::Folder;
use crate::tutorial::{TAKEOVER, VIP, tutorial_lab, who_has};

#[test]
fn two_daemons_from_the_tutorials_files_elect_and_hand_over() {
    LabTest::new().timeout(Duration::from_secs(90)).run(|| {
        let lab = tutorial_lab();
        let lb1 = Daemon::start(&lab, "lb1", &[data("tutorial-master.conf")]);
        let lb2 = Daemon::start(&lab, "lb2", &[data("tutorial-backup.conf")]);

        let master = lb1.wait_for(TAKEOVER, |router| router.state == "master");
        assert_eq!(master.master, Some(IpAddr::from([192, 168, 192, 10])));
        let backup = lb2.wait_for(TAKEOVER, |router| router.master == master.master);
        assert_eq!(
            backup,
            RouterReport {
                name: "VI_1".to_owned(),
                vrid: 33,
                interface: "ens33".to_owned(),
                family: "ipv4".to_owned(),
                state: "backup".to_owned(),
                priority: 90,
                effective_priority: 90,
                master: Some(IpAddr::from([192, 168, 192, 10])),
                sync_group: None,
                held: false,
                addresses: vec![IpAddr::from(VIP)],
                transitions: 1,
                discards: [].into(),
            }
        );
        assert_eq!(who_has(&lab), [lab.host("lb1").mac()]);

        // A planned stop: priority 0, and the backup serves after its skew time of 0.65 s, not after 3.65 s.
        let stopped = Instant::now();
        lb1.stop();
        lb2.wait_for(TAKEOVER, |router| router.state == "master");
        let outage = stopped.elapsed();
        assert!(outage < Duration::from_millis(3200), "{outage:?}");
        assert_eq!(who_has(&lab), [lab.host("lb2").mac()]);
        assert!(
            !lab.host("lb1")
                .addresses()
                .unwrap()
                .iter()
                .any(|one| one.addr() == IpAddr::from(VIP))
        );
        lb2.stop();
    });
}

#[test]
fn a_switchover_by_command_hands_over_and_holds_until_resume() {
    LabTest::new().timeout(Duration::from_secs(90)).run(|| {
        let lab = tutorial_lab();
        let lb1 = Daemon::start(&lab, "lb1", &[data("tutorial-master.conf")]);
        let lb2 = Daemon::start(&lab, "lb2", &[data("tutorial-backup.conf")]);
        lb1.wait_for(TAKEOVER, |router| router.state == "master");
        lb2.wait_for(TAKEOVER, |router| router.master.is_some());

        let (code, said) = lb1.order("switchover", "VI_1");
        assert_eq!(
            said,
            "VI_1: handed over to 192.168.192.11; this node does not preempt until `ha-stack resume VI_1` or a restart\n"
        );
        assert_eq!(code, Some(0));
        let held = lb1.wait_for(TAKEOVER, |router| router.state == "backup");
        assert!(held.held);
        assert_eq!(lb2.report().vrrp[0].state, "master");
        assert!(lb1.status().contains("held after a switchover"), "{}", lb1.status());
        // Longer than the higher priority would wait.
        let quiet = Instant::now() + TAKEOVER / 2;
        while Instant::now() < quiet {
            assert_eq!(lb1.report().vrrp[0].state, "backup");
            pause();
        }
        assert_eq!(lb1.order("switchover", "VI_1").1, "ha-stack: VI_1 is not handed over: it is backup, not master\n");
        assert_eq!(lb1.order("resume", "VI_1"), (Some(0), "VI_1: resumed\n".to_owned()));
        lb1.wait_for(TAKEOVER, |router| router.state == "master" && !router.held);

        // Nobody is left to take over.
        lb2.stop();
        let (code, said) = lb1.order("switchover", "VI_1");
        assert_eq!(code, Some(1));
        assert_eq!(said, "ha-stack: no backup has taken VI_1 over, so it stays master here\n");
        let router = &lb1.report().vrrp[0];
        assert_eq!((router.state.as_str(), router.held), ("master", false));
        lb1.stop();
    });
}

/// A `[[vrrp]]` of both families with HMAC, a watched file, and a script that is told.
#[test]
fn both_families_of_one_definition_move_together() {
    LabTest::new().timeout(Duration::from_secs(90)).run(|| {
        let lab = tutorial_lab();
        let folder = Folder::new("dual");
        std::fs::write(folder.join("key"), "hex:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n").unwrap();
        let file = |host: &str, priority: u8| {
            let at = |name: &str| folder.join(name).display().to_string();
            let text = format!(
                "[[check]]\nname = \"fit\"\nfile = \"{fit}\"\ninit = 0\n\
                 [[vrrp]]\nname = \"VI\"\ninterface = \"ens33\"\nvrid = 33\nversion = 3\npriority = {priority}\n\
                 adver_interval = \"200ms\"\naddresses = [\"192.168.192.130\", \"fe80::130\"]\ntrack = [\"fit\"]\n\
                 notify.any_state = '/bin/sh -c \"echo $* >> {told}\" sh'\n\
                 [vrrp.hmac]\nkeys = [{{ id = 1, secret_file = \"{key}\" }}]\n",
                fit = at(&format!("{host}.fit")),
                told = at(&format!("{host}.told")),
                key = at("key"),
            );
            let path = folder.join(&format!("{host}.toml"));
            std::fs::write(&path, text).unwrap();
            path
        };
        let lb1 = Daemon::start(&lab, "lb1", &[file("lb1", 100)]);
        let lb2 = Daemon::start(&lab, "lb2", &[file("lb2", 90)]);
        let all_are = |daemon: &Daemon, state: &str| {
            daemon
                .try_report()
                .is_ok_and(|report| report.vrrp.len() == 2 && report.vrrp.iter().all(|one| one.state == state))
        };
        wait_until(|| all_are(&lb1, "master") && all_are(&lb2, "backup"));
        let names: Vec<String> = lb1.report().vrrp.into_iter().map(|one| one.name).collect();
        assert_eq!(names, ["VI", "VI-ipv6"]);

        std::fs::write(folder.join("lb1.fit"), "1\n").unwrap();
        wait_until(|| all_are(&lb1, "fault") && all_are(&lb2, "master"));
        assert_eq!(who_has(&lab), [lab.host("lb2").mac()]);
        let told = || std::fs::read_to_string(folder.join("lb1.told")).unwrap_or_default();
        wait_until(|| told().ends_with("INSTANCE VI MASTER 100\nINSTANCE VI FAULT 100\n"));
        assert!(!told().contains("VI-ipv6"), "{}", told());

        std::fs::write(folder.join("lb1.fit"), "0\n").unwrap();
        wait_until(|| all_are(&lb1, "master") && all_are(&lb2, "backup"));
        lb1.stop();
        lb2.stop();
    });
}

/// A keepalived.conf with unicast peers, AH, a sync group and a route that moves.
#[test]
fn unicast_with_ah_a_group_and_a_route_from_a_keepalived_conf() {
    LabTest::new().timeout(Duration::from_secs(90)).run(|| {
        let lab = tutorial_lab();
        let folder = Folder::new("unicast");
        let file = |host: &str, own: u8, peer: u8, priority: u8| {
            let instance = |name: &str, vrid: u8, address: &str, more: &str| {
                format!(
                    "vrrp_instance {name} {{\ninterface ens33\nvirtual_router_id {vrid}\npriority {priority}\n\
                     unicast_src_ip 192.168.192.{own}\nunicast_peer {{\n192.168.192.{peer} min_ttl 255\n}}\n\
                     authentication {{\nauth_type AH\nauth_pass 1111\n}}\n\
                     virtual_ipaddress {{\n{address}\n}}\n{more}\n}}\n"
                )
            };
            let text = instance("A", 33, "192.168.192.130", "virtual_routes {\n203.0.113.0/24 via 192.168.192.20\n}")
                + &instance("B", 34, "192.168.192.131/32 scope link", "")
                + "vrrp_sync_group G {\ngroup {\nA\nB\n}\n}\n";
            let path = folder.join(&format!("{host}.conf"));
            std::fs::write(&path, text).unwrap();
            path
        };
        let lb1 = Daemon::start(&lab, "lb1", &[file("lb1", 10, 11, 100)]);
        let lb2 = Daemon::start(&lab, "lb2", &[file("lb2", 11, 10, 90)]);
        let all_are = |daemon: &Daemon, state: &str| {
            daemon
                .try_report()
                .is_ok_and(|report| report.vrrp.len() == 2 && report.vrrp.iter().all(|one| one.state == state))
        };
        wait_until(|| all_are(&lb1, "master") && all_are(&lb2, "backup"));
        assert_eq!(lb1.report().vrrp[1].sync_group.as_deref(), Some("G"));
        assert_eq!((has_route(&lab, "lb1"), has_route(&lab, "lb2")), (true, false));

        lb1.stop();
        wait_until(|| all_are(&lb2, "master") && has_route(&lab, "lb2"));
        assert!(!has_route(&lab, "lb1"));
        assert_eq!(who_has(&lab), [lab.host("lb2").mac()]);
        lb2.stop();
    });
}

/// Whether 203.0.113.0/24 has a route there.
fn has_route(lab: &Lab, host: &str) -> bool {
    let mut command = Command::new("cat");
    command.arg("/proc/self/net/route").stdout(Stdio::piped());
    let output = lab.host(host).spawn(command).unwrap().wait_with_output().unwrap();
    // The kernel writes the address in the byte order of the machine.
    let network = format!("{:08X}", u32::from_ne_bytes([203, 0, 113, 0]));
    String::from_utf8(output.stdout).unwrap().contains(&network)
}
