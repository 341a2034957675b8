//! HAProxy's side: a backend with as many servers.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use ha_benches::testbed::Result;

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
        "global\n nbthread 1\n spread-checks 20\ndefaults\n mode http\n timeout connect 1s\n timeout check 1s\n \
         timeout client 5s\n timeout server 5s\nfrontend f\n bind 127.0.0.1:0\n default_backend b\nbackend b\n \
         default-server inter {}ms fastinter 500ms rise 2 fall 3\n",
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
        .stderr(Stdio::null())
        .spawn()?;
    Ok(Some(Killed(child)))
}
