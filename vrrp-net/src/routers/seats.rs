//! Virtual routers, of which a fact or a deadline concerns a few.

use std::collections::VecDeque;
use std::ops::{Index, IndexMut};
use std::time::Duration;

use vrrp_core::{Output, VirtualRouter};

use crate::deadlines::Deadlines;

/// The routers, and which of them may hold outputs, so that a fact for one doesn't poll all the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seats {
    pub(super) routers: Vec<VirtualRouter>,
    touched: VecDeque<usize>,
    /// Those of the routers, as of when each was last drained.
    pub(super) deadlines: Deadlines,
}

impl Seats {
    pub(super) fn new(routers: Vec<VirtualRouter>) -> Self {
        Self {
            deadlines: Deadlines::new(routers.iter().map(VirtualRouter::poll_timeout)),
            routers,
            touched: VecDeque::new(),
        }
    }

    pub(super) fn poll_output(&mut self) -> Option<(usize, Output)> {
        while let Some(&index) = self.touched.front() {
            let router = &mut self.routers[index];
            if let Some(output) = router.poll_output() {
                return Some((index, output));
            }
            self.deadlines.set(index, router.poll_timeout());
            self.touched.pop_front();
        }
        None
    }

    /// Brings the deadlines of those up to date that have not been drained.
    pub(super) fn refresh(&mut self) {
        for index in &self.touched {
            self.deadlines.set(*index, self.routers[*index].poll_timeout());
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        let touched = self.touched.iter();
        let fresh = touched.filter_map(|index| self.routers[*index].poll_timeout());
        fresh.chain(self.deadlines.next()).min()
    }
}

impl Index<usize> for Seats {
    type Output = VirtualRouter;

    fn index(&self, index: usize) -> &VirtualRouter {
        &self.routers[index]
    }
}

impl IndexMut<usize> for Seats {
    fn index_mut(&mut self, index: usize) -> &mut VirtualRouter {
        if self.touched.back() != Some(&index) {
            self.touched.push_back(index);
        }
        &mut self.routers[index]
    }
}
