//! Sync groups: several virtual routers that are master together or not at all (keepalived's `vrrp_sync_group`).

use alloc::boxed::Box;
use core::ops::IndexMut;
use core::time::Duration;

use crate::Priority;
use crate::router::{Fault, Reason, State, SwitchoverError, VirtualRouter};

/// Virtual routers that are master together or not at all: the two sides of a gateway, or IPv4 and IPv6 of one service.
///
/// - They become master together: when the Master_Down_Timer of a member fires it only wants to be master, until it
///   hears one; when all members want to, all take over in that instant.
/// - They stop together: with one that is superseded or yields, all hand their addresses over; a member's fault is
///   [`Fault::SyncGroup`] for the others; with one that is shut down all shut down.
/// - They hand over together: [`handle_switchover`](Self::handle_switchover) and changes of priority reach all members in
///   one instant, so that the backups' timers run out together.
///
/// It knows its members by their indices in whatever the caller keeps them in, and holds no state of its own. Whoever
/// feeds a fact to a member calls [`settle`](Self::settle) after it, before the outputs are drained:
///
/// ```
/// use core::time::Duration;
/// use vrrp_core::{AddressList, Config, State, SyncGroup, VirtualRouter, Vrid};
///
/// let router = |vrid, address: &str| {
///     let addresses = AddressList::new(&[address.parse().unwrap()]).unwrap();
///     let config = Config::builder(Vrid::new(vrid).unwrap(), addresses).build().unwrap();
///     VirtualRouter::new(config, "192.0.2.10".parse().unwrap())
/// };
/// let mut routers = [router(1, "192.0.2.100"), router(2, "198.51.100.100")];
/// let group = SyncGroup::new([0, 1])?;
/// group.join(&mut routers[..])?;
///
/// routers.iter_mut().for_each(|router| router.handle_startup(Duration::ZERO));
/// group.settle(Duration::ZERO, &mut routers[..]);
///
/// let now = Duration::from_secs(4);
/// routers[0].handle_timeout(now);
/// group.settle(now, &mut routers[..]);
/// assert_eq!(routers[0].state(), State::Backup, "the other's timer has not fired");
/// routers[1].handle_timeout(now);
/// group.settle(now, &mut routers[..]);
/// assert!(routers.iter().all(|router| router.state() == State::Master));
/// # Ok::<(), vrrp_core::SyncGroupError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SyncGroup {
    members: Box<[usize]>,
    tracking_weight: bool,
}

impl SyncGroup {
    /// Makes a group of the routers of these indices. Changes of their priorities are ignored; see
    /// [`tracking_weight`](Self::tracking_weight).
    ///
    /// # Errors
    /// When there is no member, or one stands twice.
    pub fn new(members: impl IntoIterator<Item = usize>) -> Result<Self, SyncGroupError> {
        let members: Box<[usize]> = members.into_iter().collect();
        if members.is_empty() {
            return Err(SyncGroupError::Empty);
        }
        for (place, member) in members.iter().enumerate() {
            if members[..place].contains(member) {
                return Err(SyncGroupError::Twice { member: *member });
            }
        }
        Ok(Self {
            members,
            tracking_weight: false,
        })
    }

    /// Whether weights of checks count in the group (`sync_group_tracking_weight`). Default: no, as keepalived; then
    /// members keep their configured priorities, and only faults move them.
    ///
    /// If yes, what lowers or raises the priority of one member shifts those of all by the same, so that the members'
    /// elections can't end differently.
    #[must_use]
    pub fn tracking_weight(mut self, tracking_weight: bool) -> Self {
        self.tracking_weight = tracking_weight;
        self
    }

    /// Indices of the members, in the order in which they take over.
    pub fn members(&self) -> &[usize] {
        &self.members
    }

    /// Whether weights count.
    pub fn has_tracking_weight(&self) -> bool {
        self.tracking_weight
    }

    /// Makes the routers members, once, before they are started.
    ///
    /// # Errors
    /// When a router is a member of a group already. Then some may have been made members.
    ///
    /// # Panics
    /// When there is no router of an index.
    pub fn join<R>(&self, routers: &mut R) -> Result<(), SyncGroupError>
    where
        R: IndexMut<usize, Output = VirtualRouter> + ?Sized,
    {
        let silences = self.members.iter().map(|member| routers[*member].own_silence());
        let silence = silences.max().unwrap_or_default();
        for member in &self.members {
            if routers[*member].is_grouped() {
                return Err(SyncGroupError::InTwoGroups { member: *member });
            }
            routers[*member].join(silence);
        }
        Ok(())
    }

    /// Makes the members agree after facts were fed to some of them. Does nothing where they do.
    ///
    /// # Panics
    /// When there is no router of an index.
    pub fn settle<R>(&self, now: Duration, routers: &mut R)
    where
        R: IndexMut<usize, Output = VirtualRouter> + ?Sized,
    {
        self.share_faults(now, routers);
        self.leave_together(now, routers);
        self.take_over_together(now, routers);
    }

