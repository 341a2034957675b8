//! A virtual router as a stack runs it.

use std::sync::Arc;

use ha_health::Weight;
use vrrp_core::Config;
use vrrp_net::Attachment;

use super::notify::Notify;

/// A virtual router with its place on the host and the checks that it tracks; keepalived's `vrrp_instance`.
///
/// ```
/// use ha_stack::{Instance, Track};
/// use vrrp_core::{AddressList, Config, Priority, Vrid};
/// use vrrp_net::Attachment;
///
/// let addresses = AddressList::new(&["192.0.2.100".parse()?])?;
/// let config = Config::builder(Vrid::new(33).unwrap(), addresses).priority(Priority::new(150)).build()?;
/// let instance = Instance::new("VI_1", config, Attachment::builder("eth0").build()?)
///     .track("proxy")
///     .track(Track::new("database").weight(ha_health::Weight::new(-20)?));
/// assert_eq!(instance.name(), "VI_1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    pub(super) name: Arc<str>,
    pub(super) config: Config,
    pub(super) attachment: Attachment,
    pub(super) tracks: Vec<Track>,
    pub(super) notify: Notify,
}

impl Instance {
    /// Makes one that tracks nothing but its own link.
    pub fn new(name: impl Into<Arc<str>>, config: Config, attachment: Attachment) -> Self {
        Self {
            name: name.into(),
            config,
            attachment,
            tracks: Vec::new(),
            notify: Notify::new(),
        }
    }

    /// Tracks a check, by its name with the check's own weight, or as [`Track`] says.
    #[must_use]
    pub fn track(mut self, track: impl Into<Track>) -> Self {
        self.tracks.push(track.into());
        self
    }

    /// Sets the scripts that are told of its changes of state. Default none.
    #[must_use]
    pub fn notify(mut self, notify: Notify) -> Self {
        self.notify = notify;
        self
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it says and when.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Where it lives.
    pub fn attachment(&self) -> &Attachment {
        &self.attachment
    }

    /// The checks that it tracks.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }
}

/// How a virtual router tracks a check; keepalived's `track_script`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    pub(super) check: Arc<str>,
    pub(super) weight: Option<Weight>,
    pub(super) reverse: bool,
}

impl Track {
    /// Tracks the check of that name with its own weight.
    pub fn new(check: impl Into<Arc<str>>) -> Self {
        Self {
            check: check.into(),
            weight: None,
            reverse: false,
        }
    }

    /// Sets another weight than the check's; 0 makes a failure a fault.
    #[must_use]
    pub fn weight(mut self, weight: Weight) -> Self {
        self.weight = Some(weight);
        self
    }

    /// Takes up for down and down for up (keepalived's `reverse`). Default no.
    #[must_use]
    pub fn reverse(mut self, reverse: bool) -> Self {
        self.reverse = reverse;
        self
    }
}

impl<T: Into<Arc<str>>> From<T> for Track {
    fn from(check: T) -> Self {
        Self::new(check)
    }
}
