//! A node whose virtual routers are held together by sync groups.

use alloc::vec::Vec;
use core::time::Duration;

use super::Node;
use crate::{SyncGroup, SyncGroupError, VirtualRouter};

/// Virtual routers in sync groups, as a driver runs them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouped {
    routers: Vec<VirtualRouter>,
    groups: Vec<SyncGroup>,
}

impl Grouped {
    /// Puts routers into groups; those in none are on their own.
    ///
    /// # Errors
    /// When a group names a router that is not there, or two groups the same.
    pub fn new(mut routers: Vec<VirtualRouter>, groups: Vec<SyncGroup>) -> Result<Self, SyncGroupError> {
        for group in &groups {
            if let Some(member) = group.members().iter().find(|member| **member >= routers.len()) {
                return Err(SyncGroupError::Unknown { member: *member });
            }
            group.join(&mut routers[..])?;
        }
        Ok(Self { routers, groups })
    }
}

impl Node for Grouped {
    fn routers(&self) -> &[VirtualRouter] {
        &self.routers
    }

    fn routers_mut(&mut self) -> &mut [VirtualRouter] {
        &mut self.routers
    }

    fn groups(&self) -> &[SyncGroup] {
        &self.groups
    }

    fn settle(&mut self, now: Duration) {
        for group in &self.groups {
            group.settle(now, &mut self.routers[..]);
        }
    }

    fn handle_switchover(&mut self, now: Duration) {
        for group in &self.groups {
            // A node that is not master has nothing to hand over.
            let _ = group.handle_switchover(now, &mut self.routers[..]);
        }
        for router in self.routers.iter_mut().filter(|router| !router.is_grouped()) {
            let _ = router.handle_switchover(now);
        }
    }
}
