//! A backend and one of its connections, held for one request.

use std::sync::Arc;

use super::answer::Reason;
use super::forward::Proxy;
use super::pool::Connection;
use super::upload::{Progress, Upload};
use crate::balance::{Outcome, Pick};
use crate::runtime::clock;

/// What a response holds until its body has ended. Dropped, it closes the connection and counts for nothing: the
/// client went away.
pub(super) struct Lease {
    proxy: Arc<Proxy>,
    pick: Pick,
    connection: Connection,
    upload: Option<Arc<Upload>>,
}

impl Lease {
    pub(super) fn new(
        proxy: Arc<Proxy>,
        pick: Pick,
        connection: Connection,
        upload: Option<Arc<Upload>>,
    ) -> Self {
        Self {
            proxy,
            pick,
            connection,
            upload,
        }
    }

    /// The response is complete: the backend did well, and its connection can be used again, unless the request
    /// has not been read to its end, in which case the rest of it would be taken for the next request.
    pub(super) fn complete(self) {
        let now = clock::now();
        self.proxy.finish(self.pick, now, Outcome::Success);
        if self
            .upload
            .is_none_or(|upload| upload.progress() == Progress::Complete)
        {
            self.proxy.give_back(self.connection, now);
        }
    }

    /// The backend broke off.
    pub(super) fn broken(self) {
        self.proxy
            .failed(self.pick, Reason::Closed, "the response broke off");
    }

    /// The connection carries no more HTTP.
    pub(super) fn tunnel(&self) {
        self.connection.state.tunnel();
    }
}
