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
    /// Whether it is in fault only until checks have reported, which is not told. keepalived does not tell it either.
    waits: bool,
    priority_changes: bool,
}

/// What a virtual router is when the stack starts.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Start {
    pub(in super::super) priority: Priority,
    /// Whether it waits for checks to report that would be a fault.
    pub(in super::super) waits: bool,
}

impl Notifier {
    /// `starts` are those of the virtual routers.
    pub(super) fn new(
        targets: &[Target],
        starts: &[Start],
        messages: mpsc::UnboundedSender<(usize, Message)>,
    ) -> Self {
        let (instances, groups) = targets.split_at(starts.len());
        let instances = instances.iter().zip(starts).map(|(target, start)| Instance {
            name: Arc::clone(&target.name),
            state: State::Initialize,
            priority: start.priority.get(),
            waits: start.waits,
            priority_changes: target.notify.priority_changes,
        });
        let groups = groups.iter().zip(starts.len()..).map(|(target, index)| {
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
        let instance = &mut self.instances[router];
        instance.state = transition.to;
        if !(instance.waits && transition.to == State::Fault) {
            self.tell_state(router);
        }
    }

    /// A virtual router waits no longer for checks to report; `fault` says whether it is in fault all the same.
    pub(in super::super) fn handle_waited(&mut self, router: usize, fault: bool) {
        let instance = &mut self.instances[router];
        if std::mem::take(&mut instance.waits) && fault && instance.state == State::Fault {
            self.tell_state(router);
        }
    }

    fn tell_state(&mut self, router: usize) {
        let state = self.instances[router].state;
        self.tell_instance(router, What::entered(state));
        for (index, group) in &mut self.groups {
            if let Some(message) = group.handle_transition(router, state) {
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
