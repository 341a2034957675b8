//! The simulated LAN: packets under way, and the dice that decide about them.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::rng::Rng;
use super::{NodeId, Path};
use crate::{Envelope, Priority};

/// A packet on its way to one receiver.
#[derive(Clone, Debug)]
pub(super) struct Transit {
    pub(super) to: NodeId,
    pub(super) envelope: Envelope,
    /// Whether the octets begin with IP and authentication header.
    pub(super) ah: bool,
    pub(super) octets: Arc<[u8]>,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It will arrive.
    UnderWay,
    /// Its path is cut, or loses packets.
    Lost,
    /// The test wanted this one lost.
    Doomed,
}

#[derive(Clone, Debug)]
pub(super) struct Lan {
    rng: Rng,
    default_path: Path,
    paths: BTreeMap<(NodeId, NodeId), Path>,
    /// Single adverts to lose.
    doomed: Vec<(NodeId, NodeId, Priority)>,
    /// By arrival, and in order of sending where two arrive at once.
    in_flight: BTreeMap<(Duration, u64), Transit>,
    sent: u64,
}

impl Lan {
    /// Single adverts that may wait to be lost; the oldest is forgotten beyond.
    const MAX_DOOMED: usize = 64;

    pub(super) fn new(seed: u64) -> Self {
        Self {
            rng: Rng::new(seed),
            default_path: Path::default(),
            paths: BTreeMap::new(),
            doomed: Vec::new(),
            in_flight: BTreeMap::new(),
            sent: 0,
        }
    }

    pub(super) fn set_default_path(&mut self, path: Path) {
        self.default_path = path;
    }

    pub(super) fn set_path(&mut self, from: NodeId, to: NodeId, path: Path) {
        self.paths.insert((from, to), path);
    }

    pub(super) fn path(&self, from: NodeId, to: NodeId) -> Path {
        self.paths.get(&(from, to)).copied().unwrap_or(self.default_path)
    }

    pub(super) fn doom(&mut self, from: NodeId, to: NodeId, priority: Priority) {
        if self.doomed.len() == Self::MAX_DOOMED {
            self.doomed.remove(0);
        }
        self.doomed.push((from, to, priority));
    }

    /// Puts a packet on its way.
    pub(super) fn send(&mut self, now: Duration, from: NodeId, priority: Priority, transit: Transit) -> Fate {
        let lost = (from, transit.to, priority);
        if let Some(index) = self.doomed.iter().position(|doomed| *doomed == lost) {
            self.doomed.remove(index);
            return Fate::Doomed;
        }
        let path = self.path(from, transit.to);
        if path.cut || self.rng.percent(path.loss_percent) {
            return Fate::Lost;
        }
        if self.rng.percent(path.duplication_percent) {
            self.launch(now, path, transit.clone());
        }
        self.launch(now, path, transit);
        Fate::UnderWay
    }

    fn launch(&mut self, now: Duration, path: Path, transit: Transit) {
        let arrival = now + path.delay + self.rng.up_to(path.jitter);
        self.sent += 1;
        self.in_flight.insert((arrival, self.sent), transit);
    }

    pub(super) fn next_arrival(&self) -> Option<Duration> {
        self.in_flight.first_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn last_arrival(&self) -> Option<Duration> {
        self.in_flight.last_key_value().map(|((at, _), _)| *at)
    }

    pub(super) fn receive(&mut self) -> Option<Transit> {
        self.in_flight.pop_first().map(|(_, transit)| transit)
    }
}
