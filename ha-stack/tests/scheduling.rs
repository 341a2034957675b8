//! The place of the VRRP thread among the threads of the same process, what does not inherit it, and memory that stays in
//! RAM.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ha_health::CheckConfig;
use ha_health::probe::Script;
use ha_stack::{Event, Instance, Stack, StackBuilder, StartError};
use lb_proxy::balance::{BackendConfig, Upstream, UpstreamConfig};
use lb_proxy::proxy::ProxyConfig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::Folder;
use vrrp_core::{AddressList, Config, Priority, State, Vrid};
use vrrp_net::lab::{self, Host, Lab, LabTest, UserNamespace};
use vrrp_net::{Attachment, DriverOptions};

const VIP: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 100));
/// This process, in /proc.
const HERE: &str = "self";
/// A program after which another has all rights but CAP_SYS_NICE, also if root starts it.
const WITHOUT_THE_RIGHT: &[&str] = &["setpriv", "--bounding-set=-sys_nice"];
const NEEDS_ROOT: &str = "only then are real-time priority and nice values below 0 to be had";

#[test]
fn the_vrrp_thread_comes_first_and_nothing_that_it_starts_does() {
    LabTest::new().run(|| {
        let folder = Folder::new("scheduling");
        let told = folder.join("nice");
        // Field 19 of proc_pid_stat(5); the shell's name has no spaces.
        let script = folder.join("check.sh");
        let line = format!(
            "cut -d' ' -f19 /proc/$$/stat > {0}.new && mv {0}.new {0}\n",
            told.display()
        );
        fs::write(&script, line).unwrap();
        let script = Script::from_words(&format!("/bin/sh {}", script.display())).unwrap();
        let check = CheckConfig::builder("nice").build().unwrap();

        let lab = lab();
        let host = lab.host("a");
        let builder = builder().check(check, script).proxy("web", proxy());
        let mut stack = host.run(|| builder.build().unwrap().spawn().unwrap());
        let mut events = stack.events();
        while !matches!(events.wait().unwrap(), Event::Transition { transition, .. } if transition.to == State::Master) {}
        let deadline = Instant::now() + Duration::from_secs(10);
        while !told.exists() {
            assert!(Instant::now() < deadline, "the check does not run");
            pause();
        }

        let first = Place::Nice(first_nice());
        expect(HERE, "vrrp", first);
        // VRRP waits for it.
        expect(HERE, "vrrp-netlink", first);
        expect(HERE, "control", Place::Nice(0));
        expect(HERE, "proxy-0", Place::Nice(0));
        assert_eq!(fs::read_to_string(&told).unwrap(), "0\n");
        let driver = stack.status().wait().unwrap().driver.unwrap();
        assert!(driver.max_lateness > Duration::ZERO, "{driver:?}");
    });
}

/// Whether or not it may weigh more than others, it asks for turns shorter than theirs.
#[test]
fn the_vrrp_thread_asks_for_short_turns() {
    LabTest::new().run(|| {
        let lab = lab();
        for options in [
            DriverOptions::default(),
            DriverOptions {
                nice: Some(3),
                ..DriverOptions::default()
            },
            DriverOptions {
                nice: Some(-20),
                best_effort: true,
                ..DriverOptions::default()
            },
        ] {
            let _stack = spawn(lab.host("a"), options).unwrap();
            expect_short_turns(HERE);
        }
    });
}

#[test]
fn a_nice_value_that_is_asked_for_is_had_or_refused() {
    LabTest::new().run(|| {
        let lab = lab();
        let nice = |nice| DriverOptions {
            nice: Some(nice),
            ..DriverOptions::default()
        };
        {
            let _stack = spawn(lab.host("a"), nice(5)).unwrap();
            expect(HERE, "vrrp", Place::Nice(5));
        }
        match spawn(lab.host("a"), nice(-5)) {
            Ok(_stack) => expect(HERE, "vrrp", Place::Nice(-5)),
            Err(error) => {
                assert!(!may_come_first(), "{error}");
                assert!(
                    error
                        .to_string()
                        .starts_with("missing CAP_SYS_NICE for nice value -5"),
                    "{error}"
                );
                let best_effort = DriverOptions {
                    best_effort: true,
                    ..nice(-5)
                };
                assert!(spawn(lab.host("a"), best_effort).is_ok());
            }
        }
    });
}

