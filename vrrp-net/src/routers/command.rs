//! What control code may ask of a set of virtual routers.

use vrrp_core::{Fault, HmacConfig, Priority};

/// What control code may ask of a [`RouterSet`](super::RouterSet). An index that no router has is ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RouterCommand {
    /// Set the effective priority; see [`set_priority`](vrrp_core::VirtualRouter::set_priority).
    Priority {
        /// Index of the virtual router.
        router: usize,
        /// The new priority.
        priority: Priority,
    },
    /// Something that the router needs is gone; see [`handle_fault`](vrrp_core::VirtualRouter::handle_fault).
    Fault {
        /// Index of the virtual router.
        router: usize,
        /// What is gone.
        fault: Fault,
    },
    /// Something that the router needs is back; see [`handle_recovery`](vrrp_core::VirtualRouter::handle_recovery).
    Recovery {
        /// Index of the virtual router.
        router: usize,
        /// What is back.
        fault: Fault,
    },
    /// Set other keys or another mode of HMAC; see [`set_hmac`](vrrp_core::VirtualRouter::set_hmac). Ignored by a
    /// router that was not configured with HMAC.
    Hmac {
        /// Index of the virtual router.
        router: usize,
        /// The new settings.
        config: HmacConfig,
    },
    /// Give up mastership and stop; see [`handle_shutdown`](vrrp_core::VirtualRouter::handle_shutdown).
    Shutdown {
        /// Index of the virtual router.
        router: usize,
    },
    /// Hand over to the best backup, with the whole sync group; see
    /// [`handle_switchover`](vrrp_core::VirtualRouter::handle_switchover). Each member's
    /// [`Output::Switchover`](vrrp_core::Output::Switchover) tells the end, also when it does not begin.
    Switchover {
        /// Index of the virtual router.
        router: usize,
    },
    /// End the hold after a switchover, of the whole sync group; see
    /// [`handle_resume`](vrrp_core::VirtualRouter::handle_resume).
    Resume {
        /// Index of the virtual router.
        router: usize,
    },
}

impl RouterCommand {
    /// The index of the virtual router that it is for.
    pub(super) fn router(&self) -> usize {
        match *self {
            Self::Priority { router, .. }
            | Self::Hmac { router, .. }
            | Self::Fault { router, .. }
            | Self::Recovery { router, .. }
            | Self::Shutdown { router }
            | Self::Switchover { router }
            | Self::Resume { router } => router,
        }
    }
}
