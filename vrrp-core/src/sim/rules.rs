//! The rules that the simulator checks after every step, and the bounds behind them.
//!
//! Let all nodes of one VRID and family be running, all paths between them deliver, each within `d`, and let no node
//! start, stop, fail, recover or change its priority, and no packet from before be under way, from `T` on. Let `A` be
//! the longest advertisement interval of any node of that VRID, the dead ones included, `MDI` the longest
//! Master_Down_Interval at that interval, each on the slowest clock, and `d` shorter than the shortest interval. Then:
//!
//! **One master soon.** Of two masters one outranks the other, by priority and then address. The younger of the two
//! advertised when it became master, at `e`; the older has it by `e + d`, and steps down or answers at once, so by
//! `e + 2d` one of them has stepped down. Of two that were both master at `T`, the higher advertises within `A`, so
//! by `T + A + d`. So two nodes are both master for no longer than `2d` after the younger became it, or `A + 2d`
//! after `T`. Nothing in VRRP makes that zero: a backup that takes over must tell the master. Where a master does not
//! reassert itself, it answers with its next advert, and everything takes up to `A` longer.
//!
//! **Exactly one, in bounded time.** The timer of a backup was last armed by an advert from before `T`, or is armed
//! by a master of this time. A master that stops being one after `T` does so for an advert of a higher rank, which
//! every backup that followed the lower one follows too; so backups that were held stay held. If no advert arms a
//! backup's timer it is master by `T + MDI`, or `T + d + MDI` with an advert that was sent just before `T`, and
//! `2d` later one is left. A master that yields does so for any advert, but sends none while it does, so the timers
//! of those who followed it run out within the same time.
//!
//! **It is the highest.** A backup that preempts, and hears only lower adverts, is master by `T + d + MDI`, as its
//! timer is not armed again. With `preempt_delay` `D` it follows a lower master for `D` from the first advert that it
//! hears of it, and only then stops arming its timer: as there is a master by `T + d + MDI`, heard by `T + 2d + MDI`,
//! it is master itself by `T + 2d + 2 MDI + D`. One that yielded does not preempt until its priority rises, one that
//! handed over on purpose not until its hold ends, and one that flapped not until its damping ends, and then within
//! the same time. None of the three delays the taking over from a master that is silent, so the rule before this one
//! holds for them as for all.
//!
//! **Sync groups.** Let all nodes have the same groups, and in each group the same settings for all members. The timers
//! of a backup's members run out within the times above, each by itself, and what has run out stays so until a master
//! is heard that the member follows; so a group moves when its last member would have, within the same times. A
//! member that steps down takes the others with it in that instant. Their master is the same node, whose members
//! became master together too, and answers their priority 0 at once; but that 0 has set the timers of backups above it
//! to their skew times, and everything may take that and `2d` longer. On one node members are in different roles for no
//! time at all.
//!
//! **Only with one interval for all.** Where VRRPv3 nodes differ in `A`, a backup that may not preempt learns the
//! interval of whoever it heard last. The last advert of a master with a short interval can overtake, or cross, the
//! first of its successor with a long one; then the backup's timer, set by the short interval, runs out before the
//! second advert comes, and it takes over for a moment. The RFCs have it so, and nothing bounds how often it happens
//! where jitter is at work. For such nodes only the first of the three is checked.
//!
//! So after [`settle_time`](Bounds::settle_time), `MDI + 3d`, or with such a delay `2 MDI + D + 5d`, exactly one node
//! is master, and no backup that preempts is above it. `MDI` includes the skew time; the `d` is what packets need that
//! an abstract LAN does not.

use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use super::node::{Hold, Host};
use super::{Clock, NodeId, Path, Record};
use crate::config::AddressMismatch;
use crate::router::timers;
use crate::{AdverInterval, Family, ParseError, Priority, State, UnicastPeer, Version, VirtualRouter, Vrid};

