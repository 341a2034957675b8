//! What happens to the master of two nodes, how long clients may be without service then, and whether they were longer.

use std::fmt;
use std::time::Duration;

use super::spread::ms;
use super::{Spread, Variant};

/// Priority of the master.
pub const FIRST: u8 = 100;
/// Priority of the backup.
pub const SECOND: u8 = 90;
/// How often the check runs.
pub const CHECK: Duration = Duration::from_secs(1);
/// Less than this is chance: the client asks twice a millisecond, and threads take turns.
const GRAIN: Duration = Duration::from_millis(2);
/// How long a busy machine may stand still within the median of the runs.
const PAUSE: Duration = Duration::from_millis(20);

/// Whose nodes they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Two nodes of ours.
    Ours,
    /// Two of keepalived.
    Keepalived,
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ours => "ours",
            Self::Keepalived => "keepalived",
        })
    }
}

/// Something that moves the virtual address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
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
    /// All, in the order in which a run has them.
    pub const ALL: [Self; 6] = [
        Self::LinkCut,
        Self::PlannedStop,
        Self::Switchover,
        Self::FailedCheck,
        Self::DeadProcess,
        Self::Recovery,
    ];

    /// What it is called on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LinkCut => "link-cut",
            Self::PlannedStop => "planned-stop",
            Self::Switchover => "switchover",
            Self::FailedCheck => "failed-check",
            Self::DeadProcess => "dead-process",
            Self::Recovery => "recovery",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name() == name)
    }

    /// Whether a program can do it here at all.
    #[must_use]
    pub fn is_possible(self, program: Program) -> bool {
        // keepalived has no such command, and hears of processes by a socket of the first network namespace alone.
        program == Program::Ours || !matches!(self, Self::Switchover | Self::DeadProcess)
    }

    /// How long it may take by the protocol and by when it is detected, with what our programs may add on a machine that
    /// does nothing else.
    #[must_use]
    pub fn bound(self, interval_cs: u16) -> Duration {
        let millis = Duration::from_millis;
        let variant = Variant::v3(interval_cs);
        let skew = variant.skew_time(SECOND);
        match self {
            Self::LinkCut => variant.master_down_interval(SECOND) + millis(2),
            Self::PlannedStop => skew + millis(1),
            Self::Switchover => millis(5),
            Self::FailedCheck => CHECK + skew + millis(5),
            // The kernel tells at once. This keeps below 100 ms at 10 ms.
            Self::DeadProcess => skew + millis(5),
            Self::Recovery => millis(1),
        }
    }

    /// What the bound may be exceeded by on a machine that others use, too: a pause, and a quarter of an interval. Each
    /// way to do it that is wrong costs more where adverts are 100 ms apart, or 1 s: an advert waited for in vain costs
    /// an interval, and priority 0 instead of a switchover the skew time, which is two thirds of one.
    fn slack(interval_cs: u16) -> Duration {
        PAUSE + Variant::v3(interval_cs).interval() / 4
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name().replace('-', " "))
    }
}

/// All runs of an event at an interval.
#[derive(Clone, Debug)]
pub struct Cell {
    /// What happened.
    pub event: Event,
    /// Advertisement interval in centiseconds.
    pub interval_cs: u16,
    /// How long clients of ours were without service.
    pub ours: Spread,
    /// How long those of keepalived were.
    pub theirs: Spread,
}

impl Cell {
    /// Without a run yet.
    #[must_use]
    pub fn new(event: Event, interval_cs: u16) -> Self {
        Self {
            event,
            interval_cs,
            ours: Spread::new(),
            theirs: Spread::new(),
        }
    }

    /// Adds a run.
    pub fn add(&mut self, program: Program, took: Duration) {
        match program {
            Program::Ours => self.ours.add(took),
            Program::Keepalived => self.theirs.add(took),
        }
    }

