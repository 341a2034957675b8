//! What an upstream is made of, in nginx's words, checked once.

use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::outcome::{Classifier, Classify, FailOn};
use super::passive::Passive;
use super::queue::QueueConfig;
use super::strategy::Strategy;

/// The most backends that one upstream holds: half as many as slots, so that a whole set can be replaced by
/// another.
pub const MAX_BACKENDS: usize = 1 << 15;

/// An upstream's settings, valid by construction: made by [`UpstreamConfig::builder`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamConfig {
    name: Arc<str>,
    strategy: Strategy,
    backends: Vec<BackendConfig>,
    life: Life,
}

/// What decides about the life of all backends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) passive: Passive,
    pub(super) panic: bool,
    pub(super) queue: Option<QueueConfig>,
    pub(super) classifier: Classifier,
}

impl Default for Life {
    fn default() -> Self {
        Self {
            passive: Passive::new(),
            panic: true,
            queue: None,
            classifier: Classifier::Listed(FailOn::errors()),
        }
    }
}

impl UpstreamConfig {
    /// Starts the settings of the upstream `name`; the strategy is [`Strategy::Weighted`] unless set.
    pub fn builder(name: impl Into<Arc<str>>) -> UpstreamBuilder {
        UpstreamBuilder {
            name: name.into(),
            strategy: Strategy::default(),
            backends: Vec::new(),
            life: Life::default(),
        }
    }

    /// The operator's name of the upstream.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// By which rule the next backend is found.
    #[must_use]
    pub const fn strategy(&self) -> Strategy {
        self.strategy
    }

    /// The backends in the operator's order, which settles ties.
    #[must_use]
    pub fn backends(&self) -> &[BackendConfig] {
        &self.backends
    }

    /// When failed requests eject a backend.
    pub const fn passive(&self) -> &Passive {
        &self.life.passive
    }

    /// Whether all backends are used when none is up.
    #[must_use]
    pub const fn panic(&self) -> bool {
        self.life.panic
    }

    /// Where requests wait when every backend is full, if they may.
    #[must_use]
    pub const fn queue(&self) -> Option<QueueConfig> {
        self.life.queue
    }

    pub(super) fn into_parts(self) -> (Arc<str>, Strategy, Vec<BackendConfig>, Life) {
        (self.name, self.strategy, self.backends, self.life)
    }
}

/// Collects the settings of an upstream.
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until they are built"]
pub struct UpstreamBuilder {
    name: Arc<str>,
    strategy: Strategy,
    backends: Vec<BackendConfig>,
    life: Life,
}

impl UpstreamBuilder {
    /// Sets by which rule the next backend is found; default [`Strategy::Weighted`].
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Sets when failed requests eject a backend; default [`Passive::new`].
    pub fn passive(mut self, passive: Passive) -> Self {
        self.life.passive = passive;
        self
    }

    /// Whether, when no backend is up, all that the operator has not taken out are used, whatever checks and
    /// requests said of them; default yes. Without it there is none then, as in nginx ("no live upstreams",
    /// 502).
    pub fn panic(mut self, panic: bool) -> Self {
        self.life.panic = panic;
        self
    }

    /// Lets requests wait while every backend has [`max_conns`](BackendConfig::max_conns); default none does.
    pub fn queue(mut self, queue: QueueConfig) -> Self {
        self.life.queue = Some(queue);
        self
    }

    /// Counts answers of listed statuses as failures besides errors and timeouts; default none.
    pub fn fail_on(mut self, listed: FailOn) -> Self {
        self.life.classifier = Classifier::Listed(listed);
        self
    }

    /// Lets `classify` say what counts as a failure, in place of [`fail_on`](Self::fail_on).
    pub fn classify(mut self, classify: impl Classify) -> Self {
        self.life.classifier = Classifier::Custom(Arc::new(classify));
        self
    }

    /// Adds one backend after those already there.
    pub fn backend(mut self, backend: BackendConfig) -> Self {
        self.backends.push(backend);
        self
    }

