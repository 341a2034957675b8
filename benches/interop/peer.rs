//! Whom our node shares a virtual router with.

use std::fmt;

use ha_benches::testbed::{Frr, Keepalived, Result, Role, Setup, frr, keepalived};
use nix::unistd::geteuid;
use vrrp_net::lab::Host;

/// A program that speaks VRRP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Keepalived,
    Frr,
}

impl Program {
    /// Why it can't run here.
    pub(crate) fn missing(self) -> Option<Missing> {
        let installed = match self {
            Self::Keepalived => keepalived::program().is_some(),
            Self::Frr => frr::is_installed(),
        };
        match self {
            _ if !installed => Some(Missing::Program(self)),
            // Its daemons change their user.
            Self::Frr if !is_real_root() => Some(Missing::Root(self)),
            _ => None,
        }
    }
}

/// Why a program can't run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    /// It is not installed.
    Program(Program),
    /// It needs root, which an ordinary user can't be asked for.
    Root(Program),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(program) => write!(f, "{program} is not installed"),
            Self::Root(program) => write!(f, "{program} needs root"),
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keepalived => "keepalived",
            Self::Frr => "FRR",
        })
    }
}

/// One that runs.
#[derive(Debug)]
pub(crate) enum Peer {
    Keepalived(Keepalived),
    Frr(Frr),
}

impl Peer {
    pub(crate) fn start(program: Program, host: &Host, setup: &Setup) -> Result<Self> {
        Ok(match program {
            Program::Keepalived => Self::Keepalived(Keepalived::start(host, setup)?),
            Program::Frr => Self::Frr(Frr::start(host, setup)?),
        })
    }

    pub(crate) fn role(&self) -> Role {
        match self {
            Self::Keepalived(keepalived) => keepalived.role(),
            Self::Frr(frr) => frr.role(),
        }
    }

    pub(crate) fn stop(&mut self) -> Result<()> {
        match self {
            Self::Keepalived(keepalived) => keepalived.stop(),
            Self::Frr(frr) => frr.stop(),
        }
    }

    /// What it has to say when something went wrong.
    pub(crate) fn log(&self) -> String {
        match self {
            Self::Keepalived(keepalived) => keepalived.log(),
            Self::Frr(frr) => format!("{}\n{}", frr.show(), frr.log()),
        }
    }
}

/// Whether this is root outside of user namespaces of an ordinary user: one that may become others.
fn is_real_root() -> bool {
    let maps = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let all = maps
        .split_whitespace()
        .nth(2)
        .and_then(|count| count.parse::<u32>().ok());
    geteuid().is_root() && all.is_some_and(|count| count > 1)
}
