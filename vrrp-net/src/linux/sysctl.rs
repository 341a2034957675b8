//! Settings of the kernel below /proc/sys/net, of the calling thread's network namespace.

use std::fs;
use std::io;

/// Reads a setting; `None` where there is none.
pub(super) fn read(name: &str) -> Option<String> {
    let value = fs::read_to_string(path(name)).ok()?;
    Some(value.trim_end().to_owned())
}

/// Writes a setting, if it has another value. A kernel without the protocol has no such setting, and needs none.
pub(super) fn write(name: &str, value: &str) -> io::Result<()> {
    match read(name) {
        None => Ok(()),
        Some(current) if current == value => Ok(()),
        Some(_) => fs::write(path(name), value),
    }
}

fn path(name: &str) -> String {
    format!("/proc/sys/net/{name}")
}