/// A rule that a step broke, with what it takes to see it again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Violation {
    /// Seed of the simulation.
    pub seed: u64,
    /// When, in the time of the simulation.
    pub at: Duration,
    /// The rule.
    pub broken: Rule,
    /// What happened before, oldest first.
    pub trace: Vec<Record>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Lines of the trace that a message shows; all of them are in [`Violation::trace`].
        const SHOWN: usize = 60;
        writeln!(f, "{} (seed {}, at {:?})", self.broken, self.seed, self.at)?;
        let skipped = self.trace.len().saturating_sub(SHOWN);
        for record in &self.trace[skipped..] {
            writeln!(f, "{record}")?;
        }
        Ok(())
    }
}

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rule {
    /// A running node holds the addresses exactly when its router is master.
    #[error("vrid {vrid} of {node} is {state} and holds the addresses: {holds}")]
    MasterHolds {
        /// The node.
        node: NodeId,
        /// The virtual router.
        vrid: Vrid,
        /// Its state.
        state: State,
        /// Whether it holds the addresses.
        holds: bool,
    },
    /// Two that hear each other are both master only while an advert travels.
    #[error("vrid {vrid}: {one} and {other} are both master since {since:?}")]
    OneMaster {
        /// The virtual router.
        vrid: Vrid,
        /// One of them.
        one: NodeId,
        /// The other.
        other: NodeId,
        /// Since when both are.
        since: Duration,
    },
    /// Members of a sync group are master together or not at all.
    #[error("{node}: vrid {master} is master and vrid {other} of its sync group is not")]
    MasterTogether {
        /// The node.
        node: NodeId,
        /// The member that is master.
        master: Vrid,
        /// The member that is not.
        other: Vrid,
    },
    /// Without faults for the settle time, exactly one node is master.
    #[error("vrid {vrid}: {masters} masters, and no fault since {quiet_since:?}")]
    ExactlyOneMaster {
        /// The virtual router.
        vrid: Vrid,
        /// How many there are.
        masters: usize,
        /// When the last fault ended.
        quiet_since: Duration,
    },
    /// Without faults for the settle time, no backup that preempts is above the master.
    #[error("vrid {vrid}: {master} is master and {backup}, of priority {priority}, is not")]
    HighestIsMaster {
        /// The virtual router.
        vrid: Vrid,
        /// The master.
        master: NodeId,
        /// The backup above it.
        backup: NodeId,
        /// Priority of the backup.
        priority: Priority,
    },
    /// What a router sends, another can read.
    #[error("an advert to {to} can't be read: {error}")]
    Readable {
        /// The receiver.
        to: NodeId,
        /// Why not.
        error: ParseError,
    },
    /// Nodes leave each other alone: time goes on.
    #[error("{steps} steps without time going on")]
    TimePasses {
        /// How many.
        steps: usize,
    },
}

/// One router of one VRID and family that takes part in the election.
#[derive(Clone, Copy)]
pub(super) struct Member<'a> {
    pub(super) id: NodeId,
    pub(super) router: &'a VirtualRouter,
    clock: Clock,
    master_since: Option<Duration>,
    preempts: bool,
    /// Until when flapping holds its preemption back.
    damped_until: Option<Duration>,
}

/// The routers of one VRID and family that run and are not at fault.
pub(super) fn members<N: super::Node>(hosts: &[Host<N>], vrid: Vrid, family: Family) -> Vec<Member<'_>> {
    let mut members = Vec::new();
    for (id, host) in hosts.iter().enumerate().filter(|(_, host)| host.is_running()) {
        for (index, router) in host.node.routers().iter().enumerate() {
            let same = router.config().vrid() == vrid && router.config().family() == family;
            if same && matches!(router.state(), State::Backup | State::Master) {
                members.push(Member {
                    id: NodeId(id),
                    router,
                    clock: host.clock,
                    master_since: host.master_since[index],
                    // By the settings and by what was seen, not by what the router says of itself.
                    preempts: router.config().preempt() && !host.yielded[index] && !host.held[index],
                    damped_until: router.damped_until().map(|until| host.clock.global(until)),
                });
            }
        }
    }
    members
}

/// What the bounds are made of; see the module.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bounds {
    /// `d`
    pub(super) longest_path: Duration,
    /// `A`
    pub(super) adver_interval: Duration,
    /// How long a master takes to answer a losing advert: not at all, or `A` where one does not reassert itself.
    pub(super) answer: Duration,
    /// `MDI + 3d`, or with `preempt_delay` `2 MDI + D + 5d`; and the answer.
    /// `None` when the members' intervals differ.
    pub(super) settle_time: Option<Duration>,
}

