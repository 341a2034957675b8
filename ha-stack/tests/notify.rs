//! Scripts and FIFOs that are told of changes of state.

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::IpAddr;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ha_health::probe::{File, Script};
use ha_health::{CheckConfig, WatchConfig, Weight};
use ha_stack::{Event, Events, Handle, Instance, Notify, NotifyFifo, Stack, StackBuilder};
use support::Folder;
use vrrp_core::{AddressList, AdverInterval, Config, Priority, State, Version, Vrid};
use vrrp_net::Attachment;
use vrrp_net::lab::{Lab, LabTest};

const AMPLE: Duration = Duration::from_secs(20);

#[test]
fn each_state_has_its_script_and_then_the_one_for_all_with_four_arguments() {
    LabTest::new().run(|| {
        let folder = Folder::new("notify-states");
        let log = Log::new(&folder);
        let gate = folder.join("gate");
        let notify = Notify::new()
            .master(log.script("master"))
            .backup(log.script("backup"))
            .fault(log.script("fault"))
            .stop(log.script("stop"))
            .any_state(log.script("any"));
        let stack = gated(&gate).instance(instance(150).track("gate").notify(notify));
        let lab = lab();
        let handle = run(&lab, "a", stack);
        log.wait_for("any INSTANCE VI_1 MASTER 150");
        let first = [
            "backup",
            "any INSTANCE VI_1 BACKUP 150",
            "master",
            "any INSTANCE VI_1 MASTER 150",
        ];
        assert_eq!(log.lines(), first);
        log.clear();
        fs::write(&gate, "1").unwrap();
        log.wait_for("any INSTANCE VI_1 FAULT 150");
        fs::write(&gate, "0").unwrap();
        log.wait_for("any INSTANCE VI_1 MASTER 150");
        handle.shutdown(Duration::ZERO).wait().unwrap();
        // The stop has waited for the last of them.
        let lines = log.lines();
        let states = ["FAULT", "BACKUP", "MASTER", "STOP"];
        let expected: Vec<String> = states
            .iter()
            .flat_map(|state| {
                let any = format!("any INSTANCE VI_1 {state} 150");
                [state.to_lowercase(), any]
            })
            .collect();
        assert_eq!(lines, expected);
    });
}

#[test]
fn a_fault_that_is_there_from_the_start_is_told_once_and_waiting_for_a_check_is_not() {
    LabTest::new().run(|| {
        let folder = Folder::new("notify-first");
        let log = Log::new(&folder);
        let gate = folder.join("gate");
        fs::write(&gate, "1").unwrap();
        let slow = CheckConfig::builder("slow").interval(Duration::from_secs(60));
        let fault = Notify::new().any_state(log.script("gated"));
        let waits = Notify::new().any_state(log.script("waiting"));
        let stack = gated(&gate)
            .check(slow.build().unwrap(), Script::from_words("/bin/sleep 1").unwrap())
            .instance(instance(150).track("gate").track("slow").notify(fault))
            .instance(other_instance(150).track("slow").notify(waits));
        let lab = lab();
        let handle = run(&lab, "a", stack);
        log.wait_for("gated INSTANCE VI_1 FAULT 150");
        let faults = || handle.status().wait().unwrap().instances[1].faults;
        assert!(!faults().is_empty(), "it waits");
        log.wait_for("waiting INSTANCE VI_2 MASTER 150");
        fs::write(&gate, "0").unwrap();
        log.wait_for("gated INSTANCE VI_1 MASTER 150");
        let expected = [
            "gated INSTANCE VI_1 FAULT 150",
            "waiting INSTANCE VI_2 BACKUP 150",
            "waiting INSTANCE VI_2 MASTER 150",
            "gated INSTANCE VI_1 BACKUP 150",
            "gated INSTANCE VI_1 MASTER 150",
        ];
        assert_eq!(log.lines(), expected);
    });
}

