//! Putting a stack together, and starting it.

use std::fmt;
use std::sync::Arc;

use ha_health::probe::{Probe, Watch};
use ha_health::{Check, CheckConfig, WatchConfig};
use lb_proxy::balance::{BackendId, Upstream};
use lb_proxy::proxy::ProxyConfig;
use vrrp_core::{SyncGroup, SyncGroupError};
use vrrp_net::{Attachment, DriverOptions};

use super::handle::{Handle, StartError};
use super::instance::{Instance, Track};
use super::node::{Node, NodeGroup, NodeInstance, TrackedCheck};
use super::notify::{Notify, NotifyFifo, Target};
use super::sources::{CheckPart, NamedSource};

/// Virtual routers, checks and proxies that work together: everything that one host runs.
#[derive(Debug)]
pub struct Stack {
    pub(super) name: Arc<str>,
    pub(super) node: Node,
    pub(super) instances: Vec<Arc<str>>,
    pub(super) targets: Vec<Target>,
    pub(super) fifos: Vec<NotifyFifo>,
    pub(super) attachments: Vec<Attachment>,
    pub(super) checks: Vec<NamedSource>,
    pub(super) upstreams: Vec<Upstream>,
    pub(super) backend_checks: Vec<BackendCheck>,
    pub(super) proxies: Vec<(Arc<str>, ProxyConfig)>,
    pub(super) driver: DriverOptions,
}

/// A check that decides whether a backend gets requests.
#[derive(Debug)]
pub(super) struct BackendCheck {
    pub(super) check: usize,
    pub(super) upstream: usize,
    pub(super) backend: BackendId,
}

impl Stack {
    /// Begins a stack; `node` names the host in logs and in the status.
    pub fn builder(node: impl Into<Arc<str>>) -> StackBuilder {
        StackBuilder {
            node: node.into(),
            instances: Vec::new(),
            groups: Vec::new(),
            checks: Vec::new(),
            upstreams: Vec::new(),
            backend_checks: Vec::new(),
            proxies: Vec::new(),
            fifos: Vec::new(),
            group_notifies: Vec::new(),
            driver: DriverOptions::default(),
        }
    }

    /// Starts everything in the network namespace of the calling thread: VRRP on a thread of its own, probes on a
    /// control thread, each worker of a proxy on a thread. No runtime is needed to call it.
    ///
    /// # Errors
    /// The first thing that doesn't start, in one line. Nothing runs then. See [`StartError`].
    pub fn spawn(self) -> Result<Handle, StartError> {
        Handle::start(self)
    }
}

/// Collects the parts of a [`Stack`].
#[must_use = "a builder does nothing until it is built"]
pub struct StackBuilder {
    node: Arc<str>,
    instances: Vec<Instance>,
    groups: Vec<Group>,
    checks: Vec<CheckPart>,
    upstreams: Vec<Upstream>,
    backend_checks: Vec<(String, BackendId, String)>,
    proxies: Vec<(Arc<str>, ProxyConfig)>,
    fifos: Vec<NotifyFifo>,
    group_notifies: Vec<(Arc<str>, Notify)>,
    driver: DriverOptions,
}

/// A sync group by the names of its members.
#[derive(Debug)]
struct Group {
    name: Arc<str>,
    members: Vec<Arc<str>>,
    tracking_weight: bool,
}

impl StackBuilder {
    /// Adds a virtual router.
    pub fn instance(mut self, instance: Instance) -> Self {
        self.instances.push(instance);
        self
    }

    /// Holds virtual routers together: they are master together or not at all (keepalived's `vrrp_sync_group`), and
    /// [`switchover`](super::Handle::switchover) moves them by the group's name too. See [`SyncGroup`].
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

