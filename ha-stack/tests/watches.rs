//! Processes, files and interfaces that are watched, from what happens to them to the advert on the wire.

mod support;

use std::net::IpAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use ha_health::probe::{File, Probe, ProbeFuture, Process};
use ha_health::{CheckConfig, Outcome, WatchConfig, Weight};
use ha_stack::config::Configuration;
use ha_stack::{Event, Events, Instance, Interface, Stack, StackBuilder};
use support::Folder;
use vrrp_core::{AddressList, AdverInterval, Config, Priority, State, Version, Vrid};
use vrrp_net::Attachment;
use vrrp_net::lab::{Frame, Host, Lab, LabTest};

/// From the death of a process to the advert that gives up: a wake-up of two threads. A loaded machine takes its time.
const AT_ONCE: Duration = Duration::from_millis(200);
/// What polling each second would need for as many deaths is far more.
const DEATHS: usize = 5;

#[test]
fn the_death_of_a_watched_process_is_an_advert_at_once() {
    LabTest::new().run(|| {
        let folder = Folder::new("watch-death");
        let lab = lab();
        let program = Program::new(&folder);
        let stack = process_stack(&program).build().unwrap();
        let times = deaths(&lab, stack, &program);
        eprintln!("kill -9 to priority 0 on the wire: {times:?}");
        assert!(times.iter().all(|time| *time < AT_ONCE), "{times:?}");
    });
}

/// Checks and the answers to questions share a thread; a probe that blocks it must not delay what is watched.
#[test]
fn the_death_is_an_advert_at_once_while_the_control_thread_is_stuck() {
    LabTest::new().run(|| {
        let folder = Folder::new("watch-busy");
        let lab = lab();
        let program = Program::new(&folder);
        let stuck = CheckConfig::builder("stuck")
            .interval(Duration::from_millis(1))
            .build()
            .unwrap();
        let stack = process_stack(&program).check(stuck, Blocks).build().unwrap();
        let times = deaths(&lab, stack, &program);
        eprintln!("the same while the control thread is stuck: {times:?}");
        assert!(times.iter().all(|time| *time < AT_ONCE), "{times:?}");
    });
}

#[test]
fn a_peer_is_master_soon_after_the_death() {
    LabTest::new().run(|| {
        let folder = Folder::new("watch-peer");
        let lab = lab();
        let program = Program::new(&folder);
        let mut process = program.start();
        let a = process_stack(&program).build().unwrap();
        let b = Stack::builder("b").instance(instance(100)).build().unwrap();
        let mut a = lab.host("a").run(|| a.spawn().unwrap());
        wait_for_state(&mut a.events(), State::Master);
        let mut b = lab.host("b").run(|| b.spawn().unwrap());
        let mut events = b.events();
        wait_for_state(&mut events, State::Backup);
        let killed = Instant::now();
        process.kill();
        wait_for_state(&mut events, State::Master);
        let took = killed.elapsed();
        eprintln!("kill -9 to the peer being master: {took:?}");
        // Its skew time is 30 ms; without the watch it would never take over.
        assert!(took < Duration::from_secs(1), "{took:?}");
        let addresses = lab.host("a").addresses().unwrap();
        assert!(
            addresses
                .iter()
                .all(|one| one.addr() != IpAddr::from([192, 0, 2, 100]))
        );
    });
}

/// Another interface than the virtual router's own, which its driver watches.
#[test]
fn an_interface_that_goes_down_is_an_advert_at_once() {
    LabTest::new().run(|| {
        const PAIR: &str = "link add uplink0 up type veth peer name peer0";
        let lab = lab();
        let ip = |words: &str| run_ip(lab.host("a"), words);
        ip(PAIR);
        ip("link set peer0 up");
        let config = WatchConfig::builder("uplink").build().unwrap();
        let stack = Stack::builder("a")
            .watch(config, Interface::new("uplink0"))
            .instance(instance(200).track("uplink"))
            .build()
            .unwrap();
        let mut handle = lab.host("a").run(|| stack.spawn().unwrap());
        let mut events = handle.events();
        let mut capture = lab.host("b").capture().unwrap();
        let mut times = Vec::new();
        for (down, up) in [
            // Its carrier, itself, and all of it.
            ("link set peer0 down", "link set peer0 up"),
            ("link set uplink0 down", "link set uplink0 up"),
            ("link del uplink0", PAIR),
        ] {
            wait_for_state(&mut events, State::Master);
            let began = Instant::now();
            ip(down);
            let gives_up = |frame: &Frame| frame.at > began && priority(frame) == Some(0);
            let frame = capture.wait_for(Duration::from_secs(10), gives_up).unwrap();
            times.push(frame.at - began);
            wait_for_state(&mut events, State::Fault);
            ip(up);
            ip("link set peer0 up");
        }
        wait_for_state(&mut events, State::Master);
        eprintln!("`ip link` to priority 0 on the wire: {times:?}");
        // Looking each second alone would take half a second for each on average.
        assert!(
            times.iter().sum::<Duration>() < Duration::from_secs(1),
            "{times:?}"
        );
    });
}

