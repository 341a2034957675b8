//! The place of the VRRP thread among the threads of the same process, and what does not inherit it.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use ha_health::CheckConfig;
use ha_health::probe::Script;
use ha_stack::{Event, Instance, Stack, StackBuilder, StartError};
use lb_proxy::balance::{BackendConfig, Upstream, UpstreamConfig};
use lb_proxy::proxy::ProxyConfig;
use support::Folder;
use vrrp_core::{AddressList, Config, Priority, State, Vrid};
use vrrp_net::lab::{Host, Lab, LabTest};
use vrrp_net::{Attachment, DriverOptions};

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
            std::thread::yield_now();
        }

        let first = if may_come_first() { -20 } else { 0 };
        expect("vrrp", first);
        // VRRP waits for it.
        expect("vrrp-netlink", first);
        expect("control", 0);
        expect("proxy-0", 0);
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
        ] {
            let _stack = spawn(lab.host("a"), options).unwrap();
            // There since Linux 6.12, and with CONFIG_SCHED_DEBUG alone before 6.15.
            if let Some(turn) = turn_of("vrrp").filter(|_| kernel() >= (6, 12)) {
                assert_eq!(turn, 100_000);
                assert_ne!(turn_of("control"), Some(100_000));
            }
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
            expect("vrrp", 5);
        }
        match spawn(lab.host("a"), nice(-5)) {
            Ok(_stack) => expect("vrrp", -5),
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

fn spawn(host: &Host, options: DriverOptions) -> Result<ha_stack::Handle, StartError> {
    host.run(|| builder().driver_options(options).build().unwrap().spawn())
}

fn builder() -> StackBuilder {
    let addresses = AddressList::new(&[IpAddr::from([192, 0, 2, 100])]).unwrap();
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

/// Whether the kernel allows it, which other programs tell: `nice` without a command prints what it has.
fn may_come_first() -> bool {
    let raised = Command::new("nice").args(["-n", "-20", "nice"]).output().unwrap();
    raised.stdout == b"-20\n"
}

/// Waits until a thread has a nice value. New threads have their parent's name until they take their own.
fn expect(thread: &str, nice: i32) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while threads().get(thread) != Some(&nice) {
        assert!(Instant::now() < deadline, "{thread} at {nice}: {:?}", threads());
        std::thread::yield_now();
    }
}

/// The nice values of the threads of this process, by name.
fn threads() -> BTreeMap<String, i32> {
    of_tasks("stat", |stat| {
        let fields = stat.rsplit(')').next()?.split_ascii_whitespace();
        fields.clone().nth(16)?.parse().ok()
    })
}

/// For how long a thread asks at a time, in nanoseconds.
fn turn_of(thread: &str) -> Option<u64> {
    let turns = of_tasks("sched", |sched| {
        let line = sched.lines().find(|line| line.starts_with("se.slice"))?;
        line.split(':').nth(1)?.trim().parse().ok()
    });
    turns.get(thread).copied()
}

fn of_tasks<T>(file: &str, value: impl Fn(&str) -> Option<T>) -> BTreeMap<String, T> {
    let mut all = BTreeMap::new();
    for task in fs::read_dir("/proc/self/task").unwrap() {
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
