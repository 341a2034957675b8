//! What several test programs need.

use std::path::{Path, PathBuf};

/// A folder of one test, gone with it.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes one. Tests of one program run in one process, and each has a `name` of its own.
    pub(crate) fn new(name: &str) -> Self {
        let name = format!("{name}-{}", std::process::id());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left there says nothing about the test.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
