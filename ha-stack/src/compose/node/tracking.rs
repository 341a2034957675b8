//! What the checks that a virtual router tracks do to its priority and its faults.

use std::time::Duration;

use ha_health::{Tracked, Weight, effect};
use vrrp_core::{Fault, Priority, State};
use vrrp_net::Routers;

use super::{Node, NodeEvent, TrackedCheck};

impl Node {
    /// Takes the outputs of a check, and lets those who track it know.
    pub(super) fn settle_check(&mut self, now: Duration, check: usize) {
        let mut changed = false;
        while let Some(output) = self.checks[check].poll_output() {
            let event = match output {
                ha_health::Output::Start { timeout } => NodeEvent::StartProbe { check, timeout },
                ha_health::Output::Changed { up, first, outcome } => {
                    changed = true;
                    NodeEvent::CheckChanged {
                        check,
                        up,
                        first,
                        outcome,
                    }
                }
                ha_health::Output::CannotExecute { reason } => NodeEvent::CannotExecute { check, reason },
                ha_health::Output::Skipped { running } => NodeEvent::CheckSkipped { check, running },
                // Facts that a later version tells change nothing here.
                _ => continue,
            };
            self.events.push_back(event);
        }
        if changed {
            for index in 0..self.members.len() {
                if self
                    .tracks(index)
                    .any(|(member, track)| track.check == check && self.counts(index, member, track))
                {
                    self.apply(now, index);
                }
            }
        }
    }

    /// Whether a virtual router is kept from taking part by nothing but checks that have not reported yet, its own or its
    /// sync group's. It is in fault as long, which is no news to tell anybody.
    pub(in crate::compose) fn waits(&self, index: usize) -> bool {
        let waiting = |fault| matches!(fault, Fault::Check | Fault::SyncGroup);
        let mut unknown = false;
        for (_, track) in self
            .tracks(index)
            .filter(|(_, track)| track.weight == Weight::FAULT)
        {
            let tracked = Tracked {
                weight: track.weight,
                reverse: track.reverse,
                ..self.checks[track.check].tracked()
            };
            match (tracked.up, effect::effect(1, [tracked])) {
                (None, _) => unknown = true,
                (Some(_), effect::Effect::Fault) => return false,
                _ => {}
            }
        }
        unknown && self.routers.router(index).faults().iter().all(waiting)
    }

    /// Says for which virtual router the wait is over.
    pub(super) fn waited(&mut self) -> Option<NodeEvent> {
        let place = self.waiting.iter().position(|index| !self.waits(*index))?;
        let index = self.waiting.remove(place);
        Some(NodeEvent::Waited {
            router: index,
            fault: self.routers.router(index).state() == State::Fault,
        })
    }

    /// What a virtual router and the other members of its sync group track, each with the index of who tracks it. What
    /// several track alike is there once.
    fn tracks(&self, index: usize) -> impl Iterator<Item = (usize, TrackedCheck)> {
        let group = self.routers.group_of(index);
        let others = group.map_or(&[][..], |group| self.routers.groups()[group].members());
        let others = others.iter().copied().filter(move |other| *other != index);
        let mut seen = Vec::new();
        std::iter::once(index)
            .chain(others)
            .flat_map(|member| {
                self.members[member]
                    .tracks
                    .iter()
                    .map(move |track| (member, *track))
            })
            .filter(move |(_, track)| {
                let new = !seen.contains(track);
                seen.push(*track);
                new
            })
    }

    /// Whether what `member` tracks bears on the virtual router itself. Those without weight bear on the one that tracks
    /// them, and through its fault on the others.
    fn counts(&self, index: usize, member: usize, track: TrackedCheck) -> bool {
        if track.weight == Weight::FAULT {
            return member == index;
        }
        let group = self.routers.group_of(index);
        group.is_none_or(|group| self.routers.groups()[group].has_tracking_weight())
    }

    /// Makes priority and fault of one virtual router what its checks say.
    pub(super) fn apply(&mut self, now: Duration, index: usize) {
        let configured = self.routers.router(index).config().priority().get();
        let tracked = self
            .tracks(index)
            .filter(|(member, track)| self.counts(index, *member, *track))
            .map(|(_, track)| Tracked {
                weight: track.weight,
                reverse: track.reverse,
                ..self.checks[track.check].tracked()
            });
        let effect = effect::effect(configured, tracked);
        match effect {
            effect::Effect::Fault => self.routers.router_mut(index).handle_fault(now, Fault::Check),
            effect::Effect::Priority(priority) => {
                // Each member's own sum: those of its group follow in this instant.
                let router = self.routers.router_mut(index);
                let before = router.priority();
                // Before the recovery, which counts its timer with this priority.
                router.set_priority(now, Priority::new(priority));
                router.handle_recovery(now, Fault::Check);
                if router.priority() != before {
                    self.events.push_back(NodeEvent::PriorityChanged {
                        router: index,
                        from: before,
                        to: self.routers.router(index).priority(),
                    });
                }
            }
        }
    }
}
