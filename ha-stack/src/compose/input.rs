//! What the control thread is told.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use vrrp_core::{HmacConfig, NoHmac, SwitchoverEnd};

use super::hmac::SetHmacReply;
use super::proxies::ProxyError;
use super::status::{NodeStatus, Status};
use super::switchover::{ResumeReply, SwitchoverReply};

/// What the VRRP thread and the handles tell the control thread.
#[derive(Debug)]
pub(super) enum Input {
    /// A check wants its probe run.
    StartProbe { check: usize, timeout: Duration },
    /// A check went up or down.
    CheckChanged { check: usize, up: bool },
    /// The node's part of a status.
    NodeStatus { token: u64, status: Box<NodeStatus> },
    /// A switchover has ended.
    SwitchedOver { token: u64, end: Option<SwitchoverEnd> },
    /// HMAC settings were taken, or not.
    HmacSet {
        token: u64,
        result: Option<Result<(), NoHmac>>,
    },
    /// A hold has ended.
    Resumed { token: u64, found: bool },
    /// Somebody asks for the status.
    Status(oneshot::Sender<Status>),
    /// Hand over a virtual router or a sync group.
    Switchover(Arc<str>, SwitchoverReply),
    /// Change the HMAC settings of a virtual router.
    SetHmac(Arc<str>, HmacConfig, SetHmacReply),
    /// End the hold after that.
    Resume(Arc<str>, ResumeReply),
    /// End a proxy at once.
    AbortProxy(String, oneshot::Sender<Result<(), ProxyError>>),
    /// Start a proxy again.
    StartProxy(String, oneshot::Sender<Result<(), ProxyError>>),
    /// Whoever drove the node has ended, or is about to.
    DriveEnded,
    /// Stop everything.
    Shutdown(Duration, oneshot::Sender<usize>),
}
