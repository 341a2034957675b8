//! What a request has been through on its way to an answer, and what may still be tried.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::admit::Admitted;
use super::answer::Reason;
use super::config::Retry;
use super::upload::{Progress, Upload};
use crate::balance::Tried;

/// A request on its way.
pub(super) struct Attempts {
    pub(super) admitted: Admitted,
    /// Its body, if it has one.
    pub(super) upload: Option<Arc<Upload>>,
    /// The backends that it has been sent to.
    pub(super) tried: Tried,
    tries: u32,
    started: Duration,
}

impl Attempts {
    pub(super) fn new(admitted: Admitted, upload: Option<Arc<Upload>>, started: Duration) -> Self {
        Self {
            admitted,
            upload,
            tried: Tried::new(),
            tries: 0,
            started,
        }
    }

    /// When the request came.
    pub(super) fn started(&self) -> Duration {
        self.started
    }

    /// Counts a try; says whether it is a further one.
    pub(super) fn count(&mut self) -> bool {
        self.tries += 1;
        self.tries > 1
    }

    /// Whether number and time allow another backend.
    pub(super) fn may_go_on(&self, now: Duration, retry: &Retry) -> bool {
        self.tries < retry.tries && now.saturating_sub(self.started) < retry.timeout
    }

    /// Whether a request of which some may have been sent can be sent again.
    pub(super) fn can_repeat(&self) -> bool {
        self.admitted.idempotent && self.upload.as_ref().is_none_or(|upload| upload.can_replay())
    }

    /// Whether the client's body has not been read to its end.
    pub(super) fn is_body_left(&self) -> bool {
        self.upload
            .as_ref()
            .is_some_and(|upload| upload.progress() != Progress::Complete)
    }

    /// Whose fault it is that no response came.
    pub(super) fn blame(&self, error: &hyper::Error) -> Reason {
        match self.upload.as_ref().map(|upload| upload.progress()) {
            Some(Progress::Broken) => return Reason::BadBody,
            Some(Progress::TimedOut) => return Reason::ClientTimeout,
            Some(Progress::TooLarge) => return Reason::BodyTooLarge,
            Some(Progress::Open | Progress::Complete) | None => {}
        }
        if is_timeout(error) {
            Reason::ReadTimeout
        } else if error.is_parse() || error.is_parse_too_large() {
            Reason::BadResponse
        } else {
            Reason::Closed
        }
    }
}

/// Whether a socket that took too long is behind `error`.
pub(super) fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
        {
            return true;
        }
        next = error.source();
    }
    false
}
