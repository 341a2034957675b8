//! The driver on a network in virtual time: what it does, in which order, and when.

mod fake;
mod leases;
mod links;
mod mastership;
mod removals;
mod standstill;
mod strangers;
mod superseded;
mod sync_groups;

use std::time::Duration;

use fake::Outcome;
use vrrp_core::State;

/// Three intervals and the skew time of priority 100.
const MASTER_DOWN: Duration = Duration::from_micros(3_609_375);

/// The states that the routers came to, in order.
fn states(outcome: &Outcome) -> Vec<State> {
    outcome
        .transitions()
        .into_iter()
        .map(|(_, transition)| transition.to)
        .collect()
}
