//! What a node tells.

use std::time::Duration;

use ha_health::Outcome;
use vrrp_core::{NoHmac, Priority, SwitchoverEnd};

use crate::compose::status::NodeStatus;

/// What a [`Node`](super::Node) tells control code.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum NodeEvent {
    /// Run the probe of this check, and give the outcome to [`Command::Probed`](super::Command::Probed).
    StartProbe {
        /// Index of the check.
        check: usize,
        /// How long it may take.
        timeout: Duration,
    },
    /// A check went up or down, or has its first result.
    CheckChanged {
        /// Index of the check.
        check: usize,
        /// Whether it is up.
        up: bool,
        /// Whether it is its first result.
        first: bool,
        /// The result that decided it.
        outcome: Outcome,
    },
    /// A script can't be executed; it counts as failed.
    CannotExecute {
        /// Index of the check.
        check: usize,
        /// Why.
        reason: ha_health::CannotExecute,
    },
    /// A run fell due while the one before was still on.
    CheckSkipped {
        /// Index of the check.
        check: usize,
        /// How long the run before has been on.
        running: Duration,
    },
    /// Checks changed the effective priority of a virtual router.
    PriorityChanged {
        /// Index of the virtual router.
        router: usize,
        /// Effective priority before.
        from: Priority,
        /// Effective priority after.
        to: Priority,
    },
    /// A virtual router waits no longer for checks to report that would be a fault: all have, or there is a fault
    /// anyway.
    Waited {
        /// Index of the virtual router.
        router: usize,
        /// Whether it is in fault now.
        fault: bool,
    },
    /// A master has heard an advert of lower priority: another host has taken the addresses to be free.
    LowerReceived {
        /// Index of the virtual router.
        router: usize,
    },
    /// The answer to [`Command::Switchover`](super::Command::Switchover).
    SwitchedOver {
        /// That of the question.
        token: u64,
        /// How it ended; `None` when there is nothing of that name.
        end: Option<SwitchoverEnd>,
    },
    /// The answer to [`Command::SetHmac`](super::Command::SetHmac).
    HmacSet {
        /// That of the question.
        token: u64,
        /// Whether it took the settings; nothing where there is no virtual router of that name.
        result: Option<Result<(), NoHmac>>,
    },
    /// The answer to [`Command::Resume`](super::Command::Resume).
    Resumed {
        /// That of the question.
        token: u64,
        /// Whether there is something of that name.
        found: bool,
    },
    /// The answer to [`Command::Status`](super::Command::Status).
    Status {
        /// That of the question.
        token: u64,
        /// The status.
        status: Box<NodeStatus>,
    },
}
