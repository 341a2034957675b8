//! Collecting the parts of a stack.

use std::fmt;
use std::sync::Arc;

use ha_health::probe::{Probe, Watch};
use ha_health::{CheckConfig, WatchConfig};
use lb_proxy::balance::{BackendId, Upstream};
use lb_proxy::proxy::ProxyConfig;
use vrrp_net::DriverOptions;

use crate::compose::instance::Instance;
use crate::compose::notify::{Notify, NotifyFifo};
use crate::compose::sources::CheckPart;
use crate::compose::upstream_check::UpstreamCheck;

/// Collects the parts of a [`Stack`](super::Stack).
#[must_use = "a builder does nothing until it is built"]
pub struct StackBuilder {
    pub(super) node: Arc<str>,
    pub(super) instances: Vec<Instance>,
    pub(super) groups: Vec<Group>,
    pub(super) checks: Vec<CheckPart>,
    pub(super) upstreams: Vec<Upstream>,
    pub(super) backend_checks: Vec<(String, BackendId, String)>,
    pub(super) upstream_checks: Vec<(String, UpstreamCheck)>,
    pub(super) proxies: Vec<(Arc<str>, ProxyConfig)>,
    pub(super) fifos: Vec<NotifyFifo>,
    pub(super) group_notifies: Vec<(Arc<str>, Notify)>,
    pub(super) driver: DriverOptions,
}

/// A sync group by the names of its members.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: Arc<str>,
    pub(super) members: Vec<Arc<str>>,
    pub(super) tracking_weight: bool,
}

impl StackBuilder {
    /// Begins without parts.
    pub(super) fn new(node: Arc<str>) -> Self {
        Self {
            node,
            instances: Vec::new(),
            groups: Vec::new(),
            checks: Vec::new(),
            upstreams: Vec::new(),
            backend_checks: Vec::new(),
            upstream_checks: Vec::new(),
            proxies: Vec::new(),
            fifos: Vec::new(),
            group_notifies: Vec::new(),
            driver: DriverOptions::default(),
        }
    }

    /// Adds a virtual router.
    pub fn instance(mut self, instance: Instance) -> Self {
        self.instances.push(instance);
        self
    }

    /// Holds virtual routers together: they are master together or not at all (keepalived's `vrrp_sync_group`), and
    /// [`switchover`](crate::Handle::switchover) moves them by the group's name too. See
    /// [`SyncGroup`](vrrp_core::SyncGroup).
    ///
    /// Without `tracking_weight` the weights of what members track are ignored and only faults count, as keepalived has
    /// it; with it what one member tracks with a weight changes the priorities of all.
    pub fn sync_group<M: Into<Arc<str>>>(
        mut self,
        name: impl Into<Arc<str>>,
        members: impl IntoIterator<Item = M>,
        tracking_weight: bool,
    ) -> Self {
        self.groups.push(Group {
            name: name.into(),
            members: members.into_iter().map(Into::into).collect(),
            tracking_weight,
        });
        self
    }

    /// Adds a check. It runs whether or not something tracks it.
    ///
    /// All probes share the control thread: one that blocks it delays the others, and answers, but no advert.
    pub fn check(mut self, config: CheckConfig, probe: impl Probe + 'static) -> Self {
        self.checks.push(CheckPart::Probe(config, Arc::new(probe)));
        self
    }

    /// Adds a check that is told its results as soon as there are some: of a process, a file, an interface. It is
    /// tracked by its name as any other.
    ///
    /// All watches share a thread of their own, from which a result goes to the VRRP thread without a detour, however
    /// busy everything else is. A watch that ends is begun anew after a second.
    ///
    /// ```
    /// use ha_health::{Weight, WatchConfig, probe};
    /// use ha_stack::Stack;
    ///
    /// let nginx = probe::Process::builder("nginx").build()?;
    /// let config = WatchConfig::builder("nginx").weight(Weight::of_process(-20)?).build()?;
    /// let builder = Stack::builder("node-a").watch(config, nginx);
    /// assert_eq!(builder.watches().count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn watch(mut self, config: WatchConfig, watch: impl Watch + 'static) -> Self {
        self.checks.push(CheckPart::Watch(config, Arc::new(watch)));
        self
    }

    /// Adds an upstream to the status and to the events. Those of proxies are added by themselves.
    pub fn upstream(mut self, upstream: Upstream) -> Self {
        self.upstreams.push(upstream);
        self
    }

    /// Asks all backends of an upstream whether they are well, each by a check of its own, on a thread beside all others.
    /// One that has a check by [`backend_check`](Self::backend_check) follows that instead.
    pub fn check_backends(mut self, upstream: impl Into<String>, check: UpstreamCheck) -> Self {
        self.upstream_checks.push((upstream.into(), check));
        self
    }

    /// Lets a check decide whether a backend gets requests. Before the first result it does.
    pub fn backend_check(
        mut self,
        upstream: impl Into<String>,
        backend: impl Into<BackendId>,
        check: impl Into<String>,
    ) -> Self {
        self.backend_checks
            .push((upstream.into(), backend.into(), check.into()));
        self
    }

    /// Adds a proxy, with the upstream that it forwards to.
    pub fn proxy(mut self, name: impl Into<Arc<str>>, config: ProxyConfig) -> Self {
        self.proxies.push((name.into(), config));
        self
    }

    /// How the VRRP thread runs: its nice value, real-time priority, and memory that stays in RAM. Default: first among
    /// ordinary threads where that is allowed.
    pub fn driver_options(mut self, options: DriverOptions) -> Self {
        self.driver = options;
        self
    }

    /// Sets the scripts that are told of the changes of state of a sync group, by its name.
    ///
    /// A group has the state that all its members have, and is in fault with one that is.
    pub fn group_notify(mut self, group: impl Into<Arc<str>>, notify: Notify) -> Self {
        self.group_notifies.push((group.into(), notify));
        self
    }

    /// Adds a FIFO that is told of each change of state of each virtual router and group. There may be several.
    pub fn notify_fifo(mut self, fifo: NotifyFifo) -> Self {
        self.fifos.push(fifo);
        self
    }

    /// Name of the node.
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The virtual routers so far.
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// Names, members and `tracking_weight` of the sync groups so far.
    pub fn sync_groups(&self) -> impl ExactSizeIterator<Item = (&str, &[Arc<str>], bool)> {
        self.groups
            .iter()
            .map(|group| (&*group.name, &*group.members, group.tracking_weight))
    }

    /// The FIFOs so far.
    pub fn notify_fifos(&self) -> &[NotifyFifo] {
        &self.fifos
    }

    /// The checks so far that run a probe.
    pub fn checks(&self) -> impl Iterator<Item = &CheckConfig> {
        self.checks.iter().filter_map(|check| match check {
            CheckPart::Probe(config, _) => Some(config),
            CheckPart::Watch(..) => None,
        })
    }

    /// The checks so far that are watched.
    pub fn watches(&self) -> impl Iterator<Item = &WatchConfig> {
        self.checks.iter().filter_map(|check| match check {
            CheckPart::Watch(config, _) => Some(config),
            CheckPart::Probe(..) => None,
        })
    }

    /// Names and configurations of the proxies so far.
    pub fn proxies(&self) -> impl ExactSizeIterator<Item = (&str, &ProxyConfig)> {
        self.proxies.iter().map(|(name, config)| (&**name, config))
    }
}

impl fmt::Debug for StackBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StackBuilder")
            .field("node", &self.node)
            .field("instances", &self.instances)
            .field("driver", &self.driver)
            .finish_non_exhaustive()
    }
}
