//! HAProxy's side: a backend with as many servers.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use ha_benches::testbed::{Result, pause};

use super::ours::Kind;
use super::{INTERVAL, Killed, address};

const HAPROXY: &str = "/usr/sbin/haproxy";

/// Starts it, where it is installed and has such checks.
pub(crate) fn start(kind: Kind, backends: u32, port: u16) -> Result<Option<Killed>> {
    // It can't keep a connection for the next check.
    if !Path::new(HAPROXY).exists() || kind == Kind::Kept {
        return Ok(None);
    }
    let check = match kind {
        Kind::None => "",
        _ => " check",
    };
    let mut text = format!(
        "global\n log stdout format raw local0 emerg\n nbthread 1\n spread-checks 20\ndefaults\n mode http\n timeout connect 1s\n timeout check 1s\n \
         timeout client 5s\n timeout server 5s\nfrontend f\n bind abns@ha-bench-checks-{}\n default_backend b\nbackend b\n \
         default-server inter {}ms fastinter 500ms rise 2 fall 3\n",
        std::process::id(),
        INTERVAL.as_millis()
    );
    if kind == Kind::Http {
        text += " option httpchk GET /health\n";
    }
    for number in 0..backends {
        writeln!(text, " server backend-{number} {}{check}", address(number, port))?;
    }
    let path = std::env::temp_dir().join(format!("ha-bench-checks-{}.cfg", std::process::id()));
    fs::write(&path, text)?;
    let child = Command::new(HAPROXY)
        .arg("-db")
        .arg("-f")
        .arg(&path)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    let program = Killed(child);
    // It has read the file by then, or has said why it doesn't run.
    pause(Duration::from_secs(2));
    fs::remove_file(&path)?;
    Ok(Some(program))
}