    /// Adds backends after those already there.
    pub fn backends(mut self, backends: impl IntoIterator<Item = BackendConfig>) -> Self {
        self.backends.extend(backends);
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// An empty name or id, two backends of one id, a port 0, no backend besides spares (nginx: "no servers
    /// are inside upstream"), or more than [`MAX_BACKENDS`]; a percentage above 100, or a ratio over no time.
    /// Two ids may share an address, as two `server` lines of nginx may.
    pub fn build(self) -> Result<UpstreamConfig, ConfigError> {
        if self.name.is_empty() {
            return Err(ConfigError::EmptyName);
        }
        if self.backends.len() > MAX_BACKENDS {
            return Err(ConfigError::TooManyBackends {
                got: self.backends.len(),
            });
        }
        if self.backends.iter().all(|backend| backend.spare) {
            return Err(ConfigError::NoPrimary);
        }
        let mut ids = HashSet::with_capacity(self.backends.len());
        for (index, backend) in self.backends.iter().enumerate() {
            if backend.id.as_str().is_empty() {
                return Err(ConfigError::EmptyId { index });
            }
            if !ids.insert(&backend.id) {
                return Err(ConfigError::DuplicateId {
                    id: backend.id.clone(),
                });
            }
            if backend.address.port() == 0 {
                return Err(ConfigError::PortZero {
                    id: backend.id.clone(),
                });
            }
        }
        self.life.passive.check()?;
        Ok(UpstreamConfig {
            name: self.name,
            strategy: self.strategy,
            backends: self.backends,
            life: self.life,
        })
    }
}

/// One backend's settings: `server` of nginx's `upstream`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackendConfig {
    pub(super) id: BackendId,
    pub(super) address: SocketAddr,
    pub(super) weight: Weight,
    pub(super) max_fails: u32,
    pub(super) fail_timeout: Duration,
    pub(super) max_conns: u32,
    pub(super) slow_start: Duration,
    pub(super) spare: bool,
    pub(super) down: bool,
    pub(super) drain: bool,
    pub(super) mandatory: bool,
}

impl BackendConfig {
    /// A primary of weight 1, `max_fails` 1 and `fail_timeout` 10 s: nginx's defaults.
    pub fn new(id: impl Into<BackendId>, address: SocketAddr) -> Self {
        Self {
            id: id.into(),
            address,
            weight: Weight::default(),
            max_fails: 1,
            fail_timeout: Duration::from_secs(10),
            max_conns: 0,
            slow_start: Duration::ZERO,
            spare: false,
            down: false,
            drain: false,
            mandatory: false,
        }
    }

    /// Sets the share of the requests, beside the other backends' weights; default 1, and 0 takes no new
    /// requests besides those that stick to it ([`drain`](Self::drain)).
    #[must_use]
    pub fn weight(mut self, weight: impl Into<Weight>) -> Self {
        self.weight = weight.into();
        self
    }

    /// Sets how many failures within [`fail_timeout`](Self::fail_timeout) eject the backend; default 1, and 0
    /// never does.
    ///
    /// An upstream of one backend ignores it, as nginx does: there is nothing else to try. Further rules, and
    /// how many may be out at a time, are the upstream's: [`Passive`].
    #[must_use]
    pub const fn max_fails(mut self, max_fails: u32) -> Self {
        self.max_fails = max_fails;
        self
    }

    /// Sets within which time failures add up, and for how long the backend is then out the first time;
    /// default 10 s.
    #[must_use]
    pub const fn fail_timeout(mut self, fail_timeout: Duration) -> Self {
        self.fail_timeout = fail_timeout;
        self
    }

    /// Sets how many requests it may have under way; default 0, which is any number.
    ///
    /// All threads together never have more. When every backend is full, a pick says
    /// [`Refusal::Full`](super::Refusal::Full), and the request may [`wait`](super::Upstream::wait).
    #[must_use]
    pub const fn max_conns(mut self, max_conns: u32) -> Self {
        self.max_conns = max_conns;
        self
    }

    /// Sets over which time its share grows from a 32nd to the whole when it comes back after a failure;
    /// default 0, at once.
    ///
    /// A failure is one of a backend that has worked before: by a request, or by an active check. So nobody
    /// starts slowly when the process does, or when first added. Its limit `max_conns` does not grow.
    #[must_use]
    pub const fn slow_start(mut self, slow_start: Duration) -> Self {
        self.slow_start = slow_start;
        self
    }

    /// Makes it a spare, which gets requests only while no primary can (nginx: `backup`); default no.
    #[must_use]
    pub const fn spare(mut self, spare: bool) -> Self {
        self.spare = spare;
        self
    }

    /// Takes it out by the operator's word (nginx: `down`); default no.
    #[must_use]
    pub const fn down(mut self, down: bool) -> Self {
        self.down = down;
        self
    }

    /// Lets it run dry: no requests come but those that stick to it; default no.
    #[must_use]
    pub const fn drain(mut self, drain: bool) -> Self {
        self.drain = drain;
        self
    }