#[test]
fn a_script_that_hangs_is_killed_and_the_latest_state_comes_next() {
    LabTest::new().run(|| {
        let folder = Folder::new("notify-hangs");
        let log = Log::new(&folder);
        let gate = folder.join("gate");
        let timeout = Duration::from_millis(1500);
        let hangs = Script::shell(format!("echo $$ > {}; sleep 1000", folder.join("pid").display()));
        let notify = Notify::new()
            .master(hangs)
            .fault(log.script("fault"))
            .backup(log.script("backup"))
            .timeout(timeout);
        let stack = gated(&gate).instance(instance(150).track("gate").notify(notify));
        let lab = lab();
        let mut handle = run(&lab, "a", stack);
        let mut events = handle.events();
        wait_for_state(&mut events, State::Master);
        poll("the script runs", || folder.join("pid").exists());
        log.clear();
        // VRRP goes on, however long the script takes: fault, backup, master, and fault again.
        for (value, state) in [("1", State::Fault), ("0", State::Master), ("1", State::Fault)] {
            let began = Instant::now();
            fs::write(&gate, value).unwrap();
            wait_for_state(&mut events, state);
            assert!(began.elapsed() < timeout, "{:?}", began.elapsed());
        }
        let failed = loop {
            let event = events.wait().unwrap();
            if matches!(event, Event::NotifyFailed { .. }) {
                break event.to_string();
            }
        };
        assert!(
            failed.starts_with("VI_1: notify for MASTER: script /bin/sh -c echo"),
            "{failed}"
        );
        assert!(failed.ends_with("timed out after 1.5s"), "{failed}");
        log.wait_for("fault");
        assert_eq!(log.lines(), ["fault"], "what came in between is not told");
        let pid: i32 = fs::read_to_string(folder.join("pid"))
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "it was killed");
        drop(handle);
    });
}

#[test]
fn the_stop_does_not_wait_for_ever() {
    LabTest::new().run(|| {
        let folder = Folder::new("notify-stop");
        let log = Log::new(&folder);
        let started = folder.join("started");
        let hangs = || Script::shell(format!("echo > {}; sleep 1000", started.display()));
        let notify = Notify::new()
            .master(hangs())
            .stop(log.script("stop"))
            .any_state(hangs());
        let lab = lab();
        let mut handle = run(
            &lab,
            "a",
            Stack::builder("a").instance(instance(150).notify(notify)),
        );
        wait_for_state(&mut handle.events(), State::Master);
        poll("the script runs", || started.exists());
        let began = Instant::now();
        handle.shutdown(Duration::ZERO).wait().unwrap();
        assert!(began.elapsed() < AMPLE, "{:?}", began.elapsed());
        assert_eq!(log.lines(), ["stop"], "it is told although the one before hangs");
    });
}

#[test]
fn a_script_that_fails_is_told_and_the_next_runs() {
    LabTest::new().run(|| {
        let folder = Folder::new("notify-fails");
        let log = Log::new(&folder);
        let notify = Notify::new()
            .backup(Script::shell("echo no route to the cloud; exit 3"))
            .any_state(log.script("any"));
        let lab = lab();
        let mut handle = run(
            &lab,
            "a",
            Stack::builder("a").instance(instance(150).notify(notify)),
        );
        let mut events = handle.events();
        let failed = loop {
            if let Event::NotifyFailed { change, outcome, .. } = events.wait().unwrap() {
                break format!("{change} {outcome}");
            }
        };
        assert_eq!(failed, "BACKUP exit status 3: no route to the cloud");
        log.wait_for("any INSTANCE VI_1 BACKUP 150");
    });
}

