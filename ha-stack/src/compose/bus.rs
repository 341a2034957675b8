//! From what the VRRP thread tells to events for everybody and work for the control thread.

use std::sync::Arc;

use tokio::sync::{broadcast, mpsc};
use vrrp_net::DriverEvent;

use super::event::Event;
use super::input::Input;
use super::node::NodeEvent;
use super::notify::Notifier;

/// Called on the VRRP thread: it names things and hands them on, and never waits.
#[derive(Debug)]
pub(super) struct Bus {
    instances: Vec<Arc<str>>,
    checks: Vec<Arc<str>>,
    events: broadcast::Sender<Event>,
    /// Unbounded in type alone: a check has one probe under way, and changes no more often than it reports.
    control: mpsc::UnboundedSender<Input>,
    /// There if somebody is to be notified.
    notifier: Option<Notifier>,
}

impl Bus {
    pub(super) fn new(
        instances: Vec<Arc<str>>,
        checks: Vec<Arc<str>>,
        events: broadcast::Sender<Event>,
        control: mpsc::UnboundedSender<Input>,
        notifier: Option<Notifier>,
    ) -> Self {
        Self {
            instances,
            checks,
            events,
            control,
            notifier,
        }
    }

    pub(super) fn publish(&mut self, event: DriverEvent<NodeEvent>) {
        let instance = |router: usize| Arc::clone(&self.instances[router]);
        let event = match event {
            DriverEvent::Node(event) => return self.publish_node(event),
            DriverEvent::Transition { router, transition } => {
                if let Some(notifier) = &mut self.notifier {
                    notifier.handle_transition(router, transition);
                }
                Event::Transition {
                    instance: instance(router),
                    transition,
                }
            }
            DriverEvent::Conflict { router, address, mac } => Event::Conflict {
                instance: instance(router),
                address,
                mac,
            },
            DriverEvent::AddressRestored { router, address } => Event::AddressRestored {
                instance: instance(router),
                address,
            },
            DriverEvent::RoutingRestored { router, count } => Event::RoutingRestored {
                instance: instance(router),
                count,
            },
            DriverEvent::AddressesRefused { router, reason } => Event::AddressesRefused {
                instance: instance(router),
                reason,
            },
            DriverEvent::Rival { router, rival } => Event::Rival {
                instance: instance(router),
                rival,
            },
            DriverEvent::Switchover { router, end } => Event::Switchover {
                instance: instance(router),
                end,
            },
            // What a later driver tells is no event of ours yet.
            _ => return,
        };
        self.tell(event);
    }

    pub(super) fn publish_node(&mut self, event: NodeEvent) {
        let name = |check: usize| Arc::clone(&self.checks[check]);
        match event {
            NodeEvent::StartProbe { check, timeout } => self.order(Input::StartProbe { check, timeout }),
            NodeEvent::Status { token, status } => self.order(Input::NodeStatus { token, status }),
            NodeEvent::SwitchedOver { token, end } => self.order(Input::SwitchedOver { token, end }),
            NodeEvent::HmacSet { token, result } => self.order(Input::HmacSet { token, result }),
            NodeEvent::Resumed { token, found } => self.order(Input::Resumed { token, found }),
            NodeEvent::CheckChanged {
                check,
                up,
                first,
                outcome,
            } => {
                self.order(Input::CheckChanged { check, up });
                self.tell(Event::Check {
                    check: name(check),
                    up,
                    first,
                    outcome,
                });
            }
            NodeEvent::CannotExecute { check, reason } => self.tell(Event::CannotExecute {
                check: name(check),
                reason,
            }),
            NodeEvent::CheckSkipped { check, running } => self.tell(Event::CheckSkipped {
                check: name(check),
                running,
            }),
            NodeEvent::PriorityChanged { router, from, to } => {
                if let Some(notifier) = &mut self.notifier {
                    notifier.handle_priority(router, to);
                }
                self.tell(Event::Priority {
                    instance: Arc::clone(&self.instances[router]),
                    from,
                    to,
                });
            }
            NodeEvent::Waited { router, fault } => {
                if let Some(notifier) = &mut self.notifier {
                    notifier.handle_waited(router, fault);
                }
            }
            NodeEvent::LowerReceived { router } => {
                if let Some(notifier) = &mut self.notifier {
                    notifier.handle_lower_received(router);
                }
            }
        }
    }

    fn tell(&self, event: Event) {
        // Nobody may be listening.
        let _ = self.events.send(event);
    }

    fn order(&self, input: Input) {
        // Fails when the control thread has ended, and this one is about to.
        let _ = self.control.send(input);
    }
}

/// Whoever drove the node has let go of it: however it ended, the control thread learns of it.
impl Drop for Bus {
    fn drop(&mut self) {
        // Nobody listens when everything ends.
        let _ = self.control.send(Input::DriveEnded);
    }
}
