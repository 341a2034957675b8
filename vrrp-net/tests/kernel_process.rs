//! What becomes of a node whose process is killed, stopped, or lacks the rights.

mod node;

use std::net::IpAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use node::{PATIENCE, Setup, has, ip, pause, within};
use vrrp_core::{AddressList, AdverInterval, Config, Priority, State, Version, VirtualRouter, Vrid};
use vrrp_net::lab::{self, Host, Lab, LabTest};
use vrrp_net::{Attachment, DriverEvent, RouterSet};

const VIP: &str = "192.0.2.100";
const VIP6: &str = "2001:db8::100";
/// A lease of a second ends 1.0 to 1.3 s after its last renewal; the rest is for a busy machine.
const LEASE_END: Duration = Duration::from_millis(1900);
/// Makes this program a node on the interface of that name; see `node_process`.
const INTERFACE: &str = "VRRP_TEST_NODE_INTERFACE";

#[test]
fn a_killed_process_loses_its_addresses_within_the_lease() {
    lab::test(|| {
        let lab = lab();
        let a = lab.host("a");
        let mut program = spawn_node(a);
        within(PATIENCE, || has(a, VIP) && has(a, VIP6));
        // Long enough for a lease that is not renewed to end.
        let started = Instant::now();
        while started.elapsed() < LEASE_END {
            assert!(has(a, VIP) && has(a, VIP6), "lost while alive");
            pause(Duration::from_millis(20));
        }
        program.kill().unwrap();
        program.wait().unwrap();
        assert!(has(a, VIP) && has(a, VIP6), "nobody was there to remove them");
        within(LEASE_END, || !has(a, VIP) && !has(a, VIP6));
    });
}

#[test]
fn a_stopped_process_steps_down_before_it_sends_anything() {
    LabTest::new().timeout(Duration::from_secs(60)).run(|| {
        let lab = lab();
        let (a, b) = (lab.host("a"), lab.host("b"));
        let mut program = spawn_node(a);
        let pid = Pid::from_raw(i32::try_from(program.id()).unwrap());
        within(PATIENCE, || has(a, VIP));
        let low = Setup::new(b, 100, &[VIP]).start(b);
        low.wait_for(State::Backup);
        let mut capture = lab.capture().unwrap();
        for _ in 0..5 {
            kill(pid, Signal::SIGSTOP).unwrap();
            low.wait_for(State::Master);
            within(LEASE_END, || !has(a, VIP));
            let resumed = Instant::now();
            kill(pid, Signal::SIGCONT).unwrap();
            let sent_by_a = |frame: &lab::Frame| {
                let about_vip = frame.vrrp().is_some() || frame.arp().is_some_and(|arp| arp.is_gratuitous());
                frame.at > resumed && frame.source() == a.mac() && about_vip
            };
            // It preempts, when it has listened for its master-down interval of 341 ms.
            let first = capture.wait_for(PATIENCE, sent_by_a).unwrap();
            let silence = first.at - resumed;
            assert!(silence > Duration::from_millis(335), "sent after {silence:?}");
            low.wait_for(State::Backup);
            within(PATIENCE, || has(a, VIP));
        }
        program.kill().unwrap();
        program.wait().unwrap();
    });
}

#[test]
fn a_missing_right_is_one_line_that_names_it() {
    lab::test(|| {
        let lab = lab();
        let a = lab.host("a");
        // In a user namespace of its own it has every right, but none over the host's network.
        let mut program = Command::new("unshare");
        program.arg("-U").arg(std::env::current_exe().unwrap());
        let output = match a.output(as_node(program, a)) {
            Ok(output) => output,
            Err(error) => lab::skip(&format!("the program unshare can't be run: {error}")),
        };
        let said = String::from_utf8_lossy(&output.stdout);
        let line = said.lines().find(|line| line.starts_with("refused: "));
        let Some(line) = line else {
            lab::skip(&format!(
                "no second user namespace here: {}",
                String::from_utf8_lossy(&output.stderr)
            ));
        };
        assert_eq!(
            line,
            "refused: missing CAP_NET_RAW for a packet socket: run as root, or give the program \
             cap_net_admin,cap_net_raw (setcap, or AmbientCapabilities= of systemd)"
        );
    });
}

/// A node of priority 150 (VRRPv3, VRID 51, 100 ms), of IPv4 and IPv6, in a process of its own.
fn spawn_node(host: &Host) -> Child {
    let program = Command::new(std::env::current_exe().unwrap());
    host.spawn(as_node(program, host)).unwrap()
}

fn as_node(mut program: Command, host: &Host) -> Command {
    program
        .args(["--exact", "node_process", "--nocapture"])
        .env(INTERFACE, host.interface())
        .stdin(Stdio::null());
    program
}

/// Not a test by itself: the process that the others kill and stop.
#[test]
fn node_process() {
    let Ok(interface) = std::env::var(INTERFACE) else {
        return;
    };
    let router = |vips: &[IpAddr], unset: &str| {
        let list = AddressList::new(vips).unwrap();
        let config = Config::builder(Vrid::new(51).unwrap(), list)
            .version(Version::V3)
            .priority(Priority::new(150))
            .adver_interval(AdverInterval::from_centis(10).unwrap());
        VirtualRouter::new(config.build().unwrap(), ip(unset))
    };
    let routers = vec![
        router(&[ip(VIP)], "0.0.0.0"),
        router(&[ip("fe80::200"), ip(VIP6)], "::"),
    ];
    let lease = Some(Duration::from_secs(1));
    let attachment = || Attachment::builder(&interface).lease(lease).build().unwrap();
    let tell = |event| {
        if let DriverEvent::Transition { transition, .. } = event {
            println!("{} -> {}: {}", transition.from, transition.to, transition.reason);
        }
    };
    match vrrp_net::spawn(RouterSet::new(routers), vec![attachment(), attachment()], tell) {
        Ok(_handle) => pause(Duration::from_secs(60)),
        Err(error) => println!("\nrefused: {error}"),
    }
}

fn lab() -> Lab {
    Lab::builder()
        .host("a", ["192.0.2.10/24"])
        .host("b", ["192.0.2.11/24"])
        .build()
        .unwrap()
}