    /// Puts the parts together.
    ///
    /// # Errors
    /// When a name stands twice, or refers to nothing. See [`BuildError`].
    pub fn build(self) -> Result<Stack, BuildError> {
        unique("instance", self.instances.iter().map(|one| &*one.name))?;
        // A switchover goes by either name.
        let groups = self.groups.iter().map(|group| &*group.name);
        let instances = self.instances.iter().map(|one| &*one.name);
        unique("instance or sync group", instances.chain(groups))?;
        unique("check", self.checks.iter().map(CheckPart::name))?;
        unique("proxy", self.proxies.iter().map(|(name, _)| &**name))?;
        let check_index = |name: &str, by: &str| {
            let found = self.checks.iter().position(|check| check.name() == name);
            found.ok_or_else(|| BuildError::UnknownCheck {
                check: name.to_owned(),
                by: by.to_owned(),
            })
        };
        let mut instances = Vec::with_capacity(self.instances.len());
        for instance in &self.instances {
            let track = |track: &Track| {
                let check = check_index(&track.check, &instance.name)?;
                Ok(TrackedCheck {
                    check,
                    weight: track.weight.unwrap_or_else(|| self.checks[check].weight()),
                    reverse: track.reverse,
                })
            };
            instances.push(NodeInstance {
                name: Arc::clone(&instance.name),
                interface: instance.attachment.interface().into(),
                config: instance.config.clone(),
                source: instance.attachment.source(),
                tracks: instance
                    .tracks
                    .iter()
                    .map(track)
                    .collect::<Result<_, BuildError>>()?,
            });
        }
        let upstreams = collect_upstreams(self.upstreams, &self.proxies)?;
        let mut backend_checks = Vec::with_capacity(self.backend_checks.len());
        for (upstream, backend, check) in self.backend_checks {
            backend_checks.push(BackendCheck {
                check: check_index(&check, &format!("backend {backend} of {upstream}"))?,
                upstream: find_backend(&upstreams, &upstream, &backend)?,
                backend,
            });
        }
        let (machines, checks): (Vec<Check>, _) = self.checks.into_iter().map(CheckPart::split).unzip();
        let groups = self
            .groups
            .iter()
            .map(|group| find_members(group, &self.instances));
        let groups: Vec<NodeGroup> = groups.collect::<Result<_, _>>()?;
        let targets = find_targets(&self.instances, &groups, self.group_notifies)?;
        Ok(Stack {
            name: self.node,
            node: Node::with_groups(instances, groups, machines)
                .map_err(|error| sync_group_error(&self.groups, &self.instances, error))?,
            instances: self.instances.iter().map(|one| Arc::clone(&one.name)).collect(),
            targets,
            fifos: self.fifos,
            attachments: self.instances.into_iter().map(|one| one.attachment).collect(),
            checks,
            upstreams: upstreams.into_iter().map(|(_, upstream)| upstream).collect(),
            backend_checks,
            proxies: self.proxies,
            driver: self.driver,
        })
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

/// Why parts don't make a stack.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// Two parts of one kind share a name.
    #[error("two of kind {kind} are called {name}: give each its own name")]
    DuplicateName {
        /// `instance`, `instance or sync group`, `scripts of sync group`, `check`, `proxy` or `upstream`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// A sync group names a virtual router that is not there.
    #[error("sync group {group} names instance {member}, which does not exist")]
    UnknownMember {
        /// The group's name.
        group: String,
        /// The member's name.
        member: String,
    },
    /// A sync group names nothing.
    #[error("sync group {group} has no members: name the instances that it holds together")]
    EmptyGroup {
        /// The group's name.
        group: String,
    },
    /// A sync group names a virtual router twice.
    #[error("sync group {group} names instance {member} twice: name it once")]
    TwiceInGroup {
        /// The group's name.
        group: String,
        /// The member's name.
        member: String,
    },
    /// Two sync groups name the same virtual router.
    #[error("instance {member} is in sync groups {} and {}: put all members into one", .groups[0], .groups[1])]
    InTwoGroups {
        /// The member's name.
        member: String,
        /// The groups' names.
        groups: [String; 2],
    },
    /// A check is tracked that is not there.
    #[error("{by} tracks check {check}, which does not exist")]
    UnknownCheck {
        /// The check's name.
        check: String,
        /// Who tracks it.
        by: String,
    },
    /// Scripts are for a sync group that is not there.
    #[error("notify scripts are for sync group {group}, which does not exist")]
    UnknownGroup {
        /// The group's name.
        group: String,
    },
    /// A check is for an upstream that is not there.
    #[error("a check is for upstream {upstream}, which does not exist")]
    UnknownUpstream {
        /// The upstream's name.
        upstream: String,
    },
    /// A check is for a backend that is not there.
    #[error("a check is for backend {backend}, which upstream {upstream} does not have")]
    UnknownBackend {
        /// The upstream's name.
        upstream: String,
        /// The backend's name.
        backend: BackendId,
    },
}

fn unique<'a>(kind: &'static str, names: impl Iterator<Item = &'a str>) -> Result<(), BuildError> {
    let mut seen = std::collections::HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(BuildError::DuplicateName {
                kind,
                name: name.to_owned(),
            });
        }
    }
    Ok(())
}