    /// Sets the effective priority of one member; see [`VirtualRouter::set_priority`]. With
    /// [`tracking_weight`](Self::tracking_weight) all members are shifted by its distance from what is configured, each
    /// within 1 to 254; without, nothing happens.
    ///
    /// # Panics
    /// When there is no router of an index.
    pub fn set_priority<R>(&self, now: Duration, routers: &mut R, member: usize, priority: Priority)
    where
        R: IndexMut<usize, Output = VirtualRouter> + ?Sized,
    {
        if !self.tracking_weight {
            return;
        }
        let configured = |router: &VirtualRouter| i16::from(router.config().priority().get());
        let shift = i16::from(priority.get()) - configured(&routers[member]);
        for member in &self.members {
            let shifted = (configured(&routers[*member]) + shift).clamp(1, 254);
            // Within 1 to 254.
            let priority = Priority::new(shifted as u8);
            if routers[*member].priority() != priority {
                routers[*member].set_priority(now, priority);
            }
        }
    }

    /// Hands all members over; see [`VirtualRouter::handle_switchover`]. Each tells its own end.
    ///
    /// # Errors
    /// When a member can't. Then nothing has changed.
    ///
    /// # Panics
    /// When there is no router of an index.
    pub fn handle_switchover<R>(&self, now: Duration, routers: &mut R) -> Result<(), SwitchoverError>
    where
        R: IndexMut<usize, Output = VirtualRouter> + ?Sized,
    {
        for member in &self.members {
            routers[*member].check_switchover()?;
        }
        for member in &self.members {
            routers[*member].handle_switchover(now)?;
        }
        Ok(())
    }

    /// Ends the hold of all members; see [`VirtualRouter::handle_resume`].
    ///
    /// # Panics
    /// When there is no router of an index.
    pub fn handle_resume<R>(&self, now: Duration, routers: &mut R)
    where
        R: IndexMut<usize, Output = VirtualRouter> + ?Sized,
    {
        for member in &self.members {
            routers[*member].handle_resume(now);
        }
    }

    /// A member is at fault with any of the others: two that are don't recover one after the other, only to fail again.
    fn share_faults<R>(&self, now: Duration, routers: &mut R)
    where
        R: IndexMut<usize, Output = VirtualRouter> + ?Sized,
    {
        let at_fault = |routers: &R, member: usize| {
            let mut faults = routers[member].faults().iter();
            faults.any(|fault| fault != Fault::SyncGroup)
        };
        let count = |routers: &R| self.members.iter().filter(|one| at_fault(routers, **one)).count();
        let all = count(routers);
        for member in &self.members {
            let shared = all > usize::from(at_fault(routers, *member));
            if shared == routers[*member].faults().contains(Fault::SyncGroup) {
                continue;
            }
            if shared {
                routers[*member].handle_fault(now, Fault::SyncGroup);
            } else {
                routers[*member].handle_recovery(now, Fault::SyncGroup);
            }
        }
    }

    /// While one is master and another is not, one has left: nobody takes over but all at once.
    fn leave_together<R>(&self, now: Duration, routers: &mut R)
    where
        R: IndexMut<usize, Output = VirtualRouter> + ?Sized,
    {
        let is_master = |routers: &R, member: usize| routers[member].state() == State::Master;
        let masters = self
            .members
            .iter()
            .filter(|one| is_master(routers, **one))
            .count();
        if masters == 0 || masters == self.members.len() {
            return;
        }
        let gone = self.members.iter().find(|one| !is_master(routers, **one));
        let Some(gone) = gone.map(|gone| &routers[*gone]) else {
            return;
        };
        let (state, reason) = (gone.state(), gone.reason());
        for member in &self.members {
            if !is_master(routers, *member) {
                continue;
            }
            let router = &mut routers[*member];
            match (state, reason) {
                (State::Initialize, _) => router.handle_shutdown(now),
                (_, Some(Reason::Paused)) => router.handle_pause(now),
                (_, Some(Reason::Superseded(peer) | Reason::Yielded(peer))) => {
                    router.follow(now, Some(peer));
                }
                _ => router.follow(now, None),
            }
        }
    }

    fn take_over_together<R>(&self, now: Duration, routers: &mut R)
    where
        R: IndexMut<usize, Output = VirtualRouter> + ?Sized,
    {
        if self.members.iter().all(|member| routers[*member].wants_master()) {
            for member in &self.members {
                routers[*member].take_over(now);
            }
        }
    }
}

/// Why routers don't make a sync group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SyncGroupError {
    /// A group without members.
    #[error("a sync group without members: name the virtual routers that it holds together")]
    Empty,
    /// One stands twice.
    #[error("virtual router {member} stands twice in a sync group: name it once")]
    Twice {
        /// Its index.
        member: usize,
    },
    /// A router can follow one group alone.
    #[error("virtual router {member} is in two sync groups: put all members into one")]
    InTwoGroups {
        /// Its index.
        member: usize,
    },
    /// There is no such router.
    #[error("a sync group names virtual router {member}, and there is none")]
    Unknown {
        /// The index.
        member: usize,
    },
}
