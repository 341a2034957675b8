//! What a node is told.

use std::sync::Arc;

use ha_health::Outcome;
use vrrp_core::HmacConfig;

/// What control code tells a [`Node`](super::Node).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Command {
    /// The probe that [`NodeEvent::StartProbe`](super::NodeEvent::StartProbe) asked for has ended, or a watch tells how
    /// it is.
    Probed {
        /// Index of the check.
        check: usize,
        /// What it found.
        outcome: Outcome,
    },
    /// Tell the status, by [`NodeEvent::Status`](super::NodeEvent::Status).
    Status {
        /// Comes back with the answer.
        token: u64,
    },
    /// Hand over to the best backup; see [`handle_switchover`](vrrp_core::VirtualRouter::handle_switchover).
    /// [`NodeEvent::SwitchedOver`](super::NodeEvent::SwitchedOver) answers.
    Switchover {
        /// Name of the instance or of the sync group. An instance moves with its sync group.
        name: Arc<str>,
        /// Comes back with the answer.
        token: u64,
    },
    /// Set other keys, mode or window of HMAC; see [`set_hmac`](vrrp_core::VirtualRouter::set_hmac).
    /// [`NodeEvent::HmacSet`](super::NodeEvent::HmacSet) answers.
    SetHmac {
        /// Name of the instance.
        name: Arc<str>,
        /// The new settings.
        config: HmacConfig,
        /// Comes back with the answer.
        token: u64,
    },
    /// End the hold after a switchover; see [`handle_resume`](vrrp_core::VirtualRouter::handle_resume).
    /// [`NodeEvent::Resumed`](super::NodeEvent::Resumed) answers.
    Resume {
        /// Name of the instance or of the sync group. An instance resumes with its sync group.
        name: Arc<str>,
        /// Comes back with the answer.
        token: u64,
    },
}
