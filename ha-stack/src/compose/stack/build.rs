//! Putting the parts together: names become indices, and each must stand for something.

use std::sync::Arc;

use ha_health::Check;
use lb_proxy::balance::{BackendId, Upstream};
use lb_proxy::proxy::ProxyConfig;
use vrrp_core::{SyncGroup, SyncGroupError};

use super::builder::Group;
use super::{BuildError, Stack, StackBuilder};
use crate::compose::backends::BackendCheck;
use crate::compose::checking::CheckedUpstream;
use crate::compose::instance::{Instance, Track};
use crate::compose::node::{Node, NodeGroup, NodeInstance, TrackedCheck};
use crate::compose::notify::{Notify, Target};
use crate::compose::sources::CheckPart;
use crate::compose::upstream_check::UpstreamCheck;

impl StackBuilder {
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
        let checked = find_checked(&upstreams, self.upstream_checks, &backend_checks)?;
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
            checked,
            proxies: self.proxies,
            driver: self.driver,
        })
    }
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

fn find_checked(
    upstreams: &[(Arc<str>, Upstream)],
    checks: Vec<(String, UpstreamCheck)>,
    own: &[BackendCheck],
) -> Result<Vec<CheckedUpstream>, BuildError> {
    unique("check of upstream", checks.iter().map(|(name, _)| &**name))?;
    let find = |(name, check): (String, UpstreamCheck)| {
        let index = find_upstream(upstreams, &name)?;
        let own = own.iter().filter(|one| one.upstream == index);
        Ok(CheckedUpstream {
            upstream: upstreams[index].1.clone(),
            check,
            except: own.map(|one| one.backend.clone()).collect(),
        })
    };
    checks.into_iter().map(find).collect()
}

fn find_upstream(upstreams: &[(Arc<str>, Upstream)], upstream: &str) -> Result<usize, BuildError> {
    let index = upstreams.iter().position(|(name, _)| **name == *upstream);
    index.ok_or_else(|| BuildError::UnknownUpstream {
        upstream: upstream.to_owned(),
    })
}

fn find_backend(
    upstreams: &[(Arc<str>, Upstream)],
    upstream: &str,
    backend: &BackendId,
) -> Result<usize, BuildError> {
    let index = find_upstream(upstreams, upstream)?;
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
