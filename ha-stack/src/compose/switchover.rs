//! Switchovers that somebody waits for.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::oneshot;
use vrrp_core::SwitchoverEnd;

/// Most that are waited for at once; more are refused.
const MAX_WAITING: usize = 64;

/// Why mastership was not handed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SwitchoverError {
    /// There is none of that name.
    #[error("there is no virtual router or sync group {0}")]
    Unknown(String),
    /// It can't hand over.
    #[error("{name} is not handed over: {error}")]
    Refused {
        /// The virtual router or sync group.
        name: String,
        /// Why.
        error: vrrp_core::SwitchoverError,
    },
    /// No backup was there to take over, or none was able to.
    #[error("no backup has taken {0} over, so it stays master here")]
    NobodyTookOver(String),
    /// A fault, a shutdown or a pause came in between.
    #[error("{0} stopped being master for another reason before it was handed over; see the log")]
    Interrupted(String),
    /// So many wait already.
    #[error("{MAX_WAITING} switchovers are waited for already")]
    Busy,
}

/// Where the new master is, or why there is none.
pub(super) type SwitchoverReply = oneshot::Sender<Result<IpAddr, SwitchoverError>>;
/// Nothing, or why not.
pub(super) type ResumeReply = oneshot::Sender<Result<(), SwitchoverError>>;

/// Questions on their way through the node.
#[derive(Debug, Default)]
pub(super) struct Switchovers {
    next_token: u64,
    under_way: HashMap<u64, (Arc<str>, SwitchoverReply)>,
    resuming: HashMap<u64, (Arc<str>, ResumeReply)>,
}

impl Switchovers {
    /// Takes a question in, and gives the token to ask the node with; `None` when there are too many.
    pub(super) fn begin(&mut self, name: Arc<str>, reply: SwitchoverReply) -> Option<u64> {
        self.under_way.retain(|_, (_, reply)| !reply.is_closed());
        if self.under_way.len() == MAX_WAITING {
            // Who asked may not wait.
            let _ = reply.send(Err(SwitchoverError::Busy));
            return None;
        }
        let token = self.token();
        self.under_way.insert(token, (name, reply));
        Some(token)
    }

    /// Takes a question in, and gives the token to ask the node with.
    pub(super) fn resume(&mut self, name: Arc<str>, reply: ResumeReply) -> Option<u64> {
        self.resuming.retain(|_, (_, reply)| !reply.is_closed());
        if self.resuming.len() == MAX_WAITING {
            let _ = reply.send(Err(SwitchoverError::Busy));
            return None;
        }
        let token = self.token();
        self.resuming.insert(token, (name, reply));
        Some(token)
    }

    pub(super) fn ended(&mut self, token: u64, end: Option<SwitchoverEnd>) {
        let Some((name, reply)) = self.under_way.remove(&token) else {
            return;
        };
        let name = name.to_string();
        let answer = match end {
            None => Err(SwitchoverError::Unknown(name)),
            Some(SwitchoverEnd::Done(peer)) => Ok(peer.address),
            Some(SwitchoverEnd::NobodyTookOver) => Err(SwitchoverError::NobodyTookOver(name)),
            Some(SwitchoverEnd::Refused(error)) => Err(SwitchoverError::Refused { name, error }),
            Some(_) => Err(SwitchoverError::Interrupted(name)),
        };
        let _ = reply.send(answer);
    }

    pub(super) fn resumed(&mut self, token: u64, found: bool) {
        if let Some((name, reply)) = self.resuming.remove(&token) {
            let unknown = || SwitchoverError::Unknown(name.to_string());
            let _ = reply.send(found.then_some(()).ok_or_else(unknown));
        }
    }

    /// Nobody is left to answer these.
    pub(super) fn abandon(&mut self) {
        self.under_way.clear();
        self.resuming.clear();
    }

    fn token(&mut self) -> u64 {
        self.next_token += 1;
        self.next_token
    }
}
