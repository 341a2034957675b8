//! One cell: so many virtual routers at one interval, master and backup of one program, for a while.

use std::time::{Duration, Instant};

use ha_benches::testbed::lan::{Lan, Side};
use ha_benches::testbed::process::Usage;
use ha_benches::testbed::{Keepalived, Node, Result, Setup, Variant, pause, wait_until};
use vrrp_net::lab::Host;

const HIGH: u8 = 200;
const LOW: u8 = 100;
/// How long it may take until one node is master of all.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long both run before they are measured: past the second round of announcements, 5 s after the first.
const WARM_UP: Duration = Duration::from_secs(6);

/// Whose nodes they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Ours,
    Keepalived,
}

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) routers: u8,
    pub(crate) interval_cs: u16,
    pub(crate) window: Duration,
}

/// What a master and its backup took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Measured {
    pub(crate) master: Cost,
    pub(crate) backup: Cost,
    /// Changes of state on both, in the window.
    pub(crate) transitions: usize,
    /// Adverts that should have been sent in the window.
    pub(crate) adverts: f64,
}

/// What a process took in the window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// Share of one core, in percent.
    pub(crate) cpu_percent: f64,
    /// An advert, in microseconds.
    pub(crate) per_advert_us: f64,
    pub(crate) resident_mib: f64,
}

enum Running {
    Ours(Node),
    Keepalived(Keepalived),
}

impl Running {
    fn start(program: Program, host: &Host, setup: &Setup) -> Result<Self> {
        Ok(match program {
            Program::Ours => Self::Ours(Node::start(host, setup)?),
            Program::Keepalived => Self::Keepalived(Keepalived::start(host, setup)?),
        })
    }

    fn pid(&self) -> Result<u32> {
        match self {
            Self::Ours(node) => Ok(node.pid()),
            Self::Keepalived(keepalived) => keepalived.pid(),
        }
    }

    fn transitions(&mut self) -> usize {
        match self {
            Self::Ours(node) => node.transitions(),
            Self::Keepalived(keepalived) => keepalived.transitions(),
        }
    }
}

impl Cell {
    pub(crate) fn measure(&self, program: Program) -> Result<Measured> {
        let lan = Lan::new()?;
        let variant = Variant::v3(self.interval_cs);
        let setup = |side, priority| Setup::new(variant, side, priority).routers(self.routers);
        let mut master = Running::start(program, lan.host(Side::A), &setup(Side::A, HIGH))?;
        // The master first: how a start among many goes is not what is measured.
        let all = || Ok(lan.address_count(Side::A)? >= usize::from(self.routers));
        if !wait_until(PATIENCE, all)? {
            return Err(format!("{program:?} does not become master of {} routers", self.routers).into());
        }
        let mut backup = Running::start(program, lan.host(Side::B), &setup(Side::B, LOW))?;
        pause(WARM_UP);

        let pids = [master.pid()?, backup.pid()?];
        let transitions = master.transitions() + backup.transitions();
        let before = [Usage::of(pids[0])?, Usage::of(pids[1])?];
        let began = Instant::now();
        pause(self.window);
        let after = [Usage::of(pids[0])?, Usage::of(pids[1])?];
        let window = began.elapsed();
        let adverts = f64::from(self.routers) * window.as_secs_f64() / variant.interval().as_secs_f64();
        let cost = |index: usize| {
            let cpu = (after[index].cpu - before[index].cpu).as_secs_f64();
            Cost {
                cpu_percent: cpu / window.as_secs_f64() * 100.0,
                per_advert_us: cpu / adverts * 1e6,
                resident_mib: after[index].resident_kib as f64 / 1024.0,
            }
        };
        Ok(Measured {
            master: cost(0),
            backup: cost(1),
            transitions: master.transitions() + backup.transitions() - transitions,
            adverts,
        })
    }
}