#[test]
fn a_fifo_gets_keepalived_s_lines_in_order_and_is_removed_at_the_end() {
    LabTest::new().run(|| {
        let folder = Folder::new("notify-fifo");
        let gate = folder.join("gate");
        let path = folder.join("fifo");
        let changes = WatchConfig::builder("adjust").weight(Weight::of_file(1).unwrap());
        let adjust = folder.join("adjust");
        let stack = gated(&gate)
            .watch(changes.build().unwrap(), File::new(&adjust).init(0))
            .instance(
                instance(150)
                    .track("gate")
                    .track("adjust")
                    .notify(Notify::new().priority_changes(true)),
            )
            .notify_fifo(NotifyFifo::new(&path));
        let lab = lab();
        let mut handle = run(&lab, "a", stack);
        let mut events = handle.events();
        // Nobody reads yet.
        wait_for_state(&mut events, State::Master);
        let metadata = fs::metadata(&path).unwrap();
        assert!(metadata.file_type().is_fifo());
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        let mut lines = BufReader::new(fs::File::open(&path).unwrap()).lines();
        let mut next = || lines.next().unwrap().unwrap();
        assert_eq!(next(), "INSTANCE \"VI_1\" BACKUP 150");
        assert_eq!(next(), "INSTANCE \"VI_1\" MASTER 150");
        fs::write(&adjust, "-20").unwrap();
        assert_eq!(next(), "INSTANCE \"VI_1\" MASTER_PRIORITY 130");
        fs::write(&gate, "1").unwrap();
        assert_eq!(next(), "INSTANCE \"VI_1\" FAULT 130");
        fs::write(&adjust, "5").unwrap();
        let adjusted = || {
            handle.status().wait().unwrap().checks[1]
                .last
                .as_ref()
                .map(ToString::to_string)
        };
        poll("the file is read", || adjusted().as_deref() == Some("value 5"));
        fs::write(&gate, "0").unwrap();
        assert_eq!(next(), "INSTANCE \"VI_1\" BACKUP_PRIORITY 155");
        assert_eq!(next(), "INSTANCE \"VI_1\" BACKUP 155");
        assert_eq!(next(), "INSTANCE \"VI_1\" MASTER 155");
        handle.shutdown(Duration::ZERO).wait().unwrap();
        assert_eq!(next(), "INSTANCE \"VI_1\" STOP 155");
        assert!(lines.next().is_none(), "it is closed at the end");
        assert!(!path.exists());
    });
}

#[test]
fn a_master_that_hears_a_lower_one_tells_that() {
    LabTest::new().run(|| {
        let folder = Folder::new("notify-lower");
        let log = Log::new(&folder);
        let path = folder.join("fifo");
        let lab = lab();
        let notify = Notify::new().master_rx_lower_pri(log.script("lower"));
        let a = Stack::builder("a")
            .instance(instance(150).notify(notify))
            .notify_fifo(NotifyFifo::new(&path));
        let mut a = run(&lab, "a", a);
        wait_for_state(&mut a.events(), State::Master);
        let mut b = run(&lab, "b", Stack::builder("b").instance(instance(100)));
        let mut events = b.events();
        wait_for_state(&mut events, State::Backup);
        // b hears nothing and takes over; a hears it.
        lab.cut_path("a", "b").unwrap();
        wait_for_state(&mut events, State::Master);
        log.wait_for("lower");
        let mut lines = BufReader::new(fs::File::open(&path).unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "INSTANCE \"VI_1\" MASTER_RX_LOWER_PRI 150"));
    });
}

#[test]
fn a_sync_group_is_told_of_when_all_members_have_changed() {
    LabTest::new().run(|| {
        let folder = Folder::new("notify-group");
        let log = Log::new(&folder);
        let gate = folder.join("gate");
        let path = folder.join("fifo");
        let stack = gated(&gate)
            .instance(instance(150))
            .instance(other_instance(120).track("gate"))
            .sync_group("G1", ["VI_1", "VI_2"], false)
            .group_notify(
                "G1",
                Notify::new()
                    .master(log.script("master"))
                    .any_state(log.script("any")),
            )
            .notify_fifo(NotifyFifo::new(&path));
        let lab = lab();
        let handle = run(&lab, "a", stack);
        log.wait_for("any GROUP G1 MASTER 0");
        assert!(log.lines().contains(&"master".to_owned()));
        log.clear();
        fs::write(&gate, "1").unwrap();
        log.wait_for("any GROUP G1 FAULT 0");
        let mut lines = BufReader::new(fs::File::open(&path).unwrap()).lines();
        handle.shutdown(Duration::ZERO).wait().unwrap();
        let lines: Vec<String> = lines.by_ref().map(Result::unwrap).collect();
        let groups = lines.iter().filter(|line| line.starts_with("GROUP"));
        let states: Vec<_> = groups.map(String::as_str).collect();
        let expected = ["BACKUP", "MASTER", "FAULT", "STOP"].map(|state| format!("GROUP \"G1\" {state} 0"));
        assert_eq!(states, expected);
        let at = |line: &str| {
            lines
                .iter()
                .rposition(|one| one == line)
                .unwrap_or_else(|| panic!("{lines:?}"))
        };
        // The group is told of after its last member.
        assert!(at("GROUP \"G1\" MASTER 0") > at("INSTANCE \"VI_1\" MASTER 150"));
        assert!(at("GROUP \"G1\" MASTER 0") > at("INSTANCE \"VI_2\" MASTER 120"));
        log.wait_for("any GROUP G1 STOP 0");
    });
}

