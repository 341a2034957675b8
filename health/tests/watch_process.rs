//! Real processes: their deaths, restarts and impostors.
#![cfg(feature = "probe")]

mod support;

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use ha_health::probe::{ParamMatch, Process, ProcessBuilder};
use ha_health::{Failure, Outcome};
use support::{TempDir, Told};

/// So long that no look of this kind explains what is seen.
const NEVER: Duration = Duration::from_secs(3600);
const SOON: Duration = Duration::from_millis(20);

#[tokio::test]
async fn a_death_is_seen_at_once_and_not_at_the_next_look() {
    let dir = Dir::new("death");
    let mut child = dir.start();
    let mut told = Told::by(dir.process().interval(NEVER).build().unwrap());
    assert!(told.next().await.is_success());
    child.kill().unwrap();
    assert_eq!(
        told.next().await.failure(),
        Some(Failure::TooFew { found: 0, quorum: 1 })
    );
    // Nobody has waited for it: it is a zombie, and the looks that follow a death don't count it.
    for _ in 0..3 {
        assert!(!told.next().await.is_success());
    }
    child.wait().unwrap();
}

#[tokio::test]
async fn a_restart_is_seen_soon_whatever_the_interval() {
    let dir = Dir::new("restart");
    let mut first = dir.start();
    let mut told = Told::by(dir.process().interval(NEVER).build().unwrap());
    assert!(told.next().await.is_success());
    first.kill().unwrap();
    assert!(!told.next().await.is_success());
    first.wait().unwrap();
    let _second = dir.start();
    told.until(Outcome::is_success).await;
}

#[tokio::test]
async fn a_new_process_is_found_at_the_next_look() {
    let dir = Dir::new("new");
    let mut told = Told::by(dir.process().interval(SOON).build().unwrap());
    assert_eq!(
        told.next().await.failure(),
        Some(Failure::TooFew { found: 0, quorum: 1 })
    );
    let _child = dir.start();
    let up = told.until(Outcome::is_success).await;
    assert_eq!(up.message(), Some("1 process"));
}

#[tokio::test]
async fn a_process_that_becomes_another_program_is_none_any_more() {
    let dir = Dir::new("exec");
    let shell = dir.link("shell", "/bin/sh");
    let line = format!("exec {} 1000", dir.link("other", "/bin/sleep").display());
    let wait = format!("sleep 0.3; {line}");
    let mut becoming = Guard(Command::new(&shell).args(["-c", &wait]).spawn().unwrap());
    let name = shell.file_name().unwrap().to_str().unwrap();
    let mut told = Told::by(Process::builder(name).interval(SOON).build().unwrap());
    told.until(Outcome::is_success).await;
    told.until(|outcome| !outcome.is_success()).await;
    assert!(becoming.0.try_wait().unwrap().is_none(), "it runs, as another");
}

#[tokio::test]
async fn threads_do_not_count() {
    let dir = Dir::new("threads");
    let (end, wait) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::Builder::new().name(dir.name());
    #[expect(
        clippy::disallowed_methods,
        reason = "a thread of that name is what is tested"
    )]
    let thread = thread.spawn(move || wait.recv()).unwrap();
    let mut told = Told::by(dir.process().interval(SOON).build().unwrap());
    for _ in 0..3 {
        assert!(!told.next().await.is_success());
    }
    drop(end);
    let _ = thread.join();
}

#[tokio::test]
async fn as_many_as_the_quorum_and_no_more_than_the_maximum_are_well() {
    let dir = Dir::new("quorum");
    let process = dir.process().quorum(2).quorum_max(2).interval(SOON);
    let mut told = Told::by(process.build().unwrap());
    let _first = dir.start();
    told.until(|outcome| outcome.failure() == Some(Failure::TooFew { found: 1, quorum: 2 }))
        .await;
    let _second = dir.start();
    told.until(Outcome::is_success).await;
    let mut third = dir.start();
    told.until(|outcome| outcome.failure() == Some(Failure::TooMany { found: 3, most: 2 }))
        .await;
    third.kill().unwrap();
    third.wait().unwrap();
    told.until(Outcome::is_success).await;
}

#[tokio::test]
async fn a_process_that_must_not_run_is_down_when_it_runs() {
    let dir = Dir::new("none");
    let mut told = Told::by(dir.process().quorum_max(0).interval(SOON).build().unwrap());
    assert!(told.next().await.is_success());
    let _child = dir.start();
    told.until(|outcome| outcome.failure() == Some(Failure::TooMany { found: 1, most: 0 }))
        .await;
}

