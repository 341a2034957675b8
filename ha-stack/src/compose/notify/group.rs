//! The state of a sync group, from those of its members. Pure.

use std::sync::Arc;

use vrrp_core::State;

use super::message::{Kind, Message, What};

/// A sync group as it is told of.
#[derive(Debug)]
pub(super) struct Group {
    name: Arc<str>,
    /// Indices of virtual routers, and their states.
    members: Vec<(usize, State)>,
    told: Option<What>,
}

impl Group {
    /// All members are in Initialize.
    pub(super) fn new(name: Arc<str>, members: Vec<usize>) -> Self {
        Self {
            name,
            members: members
                .into_iter()
                .map(|member| (member, State::Initialize))
                .collect(),
            told: None,
        }
    }

    /// A virtual router has changed its state. Gives what is to be told of the group, if that changed with it.
    ///
    /// One in fault is all in fault; all other states are the group's when all members have them.
    pub(super) fn handle_transition(&mut self, router: usize, to: State) -> Option<Message> {
        let (_, state) = self.members.iter_mut().find(|(member, _)| *member == router)?;
        *state = to;
        let fault = self.members.iter().any(|(_, state)| *state == State::Fault);
        let all = self.members.iter().all(|(_, state)| *state == to);
        let what = match (fault, all) {
            (true, _) => What::Fault,
            (false, true) => What::entered(to),
            (false, false) => return None,
        };
        if self.told == Some(what) {
            return None;
        }
        self.told = Some(what);
        Some(Message {
            kind: Kind::Group,
            name: Arc::clone(&self.name),
            what,
            priority: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_has_a_state_when_all_members_have_it() {
        let mut group = Group::new("G1".into(), vec![0, 2]);
        let mut told = |router, to| group.handle_transition(router, to).map(|message| message.what);
        assert_eq!(told(0, State::Backup), None);
        assert_eq!(told(1, State::Master), None);
        assert_eq!(told(2, State::Backup), Some(What::Backup));
        assert_eq!(told(2, State::Master), None);
        assert_eq!(told(0, State::Master), Some(What::Master));
        assert_eq!(told(0, State::Initialize), None);
        assert_eq!(told(2, State::Initialize), Some(What::Stop));
    }

    #[test]
    fn one_member_in_fault_is_a_group_in_fault_told_once() {
        let mut group = Group::new("G1".into(), vec![0, 1]);
        let mut told = |router, to| group.handle_transition(router, to).map(|message| message.what);
        assert_eq!(told(0, State::Fault), Some(What::Fault));
        assert_eq!(told(1, State::Fault), None);
        assert_eq!(told(0, State::Backup), None);
        assert_eq!(told(1, State::Backup), Some(What::Backup));
    }

    #[test]
    fn a_group_that_nearly_took_over_tells_nothing() {
        let mut group = Group::new("G1".into(), vec![0, 1]);
        group.handle_transition(0, State::Backup);
        group.handle_transition(1, State::Backup);
        assert_eq!(group.handle_transition(0, State::Master), None);
        assert_eq!(group.handle_transition(0, State::Backup), None);
    }
}
