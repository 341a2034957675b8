//! How it starts, what it tells, and how it stops.

use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use vrrp_net::lab::{Lab, LabTest};

use crate::process::{Daemon, Killed, data, ha_stack, wait_until};
use crate::support::Folder;
use crate::tutorial::{TAKEOVER, tutorial_lab, who_has};

#[test]
fn without_options_daemon_and_status_meet_below_run() {
    LabTest::new().run(|| {
        let lab = tutorial_lab();
        let mut command = ha_stack();
        command
            .arg("run")
            .arg(data("tutorial-master.conf"))
            .stdin(Stdio::null());
        let daemon = Killed(lab.host("lb1").spawn(command).unwrap());
        wait_until(|| {
            let mut command = ha_stack();
            command.args(["status", "--json"]);
            let output = lab.host("lb1").output(command).unwrap();
            String::from_utf8(output.stdout)
                .unwrap()
                .starts_with("{\"node\":\"LVS_DEVEL\",\"vrrp\":[{\"name\":\"VI_1\"")
        });
        daemon.terminate();
    });
}

/// timeout(1) sends its signal to the program, and then to the whole group.
#[test]
fn it_may_open_as_many_descriptors_as_the_hard_limit_allows() {
    LabTest::new().run(|| {
        let lab = tutorial_lab();
        let folder = Folder::new("descriptors");
        let socket = folder.join("s");
        let mut command = Command::new("sh");
        command
            .args(["-c", "ulimit -Sn 256 && exec \"$0\" \"$@\""])
            .arg(ha_stack().get_program())
            .arg("run")
            .arg(data("tutorial-master.conf"))
            .arg("--socket")
            .arg(&socket)
            .stdin(Stdio::null());
        let child = lab.host("lb1").spawn(command).unwrap();
        let limits = format!("/proc/{}/limits", child.id());
        let daemon = Killed(child);
        wait_until(|| socket.exists());
        let limits = std::fs::read_to_string(limits).unwrap();
        let of_files = limits
            .lines()
            .find(|line| line.starts_with("Max open files"))
            .unwrap();
        let [soft, hard] = of_files.split_whitespace().collect::<Vec<_>>()[3..5] else {
            panic!("{of_files}");
        };
        assert_eq!(soft, hard);
        daemon.terminate();
    });
}

#[test]
fn a_signal_that_comes_twice_at_once_is_one() {
    LabTest::new().timeout(Duration::from_secs(60)).run(|| {
        let lab = tutorial_lab();
        let lb1 = Daemon::start(&lab, "lb1", &[data("tutorial-master.conf")]);
        lb1.wait_for(TAKEOVER, |router| router.state == "master");
        kill(lb1.pid(), Signal::SIGTERM).unwrap();
        // Until the daemon has seen the first.
        while lb1.try_report().is_ok() {}
        lb1.stop();
        assert!(who_has(&lab).is_empty());
    });
}

#[test]
fn a_missing_interface_is_one_line_and_nothing_stays() {
    LabTest::new().run(|| {
        let lab = Lab::builder().host("lb1", ["192.168.192.10/24"]).build().unwrap();
        let folder = Folder::new("missing");
        let socket = folder.join("s");
        let mut command = ha_stack();
        command
            .arg("run")
            .arg(data("tutorial-backup.conf"))
            .arg("--socket")
            .arg(&socket);
        let output = lab.host("lb1").output(command).unwrap();
        assert_eq!(output.status.code(), Some(1));
        let stderr = String::from_utf8(output.stderr).unwrap();
        let last = stderr.lines().last().unwrap();
        assert!(
            last.starts_with("ha-stack: ") && last.contains("ens33"),
            "{stderr}"
        );
        assert!(!socket.exists());
    });
}

#[test]
fn an_mtu_that_is_too_small_for_the_adverts_is_told_at_the_start_and_later() {
    LabTest::new().run(|| {
        let lab = tutorial_lab();
        let lb1 = lab.host("lb1");
        let mtu = |octets: &str| {
            let mut command = Command::new("ip");
            command.args(["link", "set", "ens33", "mtu", octets]);
            assert!(lb1.output(command).unwrap().status.success());
        };
        let folder = Folder::new("mtu");
        let log = folder.join("log");
        let socket = folder.join("s");
        // 20 octets of IP, 8 of VRRP, 8 of a password that is none, and nine addresses.
        let config = folder.join("nine.toml");
        let addresses: Vec<String> = (1..=9).map(|number| format!("\"192.168.192.13{number}\"")).collect();
        let text = format!(
            "[[vrrp]]\nname = \"VI_1\"\ninterface = \"ens33\"\nvrid = 33\naddresses = [{}]\n",
            addresses.join(", ")
        );
        std::fs::write(&config, text).unwrap();
        let run = |stderr: Stdio| {
            let mut command = ha_stack();
            command.arg("run").arg(&config).arg("--socket").arg(&socket);
            command.stdin(Stdio::null()).stderr(stderr);
            command
        };
        mtu("70");
        let output = lb1.output(run(Stdio::piped())).unwrap();
        assert_eq!(output.status.code(), Some(1));
        let stderr = String::from_utf8(output.stderr).unwrap();
        let expected = "ha-stack: VRID 33 of IPv4: an advert takes 72 octets, and ens33 has an MTU of 70: advertise at most \
                        8 addresses, and hold the others as excluded ones, or raise the MTU";
        assert_eq!(stderr.lines().last(), Some(expected));

        mtu("1500");
        let stderr = std::fs::File::create(&log).unwrap();
        let daemon = Killed(lb1.spawn(run(stderr.into())).unwrap());
        wait_until(|| socket.exists());
        let told = || std::fs::read_to_string(&log).unwrap().matches("has an MTU of 70").count();
        assert_eq!(told(), 0);
        mtu("70");
        wait_until(|| told() == 1);
        // Once, whatever else happens to the link.
        mtu("72");
        mtu("70");
        wait_until(|| told() == 2);
        daemon.terminate();
        assert_eq!(told(), 2);
    });
}
