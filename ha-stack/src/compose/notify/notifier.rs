//! The VRRP thread's end: from transitions to messages.

use std::sync::Arc;

use tokio::sync::mpsc;
use vrrp_core::{Priority, State, Transition};

use super::Notify;
use super::group::Group;
use super::message::{Kind, Message, What};

/// Whom scripts are for. The first are the virtual routers, in their order; behind them are the groups.
#[derive(Debug)]
pub(in super::super) struct Target {
    pub(in super::super) name: Arc<str>,
    pub(in super::super) notify: Notify,
    /// Indices of virtual routers, if it is a group.
    pub(in super::super) members: Vec<usize>,
}

/// Makes messages of what happens to virtual routers, and hands them to the thread that tells them. It never waits.
#[derive(Debug)]
pub(in super::super) struct Notifier {
    instances: Vec<Instance>,
    /// With the index of each among the targets.
    groups: Vec<(usize, Group)>,
    /// Unbounded in type alone: the other end takes all at once, and keeps a bounded part.
    messages: mpsc::UnboundedSender<(usize, Message)>,
}

#[derive(Debug)]
struct Instance {
    name: Arc<str>,
    state: State,
    priority: u8,
    priority_changes: bool,
}

impl Notifier {
    /// `priorities` are those of the virtual routers at the start.
    pub(super) fn new(
        targets: &[Target],
        priorities: &[Priority],
        messages: mpsc::UnboundedSender<(usize, Message)>,
    ) -> Self {
        let (instances, groups) = targets.split_at(priorities.len());
        let instances = instances
            .iter()
            .zip(priorities)
            .map(|(target, priority)| Instance {
                name: Arc::clone(&target.name),
                state: State::Initialize,
                priority: priority.get(),
                priority_changes: target.notify.priority_changes,
            });
        let groups = groups.iter().zip(priorities.len()..).map(|(target, index)| {
            let group = Group::new(Arc::clone(&target.name), target.members.clone());
            (index, group)
        });
        Self {
            instances: instances.collect(),
            groups: groups.collect(),
            messages,
        }
    }

    /// A virtual router has changed its state; an instance is told before its group.
    pub(in super::super) fn handle_transition(&mut self, router: usize, transition: Transition) {
        self.instances[router].state = transition.to;
        self.tell_instance(router, What::entered(transition.to));
        for (index, group) in &mut self.groups {
            if let Some(message) = group.handle_transition(router, transition.to) {
                tell(&self.messages, *index, message);
            }
        }
    }

    /// A virtual router has another effective priority.
    pub(in super::super) fn handle_priority(&mut self, router: usize, priority: Priority) {
        let instance = &mut self.instances[router];
        instance.priority = priority.get();
        if instance.priority_changes {
            let what = match instance.state {
                State::Master => What::MasterPriority,
                _ => What::BackupPriority,
            };
            self.tell_instance(router, what);
        }
    }

    /// A master has heard an advert of lower priority.
    pub(in super::super) fn handle_lower_received(&mut self, router: usize) {
        self.tell_instance(router, What::LowerReceived);
    }

    fn tell_instance(&self, router: usize, what: What) {
        let instance = &self.instances[router];
        let message = Message {
            kind: Kind::Instance,
            name: Arc::clone(&instance.name),
            what,
            priority: instance.priority,
        };
        tell(&self.messages, router, message);
    }
}

fn tell(messages: &mpsc::UnboundedSender<(usize, Message)>, target: usize, message: Message) {
    // Fails when the other thread has ended, by a panic: then nothing is told.
    let _ = messages.send((target, message));
}