    /// Everything that is wrong with it, a line each: there is no result, ours is slower than keepalived by more than
    /// chance, or slower than the protocol allows.
    #[must_use]
    pub fn broken(&self) -> Vec<String> {
        let what = format!("{} at {} ms", self.event, self.interval_cs * 10);
        let Some(ours) = self.ours.median() else {
            return vec![format!("{what}: no result of ours")];
        };
        let mut broken = Vec::new();
        match self.theirs.median() {
            Some(theirs) => {
                let chance = self.ours.noise().max(self.theirs.noise()).max(GRAIN);
                if ours > theirs + chance {
                    let (ours, theirs) = (&self.ours, &self.theirs);
                    broken.push(format!("{what}: {ours} ms against keepalived's {theirs} ms"));
                }
            }
            None if self.event.is_possible(Program::Keepalived) => {
                broken.push(format!("{what}: no result of keepalived to compare with"));
            }
            None => {}
        }
        let bound = self.event.bound(self.interval_cs);
        let slack = Event::slack(self.interval_cs);
        if ours > bound + slack {
            broken.push(format!(
                "{what}: {} ms, the protocol's bound is {} ms, and {} ms more are allowed",
                self.ours,
                ms(bound),
                ms(slack)
            ));
        }
        broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Intervals at which what is done wrong costs more than the slack.
    const JUDGED_CS: [u16; 2] = [10, 100];

    #[test]
    fn a_cell_at_the_bound_is_not_broken_with_keepalived_or_without() {
        for event in Event::ALL {
            for interval_cs in [1, 10, 100] {
                let bound = event.bound(interval_cs);
                let theirs = event.is_possible(Program::Keepalived).then_some(bound);
                let cell = cell(event, interval_cs, bound, theirs);
                assert_eq!(cell.broken(), [""; 0], "{event} at {interval_cs}");
            }
        }
    }

    #[test]
    fn each_event_is_judged_by_its_bound_even_where_keepalived_has_none_or_is_slower() {
        for event in Event::ALL {
            for interval_cs in [1, 10, 100] {
                let late = event.bound(interval_cs) + Event::slack(interval_cs) + Duration::from_millis(1);
                let theirs = event.is_possible(Program::Keepalived).then_some(late * 2);
                let broken = cell(event, interval_cs, late, theirs).broken();
                assert_eq!(broken.len(), 1, "{broken:?}");
                assert!(broken[0].contains("the protocol's bound"), "{broken:?}");
            }
        }
    }

    #[test]
    fn slower_than_keepalived_is_broken_within_the_bound() {
        let ours = Duration::from_millis(64);
        let broken = cell(Event::PlannedStop, 10, ours, Some(ours - GRAIN * 2)).broken();
        assert_eq!(broken.len(), 1, "{broken:?}");
        assert!(broken[0].contains("against keepalived's"), "{broken:?}");
        assert_eq!(
            cell(Event::PlannedStop, 10, ours, Some(ours - GRAIN)).broken(),
            [""; 0]
        );
    }

    #[test]
    fn no_result_is_broken() {
        let none = Cell::new(Event::Switchover, 10).broken();
        assert_eq!(none, ["switchover at 100 ms: no result of ours"]);
        let ours_alone = cell(Event::LinkCut, 10, Duration::from_millis(300), None).broken();
        assert_eq!(
            ours_alone,
            ["link cut at 100 ms: no result of keepalived to compare with"]
        );
    }

    #[test]
    fn priority_0_instead_of_a_switchover_or_of_preemption_is_broken() {
        for interval_cs in JUDGED_CS {
            let skew = Variant::v3(interval_cs).skew_time(SECOND);
            let switchover = cell(Event::Switchover, interval_cs, skew, None).broken();
            assert_eq!(switchover.len(), 1, "{switchover:?}");
            let recovery = cell(Event::Recovery, interval_cs, skew, Some(skew)).broken();
            assert_eq!(recovery.len(), 1, "{recovery:?}");
        }
    }

    #[test]
    fn silence_instead_of_priority_0_is_broken() {
        for interval_cs in [1, 10, 100] {
            let down = Variant::v3(interval_cs).master_down_interval(SECOND);
            let theirs = |event: Event| event.is_possible(Program::Keepalived).then_some(CHECK + down);
            let is_broken = |event, took| !cell(event, interval_cs, took, theirs(event)).broken().is_empty();
            assert!(is_broken(Event::PlannedStop, down));
            assert!(is_broken(Event::DeadProcess, down));
        }
        for interval_cs in JUDGED_CS {
            let down = Variant::v3(interval_cs).master_down_interval(SECOND);
            let check = cell(Event::FailedCheck, interval_cs, CHECK + down, Some(CHECK + down));
            assert!(!check.broken().is_empty());
        }
    }

    #[test]
    fn a_fourth_interval_of_silence_is_broken() {
        for interval_cs in JUDGED_CS {
            let variant = Variant::v3(interval_cs);
            let took = variant.master_down_interval(SECOND) + variant.interval();
            assert!(
                !cell(Event::LinkCut, interval_cs, took, Some(took))
                    .broken()
                    .is_empty()
            );
        }
    }

    /// Three runs that took as long.
    fn cell(event: Event, interval_cs: u16, ours: Duration, theirs: Option<Duration>) -> Cell {
        let mut cell = Cell::new(event, interval_cs);
        for _ in 0..3 {
            cell.add(Program::Ours, ours);
            if let Some(theirs) = theirs {
                cell.add(Program::Keepalived, theirs);
            }
        }
        cell
    }
}
