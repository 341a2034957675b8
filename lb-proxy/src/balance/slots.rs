//! Sets of backends by slot: one that many threads share, one that belongs to a request.

use std::sync::atomic::{AtomicU64, Ordering};

use super::pick::Pick;

/// The backends that one request has been sent to, so that it never gets the same one twice.
///
/// The first 64 slots are kept inline; only a request that meets more allocates.
#[derive(Clone, Debug, Default)]
pub struct Tried {
    low: u64,
    high: Vec<u64>,
}

impl Tried {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            low: 0,
            high: Vec::new(),
        }
    }

    /// Adds the backend of `pick`.
    pub fn insert(&mut self, pick: &Pick) {
        let (word, bit) = place(pick.slot());
        match word.checked_sub(1) {
            None => self.low |= bit,
            Some(word) => {
                if word >= self.high.len() {
                    self.high.resize(word + 1, 0);
                }
                self.high[word] |= bit;
            }
        }
    }

    /// Whether the backend in `slot` (see [`Pick::slot`]) has been tried.
    #[must_use]
    #[inline]
    pub fn contains(&self, slot: u16) -> bool {
        let (word, bit) = place(slot);
        let word = match word.checked_sub(1) {
            None => self.low,
            Some(word) => self.high.get(word).copied().unwrap_or(0),
        };
        word & bit != 0
    }

    /// How many backends have been tried.
    #[must_use]
    pub fn len(&self) -> usize {
        (self.low.count_ones() + self.high.iter().map(|word| word.count_ones()).sum::<u32>()) as usize
    }

    /// Whether none has been tried.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.low == 0 && self.high.is_empty()
    }
}

/// A fixed number of bits that readers test while a writer sets them.
#[derive(Debug)]
pub(super) struct SlotSet(Box<[AtomicU64]>);

impl SlotSet {
    /// None of `slots` slots.
    pub(super) fn new(slots: usize) -> Self {
        Self((0..slots.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }

    #[inline]
    pub(super) fn contains(&self, slot: u16) -> bool {
        let (word, bit) = place(slot);
        self.0
            .get(word)
            .is_some_and(|word| word.load(Ordering::Relaxed) & bit != 0)
    }

    /// Does nothing for a slot beyond the set: the set belongs to a snapshot from before that slot existed.
    pub(super) fn set(&self, slot: u16, member: bool) {
        let (word, bit) = place(slot);
        let Some(word) = self.0.get(word) else { return };
        // Sequentially consistent, for `Group::claim_probe`.
        if member {
            word.fetch_or(bit, Ordering::SeqCst);
        } else {
            word.fetch_and(!bit, Ordering::SeqCst);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u16> {
        self.0.iter().enumerate().flat_map(|(index, word)| {
            let mut bits = word.load(Ordering::SeqCst);
            std::iter::from_fn(move || {
                let bit = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
                bits &= bits - 1;
                u16::try_from(index * 64 + bit).ok()
            })
        })
    }
}

#[inline]
fn place(slot: u16) -> (usize, u64) {
    (usize::from(slot / 64), 1 << (slot % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_set_holds_what_was_set_across_words() {
        let set = SlotSet::new(130);
        for slot in [0, 63, 64, 129] {
            set.set(slot, true);
        }
        set.set(63, false);
        set.set(500, true);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 64, 129]);
        assert!(set.contains(129) && !set.contains(63) && !set.contains(500));
    }
}
