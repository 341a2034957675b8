//! A strategy laid out for the members of one moment.

use std::sync::Arc;

use super::ring::{Member, Order, Ring};
use super::{Key, Strategy};

/// Who takes part in a group, in the operator's order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::balance) struct Members {
    /// Who can take requests, with the weights of the moment, all above 0.
    pub(in crate::balance) eligible: Vec<Member>,
}

/// A group's strategy, laid out for its members.
#[derive(Debug)]
pub(in crate::balance) struct Table {
    strategy: Strategy,
    ring: Ring,
}

impl Table {
    /// Begins at the beginning of its schedule.
    pub(in crate::balance) fn new(strategy: Strategy, members: Members) -> Self {
        Self {
            strategy,
            ring: Ring::new(order(strategy), members.eligible),
        }
    }

    /// The table for `members`, which goes on where `self` is; `self` if it is that table.
    pub(in crate::balance) fn rebuilt(self: &Arc<Self>, strategy: Strategy, members: Members) -> Arc<Self> {
        if self.is_for(strategy, &members) {
            return Arc::clone(self);
        }
        Arc::new(Self {
            strategy,
            ring: self.ring.rebuilt(order(strategy), members.eligible),
        })
    }

    /// Whether that is what it was laid out for.
    pub(in crate::balance) fn is_for(&self, strategy: Strategy, members: &Members) -> bool {
        self.strategy == strategy && *self.ring.members() == *members.eligible
    }

    /// Who can take requests.
    pub(in crate::balance) fn eligible(&self) -> &[Member] {
        self.ring.members()
    }

    /// How many steps it takes to lay this out.
    pub(in crate::balance) const fn work(&self) -> u64 {
        self.ring.work()
    }

    /// The slot of the next backend that is `fit`.
    #[inline]
    pub(in crate::balance) fn next(&self, _key: Key<'_>, fit: impl Fn(u16) -> bool) -> Option<u16> {
        self.ring.next(fit)
    }
}

const fn order(strategy: Strategy) -> Order {
    match strategy {
        Strategy::NginxWeighted => Order::Nginx,
        Strategy::Weighted | Strategy::RoundRobin => Order::Even,
    }
}
