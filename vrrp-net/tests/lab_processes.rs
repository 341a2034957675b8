//! Nothing outlives a lab, and a test that fails, hangs or can't be done says so.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit};
use vrrp_net::lab::{self, Lab, LabTest, UserNamespace};

const PATIENCE: Duration = Duration::from_secs(5);

#[test]
fn programs_on_a_host_die_with_the_lab() {
    lab::test(|| {
        let lab = one_host();
        let mut program = lab.host("a").spawn(sleep()).unwrap();
        drop(lab);
        let status = program.wait().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
    });
}

#[test]
fn programs_on_a_host_die_with_the_process_that_has_the_lab() {
    let note = Note::new("dies_with_the_process");
    lab::test(|| {
        let lab = one_host();
        let program = lab.host("a").spawn(sleep()).unwrap();
        note.write(program.id());
        // No destructor runs.
        std::process::exit(0);
    });
    note.wait_until_gone();
}

#[test]
fn a_test_may_open_as_many_descriptors_as_the_hard_limit_allows() {
    lab::test(|| {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(soft, hard);
    });
}

/// Above, the limits may be one from the beginning.
#[test]
fn a_low_soft_limit_of_descriptors_is_raised() {
    let output = Command::new("sh")
        .args(["-c", "ulimit -Sn 256 && exec \"$0\" --exact \"$1\""])
        .arg(std::env::current_exe().unwrap())
        .arg("a_test_may_open_as_many_descriptors_as_the_hard_limit_allows")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stdout)
    );
}

#[test]
fn a_test_that_hangs_is_killed_with_all_that_it_started() {
    let note = Note::new("hangs");
    let message = panic_of(|| {
        LabTest::new().timeout(Duration::from_millis(500)).run(|| {
            let lab = one_host();
            let mut program = lab.host("a").spawn(sleep()).unwrap();
            note.write(program.id());
            println!("waiting for something that does not happen");
            let _ = program.wait();
        });
    });
    let Some(message) = message else { return };
    assert!(
        message.contains("did not end within 500ms and was killed"),
        "{message}"
    );
    assert!(
        message.contains("waiting for something that does not happen"),
        "{message}"
    );
    note.wait_until_gone();
}

#[test]
fn the_output_of_a_failing_test_is_in_its_panic() {
    let message = panic_of(|| {
        lab::test(|| {
            println!("what it printed");
            eprintln!("what it complained");
            panic!("what went wrong");
        });
    });
    let Some(message) = message else { return };
    for part in [
        "the_output_of_a_failing_test",
        "what it printed",
        "what it complained",
        "what went wrong",
    ] {
        assert!(message.contains(part), "{part:?} is missing in {message}");
    }
}

#[test]
fn a_test_that_is_not_found_by_its_name_fails() {
    fn elsewhere() {
        lab::test(|| unreachable!("nobody can find this"));
    }
    let Some(message) = panic_of(elsewhere) else {
        return;
    };
    assert!(message.contains("there is no test of that name"), "{message}");
}

#[test]
fn root_may_become_another_user_on_a_host() {
    LabTest::new()
        .needs_root("in a user namespace there is no other user")
        .run(|| {
            let mut program = Command::new("id");
            std::os::unix::process::CommandExt::uid(program.arg("-u"), 65_534);
            let output = one_host().host("a").output(program).unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), "65534\n");
        });
}

#[test]
fn nothing_is_mounted_outside() {
    let mounts = || std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    lab::test(|| {
        let before = mounts();
        let _lab = one_host();
        assert_eq!(mounts(), before);
    });
}

#[test]
#[ignore = "started by the test below"]
fn what_can_not_be_done_here() {
    lab::test(|| lab::skip("keepalived is not installed"));
}

