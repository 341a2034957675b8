//! The simulator's rules are able to fail: nodes that break them are caught.

use std::time::Duration;

use vrrp_core::sim::{Action, Clock, Node, NodeId, Path, Rule, Sim};
use vrrp_core::{Discard, Output, Packet, Version, VirtualRouter};

use crate::support::*;

/// A router with one fault in it.
#[derive(Clone)]
struct Broken {
    router: [VirtualRouter; 1],
    flaw: Flaw,
}

#[derive(Clone, Copy, PartialEq)]
enum Flaw {
    /// Its driver never removes an address.
    KeepsAddresses,
    /// Its driver never adds one.
    TakesNoAddresses,
    /// It hears nothing.
    Deaf,
    /// It hears all but never acts on time.
    Asleep,
    /// It follows what it should preempt.
    Meek,
}

impl Node for Broken {
    fn routers(&self) -> &[VirtualRouter] {
        &self.router
    }

    fn routers_mut(&mut self) -> &mut [VirtualRouter] {
        &mut self.router
    }

    fn handle_advert(&mut self, now: Duration, packet: &Packet<'_>) -> Result<(), Discard> {
        match self.flaw {
            Flaw::Deaf => Ok(()),
            Flaw::Meek => {
                self.router[0].handle_pause(now);
                Ok(())
            }
            _ => self.router[0].handle_advert(now, packet),
        }
    }

    fn poll_timeout(&self) -> Option<Duration> {
        match self.flaw {
            Flaw::Asleep => None,
            _ => self.router[0].poll_timeout(),
        }
    }

    fn poll_output(&mut self) -> Option<(usize, Output)> {
        loop {
            let output = self.router[0].poll_output()?;
            match (output, self.flaw) {
                (Output::ReleaseAddresses | Output::HandOverAddresses, Flaw::KeepsAddresses)
                | (Output::AcquireAddresses, Flaw::TakesNoAddresses) => {}
                _ => return Some((0, output)),
            }
        }
    }
}

fn lan(priorities: &[u8], flaw: Flaw) -> Sim<Broken> {
    let mut sim = Sim::with_nodes(7);
    for (index, priority) in priorities.iter().enumerate() {
        let config = config(Version::V3, 100, *priority).build().unwrap();
        sim.add(
            Broken {
                router: [VirtualRouter::new(config, source(index))],
                flaw,
            },
            Clock::default(),
        );
    }
    sim
}

#[test]
fn a_backup_that_keeps_the_addresses_breaks_a_rule() {
    // Both start as masters-to-be with equal priority: the lower address has to give them up.
    let error = lan(&[100, 100], Flaw::KeepsAddresses)
        .run_for(secs(10))
        .unwrap_err();
    assert!(
        matches!(
            error.broken,
            Rule::MasterHolds {
                node: NodeId(0),
                holds: true,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.seed, 7);
    assert!(error.to_string().contains("seed 7"));
    assert!(error.trace.len() > 5);
}

#[test]
fn a_master_without_addresses_breaks_a_rule() {
    let error = lan(&[100, 90], Flaw::TakesNoAddresses)
        .run_for(secs(10))
        .unwrap_err();
    assert!(
        matches!(error.broken, Rule::MasterHolds { holds: false, .. }),
        "{error}"
    );
}

#[test]
fn two_masters_that_do_not_hear_each_other_break_a_rule() {
    let error = lan(&[100, 90], Flaw::Deaf).run_for(secs(10)).unwrap_err();
    assert!(matches!(error.broken, Rule::OneMaster { .. }), "{error}");
}

#[test]
fn no_master_at_all_breaks_a_rule() {
    let mut sim = lan(&[100, 90], Flaw::Asleep);
    sim.run_for(us(3_648_437 + 300)).unwrap();
    let error = sim.run_for(ms(1)).unwrap_err();
    assert!(
        matches!(error.broken, Rule::ExactlyOneMaster { masters: 0, .. }),
        "{error}"
    );
}

#[test]
fn a_higher_backup_that_never_preempts_breaks_a_rule() {
    let mut sim = lan(&[90], Flaw::Meek);
    sim.run_for(secs(10)).unwrap();
    let config = config(Version::V3, 100, 100).build().unwrap();
    sim.add(
        Broken {
            router: [VirtualRouter::new(config, source(1))],
            flaw: Flaw::Meek,
        },
        Clock::default(),
    );
    let error = sim.run_for(secs(10)).unwrap_err();
    assert!(
        matches!(
            error.broken,
            Rule::HighestIsMaster {
                backup: NodeId(1),
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn the_same_seed_tells_the_same_story_and_another_one_another() {
    let story = |seed| {
        let mut sim = Sim::new(seed);
        let path = Path {
            jitter: ms(3),
            loss_percent: 20,
            duplication_percent: 20,
            ..Path::default()
        };
        sim.set_default_path(path);
        for index in 0..3 {
            sim.add_node(config(Version::V3, 10, 100).build().unwrap(), source(index));
        }
        sim.run_for(secs(20)).unwrap();
        sim.trace()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert_eq!(story(1), story(1));
    assert_ne!(story(1), story(2));
}

#[test]
fn a_clone_looks_ahead_and_changes_nothing() {
    let mut sim = settled(vec![config(Version::V3, 100, 100), config(Version::V3, 100, 90)]);
    let mut ahead = sim.clone();
    ahead.apply(Action::Crash(NodeId(0))).unwrap();
    ahead.run_until_settled().unwrap();
    assert_eq!(masters(&ahead), [NodeId(1)]);
    sim.run_until_settled().unwrap();
    assert_eq!(masters(&sim), [NodeId(0)]);
}

#[test]
fn actions_on_nodes_that_are_down_or_running_already_do_nothing() {
    let mut sim = settled(vec![config(Version::V3, 100, 100), config(Version::V3, 100, 90)]);
    let since = sim.now();
    sim.apply(Action::Resume(NodeId(0))).unwrap();
    sim.apply(Action::Crash(NodeId(1))).unwrap();
    for action in [
        Action::Crash,
        Action::Kill,
        Action::Pause,
        Action::Resume,
        Action::Shutdown,
    ] {
        sim.apply(action(NodeId(1))).unwrap();
    }
    sim.run_until_settled().unwrap();
    assert_eq!(takeovers(&sim, since), []);
    assert!(sim.node(NodeId(1)).is_none());
    assert!(sim.node(NodeId(2)).is_none());
}
