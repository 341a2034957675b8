//! Putting together what files say: names that refer to others, and the stack of it all.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use ha_health::{WatchConfig, Weight};
use lb_proxy::balance::Upstream;

use super::draft::{CheckDraft, CheckSource, Draft, UpstreamDraft};
use super::format::Format;
use super::groups::{self, Group};
use super::instance::{InstanceDraft, InterfaceDraft};
use super::proxy::ProxyDraft;
use super::suggest::nearest;
use super::{Diagnostic, Diagnostics, Sources, Spanned, lint, script, unique};
use crate::{Instance, Interface, Stack, StackBuilder, Track};

/// Makes the stack, as far as the draft allows; tells everything that is wrong.
pub(super) fn resolve(
    mut draft: Draft,
    node: Option<String>,
    sources: &mut Sources,
    diagnostics: &mut Diagnostics,
) -> Option<StackBuilder> {
    name_proxies(&mut draft);
    unique::check(&draft, diagnostics);
    let groups = groups::join(&mut draft, diagnostics);
    refuse_nothing(&draft, diagnostics);
    refuse_interface_names(&draft.instances, &draft.checks, diagnostics);
    let used = used_checks(&draft, diagnostics);
    check_weights(&draft, diagnostics);
    for instance in &draft.instances {
        // Both families of one definition are told of once.
        let mut found = Diagnostics::default();
        lint::instance(instance, &draft.checks, &mut found);
        lint::protection(instance, &mut found);
        diagnostics.absorb(found);
    }
    let notified = draft.instances.iter().map(|one| &one.notify);
    let notified = notified.chain(groups.iter().map(|group| &group.notify));
    for script in notified.flat_map(|notify| &notify.scripts) {
        script::lint(script, sources, diagnostics);
    }
    for script in draft.checks.iter().filter_map(|check| check.script.as_ref()) {
        script::lint(script, sources, diagnostics);
    }
    let routes = route(&draft, diagnostics);
    if diagnostics.errors() > 0 {
        return None;
    }
    assemble(draft, groups, node, &used, &routes)
}

fn refuse_nothing(draft: &Draft, diagnostics: &mut Diagnostics) {
    let nothing = draft.instances.is_empty()
        && draft.checks.is_empty()
        && draft.proxies.is_empty()
        && draft.broken.is_empty();
    if nothing && diagnostics.errors() == 0 {
        diagnostics.push(
            Diagnostic::error("there is nothing to run")
                .help("define a virtual router (`[[vrrp]]` or `vrrp_instance`) or a proxy (`[[proxy]]`)"),
        );
    }
}

/// Names of the checks that something refers to. References to nothing, and checks without one, are told.
fn used_checks(draft: &Draft, diagnostics: &mut Diagnostics) -> HashSet<String> {
    let known: HashSet<&str> = draft.checks.iter().map(|one| one.name.value.as_str()).collect();
    let tracks = draft
        .instances
        .iter()
        .flat_map(|one| &one.tracking.checks)
        .map(|track| &track.check);
    let backends = draft
        .upstreams
        .iter()
        .flat_map(|one| &one.checks)
        .map(|(_, check)| check);
    let mut found = Diagnostics::default();
    let mut used: HashSet<String> = draft.mentioned.iter().cloned().collect();
    let mut unknown_names = used.iter().any(|name| !known.contains(name.as_str()));
    for name in tracks.chain(backends) {
        if known.contains(name.value.as_str()) {
            used.insert(name.value.clone());
        } else if !draft.broken.contains(&name.value) {
            unknown_names = true;
            found.push(unknown(
                "check",
                name,
                draft.checks.iter().map(|one| one.name.value.as_str()),
            ));
        }
    }
    diagnostics.absorb(found);
    for check in draft
        .checks
        .iter()
        .filter(|check| !used.contains(&check.name.value))
    {
        // Whoever misspells the name of a check meant to use one.
        if !unknown_names {
            diagnostics.push(lint::untracked(check));
        }
    }
    used
}

/// How much a check may weigh depends on what it is.
fn check_weights(draft: &Draft, diagnostics: &mut Diagnostics) {
    for track in draft.instances.iter().flat_map(|one| &one.tracking.checks) {
        let Some(weight) = track.weight else { continue };
        let check = draft
            .checks
            .iter()
            .find(|check| check.name.value == track.check.value);
        let limit = check.map_or(i32::MAX, |check| check.source.limit());
        if weight.value.get().abs() > limit {
            let mut found = Diagnostics::default();
            found.push(
                Diagnostic::error(format!(
                    "weight {} of `{}` is out of range",
                    weight.value, track.check.value
                ))
                .at(weight.span)
                .help(format!("write -{limit} to {limit}")),
            );
            diagnostics.absorb(found);
        }
    }
}

