//! Putting together what files say: names that refer to others, and what may stand but once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ha_health::{CheckConfig, Weight};
use lb_proxy::balance::Upstream;
use vrrp_core::Family;

use super::draft::{CheckDraft, Draft, Format, UpstreamDraft};
use super::instance::{InstanceDraft, InterfaceDraft};
use super::proxy::ProxyDraft;
use super::suggest::nearest;
use super::{Diagnostic, Diagnostics, Sources, Span, Spanned, script};
use crate::{Instance, Interface, Stack, StackBuilder, Track};

/// How often a tracked interface is looked at: keepalived hears of it from the kernel, and so almost at once.
const INTERFACE_INTERVAL: Duration = Duration::from_millis(100);

/// Makes the stack, as far as the draft allows; tells everything that is wrong.
pub(super) fn resolve(
    draft: Draft,
    node: Option<String>,
    sources: &mut Sources,
    diagnostics: &mut Diagnostics,
) -> Option<StackBuilder> {
    let Draft {
        node: nodes,
        router_id,
        instances,
        checks,
        upstreams,
        mut proxies,
        broken,
    } = draft;
    if let [only] = &upstreams[..] {
        for proxy in proxies
            .iter_mut()
            .filter(|proxy| proxy.upstream.is_none() && !proxy.named)
        {
            proxy.name.value.clone_from(&only.name.value);
        }
    }
    let nothing = instances.is_empty() && checks.is_empty() && proxies.is_empty() && broken.is_empty();
    if nothing && diagnostics.errors() == 0 {
        diagnostics.push(
            Diagnostic::error("there is nothing to run")
                .help("define a virtual router (`[[vrrp]]` or `vrrp_instance`) or a proxy (`[[proxy]]`)"),
        );
    }
    unique("the node's name is given", nodes.iter(), diagnostics);
    unique(
        "virtual router",
        instances.iter().map(|one| &one.name),
        diagnostics,
    );
    unique("check", checks.iter().map(|one| &one.name), diagnostics);
    unique("upstream", upstreams.iter().map(|one| &one.name), diagnostics);
    unique("proxy", proxies.iter().map(|one| &one.name), diagnostics);
    unique_vrids(&instances, diagnostics);
    unique_addresses(&instances, diagnostics);
    unique_listens(&proxies, diagnostics);

    let mut names = Names {
        known: checks.iter().map(|one| one.name.value.as_str()).collect(),
        broken: &broken,
        used: Vec::new(),
        unknown: false,
    };
    for instance in &instances {
        for track in &instance.tracks {
            names.refer("check", &track.check, diagnostics);
        }
        lint_instance(instance, &checks, diagnostics);
    }
    for upstream in &upstreams {
        for (_, check) in &upstream.checks {
            names.refer("check", check, diagnostics);
        }
    }
    let used: Vec<String> = names.used.iter().map(|name| (*name).to_owned()).collect();
    let unused = |check: &CheckDraft| !used.contains(&check.name.value);
    // Whoever misspells a check, or defines it wrongly, meant to use one.
    let references_hold = !names.unknown && broken.is_empty();
    for check in &checks {
        if unused(check) && references_hold {
            diagnostics.push(untracked(check));
        }
        if let Some(line) = &check.script {
            script::lint(line, sources, diagnostics);
        }
    }
    refuse_interface_names(&instances, &checks, diagnostics);
    let routes = route(&proxies, &upstreams, &broken, diagnostics);
    if diagnostics.errors() > 0 {
        return None;
    }

    let name = node
        .or_else(|| nodes.into_iter().next().map(|name| name.value))
        .or(router_id)
        .unwrap_or_else(host_name);
    let mut builder = Stack::builder(name);
    let virtual_addresses: Vec<IpAddr> = instances
        .iter()
        .flat_map(|one| one.addresses.iter().map(|address| address.value))
        .collect();
    builder = add_interfaces(builder, &instances)?;
    let reversed: Vec<String> = checks
        .iter()
        .filter(|one| one.reverse)
        .map(|one| one.name.value.clone())
        .collect();
    for check in checks {
        // keepalived doesn't run a script that nobody tracks, and its author may count on that.
        if check.format == Format::Toml || !unused(&check) {
            builder = builder.check(check.config, check.probe);
        }
    }
    for instance in instances {
        builder = builder.instance(with_tracks(instance, &reversed));
    }
    Some(add_proxies(
        builder,
        proxies,
        upstreams,
        &routes,
        &virtual_addresses,
    ))
}

