//! The earliest of many deadlines.

use std::time::Duration;

/// A deadline for each of a number of things, and the earliest of all at hand: a change of one costs a few comparisons,
/// where looking for the earliest would cost one for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deadlines {
    /// A tournament: each node holds the earlier of its two children, which are at twice its place and behind it. The
    /// first is at 1, the leaves are in the second half.
    tree: Vec<Option<Duration>>,
}

impl Deadlines {
    /// As many as there are in `deadlines`; `None` for never.
    pub(crate) fn new(deadlines: impl ExactSizeIterator<Item = Option<Duration>>) -> Self {
        let len = deadlines.len();
        let mut new = Self {
            tree: vec![None; 2 * len],
        };
        for (index, deadline) in deadlines.enumerate() {
            new.set(index, deadline);
        }
        new
    }

    /// Changes one.
    pub(crate) fn set(&mut self, index: usize, deadline: Option<Duration>) {
        let mut place = index + self.tree.len() / 2;
        self.tree[place] = deadline;
        while place > 1 {
            place /= 2;
            let children = [self.tree[2 * place], self.tree[2 * place + 1]];
            let earlier = children.into_iter().flatten().min();
            if self.tree[place] == earlier {
                break;
            }
            self.tree[place] = earlier;
        }
    }

    /// The earliest.
    pub(crate) fn next(&self) -> Option<Duration> {
        self.tree.get(1).copied().flatten()
    }

    /// That of one.
    pub(crate) fn get(&self, index: usize) -> Option<Duration> {
        self.tree[index + self.tree.len() / 2]
    }

    /// Whether one has come.
    pub(crate) fn is_due(&self, index: usize, now: Duration) -> bool {
        self.get(index).is_some_and(|at| at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn the_earliest_is_that_of_all() {
        let seconds = |seconds: u64| Some(Duration::from_secs(seconds));
        for len in 1..40 {
            let mut all = vec![None; len];
            let mut deadlines = Deadlines::new(all.iter().copied());
            // Every place many times, with times that rise, fall and are never, in no order.
            for step in 0..500_u64 {
                let index = step as usize * 7 % len;
                let at = (step % 5 != 0).then(|| seconds(step * 37 % 101)).flatten();
                all[index] = at;
                deadlines.set(index, at);
                assert_eq!(
                    deadlines.next(),
                    all.iter().flatten().min().copied(),
                    "{len} after {step}"
                );
                let now = Duration::from_secs(50);
                for (index, at) in all.iter().enumerate() {
                    assert_eq!(deadlines.is_due(index, now), at.is_some_and(|at| at <= now));
                }
            }
        }
    }

    #[test]
    fn none_has_no_earliest() {
        assert_eq!(Deadlines::new([].into_iter()).next(), None);
    }
}