#[test]
fn real_time_priority_is_of_the_vrrp_thread_and_of_the_one_that_it_waits_for() {
    LabTest::new().needs_root(NEEDS_ROOT).run(|| {
        need_the_right();
        let lab = lab();
        let daemon = Daemon::start(lab.host("a"), &[], "realtime = 7");
        daemon.expect("vrrp", Place::Fifo(7));
        daemon.expect("vrrp-netlink", Place::Fifo(7));
        for other in ["ha-stack", "control", "proxy-0"] {
            daemon.expect(other, Place::Nice(0));
        }
    });
}

/// In a user namespace not even root has the rights, and only a limit may allow it.
#[test]
fn without_the_right_to_what_is_asked_for_it_does_not_start_unless_best_effort_will_do() {
    LabTest::new().user_namespace(UserNamespace::Always).run(|| {
        let lab = lab();
        let realtime = DriverOptions {
            realtime: Some(1),
            ..DriverOptions::default()
        };
        let lock_memory = DriverOptions {
            lock_memory: true,
            ..DriverOptions::default()
        };
        for (options, granted, missing) in [
            (
                realtime,
                limit("Max realtime priority") != "0",
                "missing CAP_SYS_NICE for real-time priority 1 ",
            ),
            (
                lock_memory,
                limit("Max locked memory") == "unlimited",
                "missing CAP_IPC_LOCK for locking memory ",
            ),
        ] {
            if granted {
                continue;
            }
            let error = spawn(lab.host("a"), options).unwrap_err().to_string();
            assert!(error.starts_with(missing), "{error}");
            let best_effort = DriverOptions {
                best_effort: true,
                ..options
            };
            let _stack = spawn(lab.host("a"), best_effort).unwrap();
            expect(HERE, "vrrp", Place::Nice(first_nice()));
            assert_eq!(status_line(HERE, "VmLck:"), "0");
        }
    });
}

#[test]
fn locked_memory_is_that_of_the_whole_process() {
    LabTest::new()
        .needs_root("an ordinary user may lock some megabytes")
        .run(|| {
            const CAP_IPC_LOCK: u32 = 14;
            if !has_capability(CAP_IPC_LOCK) {
                lab::skip("no CAP_IPC_LOCK");
            }
            let lab = lab();
            let host = lab.host("a");
            assert_eq!(Daemon::start(host, &[], "").locked_kib(), 0);
            let locked = Daemon::start(host, &[], "lock_memory = true").locked_kib();
            // The program alone is some megabytes.
            assert!(locked > 1024, "{locked} KiB");
        });
}

#[test]
fn a_scheduling_policy_given_from_outside_stays() {
    LabTest::new().run(|| {
        const BATCH: u32 = 3;
        const IDLE: u32 = 5;
        let lab = lab();
        for (option, policy) in [("--batch", BATCH), ("--idle", IDLE)] {
            let daemon = Daemon::start(lab.host("a"), &["chrt", option, "0"], "");
            for thread in ["vrrp", "vrrp-netlink", "control"] {
                daemon.expect(thread, Place::Other(policy));
            }
        }
    });
}

#[test]
fn a_real_time_policy_given_from_outside_stays() {
    LabTest::new().needs_root(NEEDS_ROOT).run(|| {
        need_the_right();
        let lab = lab();
        for (option, place) in [("--rr", Place::RoundRobin(5)), ("--fifo", Place::Fifo(5))] {
            for rights in [&[], WITHOUT_THE_RIGHT] {
                let before = [&["chrt", option, "5"], rights].concat();
                let daemon = Daemon::start(lab.host("a"), &before, "");
                for thread in ["vrrp", "vrrp-netlink", "control"] {
                    daemon.expect(thread, place);
                }
            }
        }
    });
}