/// Makes a stack of a draft without errors.
fn assemble(
    draft: Draft,
    groups: Vec<Group>,
    node: Option<String>,
    used: &HashSet<String>,
    routes: &[Option<usize>],
) -> Option<StackBuilder> {
    let name = node
        .or_else(|| draft.node.into_iter().next().map(|name| name.value))
        .or(draft.router_id)
        .unwrap_or_else(host_name);
    let thread = draft.thread.first().map(|thread| thread.value);
    let builder = Stack::builder(name).driver_options(thread.unwrap_or_default());
    let mut builder = add_interfaces(builder, &draft.instances)?;
    let addresses = draft.instances.iter().flat_map(|one| &one.addresses);
    let virtual_addresses: Vec<IpAddr> = addresses.map(|address| address.value).collect();
    let reversed = draft.checks.iter().filter(|one| one.reverse);
    let reversed: HashSet<String> = reversed.map(|one| one.name.value.clone()).collect();
    for check in draft.checks {
        // keepalived doesn't run a script that nobody tracks, and its author may count on that.
        if check.format == Format::Toml || used.contains(&check.name.value) {
            builder = match check.source {
                CheckSource::Probe(config, probe) => builder.check(config, probe),
                CheckSource::Watch { config, watch, .. } => builder.watch(config, watch),
            };
        }
    }
    for instance in draft.instances {
        builder = builder.instance(with_tracks(instance, &reversed));
    }
    for group in groups {
        let name: Arc<str> = group.name.into();
        builder = builder.sync_group(Arc::clone(&name), group.members, group.tracking_weight);
        builder = builder.group_notify(name, group.notify.notify);
    }
    for fifo in draft.fifos {
        builder = builder.notify_fifo(fifo.value);
    }
    Some(add_proxies(
        builder,
        draft.proxies,
        draft.upstreams,
        routes,
        &virtual_addresses,
    ))
}

/// A proxy without a name is called after its upstream.
fn name_proxies(draft: &mut Draft) {
    let only = match &draft.upstreams[..] {
        [only] => Some(&only.name.value),
        _ => None,
    };
    for proxy in draft.proxies.iter_mut().filter(|proxy| !proxy.named) {
        if let Some(upstream) = proxy.upstream.as_ref().map(|name| &name.value).or(only) {
            proxy.name.value.clone_from(upstream);
        }
    }
}

fn unknown<'a>(
    kind: &str,
    name: &Spanned<String>,
    known: impl Iterator<Item = &'a str> + Clone,
) -> Diagnostic {
    let diagnostic = Diagnostic::error(format!("{kind} `{}` is not defined", name.value)).at(name.span);
    match nearest(&name.value, known.clone()) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None => {
            let known: Vec<&str> = known.collect();
            match known[..] {
                [] => diagnostic.help(format!("define it; there is no {kind} yet")),
                _ => diagnostic.help(format!("define it, or use one of: {}", known.join(", "))),
            }
        }
    }
}

/// The upstream of each proxy, by index.
fn route(draft: &Draft, diagnostics: &mut Diagnostics) -> Vec<Option<usize>> {
    let Draft {
        proxies,
        upstreams,
        broken,
        ..
    } = draft;
    let known = || upstreams.iter().map(|one| one.name.value.as_str());
    let routes: Vec<Option<usize>> = proxies
        .iter()
        .map(|proxy| match &proxy.upstream {
            Some(name) => {
                let found = known().position(|known| known == name.value);
                if found.is_none() && !broken.contains(&name.value) {
                    diagnostics.push(unknown("upstream", name, known()));
                }
                found
            }
            None if upstreams.len() == 1 => Some(0),
            None => {
                if broken.is_empty() {
                    let names: Vec<&str> = known().collect();
                    let help = match names[..] {
                        [] => "define one: `[[upstream]]` with `name` and `backends`".to_owned(),
                        _ => format!("add `upstream = \"…\"` with one of: {}", names.join(", ")),
                    };
                    diagnostics.push(
                        Diagnostic::error("the proxy has no upstream")
                            .at(proxy.name.span)
                            .help(help),
                    );
                }
                None
            }
        })
        .collect();
    let references_hold = broken.is_empty() && routes.iter().all(Option::is_some);
    for (index, upstream) in upstreams.iter().enumerate() {
        if references_hold && !routes.contains(&Some(index)) {
            diagnostics.push(
                Diagnostic::warning(format!("no proxy uses the upstream `{}`", upstream.name.value))
                    .at(upstream.name.span)
                    .help(format!(
                        "add `upstream = \"{}\"` to a [[proxy]]",
                        upstream.name.value
                    )),
            );
        }
    }
    routes
}