/// From the file: weights of interfaces add up (below 0 while down, above 0 while up, and against it with `reverse`), and
/// none makes a fault.
#[test]
fn an_interface_with_a_weight_moves_the_priority_on_the_wire() {
    LabTest::new().run(|| {
        let lab = lab();
        let ip = |words: &str| run_ip(lab.host("a"), words);
        for place in 0..3 {
            ip(&format!("link add uplink{place} up type veth peer name peer{place}"));
            ip(&format!("link set peer{place} up"));
        }
        let mut configuration = Configuration::new();
        configuration.add_text(
            "a.toml",
            "[[vrrp]]\nname = \"VI_1\"\ninterface = \"eth0\"\nvrid = 33\nversion = 3\npriority = 100\n\
             adver_interval = \"50ms\"\naddresses = [\"192.0.2.100\"]\n\
             track_interfaces = [{ interface = \"uplink0\", weight = -20 }, { interface = \"uplink1\", weight = 5 },\n\
             { interface = \"uplink2\", weight = 50, reverse = true }]\n",
        );
        let stack = configuration.load().into_stack().unwrap();
        let mut handle = lab.host("a").run(|| stack.spawn().unwrap());
        let mut events = handle.events();
        let mut capture = lab.host("b").capture().unwrap();
        wait_for_state(&mut events, State::Master);
        for (change, expected) in [
            ("link set peer1 up", 55),
            ("link set peer0 down", 35),
            ("link set peer1 down", 30),
            ("link set uplink2 down", 80),
            ("link set peer0 up", 100),
            ("link set uplink2 up", 50),
            ("link set peer1 up", 55),
        ] {
            let began = Instant::now();
            ip(change);
            let told = |frame: &Frame| frame.at > began && priority(frame) == Some(expected);
            let seen = capture.wait_for(Duration::from_secs(10), told);
            assert!(seen.is_some(), "{change} does not make it {expected}");
        }
        assert_eq!(handle.status().wait().unwrap().instances[0].state, State::Master);
    });
}

#[test]
fn a_number_in_a_file_moves_the_priority() {
    LabTest::new().run(|| {
        let folder = Folder::new("watch-file");
        let lab = lab();
        let path = folder.join("adjust");
        let config = WatchConfig::builder("adjust").weight(Weight::of_file(2).unwrap());
        let stack = Stack::builder("a")
            .watch(config.build().unwrap(), File::new(&path).init(0))
            .instance(instance(200).track("adjust"))
            .build()
            .unwrap();
        let mut handle = lab.host("a").run(|| stack.spawn().unwrap());
        let mut events = handle.events();
        wait_for_state(&mut events, State::Master);
        for (value, priority) in [("-25\n", 150), ("100", 254), ("-1000", 1), ("0", 200)] {
            if value == "-1000" {
                // A fault: it keeps the priority for afterwards.
                std::fs::write(&path, value).unwrap();
                wait_for_state(&mut events, State::Fault);
                continue;
            }
            std::fs::write(&path, value).unwrap();
            wait_for_priority(&mut events, priority);
        }
        wait_for_state(&mut events, State::Master);
        let status = handle.status().wait().unwrap();
        let last = status.checks[0].last.as_ref().unwrap();
        assert_eq!(last.to_string(), "value 0");
        assert_eq!(status.checks[0].took, None);
    });
}

