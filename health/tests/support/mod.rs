//! What the tests of several probes share.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

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
