//! Who drives the node, and how commands get there.

use tokio::sync::mpsc;
use vrrp_net::{Commands, DriverHandle};

use super::bus::Bus;
use super::node::{Command, Node};

/// Who drives the node.
#[derive(Debug)]
pub(super) enum Drive {
    /// vrrp-net, on a thread of its own.
    Thread(DriverHandle<Command>),
    /// There is no virtual router: checks alone, on the control thread.
    Here {
        node: Box<Node>,
        bus: Bus,
        commands: mpsc::UnboundedSender<Command>,
        inbox: mpsc::UnboundedReceiver<Command>,
    },
}

impl Drive {
    pub(super) fn here(node: Node, bus: Bus) -> Self {
        let (commands, inbox) = mpsc::unbounded_channel();
        Self::Here {
            node: Box::new(node),
            bus,
            commands,
            inbox,
        }
    }

    /// Sends commands to the node from any thread.
    pub(super) fn commands(&self) -> NodeCommands {
        match self {
            Self::Thread(driver) => NodeCommands::Thread(driver.commands()),
            Self::Here { commands, .. } => NodeCommands::Here(commands.clone()),
        }
    }
}

/// Sends commands to the node, wherever it is driven.
#[derive(Clone, Debug)]
pub(super) enum NodeCommands {
    Thread(Commands<Command>),
    Here(mpsc::UnboundedSender<Command>),
}

impl NodeCommands {
    /// Whether somebody took it.
    pub(super) fn send(&self, command: Command) -> bool {
        match self {
            Self::Thread(commands) => commands.send(command).is_ok(),
            Self::Here(commands) => commands.send(command).is_ok(),
        }
    }
}