/// Names that are defined, and which of them are used.
struct Names<'a> {
    known: Vec<&'a str>,
    broken: &'a [String],
    used: Vec<&'a str>,
    /// Whether something referred to what is not there.
    unknown: bool,
}

impl<'a> Names<'a> {
    fn refer(&mut self, kind: &str, name: &'a Spanned<String>, diagnostics: &mut Diagnostics) {
        let text = name.value.as_str();
        if self.known.contains(&text) {
            self.used.push(text);
        } else if !self.broken.iter().any(|broken| broken == text) {
            self.unknown = true;
            diagnostics.push(unknown(kind, name, self.known.iter().copied()));
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

/// Refuses a name that stands twice, with both places.
fn unique<'a>(kind: &str, names: impl Iterator<Item = &'a Spanned<String>>, diagnostics: &mut Diagnostics) {
    let single = kind.ends_with("given");
    let mut first: HashMap<&str, Span> = HashMap::new();
    for name in names {
        // All names of the node are one: it has but one.
        let key = if single { "" } else { name.value.as_str() };
        match first.get(key) {
            None => {
                first.insert(key, name.span);
            }
            Some(at) => {
                let message = if single {
                    format!("{kind} twice")
                } else {
                    format!("{kind} `{}` is defined twice", name.value)
                };
                let help = if single {
                    "leave one of them out"
                } else {
                    "rename one, or leave it out"
                };
                diagnostics.push(
                    Diagnostic::error(message)
                        .at(name.span)
                        .also(*at, "first here")
                        .help(help),
                );
            }
        }
    }
}

fn unique_vrids(instances: &[InstanceDraft], diagnostics: &mut Diagnostics) {
    let mut first: HashMap<(&str, Family, u8), Span> = HashMap::new();
    for one in instances {
        let vrid = one.config.vrid();
        let key = (one.attachment.interface(), one.config.family(), vrid.get());
        match first.get(&key) {
            None => {
                first.insert(key, one.vrid_at);
            }
            Some(at) => diagnostics.push(
                Diagnostic::error(format!("VRID {vrid} is used twice for {} on {}", key.1, key.0))
                    .at(one.vrid_at)
                    .also(*at, "first here")
                    .help("give each virtual router on a link its own, 1 to 255"),
            ),
        }
    }
}

fn unique_addresses(instances: &[InstanceDraft], diagnostics: &mut Diagnostics) {
    let mut first: HashMap<IpAddr, Span> = HashMap::new();
    for address in instances.iter().flat_map(|one| &one.addresses) {
        match first.get(&address.value) {
            None => {
                first.insert(address.value, address.span);
            }
            Some(at) => diagnostics.push(
                Diagnostic::error(format!(
                    "virtual address {} belongs to two virtual routers",
                    address.value
                ))
                .at(address.span)
                .also(*at, "first here")
                .help("leave it to one of them"),
            ),
        }
    }
}

fn unique_listens(proxies: &[ProxyDraft], diagnostics: &mut Diagnostics) {
    let all: Vec<_> = proxies
        .iter()
        .enumerate()
        .flat_map(|(proxy, one)| one.listen.iter().map(move |listen| (proxy, listen)))
        .collect();
    for (index, (proxy, listen)) in all.iter().enumerate() {
        let clash = all[..index].iter().find(|(other, earlier)| {
            let (a, b) = (listen.value, earlier.value);
            // Within one proxy lb-proxy has told already what stands twice.
            other != proxy
                && a.port() == b.port()
                && a.port() != 0
                && (a.ip() == b.ip()
                    || (a.is_ipv4() == b.is_ipv4() && (a.ip().is_unspecified() || b.ip().is_unspecified())))
        });
        if let Some((_, earlier)) = clash {
            diagnostics.push(
                Diagnostic::error(format!("two proxies listen on {}", listen.value))
                    .at(listen.span)
                    .also(earlier.span, "first here")
                    .help("give each an address or a port of its own"),
            );
        }
    }
}

/// What a virtual router says that is likely not to be meant.
fn lint_instance(instance: &InstanceDraft, checks: &[CheckDraft], diagnostics: &mut Diagnostics) {
    let weight_of = |name: &str| {
        checks
            .iter()
            .find(|one| one.name.value == name)
            .map(|one| one.config.weight())
    };
    let weighted: Vec<_> = instance
        .tracks
        .iter()
        .filter(|track| {
            let weight = track
                .weight
                .map(|weight| weight.value)
                .or_else(|| weight_of(&track.check.value));
            weight.is_some_and(|weight| weight != Weight::FAULT)
        })
        .collect();
    if instance.config.is_owner() {
        for track in &weighted {
            diagnostics.push(
                Diagnostic::warning(format!(
                    "the weight of `{}` does nothing: priority 255 owns the addresses, and never changes",
                    track.check.value
                ))
                .at(track.check.span)
                .help("use priority 254 or less, or weight 0 to make a failure a fault"),
            );
        }
    } else if let (Some(at), [track, ..]) = (instance.nopreempt_at, &weighted[..]) {
        diagnostics.push(
            Diagnostic::warning(
                "without preemption this node never takes over from a master whose check lowers its priority",
            )
            .at(at)
            .also(track.check.span, "this check lowers the priority")
            .help(
                "allow preemption, or use weight 0: then a failing check is a fault, and the master gives up",
            ),
        );
    }
}

fn untracked(check: &CheckDraft) -> Diagnostic {
    let name = &check.name.value;
    match check.format {
        Format::Keepalived => Diagnostic::warning(format!(
            "no vrrp_instance tracks the vrrp_script `{name}`: it is never run"
        ))
        .at(check.name.span)
        .help(format!("add `track_script {{ {name} }}` to the vrrp_instance")),
        Format::Toml => Diagnostic::warning(format!("nothing tracks the check `{name}`: it changes nothing"))
            .at(check.name.span)
            .help(format!(
                "add `track = [\"{name}\"]` to a [[vrrp]], or `check = \"{name}\"` to a backend"
            )),
    }
}

/// The upstream of each proxy, by index.
fn route(
    proxies: &[ProxyDraft],
    upstreams: &[UpstreamDraft],
    broken: &[String],
    diagnostics: &mut Diagnostics,
) -> Vec<Option<usize>> {
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
        for tracked in &instance.interfaces {
            let interface = tracked.interface.value.as_str();
            if added.contains(&interface) || !needs_check(instance, tracked) {
                continue;
            }
            added.push(interface);
            let config = CheckConfig::builder(interface_check_name(interface)).interval(INTERFACE_INTERVAL);
            // The name of an interface has been checked; it makes the name of a check.
            builder = builder.check(config.build().ok()?, Interface::new(interface));
        }
    }
    Some(builder)
}

fn with_tracks(draft: InstanceDraft, reversed: &[String]) -> Instance {
    let interfaces: Vec<Track> = draft
        .interfaces
        .iter()
        .filter(|tracked| needs_check(&draft, tracked))
        .map(|tracked| {
            Track::new(interface_check_name(&tracked.interface.value))
                .weight(tracked.weight)
                .reverse(tracked.reverse)
        })
        .collect();
    let checks = draft.tracks.into_iter().map(|track| {
        // Whoever gives a weight says all of it; the check's own holds for the others.
        let reverse = track.reverse || (track.weight.is_none() && reversed.contains(&track.check.value));
        let tracked = Track::new(track.check.value).reverse(reverse);
        match track.weight {
            Some(weight) => tracked.weight(weight.value),
            None => tracked,
        }
    });
    let instance = Instance::new(draft.name.value, draft.config, draft.attachment);
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
