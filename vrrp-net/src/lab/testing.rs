//! Running a libtest test in namespaces of its own.

use std::fmt::Write as _;
use std::io::{self, Read, Write as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::enter::{Plan, UserNamespace, denied, mark_entered};
use super::stillness::{Stillness, Stops};
use super::wait::pause;
use crate::sys;

/// Names the test to a child process that is to run it.
const TEST: &str = "VRRP_LAB_TEST";

/// If set to anything but the empty string or 0, what would be skipped fails.
const REQUIRED: &str = "VRRP_LAB_REQUIRED";

/// How long a test may take unless it says otherwise.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How often a test is tried that fails while the machine stands still.
const ATTEMPTS: u32 = 3;

/// A stop of the machine after which a failure says little: backups of adverts each 10 ms wait hardly longer.
const STOP: Duration = Duration::from_millis(25);

/// How much of each output stream of a test is kept: its beginning.
const OUTPUT_MAX: usize = 1 << 20;

/// Exit code of a child that could not do its test here (as for automake).
const SKIPPED: i32 = 77;

/// What a skipping test's line on stderr begins with.
const SKIPPED_PREFIX: &str = "skipped: ";

/// Runs a test in namespaces of its own, with the defaults of [`LabTest`].
///
/// Call it as the only statement of a `#[test]` function, with a closure.
///
/// # Panics
/// If the test does; the message holds all that it wrote.
pub fn test(body: impl FnOnce()) {
    LabTest::new().run(body);
}

/// Ends a test that can't be done here, for a reason such as a program that is not installed. The test passes, unless
/// `VRRP_LAB_REQUIRED` is set.
///
/// Call it only in the body of a [`test`](fn@test): it ends the process.
pub fn skip(reason: &str) -> ! {
    // Not eprintln!, which libtest may keep to itself.
    let _ = writeln!(io::stderr(), "{SKIPPED_PREFIX}{reason}");
    std::process::exit(SKIPPED);
}

/// How to run a test in namespaces of its own.
///
/// ```no_run
/// use std::time::Duration;
/// use vrrp_net::lab::LabTest;
///
/// // In a #[test] function:
/// LabTest::new().timeout(Duration::from_secs(120)).needs_root("the script runs as another user").run(|| {
///     // …
/// });
/// ```
///
/// The test function starts its own program again, with `--exact` and its own name, in new namespaces, and waits for
/// it; that process does the body. So the body can be sure to be alone, and whatever it leaves behind goes with
/// its process. It works below `cargo test` and nextest, in parallel, as root and not.
///
/// A test that fails while the machine stands still for 25 ms or more (no CPU, or no lock on network settings) is run
/// again, twice at most: what keeps real time can't be judged then. [`Stillness`](super::Stillness) tells.
#[derive(Debug, Clone)]
pub struct LabTest {
    timeout: Duration,
    user_namespace: UserNamespace,
    needs_root: Option<&'static str>,
}

impl Default for LabTest {
    fn default() -> Self {
        Self::new()
    }
}

impl LabTest {
    /// A test that may take 60 s, and runs for root and others.
    #[must_use]
    pub fn new() -> Self {
        Self {
            timeout: TIMEOUT,
            user_namespace: UserNamespace::default(),
            needs_root: None,
        }
    }

    /// How long the test may take before it is killed and fails.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Whether root gets a user namespace. Default: no.
    #[must_use]
    pub fn user_namespace(mut self, user_namespace: UserNamespace) -> Self {
        self.user_namespace = user_namespace;
        self
    }

    /// Skips the test for anyone but root with all rights; `why` completes "needs root: ". `VRRP_LAB_REQUIRED` does not
    /// change that: a test run as an ordinary user can't be asked to do what only root can.
    #[must_use]
    pub fn needs_root(mut self, why: &'static str) -> Self {
        self.needs_root = Some(why);
        self
    }

    /// Runs the test. `body` must be a closure in the test function itself, since its type tells the test's name.
    ///
    /// # Panics
    /// If the test does, or does not end in time; the message holds all that it wrote.
    pub fn run<F: FnOnce()>(self, body: F) {
        let name = libtest_name::<F>();
        if std::env::var(TEST).is_ok_and(|wanted| wanted == name) {
            if let Err(error) = mark_entered() {
                skip(&error.to_string());
            }
            return body();
        }
        match self.steady_outcome(&name) {
            Outcome::Passed => {}
            Outcome::Skipped(reason) if is_required() => {
                panic!("{name} was skipped, but {REQUIRED} is set: {reason}")
            }
            Outcome::Skipped(reason) => {
                let _ = writeln!(io::stderr(), "{name} {SKIPPED_PREFIX}{reason}");
            }
            Outcome::NeedsRoot(why) => {
                let _ = writeln!(io::stderr(), "{name} {SKIPPED_PREFIX}needs root: {why}");
            }
            Outcome::Failed(report) => panic!("{report}"),
        }
    }

    /// A test that fails while the machine stands still is tried again.
    fn steady_outcome(&self, name: &str) -> Outcome {
        let mut attempt = 1;
        loop {
            let stillness = Stillness::watch();
            let outcome = self.outcome(name);
            let stops = stillness.end();
            let Outcome::Failed(report) = outcome else {
                return outcome;
            };
            if !is_tried_again(attempt, stops) {
                return Outcome::Failed(format!("{report}\n---- the machine stood still for {stops} ----"));
            }
            let _ = writeln!(
                io::stderr(),
                "{name} failed, but the machine stood still for {stops}: once more"
            );
            attempt += 1;
        }
    }

    fn outcome(&self, name: &str) -> Outcome {
        let plan = Plan::new(self.user_namespace);
        if let Some(why) = self.needs_root.filter(|_| plan.maps.is_some()) {
            return Outcome::NeedsRoot(why);
        }
        let mut command = Command::new(std::env::current_exe().expect("/proc is mounted"));
        command
            .args([
                "--exact",
                name,
                "--nocapture",
                "--test-threads=1",
                "--include-ignored",
            ])
            .env(TEST, name)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        sys::exec_in_new_namespaces(&mut command, plan.flags, plan.maps);
        match command.spawn() {
            Ok(child) => self.watch(name, child),
            Err(error) => {
                let errno = Errno::from_raw(error.raw_os_error().unwrap_or_default());
                Outcome::Skipped(denied(errno).to_string())
            }
        }
    }

    /// Waits for the child and judges it.
    fn watch(&self, name: &str, mut child: Child) -> Outcome {
        let stdout = Collected::from(child.stdout.take().expect("it was asked for"));
        let stderr = Collected::from(child.stderr.take().expect("it was asked for"));
        let status = wait_or_kill(&mut child, self.timeout);
        let (stdout, stderr) = (stdout.text(), stderr.text());
        let verdict = match status {
            Ok(Some(status)) if status.success() && !stdout.contains("running 1 test\n") => {
                format!(
                    "there is no test of that name: call lab::test in the #[test] function, with a closure ({status})"
                )
            }
            Ok(Some(status)) if status.success() => {
                print!("{stdout}");
                eprint!("{stderr}");
                return Outcome::Passed;
            }
            Ok(Some(status)) if status.code() == Some(SKIPPED) => {
                let reason = stderr
                    .lines()
                    .rev()
                    .find_map(|line| line.strip_prefix(SKIPPED_PREFIX));
                return Outcome::Skipped(reason.unwrap_or("for no given reason").to_owned());
            }
            Ok(Some(status)) => format!("failed in its namespaces ({status})"),
            Ok(None) => format!("did not end within {:?} and was killed", self.timeout),
            Err(error) => format!("can't be waited for: {error}"),
        };
        let mut report = format!("{name}: {verdict}");
        for (stream, text) in [("stdout", stdout), ("stderr", stderr)] {
            let _ = write!(report, "\n---- its {stream} ----\n{}", text.trim_end());
        }
        Outcome::Failed(report)
    }
}

enum Outcome {
    Passed,
    Skipped(String),
    NeedsRoot(&'static str),
    Failed(String),
}

/// Whether a test that failed at this attempt, the first being 1, is tried again.
fn is_tried_again(attempt: u32, stops: Stops) -> bool {
    attempt < ATTEMPTS && stops.longest() >= STOP
}

fn is_required() -> bool {
    std::env::var(REQUIRED).is_ok_and(|value| !value.is_empty() && value != "0")
}

/// The path of the function in which the closure was written, without the crate: that is what libtest calls it.
fn libtest_name<F>() -> String {
    let mut path = std::any::type_name::<F>();
    while let Some(outer) = path.strip_suffix("::{{closure}}") {
        path = outer;
    }
    path.split_once("::")
        .map_or(path, |(_crate, path)| path)
        .to_owned()
}

/// What an output stream has brought so far.
struct Collected {
    /// At most [`OUTPUT_MAX`] bytes.
    bytes: Arc<Mutex<Vec<u8>>>,
    /// Disconnected when the stream has ended.
    end: mpsc::Receiver<()>,
}

impl Collected {
    /// Reads a stream to its end in a thread.
    fn from(mut stream: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let (ends, end) = mpsc::channel();
        let collected = Arc::clone(&bytes);
        thread::spawn(move || {
            let _ends: mpsc::Sender<()> = ends;
            let mut piece = [0; 4096];
            while let Ok(len @ 1..) = stream.read(&mut piece) {
                let mut bytes = collected.lock().unwrap_or_else(PoisonError::into_inner);
                let room = OUTPUT_MAX - bytes.len();
                bytes.extend_from_slice(&piece[..len.min(room)]);
            }
        });
        Self { bytes, end }
    }

    /// The output of a process that has ended. Only something that it left running keeps a stream open longer.
    fn text(&self) -> String {
        const PATIENCE: Duration = Duration::from_millis(500);
        let _ = self.end.recv_timeout(PATIENCE);
        String::from_utf8_lossy(&self.bytes.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

/// The exit status, or `None` if it had to be killed.
fn wait_or_kill(child: &mut Child, timeout: Duration) -> io::Result<Option<ExitStatus>> {
    const PAUSE: Duration = Duration::from_millis(2);
    let deadline = Instant::now() + timeout;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() > deadline {
            // What it started dies with it (see `Host::spawn`).
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        pause(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_of<F: FnOnce()>(_: &F) -> String {
        libtest_name::<F>()
    }

    #[test]
    fn a_failure_is_tried_again_where_the_machine_stood_still_and_not_for_ever() {
        let stops = |cpu, lock| Stops {
            cpu: Duration::from_millis(cpu),
            lock: Duration::from_millis(lock),
        };
        assert!(!is_tried_again(1, stops(24, 24)));
        assert!(is_tried_again(1, stops(25, 0)));
        assert!(is_tried_again(2, stops(0, 25)));
        assert!(!is_tried_again(3, stops(1000, 1000)));
    }

    #[test]
    fn the_name_is_what_libtest_calls_the_test() {
        let body = || {};
        let name = name_of(&body);
        assert_eq!(
            name,
            "lab::testing::tests::the_name_is_what_libtest_calls_the_test"
        );
        assert_eq!(thread::current().name(), Some(&*name));
    }

    #[test]
    fn a_child_that_does_not_end_is_killed_in_time() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let started = Instant::now();
        assert_eq!(wait_or_kill(&mut child, Duration::from_millis(20)).unwrap(), None);
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}