#[test]
fn scripts_for_a_group_that_does_not_exist_are_refused() {
    let error = Stack::builder("a")
        .group_notify("G1", Notify::new())
        .build()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "notify scripts are for sync group G1, which does not exist"
    );
}

#[test]
fn a_fifo_script_reads_what_is_told_and_may_read_to_the_end() {
    LabTest::new().run(|| {
        let folder = Folder::new("notify-reader");
        let path = folder.join("fifo");
        let copy = folder.join("copy");
        let ended = folder.join("ended");
        let line = format!(
            "cat \"$0\" > {}; echo > {}; sleep 1000",
            copy.display(),
            ended.display()
        );
        let stack = Stack::builder("a")
            .instance(instance(150))
            .notify_fifo(NotifyFifo::new(&path).script(Script::shell(line)));
        let lab = lab();
        let mut handle = run(&lab, "a", stack);
        wait_for_state(&mut handle.events(), State::Master);
        handle.shutdown(Duration::ZERO).wait().unwrap();
        assert!(ended.exists());
        let lines = fs::read_to_string(copy).unwrap();
        let expected: String = [("BACKUP", 150), ("MASTER", 150), ("STOP", 150)]
            .map(|(state, priority)| format!("INSTANCE \"VI_1\" {state} {priority}\n"))
            .concat();
        assert_eq!(lines, expected);
    });
}

#[test]
fn what_is_no_fifo_is_refused_and_left_alone() {
    let folder = Folder::new("notify-no-fifo");
    let path = folder.join("file");
    fs::write(&path, "mine").unwrap();
    let stack = Stack::builder("a")
        .notify_fifo(NotifyFifo::new(&path))
        .build()
        .unwrap();
    let error = stack.spawn().err().unwrap().to_string();
    assert_eq!(
        error,
        format!(
            "{} is not a FIFO: remove it, or give another path",
            path.display()
        )
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}

/// A script that writes its name and arguments into a file.
struct Log(PathBuf);

impl Log {
    fn new(folder: &Folder) -> Self {
        Self(folder.join("log"))
    }

    fn script(&self, name: &str) -> Script {
        let line = format!("echo {name} \"$@\" >> {}", self.0.display());
        Script::new("/bin/sh", ["-c", &line, "sh"]).unwrap()
    }

    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.0).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn clear(&self) {
        let _ = fs::remove_file(&self.0);
    }

    fn wait_for(&self, line: &str) {
        poll(line, || self.lines().iter().any(|one| one == line));
    }
}

/// A stack that is in fault while the file holds something other than 0.
fn gated(gate: &Path) -> StackBuilder {
    let config = WatchConfig::builder("gate").build().unwrap();
    Stack::builder("a").watch(config, File::new(gate).init(0))
}

fn run(lab: &Lab, host: &str, stack: StackBuilder) -> Handle {
    let stack = stack.build().unwrap();
    lab.host(host).run(|| stack.spawn().unwrap())
}

fn lab() -> Lab {
    Lab::builder()
        .host("a", ["192.0.2.1/24"])
        .host("b", ["192.0.2.2/24"])
        .build()
        .unwrap()
}

fn instance(priority: u8) -> Instance {
    instance_of("VI_1", 33, priority)
}

fn other_instance(priority: u8) -> Instance {
    instance_of("VI_2", 34, priority)
}

/// VRRPv3 with 50 ms between adverts.
fn instance_of(name: &str, vrid: u8, priority: u8) -> Instance {
    let addresses = AddressList::new(&[IpAddr::from([192, 0, 2, vrid])]).unwrap();
    let config = Config::builder(Vrid::new(vrid).unwrap(), addresses)
        .version(Version::V3)
        .adver_interval(AdverInterval::from_centis(5).unwrap())
        .priority(Priority::new(priority));
    let attachment = Attachment::builder("eth0").build().unwrap();
    Instance::new(name, config.build().unwrap(), attachment)
}

fn wait_for_state(events: &mut Events, state: State) {
    loop {
        match events.wait().expect("the stack runs") {
            Event::Transition { transition, .. } if transition.to == state => return,
            _ => {}
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test polls; no adverts are sent by this thread"
)]
fn poll(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + AMPLE;
    while !done() {
        assert!(Instant::now() < deadline, "{what}: not within {AMPLE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
