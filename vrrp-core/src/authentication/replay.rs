//! The last sequence number of each sender.

use alloc::vec::Vec;
use core::net::IpAddr;

/// Senders that are remembered: those at once on one VRID are few, and each has proved that it knows the key. One more
/// takes the place of the one that was silent for longest.
const MAX_SENDERS: usize = 16;

/// High-water marks by source address, the most recently heard last.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Replay<S> {
    marks: Vec<(IpAddr, S)>,
}

impl<S: Copy> Replay<S> {
    pub(crate) fn new() -> Self {
        Self {
            marks: Vec::with_capacity(MAX_SENDERS),
        }
    }

    /// The last number accepted of a sender.
    pub(crate) fn last(&self, sender: IpAddr) -> Option<S> {
        let mark = self.marks.iter().find(|(address, _)| *address == sender);
        mark.map(|(_, sequence)| *sequence)
    }

    /// Remembers a number that was accepted. Only adverts whose proof has been verified come here: a flood of forged
    /// senders can't push out the real ones.
    pub(crate) fn accept(&mut self, sender: IpAddr, sequence: S) {
        let known = self.marks.iter().position(|(address, _)| *address == sender);
        match known {
            Some(place) => {
                self.marks.remove(place);
            }
            None if self.marks.len() == MAX_SENDERS => {
                self.marks.remove(0);
            }
            None => {}
        }
        self.marks.push((sender, sequence));
    }
}
