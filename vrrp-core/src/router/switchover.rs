//! Planned switchover: mastership goes to the best backup on purpose, and stays there.
//!
//! It is the offer of [`Demotion::Yield`](crate::Demotion::Yield), whatever the configured demotion: priority 0 arms the
//! skew timers of all backups, so that the best of them takes over first, while the old master goes on serving and
//! yields to the first advert that it hears. Then it is held: it follows whoever is master.

use core::time::Duration;

use super::VirtualRouter;
use super::state::{Offer, Peer, Preemption, Role, State};

/// Why a switchover does not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum SwitchoverError {
    /// Only a master has something to hand over.
    #[error("it is {state}, not master")]
    NotMaster {
        /// What it is.
        state: State,
    },
    /// The owner is master whenever it runs (RFC 9568 §6.1).
    #[error("it owns its addresses (priority 255), and an owner never yields; stop it instead")]
    Owner,
    /// One is under way.
    #[error("a switchover is under way")]
    UnderWay,
}

/// How a switchover ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SwitchoverEnd {
    /// This one has taken over, and we are held.
    Done(Peer),
    /// No backup has; we are master as before, and not held.
    NobodyTookOver,
    /// We stopped being master for another reason: a fault, a shutdown or a pause.
    Interrupted,
    /// It did not begin. Told by those who carry the command where no error can be returned.
    Refused(SwitchoverError),
}

impl VirtualRouter {
    /// Hands mastership to the best backup, serving until it has taken over. [`Output::Switchover`](super::Output)
    /// tells how it ended, after the longest skew time of a backup and one interval at the latest.
    ///
    /// Afterwards the router is held: it preempts nobody, whatever its priority, but takes over from a master that has
    /// fallen silent. [`handle_resume`](Self::handle_resume) and a shutdown end the hold.
    ///
    /// A member of a [`SyncGroup`](crate::SyncGroup) moves with all others, by
    /// [`SyncGroup::handle_switchover`](crate::SyncGroup::handle_switchover).
    ///
    /// # Errors
    /// When it is not master, owns the addresses, or is handing over already. Then nothing has changed.
    pub fn handle_switchover(&mut self, now: Duration) -> Result<(), SwitchoverError> {
        self.check_switchover()?;
        if let Role::Master(master) = &mut self.role {
            // The offer is to anyone, whatever the priority.
            master.demoted = None;
        }
        self.offer(now, Offer::Switchover);
        Ok(())
    }

    /// Ends the hold after a switchover: a backup preempts again as it is configured. Without a hold it does nothing.
    pub fn handle_resume(&mut self, _now: Duration) {
        if !core::mem::take(&mut self.held) {
            return;
        }
        if let Role::Backup(backup) = &mut self.role {
            // The next lower advert begins `preempt_delay`.
            if backup.preemption != Preemption::Renounced {
                backup.preemption = Preemption::Idle;
            }
        }
    }

    /// Whether it has handed over on purpose, and leaves any master alone since.
    pub fn is_held(&self) -> bool {
        self.held
    }

    pub(crate) fn check_switchover(&self) -> Result<(), SwitchoverError> {
        match &self.role {
            Role::Master(_) if self.config.is_owner() => Err(SwitchoverError::Owner),
            Role::Master(master) if master.offer == Some(Offer::Switchover) => Err(SwitchoverError::UnderWay),
            Role::Master(_) => Ok(()),
            Role::Initialize { .. } | Role::Backup(_) | Role::Fault => {
                Err(SwitchoverError::NotMaster { state: self.state() })
            }
        }
    }
}
