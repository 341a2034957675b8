//! What becomes of a node whose process is killed, stopped, or lacks the rights.

mod node;

use std::net::IpAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use node::lan::{pair, pair_and_client};
use node::{PATIENCE, Setup, has, ip, pause, within};
use vrrp_core::{AddressList, AdverInterval, Config, Priority, State, Version, VirtualRouter, Vrid};
use vrrp_net::lab::{self, Host, LabTest};
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
        let lab = pair();
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
        let lab = pair();
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

/// Stopped for 50 to 1500 ms, so shorter and longer than master-down (341 ms) and the lease (a second). What counts is
/// whose answers a client gets that asks all the time.
#[test]
fn of_a_node_stopped_and_resumed_50_times_never_do_two_answer_for_long_nor_after_the_resume() {
    LabTest::new().timeout(Duration::from_secs(240)).run(|| {
        let lab = pair_and_client();
        let (a, b, client) = (lab.host("a"), lab.host("b"), lab.host("client"));
        let mut program = spawn_node(a);
        let pid = Pid::from_raw(i32::try_from(program.id()).unwrap());
        within(PATIENCE, || has(a, VIP));
        let low = Setup::new(b, 100, &[VIP]).start(b);
        low.wait_for(State::Backup);
        let adverts_of_a = {
            let mac = a.mac();
            let is_of_a = move |frame: &lab::Frame| frame.vrrp().is_some() && frame.source() == mac;
            client.capture_if(is_of_a).unwrap()
        };
        let answers = client.capture_if(is_answer).unwrap();
        let mut rounds = Vec::new();
        let mut random = 1_u64;
        for _ in 0..50 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let stopped = Instant::now();
            kill(pid, Signal::SIGSTOP).unwrap();
            ask_for(client, Duration::from_millis(50 + (random >> 33) % 1450));
            let resumed = Instant::now();
            kill(pid, Signal::SIGCONT).unwrap();
            // Until it is master again, if it was long.
            ask_for(client, Duration::from_millis(600));
            rounds.push((stopped, resumed));
        }
        let over = Instant::now();
        program.kill().unwrap();
        program.wait().unwrap();
        let adverts: Vec<_> = adverts_of_a.stop().iter().map(|frame| frame.at).collect();
        let answers = answers.stop();
        let of = |host: &Host, from: Instant, to: Instant| {
            let mac = host.mac();
            let of_host = answers.iter().filter(move |frame| frame.source() == mac);
            of_host
                .map(|frame| frame.at)
                .filter(move |at| *at > from && *at < to)
        };
        let ends = rounds.iter().skip(1).map(|(stopped, _)| *stopped).chain([over]);
        let (mut taken_over, mut longest) = (0, Duration::ZERO);
        for (round, (&(stopped, resumed), end)) in rounds.iter().zip(ends).enumerate() {
            let master_again = adverts.iter().find(|at| **at > resumed).copied().unwrap_or(end);
            assert!(
                of(a, stopped, end).count() > 0,
                "round {round}: it is heard at all"
            );
            // While it is stopped its kernel goes on answering, until the lease ends.
            if let Some(first_of_b) = of(b, stopped, master_again).next() {
                taken_over += 1;
                let last_of_a = of(a, first_of_b, master_again).last().unwrap_or(first_of_b);
                longest = longest.max(last_of_a - first_of_b);
            }
            let late = of(a, resumed + GRACE, master_again).count();
            assert_eq!(late, 0, "round {round}: answers after the resume");
            let late = of(b, master_again + GRACE, end).count();
            assert_eq!(
                late, 0,
                "round {round}: the other answers beside it after the resume"
            );
        }
        println!("taken over in {taken_over} rounds; two answered for {longest:?} at most");
        assert!(taken_over > 10, "{taken_over}");
        // A second is more than the interval between adverts.
        assert!(longest < LEASE + GRACE, "two answered for {longest:?}");
    });
}

/// Of the node that is stopped.
const LEASE: Duration = Duration::from_secs(1);
/// From waking a process to its being at work, on a busy machine.
const GRACE: Duration = Duration::from_millis(100);

fn is_answer(frame: &lab::Frame) -> bool {
    frame
        .arp()
        .is_some_and(|arp| arp.reply && IpAddr::V4(arp.sender_ip) == ip(VIP))
}

/// Asks all the time who has the address.
fn ask_for(client: &Host, duration: Duration) {
    let started = Instant::now();
    let question = question(client);
    while started.elapsed() < duration {
        client.send_frame(&question).unwrap();
        pause(Duration::from_millis(5));
    }
}

/// An ARP request for the address.
fn question(host: &Host) -> Vec<u8> {
    let mac = host.mac().octets();
    let head = node::hex("08060001080006040001");
    let vip = node::hex("c0000264");
    [&[0xff; 6], &mac[..], &head, &mac, &[192, 0, 2, 20], &[0; 6], &vip].concat()
}

#[test]
fn a_missing_right_is_one_line_that_names_it() {
    lab::test(|| {
        let lab = pair();
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

#[test]
fn each_of_the_two_rights_is_named_when_it_alone_is_missing_and_no_third_is_needed() {
    lab::test(|| {
        let lab = pair();
        let a = lab.host("a");
        // Root has what the bounding set has.
        let with = |rights: &str| {
            let mut program = Command::new("setpriv");
            program.args(["--bounding-set", rights]);
            program.arg(std::env::current_exe().unwrap());
            as_node(program, a)
        };
        for (rights, missing) in [
            ("-all,+net_raw", "CAP_NET_ADMIN for adding addresses"),
            ("-all,+net_admin", "CAP_NET_RAW for a packet socket"),
            ("-all", "CAP_NET_RAW for a packet socket"),
        ] {
            let output = match a.output(with(rights)) {
                Ok(output) => output,
                Err(error) => lab::skip(&format!("the program setpriv can't be run: {error}")),
            };
            let said = String::from_utf8_lossy(&output.stdout);
            let line = said.lines().find(|line| line.starts_with("refused: "));
            let expected = format!(
                "refused: missing {missing}: run as root, or give the program cap_net_admin,cap_net_raw (setcap, or \
                 AmbientCapabilities= of systemd)"
            );
            assert_eq!(line, Some(&*expected), "{rights}: {output:?}");
        }
        let mut child = a.spawn(with("-all,+net_admin,+net_raw")).unwrap();
        within(PATIENCE, || has(a, VIP) && has(a, VIP6));
        child.kill().unwrap();
        child.wait().unwrap();
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
    let lease = Some(LEASE);
    let attachment = || Attachment::builder(&interface).lease(lease).build().unwrap();
    let tell = |event| {
        if let DriverEvent::Transition { transition, .. } = event {
            println!("{} -> {}: {}", transition.from, transition.to, transition.reason);
        }
    };
    match vrrp_net::spawn(RouterSet::new(routers), vec![attachment(), attachment()], tell) {
        Ok(_handle) => pause(Duration::from_secs(240)),
        Err(error) => println!("\nrefused: {error}"),
    }
}