fn find_members(group: &Group, instances: &[Instance]) -> Result<NodeGroup, BuildError> {
    let index = |name: &Arc<str>| {
        let found = instances.iter().position(|instance| instance.name == *name);
        found.ok_or_else(|| BuildError::UnknownMember {
            group: group.name.to_string(),
            member: name.to_string(),
        })
    };
    let members = group.members.iter().map(index).collect::<Result<Vec<_>, _>>()?;
    let made = SyncGroup::new(members).map_err(|error| match error {
        SyncGroupError::Twice { member } => BuildError::TwiceInGroup {
            group: group.name.to_string(),
            member: instances[member].name.to_string(),
        },
        _ => BuildError::EmptyGroup {
            group: group.name.to_string(),
        },
    })?;
    Ok(NodeGroup {
        name: Arc::clone(&group.name),
        group: made.tracking_weight(group.tracking_weight),
    })
}

/// Whom there is to tell of: the virtual routers in their order, and then the groups.
fn find_targets(
    instances: &[Instance],
    groups: &[NodeGroup],
    notifies: Vec<(Arc<str>, Notify)>,
) -> Result<Vec<Target>, BuildError> {
    unique(
        "scripts of sync group",
        notifies.iter().map(|(group, _)| &**group),
    )?;
    let instances = instances.iter().map(|one| Target {
        name: Arc::clone(&one.name),
        notify: one.notify.clone(),
        members: Vec::new(),
    });
    let groups = groups.iter().map(|one| Target {
        name: Arc::clone(&one.name),
        notify: Notify::new(),
        members: one.group.members().to_vec(),
    });
    let routers = instances.len();
    let mut targets: Vec<Target> = instances.chain(groups).collect();
    for (group, notify) in notifies {
        let found = targets[routers..].iter_mut().find(|target| target.name == group);
        let target = found.ok_or_else(|| BuildError::UnknownGroup {
            group: group.to_string(),
        })?;
        target.notify = notify;
    }
    Ok(targets)
}

/// Members have been found, so what is left is one in two groups.
fn sync_group_error(groups: &[Group], instances: &[Instance], error: SyncGroupError) -> BuildError {
    let (SyncGroupError::InTwoGroups { member } | SyncGroupError::Unknown { member }) = error else {
        unreachable!("groups were made before: {error}");
    };
    let name = &instances[member].name;
    let mut of = groups.iter().filter(|group| group.members.contains(name));
    let mut next = || of.next().map(|group| group.name.to_string()).unwrap_or_default();
    BuildError::InTwoGroups {
        member: name.to_string(),
        groups: [next(), next()],
    }
}

/// The upstreams that were added, and those of proxies that were not.
fn collect_upstreams(
    added: Vec<Upstream>,
    proxies: &[(Arc<str>, ProxyConfig)],
) -> Result<Vec<(Arc<str>, Upstream)>, BuildError> {
    let named = |upstream: Upstream| (upstream.status().name, upstream);
    let mut upstreams: Vec<(Arc<str>, Upstream)> = added.into_iter().map(named).collect();
    unique("upstream", upstreams.iter().map(|(name, _)| &**name))?;
    for (_, config) in proxies {
        let (name, upstream) = named(config.upstream().clone());
        if upstreams.iter().all(|(known, _)| *known != name) {
            upstreams.push((name, upstream));
        }
    }
    Ok(upstreams)
}

fn find_backend(
    upstreams: &[(Arc<str>, Upstream)],
    upstream: &str,
    backend: &BackendId,
) -> Result<usize, BuildError> {
    let index = upstreams.iter().position(|(name, _)| **name == *upstream);
    let index = index.ok_or_else(|| BuildError::UnknownUpstream {
        upstream: upstream.to_owned(),
    })?;
    if upstreams[index]
        .1
        .status()
        .backends
        .iter()
        .any(|one| one.id == *backend)
    {
        return Ok(index);
    }
    Err(BuildError::UnknownBackend {
        upstream: upstream.to_owned(),
        backend: backend.clone(),
    })
}
