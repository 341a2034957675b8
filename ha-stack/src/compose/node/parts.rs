//! What a node is made of.

use std::net::IpAddr;
use std::sync::Arc;

use ha_health::Weight;
use vrrp_core::{Config, SyncGroup};

/// A sync group of a [`Node`](super::Node): instances by index that are master together or not at all.
#[derive(Clone, Debug)]
pub struct NodeGroup {
    /// What people call it.
    pub name: Arc<str>,
    /// The members.
    pub group: SyncGroup,
}

/// What one virtual router of a [`Node`](super::Node) is.
#[derive(Clone, Debug)]
pub struct NodeInstance {
    /// What people call it.
    pub name: Arc<str>,
    /// Interface that it runs on, for the status.
    pub interface: Arc<str>,
    /// Its configuration.
    pub config: Config,
    /// Address that it advertises from; unspecified until a driver sets it when left out.
    pub source: Option<IpAddr>,
    /// The checks that it tracks.
    pub tracks: Vec<TrackedCheck>,
}

/// One check as one virtual router tracks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrackedCheck {
    /// Index of the check in the node.
    pub check: usize,
    /// What it does to the priority; 0 makes its failure a fault.
    pub weight: Weight,
    /// Takes up for down and down for up.
    pub reverse: bool,
}
