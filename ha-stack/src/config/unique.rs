//! What may stand but once, in all files together.

use std::collections::HashMap;
use std::net::IpAddr;

use vrrp_core::Family;

use super::draft::Draft;
use super::instance::InstanceDraft;
use super::proxy::ProxyDraft;
use super::{Diagnostic, Diagnostics, Span, Spanned};
use crate::NotifyFifo;

/// Tells of everything that stands twice, with both places.
pub(super) fn check(draft: &Draft, diagnostics: &mut Diagnostics) {
    unique_setting("the node's name is given twice", &draft.node, diagnostics);
    unique_setting(
        "settings of the VRRP thread are given twice",
        &draft.thread,
        diagnostics,
    );
    let routers: Vec<_> = draft.instances.iter().map(|one| &one.name).collect();
    unique("virtual router", routers.iter().copied(), diagnostics);
    unique_groups(&routers, draft, diagnostics);
    unique("check", draft.checks.iter().map(|one| &one.name), diagnostics);
    unique(
        "upstream",
        draft.upstreams.iter().map(|one| &one.name),
        diagnostics,
    );
    unique(
        "sync group",
        draft.groups.iter().map(|one| &one.name),
        diagnostics,
    );
    unique_fifos(&draft.fifos, diagnostics);
    unique("proxy", draft.proxies.iter().map(|one| &one.name), diagnostics);
    unique_vrids(&draft.instances, diagnostics);
    unique_addresses(&draft.instances, diagnostics);
    unique_listens(&draft.proxies, diagnostics);
}

fn unique_setting<T>(message: &str, given: &[Spanned<T>], diagnostics: &mut Diagnostics) {
    let Some((first, others)) = given.split_first() else {
        return;
    };
    for other in others {
        diagnostics.push(
            Diagnostic::error(message)
                .at(other.span)
                .also(first.span, "first here")
                .help("leave one of them out"),
        );
    }
}

/// Refuses a name that stands twice, with both places.
fn unique<'a>(kind: &str, names: impl Iterator<Item = &'a Spanned<String>>, diagnostics: &mut Diagnostics) {
    let mut first: HashMap<&str, Span> = HashMap::new();
    for name in names {
        match first.get(name.value.as_str()) {
            None => {
                first.insert(&name.value, name.span);
            }
            Some(at) => diagnostics.push(
                Diagnostic::error(format!("{kind} `{}` is defined twice", name.value))
                    .at(name.span)
                    .also(*at, "first here")
                    .help("rename one, or leave it out"),
            ),
        }
    }
}

/// Groups and virtual routers are switched over by name, so a name means one of them.
fn unique_groups(routers: &[&Spanned<String>], draft: &Draft, diagnostics: &mut Diagnostics) {
    unique(
        "sync group",
        draft.groups.iter().map(|one| &one.name),
        diagnostics,
    );
    for group in &draft.groups {
        let same = routers.iter().find(|router| router.value == group.name.value);
        if let Some(router) = same {
            diagnostics.push(
                Diagnostic::error(format!(
                    "`{}` is the name of a sync group and of a virtual router",
                    group.name.value
                ))
                .at(group.name.span)
                .also(router.span, "the virtual router")
                .help("rename the group: names are what `ha-stack switchover` takes"),
            );
        }
    }
}

fn unique_fifos(fifos: &[Spanned<NotifyFifo>], diagnostics: &mut Diagnostics) {
    for (index, fifo) in fifos.iter().enumerate() {
        let earlier = fifos[..index]
            .iter()
            .find(|other| other.value.path() == fifo.value.path());
        if let Some(earlier) = earlier {
            diagnostics.push(
                Diagnostic::error(format!("the FIFO {} is given twice", fifo.value))
                    .at(fifo.span)
                    .also(earlier.span, "first here")
                    .help("leave one of them out: its readers would see each line twice"),
            );
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
