//! What is valid, and likely not to be meant.

use std::net::IpAddr;

use ha_health::Weight;

use super::draft::{CheckDraft, CheckSource};
use super::format::Format;
use super::instance::InstanceDraft;
use super::{Diagnostic, Diagnostics, Spanned};

/// What a virtual router says that is likely not to be meant.
pub(super) fn instance(instance: &InstanceDraft, checks: &[CheckDraft], diagnostics: &mut Diagnostics) {
    let weight_of = |name: &str| {
        checks
            .iter()
            .find(|one| one.name.value == name)
            .map(|one| one.source.weight())
    };
    let weighted: Vec<_> = instance
        .tracking
        .checks
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

/// What a virtual router says that is weaker than it looks.
pub(super) fn protection(instance: &InstanceDraft, diagnostics: &mut Diagnostics) {
    if let Some(at) = instance.clear_text_at {
        diagnostics.push(
            Diagnostic::warning(
                "this password goes over the network in clear text: it keeps mistakes out, and nobody else",
            )
            .at(at)
            .help(match instance.format {
                Format::Toml => "use `version = 3` with `[vrrp.hmac]` where all nodes know it",
                Format::Keepalived => {
                    "use `version 3` with `auth_hmac` where all nodes know it (keepalived 2.4)"
                }
            }),
        );
    }
    let first = instance.config.addresses().as_addresses().iter().next();
    if let Some(IpAddr::V6(first)) = first
        && !first.is_unicast_link_local()
    {
        let place = instance.addresses.first().map(|address| address.span);
        diagnostics.push(
            Diagnostic::warning(format!("the first IPv6 address, {first}, is not link-local"))
                .at(place.unwrap_or(instance.name.span))
                .help("put one such as fe80::100 first: hosts use it as their router (RFC 9568 §5.2.9)"),
        );
    }
}

/// Members of a sync group that would not go the same way by themselves. What the other nodes say is not known here:
/// where they agree with it, all is well.
pub(super) fn members(name: &Spanned<String>, members: &[&InstanceDraft], diagnostics: &mut Diagnostics) {
    let Some((first, others)) = members.split_first() else {
        return;
    };
    let place = |member: &InstanceDraft| member.priority_at.unwrap_or(member.name.span);
    let priority = |member: &InstanceDraft| member.config.priority();
    if let Some(other) = others.iter().find(|other| priority(other) != priority(first)) {
        diagnostics.push(
            Diagnostic::warning(format!(
                "members of the sync group `{}` differ in priority, {} and {}: a peer that is between them wins one and loses the other, and the group takes turns or never settles",
                name.value,
                priority(first),
                priority(other),
            ))
            .at(place(other))
            .also(place(first), "the first member's")
            .help("give all members the same priority, on each node"),
        );
    }
    if let Some(other) = others
        .iter()
        .find(|other| other.config.preempt() != first.config.preempt())
    {
        let [preempting, patient] = match first.config.preempt() {
            true => [first, other],
            false => [other, first],
        };
        diagnostics.push(
            Diagnostic::warning(format!(
                "members of the sync group `{}` differ in preemption: `{}` takes over where `{}` does not, so that the group does not follow its priority",
                name.value, preempting.name.value, patient.name.value,
            ))
            .at(patient.nopreempt_at.unwrap_or(patient.name.span))
            .also(preempting.name.span, "this one preempts")
            .help(patient.format.choose(
                "write `preempt = false` in all members or in none",
                "write `nopreempt` in all members or in none",
            )),
        );
    }
}

pub(super) fn untracked(check: &CheckDraft) -> Diagnostic {
    let name = &check.name.value;
    match (check.format, &check.source) {
        (Format::Keepalived, CheckSource::Probe(..)) => Diagnostic::warning(format!(
            "no vrrp_instance tracks the vrrp_script `{name}`: it is never run"
        ))
        .at(check.name.span)
        .help(format!("add `track_script {{ {name} }}` to the vrrp_instance")),
        (Format::Keepalived, CheckSource::Watch { .. }) => {
            Diagnostic::warning(format!("no vrrp_instance tracks `{name}`: it changes nothing"))
                .at(check.name.span)
                .help(format!(
                    "add `track_process {{ {name} }}` or `track_file {{ {name} }}` to the vrrp_instance"
                ))
        }
        (Format::Toml, _) => {
            Diagnostic::warning(format!("nothing tracks the check `{name}`: it changes nothing"))
                .at(check.name.span)
                .help(format!(
                    "add `track = [\"{name}\"]` to a [[vrrp]], or `check = \"{name}\"` to a backend"
                ))
        }
    }
}
