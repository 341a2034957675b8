//! What happens to the master.

use std::fmt;
use std::time::Duration;

use ha_benches::testbed::Variant;

use super::pair::{CHECK, Program, SECOND};

/// Something that moves the virtual address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Its cable is pulled right after an advert, when the backup has longest to wait.
    LinkCut,
    /// It is stopped by its administrator.
    PlannedStop,
    /// It is told to hand over.
    Switchover,
    /// Its check fails, right after the last run that succeeded.
    FailedCheck,
    /// A process that it watches dies.
    DeadProcess,
    /// It is well again and takes the address back from a master that is well, too.
    Recovery,
}

impl Event {
    pub(crate) const ALL: [Self; 6] = [
        Self::LinkCut,
        Self::PlannedStop,
        Self::Switchover,
        Self::FailedCheck,
        Self::DeadProcess,
        Self::Recovery,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::LinkCut => "link-cut",
            Self::PlannedStop => "planned-stop",
            Self::Switchover => "switchover",
            Self::FailedCheck => "failed-check",
            Self::DeadProcess => "dead-process",
            Self::Recovery => "recovery",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name() == name)
    }

    /// Whether a program can do it here at all.
    pub(crate) fn is_possible(self, program: Program) -> bool {
        // keepalived has no such command, and hears of processes by a socket of the first network namespace alone.
        program == Program::Ours || !matches!(self, Self::Switchover | Self::DeadProcess)
    }

    /// How long it may take by the protocol, and by when it is detected.
    pub(crate) fn bound(self, interval_cs: u16) -> Duration {
        let variant = Variant::v3(interval_cs);
        let skew = variant.skew_time(SECOND);
        match self {
            Self::LinkCut => variant.master_down_interval(SECOND),
            Self::PlannedStop | Self::DeadProcess => skew,
            Self::FailedCheck => CHECK + skew,
            Self::Switchover | Self::Recovery => Duration::ZERO,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name().replace('-', " "))
    }
}
