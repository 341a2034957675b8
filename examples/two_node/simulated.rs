//! The protocol part in the simulator, for machines that deny network namespaces: virtual time, no proxy, no client.

use std::time::Duration;

use vrrp_core::sim::{Action, NodeId, Path, Sim};
use vrrp_core::{Fault, Priority};

use super::report::{Outcome, Timeline};
use super::topology::{CHECK_WEIGHT, LB1, LB2, VIP};
use super::world::Result;

const SEED: u64 = 1;

/// Runs the scenarios that need no proxy.
pub(crate) fn run(timeline: &Timeline) -> Result<Vec<Outcome>> {
    timeline.headline("Two virtual routers in the simulator, in virtual time");
    let mut world = Simulated::new(timeline)?;
    let sick = Priority::new(LB1.priority.saturating_add_signed(i8::try_from(CHECK_WEIGHT)?));
    let well = Priority::new(LB1.priority);
    let (lb1, lb2) = (world.lb1, world.lb2);
    let way = Path::default().longest();
    let (skew, master_down) = (LB2.skew_time() + way, LB2.master_down_interval() + way);

    let outcomes = vec![
        world.scenario(
            "c",
            "the master's check fails",
            Duration::ZERO,
            lb2,
            &[Action::SetPriority(lb1, sick)],
        )?,
        world.scenario(
            "d",
            "it recovers, lb1 preempts",
            Duration::ZERO,
            lb1,
            &[Action::SetPriority(lb1, well)],
        )?,
        world.scenario(
            "e",
            "the master's process is killed",
            master_down,
            lb2,
            &[Action::Kill(lb1)],
        )?,
        world.scenario(
            "e2",
            "it starts again and preempts",
            Duration::ZERO,
            lb1,
            &[Action::Restart(lb1)],
        )?,
        world.scenario(
            "f",
            "the master's link is cut",
            master_down,
            lb2,
            &[
                Action::SetPath(lb1, lb2, Path::cut()),
                Action::SetPath(lb2, lb1, Path::cut()),
                Action::Fault(lb1, Fault::Link),
            ],
        )?,
        world.scenario(
            "f2",
            "the link is healed, lb1 preempts",
            Duration::ZERO,
            lb1,
            &[
                Action::SetPath(lb1, lb2, Path::default()),
                Action::SetPath(lb2, lb1, Path::default()),
                Action::Recovery(lb1, Fault::Link),
            ],
        )?,
        world.scenario("g", "planned stop", skew, lb2, &[Action::Shutdown(lb1)])?,
    ];
    Ok(outcomes)
}

struct Simulated<'a> {
    sim: Sim,
    lb1: NodeId,
    lb2: NodeId,
    timeline: &'a Timeline,
}

impl<'a> Simulated<'a> {
    fn new(timeline: &'a Timeline) -> Result<Self> {
        let mut sim = Sim::new(SEED);
        let lb1 = sim.add_node(LB1.config()?, LB1.address.into());
        let lb2 = sim.add_node(LB2.config()?, LB2.address.into());
        let mut world = Self {
            sim,
            lb1,
            lb2,
            timeline,
        };
        let from = world.sim.now();
        world.sim.run_until_settled()?;
        world.tell_since(from);
        Ok(world)
    }

    /// Does it, waits until the nodes agree, and says how long nobody held the address.
    fn scenario(
        &mut self,
        id: &'static str,
        title: &'static str,
        bound: Duration,
        holder: NodeId,
        actions: &[Action],
    ) -> Result<Outcome> {
        self.timeline.headline(format_args!("({id}) {title}"));
        self.sim.reset_outages();
        let from = self.sim.now();
        for action in actions {
            self.sim.apply(*action)?;
        }
        self.sim.run_until_settled()?;
        // A killed process leaves its address until the lease ends.
        self.sim.run_for(Sim::<vrrp_core::VirtualRouter>::DEFAULT_LEASE)?;
        self.tell_since(from);
        let holders = self.sim.holders(VIP.into());
        Ok(
            Outcome::new(id, title, self.sim.longest_outage(VIP.into()), bound)
                .expect(holders == [holder], || {
                    format!("the address is held by {holders:?}")
                }),
        )
    }

    fn tell_since(&self, from: Duration) {
        for record in self.sim.trace().filter(|record| record.at >= from) {
            if matches!(record.event, vrrp_core::sim::Event::Advertised(..)) {
                continue;
            }
            let name = if record.node == self.lb1 {
                LB1.name
            } else {
                LB2.name
            };
            self.timeline.say_at(record.at, name, record);
        }
    }
}