#[tokio::test]
async fn a_restart_within_the_terminate_delay_is_not_told() {
    let dir = Dir::new("delay");
    let mut first = dir.start();
    let process = dir
        .process()
        .interval(SOON)
        .terminate_delay(Duration::from_secs(20));
    let mut told = Told::by(process.build().unwrap());
    assert!(told.next().await.is_success());
    first.kill().unwrap();
    let gone = told
        .until(|outcome| outcome.message() == Some("0 processes"))
        .await;
    assert!(gone.is_success());
    let _second = dir.start();
    let back = told.until(|outcome| outcome.message() == Some("1 process")).await;
    assert!(back.is_success());
    first.wait().unwrap();
}

#[tokio::test]
async fn a_death_is_told_after_the_terminate_delay() {
    let dir = Dir::new("late");
    let mut child = dir.start();
    let delay = Duration::from_millis(300);
    let mut told = Told::by(
        dir.process()
            .interval(NEVER)
            .terminate_delay(delay)
            .build()
            .unwrap(),
    );
    assert!(told.next().await.is_success());
    let killed = tokio::time::Instant::now();
    child.kill().unwrap();
    told.until(|outcome| !outcome.is_success()).await;
    assert!(killed.elapsed() >= delay, "{:?}", killed.elapsed());
    child.wait().unwrap();
}

#[tokio::test]
async fn the_command_line_decides_where_parameters_matter() {
    let dir = Dir::new("params");
    let program = dir.program.to_str().unwrap();
    let _child = dir.start_with(&["1000", "1001"]);
    let cases: [(&[&str], Option<ParamMatch>, bool); 5] = [
        (&["1000", "1001"], None, true),
        (&["1000"], None, false),
        (&["1000"], Some(ParamMatch::Partial), true),
        (&["1000", "100"], Some(ParamMatch::Initial), true),
        (&["1001"], Some(ParamMatch::Partial), false),
    ];
    for (params, how, expected) in cases {
        let mut builder = Process::builder(program).params(params.iter().copied());
        if let Some(how) = how {
            builder = builder.param_match(how);
        }
        let mut told = Told::by(builder.build().unwrap());
        assert_eq!(told.next().await.is_success(), expected, "{params:?} {how:?}");
    }
    let mut by_command = Told::by(Process::builder(program).full_command(true).build().unwrap());
    assert!(by_command.next().await.is_success());
    let mut by_name = Told::by(Process::builder(program).build().unwrap());
    assert!(!by_name.next().await.is_success());
}

/// A program of a name that no other test has.
struct Dir {
    dir: TempDir,
    test: &'static str,
    program: PathBuf,
}

impl Dir {
    fn new(test: &'static str) -> Self {
        let dir = TempDir::new(&format!("process-{test}"));
        let program = dir.path(&unique(test));
        symlink("/bin/sleep", &program).unwrap();
        Self { dir, test, program }
    }

    /// A process is named by the link that it was started through.
    fn link(&self, suffix: &str, target: &str) -> PathBuf {
        let link = self.dir.path(&format!("{}{}", unique(self.test), &suffix[..1]));
        symlink(target, &link).unwrap();
        link
    }

    fn name(&self) -> String {
        unique(self.test)
    }

    fn process(&self) -> ProcessBuilder {
        Process::builder(unique(self.test))
    }

    fn start(&self) -> Guard {
        self.start_with(&["1000"])
    }

    fn start_with(&self, args: &[&str]) -> Guard {
        let child = Guard(Command::new(&self.program).args(args).spawn().unwrap());
        // It is told to be started a moment before it has its name.
        let cmdline = format!("/proc/{}/cmdline", child.0.id());
        let comm = format!("/proc/{}/comm", child.0.id());
        let named = |file| std::fs::read_to_string(file).is_ok_and(|text| text.contains(&self.name()));
        while !named(&comm) || !named(&cmdline) {
            std::thread::yield_now();
        }
        child
    }
}

/// At most 15 bytes, which is what the kernel keeps.
fn unique(test: &str) -> String {
    format!("w{}{}", &test[..3], std::process::id())
}

/// Ends with the test.
struct Guard(Child);

impl Guard {
    fn kill(&mut self) -> std::io::Result<()> {
        self.0.kill()
    }

    fn wait(&mut self) -> std::io::Result<()> {
        self.0.wait().map(drop)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
