//! Those that are compared.

use std::fmt;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use ha_benches::testbed::Result;

use crate::body::Body;
use crate::cores::{Cores, Place};
use crate::daemon::{Daemon, Directory};
use crate::nginx::Tuning;
use crate::{haproxy, nginx, ours};

/// How long an answer to the first request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    Nginx,
    NginxDefault,
    Haproxy,
    Ours,
}

impl Contender {
    pub(crate) const ALL: [Self; 4] = [Self::Nginx, Self::NginxDefault, Self::Haproxy, Self::Ours];
    /// Without the one that is shown for comparison only.
    pub(crate) const RIVALS: [Self; 3] = [Self::Nginx, Self::Haproxy, Self::Ours];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::NginxDefault => "nginx, default",
            Self::Haproxy => "HAProxy",
            Self::Ours => "ours",
        }
    }

    /// Starts it before the backend.
    pub(crate) fn start(self, field: &Field<'_>, place: Place, workers: usize) -> Result<Daemon> {
        let Field {
            cores,
            directory,
            backend,
        } = *field;
        match self {
            Self::Nginx => nginx::proxy(cores, place, directory, backend, workers, Tuning::Tuned),
            Self::NginxDefault => nginx::proxy(cores, place, directory, backend, workers, Tuning::Default),
            Self::Haproxy => haproxy::proxy(cores, place, directory, backend, workers),
            Self::Ours => ours::proxy(cores, place, backend, workers),
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What all contenders share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field<'a> {
    pub(crate) cores: &'a Cores,
    pub(crate) directory: &'a Directory,
    pub(crate) backend: SocketAddr,
}

/// Asks once, and compares every byte of the body: from there on, lengths do.
///
/// # Errors
/// If it is not the backend's.
pub(crate) fn expect_body(address: SocketAddr, body: Body) -> Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(
        stream,
        "GET {} HTTP/1.1\r\nHost: bench.example\r\nConnection: close\r\n\r\n",
        body.path()
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    if answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(&body.content()) {
        return Ok(());
    }
    answer.truncate(1000);
    let answer = String::from_utf8_lossy(&answer);
    Err(format!("{address} answers {} with:\n{answer}", body.path()).into())
}
