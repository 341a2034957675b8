//! What happened, for people.

use alloc::collections::VecDeque;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use super::{Action, NodeId};
use crate::{Discard, Priority, Rival, SwitchoverEnd, Transition, Vrid};

/// One line of the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// When, in the time of the simulation.
    pub at: Duration,
    /// To whom.
    pub node: NodeId,
    /// What.
    pub event: Event,
}

/// What happened to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The test did something.
    Action(Action),
    /// It sent an advert.
    Advertised(Vrid, Priority),
    /// Its advert to that node got lost.
    Lost(NodeId, Priority),
    /// It discarded an advert of that sender.
    Discarded(IpAddr, Discard),
    /// It took the addresses.
    Acquired(Vrid),
    /// It announced the addresses.
    Announced(Vrid),
    /// It gave the addresses up.
    Released(Vrid),
    /// It will give the addresses up soon: another master has them.
    HandedOver(Vrid),
    /// The kernel removed the addresses, since nobody renewed their lease; or they were handed over.
    LeaseEnded(Vrid),
    /// A router changed its state.
    Changed(Vrid, Transition),
    /// A router told of another master.
    Rival(Vrid, Rival),
    /// A router told how a switchover ended.
    Switchover(Vrid, SwitchoverEnd),
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, node, event } = self;
        let (secs, nanos) = (at.as_secs(), at.subsec_nanos());
        write!(f, "{secs:>5}.{nanos:09} {node}: ")?;
        match event {
            Event::Action(action) => write!(f, "({action})"),
            Event::Advertised(vrid, priority) => write!(f, "vrid {vrid} advertises {priority}"),
            Event::Lost(to, priority) => write!(f, "advert of {priority} to {to} is lost"),
            Event::Discarded(from, discard) => write!(f, "discards an advert of {from}: {discard}"),
            Event::Acquired(vrid) => write!(f, "vrid {vrid} takes the addresses"),
            Event::Announced(vrid) => write!(f, "vrid {vrid} announces the addresses"),
            Event::Released(vrid) => write!(f, "vrid {vrid} gives the addresses up"),
            Event::HandedOver(vrid) => write!(f, "vrid {vrid} hands the addresses over"),
            Event::LeaseEnded(vrid) => write!(f, "vrid {vrid} has the addresses no longer"),
            Event::Rival(vrid, rival) => write!(f, "vrid {vrid} tells of a rival: {rival}"),
            Event::Switchover(vrid, SwitchoverEnd::Done(peer)) => {
                write!(f, "vrid {vrid} has handed over to {}", peer.address)
            }
            Event::Switchover(vrid, SwitchoverEnd::NobodyTookOver) => {
                write!(f, "vrid {vrid} could hand over to nobody")
            }
            Event::Switchover(vrid, SwitchoverEnd::Interrupted) => {
                write!(f, "vrid {vrid} was interrupted in handing over")
            }
            Event::Switchover(vrid, SwitchoverEnd::Refused(error)) => {
                write!(f, "vrid {vrid} does not hand over: {error}")
            }
            Event::Changed(vrid, change) => {
                write!(
                    f,
                    "vrid {vrid} {} -> {}: {}",
                    change.from, change.to, change.reason
                )
            }
        }
    }
}

/// The last [`Trace::MAX`] records.
#[derive(Clone, Debug, Default)]
pub(super) struct Trace {
    records: VecDeque<Record>,
}

impl Trace {
    /// Records kept; older ones make room.
    pub(super) const MAX: usize = 4096;

    pub(super) fn push(&mut self, at: Duration, node: NodeId, event: Event) {
        if self.records.len() == Self::MAX {
            self.records.pop_front();
        }
        self.records.push_back(Record { at, node, event });
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &Record> {
        self.records.iter()
    }
}