    /// Keeps it out until its active check has first said something
    /// ([`Upstream::set_check`](super::Upstream::set_check)); default no, which takes it as passing.
    #[must_use]
    pub const fn mandatory(mut self, mandatory: bool) -> Self {
        self.mandatory = mandatory;
        self
    }

    /// The operator's name of the backend.
    #[must_use]
    pub const fn id(&self) -> &BackendId {
        &self.id
    }

    /// Where the backend listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// What names a backend: the operator's word, never its address or weight, so that both can change and health
/// and counters stay.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackendId(Arc<str>);

impl BackendId {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<T: Into<Arc<str>>> From<T> for BackendId {
    fn from(name: T) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for BackendId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for BackendId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// A backend's share of the requests beside the other weights: 0 to 65,535, default 1; 0 takes no new
/// requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Weight(u16);

impl Weight {
    /// Takes no new requests; those under way go on.
    pub const ZERO: Self = Self(0);

    /// A weight of `weight` shares.
    #[must_use]
    pub const fn new(weight: u16) -> Self {
        Self(weight)
    }

    /// The number of shares.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }
}

impl Default for Weight {
    fn default() -> Self {
        Self(1)
    }
}

impl From<u16> for Weight {
    fn from(weight: u16) -> Self {
        Self(weight)
    }
}

impl fmt::Display for Weight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Why settings are not those of an upstream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The upstream has no name.
    #[error("the upstream's name is empty")]
    EmptyName,
    /// Nothing but spares, or nothing at all.
    #[error("the upstream has no backend besides spares")]
    NoPrimary,
    /// More than [`MAX_BACKENDS`].
    #[error("{got} backends, and at most {MAX_BACKENDS} are possible")]
    TooManyBackends {
        /// How many there were.
        got: usize,
    },
    /// A backend has no id.
    #[error("backend {index} (counted from 0) has an empty id")]
    EmptyId {
        /// Its place in the operator's order, from 0.
        index: usize,
    },
    /// Two backends share an id.
    #[error("two backends are called {id}")]
    DuplicateId {
        /// The id.
        id: BackendId,
    },
    /// A share of more than all.
    #[error("{name} is {got} %, and at most 100 % is possible")]
    Percent {
        /// Which setting.
        name: &'static str,
        /// What it was.
        got: u8,
    },
    /// A ratio has to be taken over some time.
    #[error("the window of the ratio is 0: give the time over which failures are set against requests")]
    ZeroWindow,
    /// Nothing listens on port 0.
    #[error("backend {id} has port 0")]
    PortZero {
        /// Whose port it is.
        id: BackendId,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_nginx() {
        let backend = backend("a");
        assert_eq!(
            (backend.weight.get(), backend.max_fails, backend.fail_timeout),
            (1, 1, Duration::from_secs(10))
        );
        assert!(!backend.spare && !backend.down);
        let config = UpstreamConfig::builder("app").backend(backend).build().unwrap();
        assert_eq!(config.strategy(), Strategy::Weighted);
    }

    #[test]
    fn what_cannot_work_is_refused() {
        let build = |backends: Vec<BackendConfig>| UpstreamConfig::builder("app").backends(backends).build();
        assert_eq!(
            UpstreamConfig::builder("").backend(backend("a")).build(),
            Err(ConfigError::EmptyName)
        );
        assert_eq!(build(vec![]), Err(ConfigError::NoPrimary));
        assert_eq!(build(vec![backend("a").spare(true)]), Err(ConfigError::NoPrimary));
        assert_eq!(
            build(vec![backend("a"), backend("")]),
            Err(ConfigError::EmptyId { index: 1 })
        );
        assert_eq!(
            build(vec![backend("a"), backend("a")]),
            Err(ConfigError::DuplicateId { id: "a".into() })
        );
        let zero = BackendConfig::new("z", "192.0.2.1:0".parse().unwrap());
        assert_eq!(build(vec![zero]), Err(ConfigError::PortZero { id: "z".into() }));
        let many = (0..=MAX_BACKENDS).map(|n| backend(&n.to_string())).collect();
        assert_eq!(
            build(many),
            Err(ConfigError::TooManyBackends {
                got: MAX_BACKENDS + 1
            })
        );
    }

    #[test]
    fn two_backends_may_share_an_address() {
        assert!(
            UpstreamConfig::builder("app")
                .backends([backend("a"), backend("b")])
                .build()
                .is_ok()
        );
    }

    fn backend(id: &str) -> BackendConfig {
        BackendConfig::new(id, "192.0.2.1:80".parse().unwrap())
    }
}