/// The driver watches a router's own link. Tracked with a weight, or the wrong way round, it is a check besides.
fn needs_check(instance: &InstanceDraft, tracked: &InterfaceDraft) -> bool {
    tracked.interface.value != instance.attachment.interface()
        || tracked.weight != Weight::FAULT
        || tracked.reverse
}

fn interface_check_name(interface: &str) -> String {
    format!("interface {interface}")
}

/// A check of ours for a tracked interface has a name too.
fn refuse_interface_names(instances: &[InstanceDraft], checks: &[CheckDraft], diagnostics: &mut Diagnostics) {
    for instance in instances {
        for tracked in instance
            .tracking
            .interfaces
            .iter()
            .filter(|tracked| needs_check(instance, tracked))
        {
            let name = interface_check_name(&tracked.interface.value);
            if let Some(check) = checks.iter().find(|check| check.name.value == name) {
                diagnostics.push(
                    Diagnostic::error(format!("the name `{name}` is taken by a tracked interface"))
                        .at(check.name.span)
                        .also(tracked.interface.span, "this is the interface")
                        .help("rename the check"),
                );
            }
        }
    }
}

fn add_interfaces(mut builder: StackBuilder, instances: &[InstanceDraft]) -> Option<StackBuilder> {
    let mut added: Vec<&str> = Vec::new();
    for instance in instances {
        for tracked in &instance.tracking.interfaces {
            let interface = tracked.interface.value.as_str();
            if added.contains(&interface) || !needs_check(instance, tracked) {
                continue;
            }
            added.push(interface);
            let config = WatchConfig::builder(interface_check_name(interface));
            // The name of an interface has been checked; it makes the name of a check.
            builder = builder.watch(config.build().ok()?, Interface::new(interface));
        }
    }
    Some(builder)
}

fn with_tracks(draft: InstanceDraft, reversed: &HashSet<String>) -> Instance {
    let interfaces: Vec<Track> = draft
        .tracking
        .interfaces
        .iter()
        .filter(|tracked| needs_check(&draft, tracked))
        .map(|tracked| {
            Track::new(interface_check_name(&tracked.interface.value))
                .weight(tracked.weight)
                .reverse(tracked.reverse)
        })
        .collect();
    let checks = draft.tracking.checks.into_iter().map(|track| {
        // Whoever gives a weight says all of it; the check's own holds for the others.
        let reverse = track.reverse || (track.weight.is_none() && reversed.contains(&track.check.value));
        let tracked = Track::new(track.check.value).reverse(reverse);
        match track.weight {
            Some(weight) => tracked.weight(weight.value),
            None => tracked,
        }
    });
    let instance = Instance::new(draft.name.value, draft.config, draft.attachment);
    let instance = instance.notify(draft.notify.notify);
    checks.chain(interfaces).fold(instance, Instance::track)
}

fn add_proxies(
    mut builder: StackBuilder,
    proxies: Vec<ProxyDraft>,
    upstreams: Vec<UpstreamDraft>,
    routes: &[Option<usize>],
    virtual_addresses: &[IpAddr],
) -> StackBuilder {
    let mut handles = Vec::with_capacity(upstreams.len());
    for draft in upstreams {
        let upstream = Upstream::new(draft.config);
        for (backend, check) in draft.checks {
            builder = builder.backend_check(draft.name.value.clone(), backend, check.value);
        }
        if let Some(check) = draft.check {
            builder = builder.check_backends(draft.name.value.clone(), check);
        }
        builder = builder.upstream(upstream.clone());
        handles.push(upstream);
    }
    for (proxy, route) in proxies.into_iter().zip(routes) {
        let mut settings = proxy.settings;
        // A backup doesn't have the address yet, and must be ready when it gets it.
        let on_virtual = settings
            .listen
            .iter()
            .any(|listen| virtual_addresses.contains(&listen.ip()));
        if on_virtual {
            settings.freebind.get_or_insert(true);
        }
        let upstream = route.and_then(|index| handles.get(index)).cloned();
        // Routes and settings were checked, with their places, before.
        if let Some(Ok(config)) = upstream.map(|upstream| settings.build(upstream)) {
            builder = builder.proxy(Arc::<str>::from(proxy.name.value), config);
        }
    }
    builder
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "node".to_owned(),
        name => name.to_owned(),
    }
}
