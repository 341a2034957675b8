//! Those that are compared.

use std::fmt;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use ha_benches::testbed::Result;

use crate::body::Body;
use crate::certificate::Certificate;
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

    /// Those that speak TLS with clients.
    pub(crate) const WITH_TLS: [Self; 2] = [Self::Nginx, Self::Haproxy];

    /// As options say it.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "nginx" => Self::Nginx,
            "nginx-default" => Self::NginxDefault,
            "haproxy" => Self::Haproxy,
            "ours" => Self::Ours,
            _ => return None,
        })
    }

    /// Starts it before the backend.
    pub(crate) fn start(self, field: &Field<'_>, place: Place, workers: usize) -> Result<Daemon> {
        let role = Role {
            place,
            workers,
            tls: None,
        };
        self.start_as(field, &role)
    }

    /// Starts it with one worker, and TLS towards clients.
    pub(crate) fn start_with_tls(self, field: &Field<'_>, certificate: &Certificate) -> Result<Daemon> {
        let role = Role {
            place: Place::Proxy,
            workers: 1,
            tls: Some(certificate),
        };
        self.start_as(field, &role)
    }

    fn start_as(self, field: &Field<'_>, role: &Role<'_>) -> Result<Daemon> {
        match self {
            Self::Nginx => nginx::proxy(field, role, Tuning::Tuned),
            Self::NginxDefault => nginx::proxy(field, role, Tuning::Default),
            Self::Haproxy => haproxy::proxy(field, role),
            Self::Ours => ours::proxy(field, role),
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

/// What one of them is to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Role<'a> {
    pub(crate) place: Place,
    pub(crate) workers: usize,
    /// TLS towards clients.
    pub(crate) tls: Option<&'a Certificate>,
}

/// Asks once, and compares every byte of the body: from there on, lengths do.
///
/// # Errors
/// If it is not the backend's.
pub(crate) fn expect_body(address: SocketAddr, body: Body) -> Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let path = body.path();
    let request = format!("GET {path} HTTP/1.1\r\nHost: bench.example\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    if answer.starts_with(b"HTTP/1.1 200 ") && answer.ends_with(&body.content()) {
        return Ok(());
    }
    answer.truncate(1000);
    let answer = String::from_utf8_lossy(&answer);
    Err(format!("{address} answers {} with:\n{answer}", body.path()).into())
}
