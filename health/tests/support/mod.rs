//! What the tests of several probes share.
#![allow(dead_code, reason = "each test program needs some of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ha_health::Outcome;
use ha_health::probe::Watch;

/// A folder of a test's own, removed at its end.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ha-health-{}-{test}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).expect("temporary folder");
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Waits for `condition` for up to two seconds.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..400 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what}: not within 2 s");
}

/// Waits for a file of process ids, one a line, and reads it.
pub(crate) async fn pids(file: &Path, count: usize) -> Vec<i32> {
    let read = || {
        let text = fs::read_to_string(file).unwrap_or_default();
        text.lines()
            .filter_map(|line| line.parse().ok())
            .collect::<Vec<i32>>()
    };
    eventually("the processes start", || read().len() == count).await;
    read()
}

/// Says whether a process runs. A zombie does not: in a container nobody may reap the orphans.
pub(crate) fn is_alive(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // pid (name) state …; the name may hold blanks and brackets.
    stat.rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next())
        .is_some_and(|state| !"ZX".contains(state))
}

/// What a watch tells, which runs until this is dropped.
pub(crate) struct Told {
    outcomes: tokio::sync::mpsc::UnboundedReceiver<Outcome>,
    task: tokio::task::JoinHandle<()>,
}

impl Told {
    pub(crate) fn by(watch: impl Watch + 'static) -> Self {
        let (tell, outcomes) = tokio::sync::mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            let failure = watch.watch(&|outcome| drop(tell.send(outcome))).await;
            let _ = tell.send(failure.into());
        });
        Self { outcomes, task }
    }

    /// The next, within ten seconds.
    pub(crate) async fn next(&mut self) -> Outcome {
        tokio::time::timeout(Duration::from_secs(10), self.outcomes.recv())
            .await
            .expect("something is told within 10 s")
            .expect("the watch goes on")
    }

    /// The first that is as wanted, each within ten seconds of the one before.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&Outcome) -> bool) -> Outcome {
        for _ in 0..2000 {
            let outcome = self.next().await;
            if wanted(&outcome) {
                return outcome;
            }
        }
        panic!("not in 2000 results");
    }

    pub(crate) fn so_far(&mut self) -> Vec<Outcome> {
        std::iter::from_fn(|| self.outcomes.try_recv().ok()).collect()
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.task.abort();
    }
}