#[test]
fn a_skip_tells_its_reason_and_passes_unless_required() {
    let skipped = run_again("what_can_not_be_done_here", None);
    assert!(skipped.status.success());
    let told = String::from_utf8_lossy(&skipped.stderr).into_owned();
    if is_denied(&told) {
        return;
    }
    assert!(
        told.contains("what_can_not_be_done_here skipped: keepalived is not installed\n"),
        "{told}"
    );
    let required = run_again("what_can_not_be_done_here", Some("1"));
    assert!(!required.status.success());
    let told =
        String::from_utf8_lossy(&required.stdout).into_owned() + &String::from_utf8_lossy(&required.stderr);
    assert!(
        told.contains("keepalived is not installed") && told.contains("VRRP_LAB_REQUIRED"),
        "{told}"
    );
}

#[test]
#[ignore = "started by the test below"]
fn a_test_in_a_user_namespace() {
    LabTest::new().user_namespace(UserNamespace::Always).run(|| {});
}

#[test]
fn where_user_namespaces_are_denied_the_remedy_is_told() {
    // The limit counts below the user namespace in which it is set, so the machine's own is left alone.
    LabTest::new().user_namespace(UserNamespace::Always).run(|| {
        std::fs::write("/proc/sys/user/max_user_namespaces", "0").unwrap();
        let skipped = run_again("a_test_in_a_user_namespace", None);
        assert!(skipped.status.success());
        let told = String::from_utf8_lossy(&skipped.stderr).into_owned();
        let line = told.lines().find(|line| line.contains("skipped: ")).unwrap();
        assert!(line.contains("sysctl -w user.max_user_namespaces="), "{line}");
        assert!(
            !run_again("a_test_in_a_user_namespace", Some("1"))
                .status
                .success()
        );
    });
}

fn one_host() -> Lab {
    Lab::builder().host("a", ["10.0.0.1/24"]).build().unwrap()
}

fn sleep() -> Command {
    let mut command = Command::new("sleep");
    command.arg("1000");
    command
}

fn is_denied(told: &str) -> bool {
    told.contains("namespaces are denied here")
}

/// Starts one test of this program, with or without VRRP_LAB_REQUIRED.
fn run_again(test: &str, required: Option<&str>) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env_remove("VRRP_LAB_REQUIRED");
    command.envs(required.map(|value| ("VRRP_LAB_REQUIRED", value)));
    command.output().unwrap()
}

/// What a test that has to fail says. `None` in the child that does the body, and where namespaces are denied: then
/// it does not fail.
fn panic_of(test: impl FnOnce()) -> Option<String> {
    let outcome = catch_unwind(AssertUnwindSafe(test));
    match outcome {
        Ok(()) => None,
        Err(panic) if lab::entered() => std::panic::resume_unwind(panic),
        Err(panic) => Some(panic.downcast_ref::<String>().unwrap().clone()),
    }
}

/// The id of a process, handed from a test's child to its parent.
struct Note {
    path: PathBuf,
}

impl Note {
    fn new(name: &str) -> Self {
        // The child finds the file by the parent's id: its own is another.
        let parent = if std::env::var_os("VRRP_LAB_TEST").is_some() {
            std::os::unix::process::parent_id()
        } else {
            std::process::id()
        };
        Self {
            path: std::env::temp_dir().join(format!("vrrp-lab-{name}-{parent}")),
        }
    }

    fn write(&self, pid: u32) {
        std::fs::write(&self.path, pid.to_string()).unwrap();
    }

    /// In the parent: waits until the process is gone.
    fn wait_until_gone(&self) {
        let Ok(pid) = std::fs::read_to_string(&self.path) else {
            return;
        };
        std::fs::remove_file(&self.path).unwrap();
        let deadline = Instant::now() + PATIENCE;
        while is_asleep(&pid) {
            assert!(Instant::now() < deadline, "process {pid} lives on");
            std::thread::yield_now();
        }
    }
}

/// True while the process runs and is the `sleep` that was started (ids are used again).
fn is_asleep(pid: &str) -> bool {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid).join("status")).unwrap_or_default();
    status.starts_with("Name:\tsleep\n") && !status.contains("State:\tZ")
}
