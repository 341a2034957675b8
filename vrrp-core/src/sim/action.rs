//! What a test does to the nodes and to the LAN.

use core::fmt;

use super::Path;
use crate::{Fault, Priority};

/// Names a node of a [`Sim`](super::Sim): the first that was added is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub usize);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {}", self.0)
    }
}

/// One thing that happens to a node or a path; [`Sim::apply`](super::Sim::apply) does it at once.
///
/// What is told to a node's process reaches it only while it runs: a shutdown, a priority or a fault that comes while
/// it is down or stands still is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The host loses power: its state and its addresses are gone at once, without a word.
    Crash(NodeId),
    /// The process is killed: its state is gone without a word, its addresses stay until their lease ends.
    Kill(NodeId),
    /// The process starts from nothing, whatever it did before; left-over addresses are removed.
    Restart(NodeId),
    /// The process stands still (SIGSTOP, a stalled machine): packets queue up, addresses stay until their lease ends.
    Pause(NodeId),
    /// The process runs again: it looks at how late it is, reads the queue, and only then acts on its timers.
    Resume(NodeId),
    /// The node is asked to stop in an orderly way.
    Shutdown(NodeId),
    /// The operator asks the node to hand over whatever it is master of.
    Switchover(NodeId),
    /// The operator ends the hold that a switchover leaves behind.
    EndHold(NodeId),
    /// Every router of the node gets this priority.
    SetPriority(NodeId, Priority),
    /// Something that the node's routers need is gone.
    Fault(NodeId, Fault),
    /// Something that the node's routers need is back.
    Recovery(NodeId, Fault),
    /// The path from the first node to the second changes.
    SetPath(NodeId, NodeId, Path),
    /// The next advert of this priority from the first node to the second gets lost, and no other.
    Lose(NodeId, NodeId, Priority),
}

impl Action {
    /// The node that it is about; for a path, the sender.
    pub const fn node(&self) -> NodeId {
        match *self {
            Self::Crash(node)
            | Self::Kill(node)
            | Self::Restart(node)
            | Self::Pause(node)
            | Self::Resume(node)
            | Self::Shutdown(node)
            | Self::Switchover(node)
            | Self::EndHold(node)
            | Self::SetPriority(node, _)
            | Self::Fault(node, _)
            | Self::Recovery(node, _)
            | Self::SetPath(node, _, _)
            | Self::Lose(node, _, _) => node,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crash(_) => f.write_str("loses power"),
            Self::Kill(_) => f.write_str("is killed"),
            Self::Restart(_) => f.write_str("starts"),
            Self::Pause(_) => f.write_str("stands still"),
            Self::Resume(_) => f.write_str("runs again"),
            Self::Shutdown(_) => f.write_str("is asked to stop"),
            Self::Switchover(_) => f.write_str("is asked to hand over"),
            Self::EndHold(_) => f.write_str("is held no longer"),
            Self::SetPriority(_, priority) => write!(f, "gets priority {priority}"),
            Self::Fault(_, fault) => write!(f, "fault: {fault}"),
            Self::Recovery(_, fault) => write!(f, "no longer: {fault}"),
            Self::SetPath(_, to, path) => write!(f, "path to {to}: {path}"),
            Self::Lose(_, to, priority) => {
                write!(f, "next advert of priority {priority} to {to} will be lost")
            }
        }
    }
}