/// As for a service of an ordinary user with `Nice=` or `CPUSchedulingPolicy=` of systemd, which sets them as root.
#[test]
fn the_netlink_thread_has_what_was_given_from_outside_and_can_not_be_taken_again() {
    LabTest::new().needs_root(NEEDS_ROOT).run(|| {
        need_the_right();
        let lab = lab();
        let nice: &[_] = &["nice", "-n", "-10"];
        let fifo: &[_] = &["chrt", "--fifo", "10"];
        for (outside, keys, place) in [
            (nice, "", Place::Nice(-10)),
            (nice, "nice = -10", Place::Nice(-10)),
            (nice, "nice = -5", Place::Nice(-5)),
            (fifo, "realtime = 10", Place::Fifo(10)),
            (fifo, "realtime = 5", Place::Fifo(5)),
        ] {
            let daemon = Daemon::start(lab.host("a"), &[outside, WITHOUT_THE_RIGHT].concat(), keys);
            daemon.expect("vrrp", place);
            daemon.expect("vrrp-netlink", place);
            if matches!(place, Place::Nice(_)) {
                expect_short_turns(&daemon.process());
            }
            let log = daemon.log();
            assert!(log.contains("INFO") && !log.contains("WARN"), "{keys:?}: {log}");
        }
    });
}

/// The right to the one, and not to the other: as with `LimitRTPRIO=` of systemd.
#[test]
fn under_real_time_priority_a_nice_value_takes_no_right() {
    LabTest::new().needs_root(NEEDS_ROOT).run(|| {
        need_the_right();
        let lab = lab();
        let before = [&["chrt", "--fifo", "10"], WITHOUT_THE_RIGHT].concat();
        let daemon = Daemon::start(lab.host("a"), &before, "realtime = 5\nnice = -5");
        daemon.expect("vrrp", Place::Fifo(5));
        daemon.expect("vrrp-netlink", Place::Fifo(5));
    });
}

/// A daemon that is master.
struct Daemon {
    child: Child,
    log: PathBuf,
    _folder: Folder,
}

