//! A strategy laid out for the members of one moment.

use std::sync::Arc;

use super::dice::Dice;
use super::least::Least;
use super::placement::{Placed, Placement};
use super::random::Urn;
use super::ring::{Member, Order, Ring};
use super::two::{Load, Two};
use super::{Key, Strategy};
use crate::balance::backend::Roster;

/// Who takes part in a group, in the operator's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::balance) struct Members {
    /// Who can take requests, with the weights of the moment, all above 0.
    pub(in crate::balance) eligible: Vec<Member>,
    /// Who has keys, for a strategy that places some.
    pub(in crate::balance) placed: Vec<Placed>,
}

/// A group's strategy, laid out for its members.
#[derive(Debug)]
pub(in crate::balance) struct Table {
    strategy: Strategy,
    /// The schedule, which is what every strategy falls back on.
    ring: Ring,
    index: Index,
}

/// What a strategy needs beside the schedule.
#[derive(Debug)]
enum Index {
    Nothing,
    Least(Least),
    Two(Two),
    Random(Urn),
    /// Shared with the tables before and after, as who is eligible does not matter to it.
    Placement(Arc<Placement>),
}

/// What a pick is about, besides who is fit.
pub(in crate::balance) struct Asked<'a> {
    pub(in crate::balance) now: u64,
    pub(in crate::balance) dice: &'a mut Dice,
    pub(in crate::balance) roster: &'a Roster,
}

impl Table {
    /// Begins at the beginning of its schedule.
    pub(in crate::balance) fn new(strategy: Strategy, members: Members) -> Self {
        Self {
            strategy,
            index: Index::new(strategy, &members.eligible, members.placed),
            ring: Ring::new(order(strategy), members.eligible),
        }
    }

    /// The table for `members`, which goes on where `self` is; `self` if it is that table.
    pub(in crate::balance) fn rebuilt(self: &Arc<Self>, strategy: Strategy, members: Members) -> Arc<Self> {
        if self.is_for(strategy, &members) {
            return Arc::clone(self);
        }
        let index = match &self.index {
            Index::Placement(placement) if placement.is_for(strategy, &members.placed) => {
                Index::Placement(Arc::clone(placement))
            }
            _ => Index::new(strategy, &members.eligible, members.placed),
        };
        Arc::new(Self {
            strategy,
            ring: self.ring.rebuilt(order(strategy), members.eligible),
            index,
        })
    }

    /// Whether that is what it was laid out for.
    pub(in crate::balance) fn is_for(&self, strategy: Strategy, members: &Members) -> bool {
        self.strategy == strategy
            && *self.ring.members() == *members.eligible
            && match &self.index {
                Index::Placement(placement) => placement.is_for(strategy, &members.placed),
                _ => true,
            }
    }

    /// Who can take requests.
    pub(in crate::balance) fn eligible(&self) -> &[Member] {
        self.ring.members()
    }

    /// How many steps it takes to lay this out, as long as nothing changes but who is eligible.
    pub(in crate::balance) const fn work(&self) -> u64 {
        self.ring.work()
    }

    /// Whether `key` has a place.
    #[inline]
    pub(in crate::balance) const fn places(&self, key: Key<'_>) -> bool {
        matches!(self.index, Index::Placement(_)) && !matches!(key, Key::None | Key::Sticky(_))
    }

    /// The slot of the backend where `key` belongs, or of one that stands in for it; `tried` is how many
    /// backends the request has been to.
    #[cold]
    pub(in crate::balance) fn find(
        &self,
        key: Key<'_>,
        tried: usize,
        fit: impl Fn(u16) -> bool,
    ) -> Option<u16> {
        match &self.index {
            Index::Placement(placement) => placement.find(key, tried, fit),
            _ => None,
        }
    }

    /// The slot of the next backend that is `fit`.
    #[inline]
    pub(in crate::balance) fn next(&self, asked: Asked<'_>, fit: impl Fn(u16) -> bool) -> Option<u16> {
        let Asked { now, dice, roster } = asked;
        let active = |slot| roster.get(slot).map_or(u64::from(u32::MAX), Roster::active);
        match &self.index {
            Index::Nothing | Index::Placement(_) => self.ring.next(fit),
            Index::Least(least) => least.next(&self.ring, dice, active, fit),
            Index::Random(urn) => urn.next(&self.ring, dice, fit),
            Index::Two(two) => {
                let load = |slot| Load {
                    active: active(slot),
                    latency: roster.get(slot).and_then(|backend| backend.latency().at(now)),
                };
                two.next(&self.ring, dice, load, fit)
            }
        }
    }
}

impl Index {
    fn new(strategy: Strategy, eligible: &[Member], placed: Vec<Placed>) -> Self {
        match strategy {
            Strategy::Weighted | Strategy::NginxWeighted | Strategy::RoundRobin => Self::Nothing,
            Strategy::LeastConn => Self::Least(Least::new(eligible)),
            Strategy::PowerOfTwo => Self::Two(Two::new(eligible)),
            Strategy::Random => Self::Random(Urn::new(eligible)),
            Strategy::Hash(kind) => Self::Placement(Arc::new(Placement::new(strategy, Some(kind), placed))),
            Strategy::IpHash => Self::Placement(Arc::new(Placement::new(strategy, None, placed))),
        }
    }
}

const fn order(strategy: Strategy) -> Order {
    match strategy {
        Strategy::NginxWeighted => Order::Nginx,
        _ => Order::Even,
    }
}
