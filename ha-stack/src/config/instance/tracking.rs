//! What a virtual router's priority, or its fitness to be master, depends on.

use ha_health::Weight;

use crate::config::Spanned;

/// What is tracked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tracking {
    pub(crate) checks: Vec<TrackDraft>,
    pub(crate) interfaces: Vec<InterfaceDraft>,
}

/// A check that is tracked, by name.
#[derive(Clone, Debug)]
pub(crate) struct TrackDraft {
    pub(crate) check: Spanned<String>,
    /// The check's own unless said.
    pub(crate) weight: Option<Spanned<Weight>>,
    pub(crate) reverse: bool,
}

/// An interface that is tracked besides the virtual router's own.
#[derive(Clone, Debug)]
pub(crate) struct InterfaceDraft {
    pub(crate) interface: Spanned<String>,
    pub(crate) weight: Weight,
    pub(crate) reverse: bool,
}

impl Tracking {
    /// Names of the checks.
    pub(crate) fn names(&self) -> impl Iterator<Item = String> + '_ {
        self.checks.iter().map(|track| track.check.value.clone())
    }
}