impl Daemon {
    /// Starts it after other programs, with keys of `[vrrp_thread]`.
    fn start(host: &Host, before: &[&str], keys: &str) -> Self {
        let folder = Folder::new("placed");
        let file = folder.join("a.toml");
        let text = format!(
            "[vrrp_thread]\n{keys}\n[[vrrp]]\nname = \"VI_1\"\ninterface = \"eth0\"\nvrid = 33\npriority = 255\n\
             addresses = [\"{VIP}\"]\n[[upstream]]\nname = \"app\"\nbackends = [\"127.0.0.1:8080\"]\n\
             [[proxy]]\nlisten = \"127.0.0.1:8000\"\nworkers = 1\n"
        );
        fs::write(&file, text).unwrap();
        let words = [before, &[env!("CARGO_BIN_EXE_ha-stack"), "run"]].concat();
        let log = folder.join("log");
        let mut command = Command::new(words[0]);
        command
            .args(&words[1..])
            .arg(&file)
            .arg("--socket")
            .arg(folder.join("s"))
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stderr(fs::File::create(&log).unwrap());
        let mut daemon = Self {
            child: host.spawn(command).unwrap(),
            log,
            _folder: folder,
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        while !host.addresses().unwrap().iter().any(|net| net.addr() == VIP) {
            assert!(
                Instant::now() < deadline && daemon.child.try_wait().unwrap().is_none(),
                "not master: {}",
                daemon.log()
            );
            pause();
        }
        daemon
    }

    fn process(&self) -> String {
        self.child.id().to_string()
    }

    fn expect(&self, thread: &str, place: Place) {
        expect(&self.process(), thread, place);
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    fn locked_kib(&self) -> u64 {
        status_line(&self.process(), "VmLck:").parse().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // So that it takes its address along: the next one may ask for it.
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
        let _ = self.child.wait();
    }
}

fn spawn(host: &Host, options: DriverOptions) -> Result<ha_stack::Handle, StartError> {
    host.run(|| builder().driver_options(options).build().unwrap().spawn())
}

fn builder() -> StackBuilder {
    let addresses = AddressList::new(&[VIP]).unwrap();
    let config = Config::builder(Vrid::new(33).unwrap(), addresses)
        .priority(Priority::OWNER)
        .build()
        .unwrap();
    let attachment = Attachment::builder("eth0").build().unwrap();
    Stack::builder("a").instance(Instance::new("VI_1", config, attachment))
}

fn proxy() -> ProxyConfig {
    let backend = BackendConfig::new("only", "127.0.0.1:8080".parse().unwrap());
    let upstream = UpstreamConfig::builder("app").backend(backend).build().unwrap();
    ProxyConfig::builder(Upstream::new(upstream))
        .listen("127.0.0.1:8000".parse().unwrap())
        .build()
        .unwrap()
}

fn lab() -> Lab {
    Lab::builder().host("a", ["192.0.2.1/24"]).build().unwrap()
}

/// The nice value of the VRRP thread by default.
fn first_nice() -> i32 {
    if may_come_first() { -20 } else { 0 }
}

/// Whether the kernel allows it, which other programs tell: `nice` without a command prints what it has.
fn may_come_first() -> bool {
    let raised = Command::new("nice").args(["-n", "-20", "nice"]).output().unwrap();
    raised.stdout == b"-20\n"
}

/// Ends the test where the kernel does not allow it even to root, as in some containers.
fn need_the_right() {
    const CAP_SYS_NICE: u32 = 23;
    if !has_capability(CAP_SYS_NICE) {
        lab::skip("no CAP_SYS_NICE");
    }
}

fn has_capability(bit: u32) -> bool {
    let effective = u64::from_str_radix(&status_line(HERE, "CapEff:"), 16).unwrap();
    effective & (1 << bit) != 0
}

/// The first word after `key` in proc_pid_status(5).
fn status_line(process: &str, key: &str) -> String {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.split_ascii_whitespace().next().unwrap().to_owned()
}

/// The hard one of a limit in /proc/self/limits.
fn limit(name: &str) -> String {
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().to_owned()
}

/// What a thread is given by its scheduling policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Nice(i32),
    Fifo(u32),
    RoundRobin(u32),
    /// Another policy, by its number.
    Other(u32),
}

/// Waits until a thread has its place, and waits itself, so that it has taken it. New threads have their parent's name and
/// place until they take their own.
fn expect(process: &str, thread: &str, place: Place) {
    let deadline = Instant::now() + Duration::from_secs(5);
    let is_there = || {
        let threads = threads(process);
        threads.get(thread) == Some(&(place, true))
    };
    while !is_there() {
        assert!(
            Instant::now() < deadline,
            "{thread} at {place:?}: {:?}",
            threads(process)
        );
        pause();
    }
}

/// The places of the threads of a process, by name, and whether each of them sleeps.
fn threads(process: &str) -> BTreeMap<String, (Place, bool)> {
    of_tasks(process, "stat", |stat| {
        // From field 3 of proc_pid_stat(5) on.
        let fields: Vec<_> = stat.rsplit(')').next()?.split_ascii_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse().ok();
        let place = match number(41)? {
            0 => Place::Nice(fields.get(19 - 3)?.parse().ok()?),
            1 => Place::Fifo(number(40)?),
            2 => Place::RoundRobin(number(40)?),
            policy => Place::Other(policy),
        };
        Some((place, fields[0] == "S"))
    })
}

/// Where the kernel tells: since Linux 6.12, and with CONFIG_SCHED_DEBUG alone before 6.15.
fn expect_short_turns(process: &str) {
    if let Some(turn) = turn_of(process, "vrrp").filter(|_| kernel() >= (6, 12)) {
        assert_eq!(turn, 100_000);
        assert_ne!(turn_of(process, "control"), Some(100_000));
    }
}

/// For how long a thread asks at a time, in nanoseconds.
fn turn_of(process: &str, thread: &str) -> Option<u64> {
    let turns = of_tasks(process, "sched", |sched| {
        let line = sched.lines().find(|line| line.starts_with("se.slice"))?;
        line.split(':').nth(1)?.trim().parse().ok()
    });
    turns.get(thread).copied()
}

fn of_tasks<T>(process: &str, file: &str, value: impl Fn(&str) -> Option<T>) -> BTreeMap<String, T> {
    let mut all = BTreeMap::new();
    for task in fs::read_dir(format!("/proc/{process}/task")).unwrap() {
        let task = task.unwrap().path();
        // One that ended meanwhile is none.
        let (Ok(name), Ok(text)) = (
            fs::read_to_string(task.join("comm")),
            fs::read_to_string(task.join(file)),
        ) else {
            continue;
        };
        if let Some(value) = value(&text) {
            all.insert(name.trim().to_owned(), value);
        }
    }
    all
}

fn kernel() -> (u32, u32) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split('.').map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

fn pause() {
    std::thread::park_timeout(Duration::from_millis(5));
}