#[test]
fn a_watch_that_panics_has_failed_and_is_begun_anew() {
    struct Panics(std::sync::atomic::AtomicU32);
    impl ha_health::probe::Watch for Panics {
        fn watch<'a>(&'a self, tell: ha_health::probe::Tell<'a>) -> ha_health::probe::WatchFuture<'a> {
            let run = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Box::pin(async move {
                assert!(run > 0, "the first run panics");
                tell(Outcome::success());
                std::future::pending().await
            })
        }
    }
    let config = WatchConfig::builder("c").build().unwrap();
    let stack = Stack::builder("n")
        .watch(config, Panics(0.into()))
        .build()
        .unwrap();
    let mut handle = stack.spawn().unwrap();
    let mut events = handle.events();
    assert_eq!(
        events.wait().unwrap().to_string(),
        "check c: down: probe broke off"
    );
    assert_eq!(events.wait().unwrap().to_string(), "check c: up: ok");
}

/// A master whose process is killed, and started again once that has been told; how long each advert took.
fn deaths(lab: &Lab, stack: Stack, program: &Program) -> Vec<Duration> {
    let mut process = program.start();
    let mut handle = lab.host("a").run(|| stack.spawn().unwrap());
    let mut events = handle.events();
    let mut capture = lab.host("b").capture().unwrap();
    let mut times = Vec::new();
    for _ in 0..DEATHS {
        wait_for_state(&mut events, State::Master);
        let killed = Instant::now();
        process.kill();
        let gives_up = |frame: &Frame| frame.at > killed && priority(frame) == Some(0);
        let frame = capture.wait_for(Duration::from_secs(10), gives_up).unwrap();
        times.push(frame.at - killed);
        wait_for_state(&mut events, State::Fault);
        process = program.start();
    }
    times
}

/// The priority of a VRRP advert.
fn priority(frame: &Frame) -> Option<u8> {
    let ip = frame.ip().filter(|ip| ip.protocol == 112)?;
    ip.payload.get(2).copied()
}

fn process_stack(program: &Program) -> StackBuilder {
    let config = WatchConfig::builder("process").build().unwrap();
    let process = Process::builder(program.name()).build().unwrap();
    Stack::builder("a")
        .watch(config, process)
        .instance(instance(200).track("process"))
}

/// A probe that blocks its thread nearly all the time.
struct Blocks;

impl Probe for Blocks {
    #[expect(clippy::disallowed_methods, reason = "what must not be done is done here")]
    fn probe(&self, _timeout: Duration) -> ProbeFuture<'_> {
        Box::pin(async {
            std::thread::sleep(2 * AT_ONCE);
            Outcome::success()
        })
    }
}

/// A program of a name of its own.
struct Program(PathBuf);

impl Program {
    fn new(folder: &Folder) -> Self {
        let path = folder.join(&format!("watched{}", std::process::id()));
        symlink("/bin/sleep", &path).unwrap();
        Self(path)
    }

    fn name(&self) -> &str {
        self.0.file_name().and_then(|name| name.to_str()).unwrap()
    }

    fn start(&self) -> Running {
        Running(Command::new::<&Path>(&self.0).arg("1000").spawn().unwrap())
    }
}

/// Ends with the test.
struct Running(Child);

impl Running {
    /// SIGKILL.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run_ip(host: &Host, words: &str) {
    let mut command = Command::new("ip");
    command.args(words.split(' '));
    let output = host.output(command).unwrap();
    assert!(output.status.success(), "ip {words}: {output:?}");
}

fn lab() -> Lab {
    Lab::builder()
        .host("a", ["192.0.2.1/24"])
        .host("b", ["192.0.2.2/24"])
        .build()
        .unwrap()
}

/// VRRPv3 with 50 ms between adverts.
fn instance(priority: u8) -> Instance {
    let addresses = AddressList::new(&[IpAddr::from([192, 0, 2, 100])]).unwrap();
    let config = Config::builder(Vrid::new(33).unwrap(), addresses)
        .version(Version::V3)
        .adver_interval(AdverInterval::from_centis(5).unwrap())
        .priority(Priority::new(priority));
    let attachment = Attachment::builder("eth0").build().unwrap();
    Instance::new("VI_1", config.build().unwrap(), attachment)
}

fn wait_for_state(events: &mut Events, state: State) {
    loop {
        match events.wait().expect("the stack runs") {
            Event::Transition { transition, .. } if transition.to == state => return,
            _ => {}
        }
    }
}

fn wait_for_priority(events: &mut Events, priority: u8) {
    loop {
        match events.wait().expect("the stack runs") {
            Event::Priority { to, .. } if to.get() == priority => return,
            _ => {}
        }
    }
}
