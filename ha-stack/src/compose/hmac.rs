//! HMAC settings that somebody changes while the stack runs.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::oneshot;
use vrrp_core::NoHmac;

/// Most answers that are waited for at once; more are refused.
const MAX_WAITING: usize = 64;

/// Why HMAC settings were not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetHmacError {
    /// There is none of that name.
    #[error("there is no virtual router {0}")]
    Unknown(String),
    /// It does not use HMAC, and can't begin with it while it runs.
    #[error("virtual router {0} was started without HMAC: restart to begin with it")]
    NoHmac(String),
    /// So many wait already.
    #[error("{MAX_WAITING} changes of HMAC settings are waited for already")]
    Busy,
}

pub(super) type SetHmacReply = oneshot::Sender<Result<(), SetHmacError>>;

/// Questions on their way through the node.
#[derive(Debug, Default)]
pub(super) struct HmacChanges {
    next_token: u64,
    under_way: HashMap<u64, (Arc<str>, SetHmacReply)>,
}

impl HmacChanges {
    /// Takes a question in, and gives the token to ask the node with; `None` when there are too many.
    pub(super) fn begin(&mut self, name: Arc<str>, reply: SetHmacReply) -> Option<u64> {
        self.under_way.retain(|_, (_, reply)| !reply.is_closed());
        if self.under_way.len() == MAX_WAITING {
            // Who asked may not wait.
            let _ = reply.send(Err(SetHmacError::Busy));
            return None;
        }
        self.next_token += 1;
        self.under_way.insert(self.next_token, (name, reply));
        Some(self.next_token)
    }

    /// The node's answer: nothing where there is no router of that name.
    pub(super) fn ended(&mut self, token: u64, result: Option<Result<(), NoHmac>>) {
        let Some((name, reply)) = self.under_way.remove(&token) else {
            return;
        };
        let name = name.to_string();
        let _ = reply.send(match result {
            None => Err(SetHmacError::Unknown(name)),
            Some(Err(NoHmac)) => Err(SetHmacError::NoHmac(name)),
            Some(Ok(())) => Ok(()),
        });
    }

    /// Nobody is left to answer these.
    pub(super) fn abandon(&mut self) {
        self.under_way.clear();
    }
}
