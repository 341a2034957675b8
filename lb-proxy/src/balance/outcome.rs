//! How a request ended, and whether that speaks for or against its backend.

use std::fmt;
use std::sync::Arc;

/// How a request ended, as far as it says something about the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The backend did what was asked: the verdict of whoever says so, which no [`Classify`] is asked about.
    Success,
    /// The backend failed in a way that none of the others names; no [`Classify`] is asked either.
    Failure,
    /// It answered, with this HTTP status.
    Status(u16),
    /// No connection came about: refused, unreachable, or not in time.
    ConnectError,
    /// It was connected and did not answer, or did not go on, in time.
    Timeout,
    /// It broke the connection off before its answer was complete.
    Reset,
    /// What it sent is no answer: broken framing, a head that is too long.
    BadResponse,
    /// The request ended for reasons that say nothing about the backend: the client went away.
    Cancelled,
}

/// What an [`Outcome`] says about the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It works: this ends a run of failures, and brings a failed backend back.
    Success,
    /// It counts towards [`max_fails`](super::BackendConfig::max_fails) and the rules of
    /// [`Passive`](super::Passive).
    Failure,
    /// Neither.
    Neutral,
}

/// Which outcomes count as failures; given to
/// [`UpstreamBuilder::classify`](super::UpstreamBuilder::classify).
///
/// It is asked on the thread of the request, about every outcome but [`Outcome::Success`],
/// [`Outcome::Failure`] and [`Outcome::Cancelled`], so it must not block.
///
/// ```
/// use lb_proxy::balance::{Classify, FailOn, Outcome, Verdict};
///
/// /// As nginx, except that an overloaded backend is neither well nor ill.
/// #[derive(Debug)]
/// struct Patient(FailOn);
///
/// impl Classify for Patient {
///     fn classify(&self, outcome: Outcome) -> Verdict {
///         match outcome {
///             Outcome::Status(429 | 503) => Verdict::Neutral,
///             other => self.0.classify(other),
///         }
///     }
/// }
/// # assert_eq!(Patient(FailOn::errors()).classify(Outcome::Timeout), Verdict::Failure);
/// ```
pub trait Classify: fmt::Debug + Send + Sync + 'static {
    /// What `outcome` says about the backend.
    fn classify(&self, outcome: Outcome) -> Verdict;
}

/// Errors and timeouts are failures, and answers of the statuses that are listed: what nginx's
/// `proxy_next_upstream error timeout http_500 …` counts. The default is [`FailOn::errors`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailOn {
    /// A bit per status below 1,024.
    statuses: [u64; 16],
}

impl FailOn {
    /// Errors and timeouts alone; every answer is a success.
    #[must_use]
    pub const fn errors() -> Self {
        Self { statuses: [0; 16] }
    }

    /// Errors, timeouts, and answers of this `status` too. A number that is no HTTP status never occurs.
    #[must_use]
    pub const fn status(mut self, status: u16) -> Self {
        let word = (status / 64) as usize;
        if word < self.statuses.len() {
            self.statuses[word] |= 1 << (status % 64);
        }
        self
    }

    /// Whether an answer of this `status` is a failure.
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        let word = self.statuses.get(usize::from(status / 64));
        word.is_some_and(|word| word & (1 << (status % 64)) != 0)
    }

    /// The lowest status that is a failure; `u16::MAX` if none is.
    fn lowest(&self) -> u16 {
        let listed = (0..1_024).find(|&status| self.contains(status));
        listed.unwrap_or(u16::MAX)
    }
}

impl Default for FailOn {
    fn default() -> Self {
        Self::errors()
    }
}

impl Classify for FailOn {
    fn classify(&self, outcome: Outcome) -> Verdict {
        match outcome {
            Outcome::Status(status) if self.contains(status) => Verdict::Failure,
            Outcome::Status(_) | Outcome::Success => Verdict::Success,
            Outcome::Cancelled => Verdict::Neutral,
            _ => Verdict::Failure,
        }
    }
}

/// The classifier of an upstream.
#[derive(Clone, Debug)]
pub(super) enum Classifier {
    Listed(FailOn),
    Custom(Arc<dyn Classify>),
}

impl Classifier {
    pub(super) fn classify(&self, outcome: Outcome) -> Verdict {
        match self {
            Self::Listed(listed) => listed.classify(outcome),
            Self::Custom(custom) => custom.classify(outcome),
        }
    }

    /// Below which status an answer is a success without a look at the classifier.
    pub(super) fn judged_from(&self) -> u16 {
        match self {
            Self::Listed(listed) => listed.lowest(),
            Self::Custom(_) => 0,
        }
    }
}

/// Two of an embedder's are the same only if they are one.
impl PartialEq for Classifier {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Listed(a), Self::Listed(b)) => a == b,
            (Self::Custom(a), Self::Custom(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

impl Eq for Classifier {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_fail_and_answers_do_not_unless_listed() {
        let plain = FailOn::errors();
        for error in [
            Outcome::Failure,
            Outcome::ConnectError,
            Outcome::Timeout,
            Outcome::Reset,
            Outcome::BadResponse,
        ] {
            assert_eq!(plain.classify(error), Verdict::Failure, "{error:?}");
        }
        assert_eq!(plain.classify(Outcome::Status(500)), Verdict::Success);
        assert_eq!(plain.classify(Outcome::Cancelled), Verdict::Neutral);
        let listed = FailOn::errors().status(500).status(503).status(60_000);
        assert_eq!(listed.classify(Outcome::Status(503)), Verdict::Failure);
        assert_eq!(listed.classify(Outcome::Status(502)), Verdict::Success);
        assert!(!listed.contains(60_000));
    }

    #[test]
    fn statuses_below_the_lowest_listed_need_no_judge() {
        let judged_from = |listed| Classifier::Listed(listed).judged_from();
        assert_eq!(judged_from(FailOn::errors()), u16::MAX);
        assert_eq!(judged_from(FailOn::errors().status(503).status(500)), 500);
        assert_eq!(Classifier::Custom(Arc::new(FailOn::errors())).judged_from(), 0);
    }
}