impl Bounds {
    /// `None` when these members can't be expected to agree: a path is cut or lossy or slower than an interval, or
    /// their configurations differ so that they discard each other's adverts. `longest` is the longest interval that a
    /// member can have learned, also from a node that is no more.
    pub(super) fn of(
        members: &[Member<'_>],
        longest: AdverInterval,
        path: impl Fn(NodeId, NodeId) -> Path,
    ) -> Option<Self> {
        let mut longest_path = Duration::ZERO;
        for one in members {
            for other in members.iter().filter(|other| other.id != one.id) {
                let path = path(one.id, other.id);
                if !path.delivers() || !hears(other.router, one.router) {
                    return None;
                }
                longest_path = longest_path.max(path.longest());
            }
        }
        let shortest = intervals(members).min()?;
        if longest_path >= shortest.duration() {
            return None;
        }
        let mut bounds = Self {
            longest_path,
            ..Self::default()
        };
        for member in members {
            let config = member.router.config();
            let down = timers::master_down_interval(config, member.router.priority(), longest);
            let mut time = match config.preempt_delay() {
                Duration::ZERO => down + longest_path * 3,
                delay => down * 2 + delay + longest_path * 5,
            };
            if member.router.is_grouped() {
                let skew = timers::skew_time(config.version(), member.router.priority(), longest);
                time += skew + longest_path * 2;
            }
            bounds.settle_time = bounds.settle_time.max(Some(member.clock.longest(time)));
            let interval = member.clock.longest(longest.duration());
            bounds.adver_interval = bounds.adver_interval.max(interval);
        }
        if !members.iter().all(|member| member.router.config().reassert()) {
            bounds.answer = bounds.adver_interval;
            bounds.settle_time = bounds.settle_time.map(|time| time + bounds.answer);
        }
        if intervals(members).any(|interval| interval != shortest) {
            bounds.settle_time = None;
        }
        Some(bounds)
    }
}

/// Checks what must hold of the masters of one VRID and family.
pub(super) fn check_masters(
    members: &[Member<'_>],
    bounds: &Bounds,
    quiet_since: Duration,
    now: Duration,
) -> Result<(), Rule> {
    let masters: Vec<_> = members
        .iter()
        .filter_map(|member| Some((member, member.master_since?)))
        .collect();
    let travel = bounds.longest_path * 2 + bounds.answer;
    for (index, (one, one_since)) in masters.iter().enumerate() {
        for (other, other_since) in &masters[..index] {
            let since = *one_since.max(other_since);
            if now > since + travel && now > quiet_since + bounds.adver_interval + travel {
                return Err(Rule::OneMaster {
                    vrid: one.router.config().vrid(),
                    one: other.id,
                    other: one.id,
                    since,
                });
            }
        }
    }
    let Some(settle_time) = bounds.settle_time.filter(|time| now > quiet_since + *time) else {
        return Ok(());
    };
    // Who is held back no longer preempts the master as late as that, and for a moment there are two.
    let damped = |member: &&Member<'_>| {
        member
            .damped_until
            .is_some_and(|until| now <= until + settle_time)
    };
    if masters.len() > 1 && members.iter().any(|member| damped(&member)) {
        return Ok(());
    }
    let [(master, _)] = masters[..] else {
        // Groups without members are not checked.
        let vrid = members[0].router.config().vrid();
        return Err(Rule::ExactlyOneMaster {
            vrid,
            masters: masters.len(),
            quiet_since,
        });
    };
    let above = members.iter().find(|member| {
        let damped = member
            .damped_until
            .is_some_and(|until| now <= until + settle_time);
        let preempts = member.preempts && !damped;
        member.id != master.id && preempts && member.router.priority() > master.router.priority()
    });
    match above {
        Some(backup) => Err(Rule::HighestIsMaster {
            vrid: master.router.config().vrid(),
            master: master.id,
            backup: backup.id,
            priority: backup.router.priority(),
        }),
        None => Ok(()),
    }
}

/// Checks that a running node holds the addresses of the routers that are master, and no others.
pub(super) fn check_holds<N: super::Node>(id: NodeId, host: &Host<N>) -> Result<(), Rule> {
    for (router, hold) in host.node.routers().iter().zip(&host.holds) {
        let holds = *hold == Hold::Renewed;
        if host.is_running() && holds != (router.state() == State::Master) {
            return Err(Rule::MasterHolds {
                node: id,
                vrid: router.config().vrid(),
                state: router.state(),
                holds,
            });
        }
    }
    Ok(())
}

/// Checks that the members of each sync group of a running node are master together or not at all.
pub(super) fn check_groups<N: super::Node>(id: NodeId, host: &Host<N>) -> Result<(), Rule> {
    let routers = host.node.routers();
    for group in host.node.groups().iter().filter(|_| host.is_running()) {
        let is_master = |member: &&usize| routers[**member].state() == State::Master;
        let master = group.members().iter().find(is_master);
        let other = group.members().iter().find(|member| !is_master(member));
        if let (Some(master), Some(other)) = (master, other) {
            return Err(Rule::MasterTogether {
                node: id,
                master: routers[*master].config().vrid(),
                other: routers[*other].config().vrid(),
            });
        }
    }
    Ok(())
}

fn intervals(members: &[Member<'_>]) -> impl Iterator<Item = AdverInterval> {
    members
        .iter()
        .map(|member| member.router.config().adver_interval())
}

/// Whether `one` takes the adverts of `other`.
fn hears(one: &VirtualRouter, other: &VirtualRouter) -> bool {
    let (ours, theirs) = (one.config(), other.config());
    let same_addresses = ours
        .addresses()
        .as_addresses()
        .same_set(theirs.addresses().as_addresses());
    ours.version() == theirs.version()
        && ours.authentication == theirs.authentication
        && (ours.version() == Version::V3 || ours.adver_interval() == theirs.adver_interval())
        && (ours.address_mismatch == AddressMismatch::Accept || same_addresses)
        && one.source() != other.source()
        && match ours.peers() {
            [] => theirs.peers().is_empty(),
            peers => lists(peers, other) && lists(theirs.peers(), one),
        }
}

fn lists(peers: &[UnicastPeer], router: &VirtualRouter) -> bool {
    peers.iter().any(|peer| peer.address() == router.source())
}
