//! One of them and a real keepalived.

use std::net::IpAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use vrrp_net::lab::{self, LabTest};

use crate::process::{Daemon, Killed, data, wait_until};
use crate::tutorial::{TAKEOVER, tutorial_lab, who_has};

const KEEPALIVED: &str = "/usr/sbin/keepalived";

#[test]
fn a_daemon_and_a_real_keepalived_run_the_tutorial_together() {
    LabTest::new().timeout(Duration::from_secs(90)).run(|| {
        if !Path::new(KEEPALIVED).exists() {
            lab::skip("keepalived is not installed");
        }
        let lab = tutorial_lab();
        let start_keepalived = || {
            let mut command = Command::new(KEEPALIVED);
            command.args(["--vrrp", "--dont-fork", "--log-console", "--use-file"]);
            command.arg(data("tutorial-master.conf")).stdin(Stdio::null());
            Killed(lab.host("lb1").spawn(command).unwrap())
        };
        let keepalived = start_keepalived();
        let lb2 = Daemon::start(&lab, "lb2", &[data("tutorial-backup.conf")]);
        // The higher priority is master, whoever was first.
        let peer = Some(IpAddr::from([192, 168, 192, 10]));
        lb2.wait_for(TAKEOVER, |router| {
            router.state == "backup" && router.master == peer
        });
        wait_until(|| who_has(&lab) == [lab.host("lb1").mac()]);

        // keepalived stops as planned: its priority 0 is heard.
        keepalived.terminate();
        lb2.wait_for(TAKEOVER, |router| router.state == "master");
        wait_until(|| who_has(&lab) == [lab.host("lb2").mac()]);

        // It returns and preempts; then ours stops as planned, and it stays.
        let keepalived = start_keepalived();
        lb2.wait_for(TAKEOVER, |router| {
            router.state == "backup" && router.master == peer
        });
        wait_until(|| who_has(&lab) == [lab.host("lb1").mac()]);
        lb2.stop();
        assert_eq!(who_has(&lab), [lab.host("lb1").mac()]);
        keepalived.terminate();
    });
}
