//! Virtual routers that are master together: groups that a file defines, and both families of one definition.

use std::collections::HashMap;

use ha_health::Weight;

use super::draft::{CheckDraft, Draft};
use super::format::Format;
use super::instance::{InstanceDraft, Tracking};
use super::notify::NotifyParts;
use super::suggest::nearest;
use super::{Diagnostic, Diagnostics, Span, Spanned, lint};

/// A sync group as a file writes it.
#[derive(Debug)]
pub(crate) struct GroupDraft {
    pub(crate) name: Spanned<String>,
    pub(crate) members: Vec<Spanned<String>>,
    /// Whether the weights of what members track count.
    pub(crate) tracking_weight: bool,
    pub(crate) tracking: Tracking,
    pub(crate) notify: NotifyParts,
    pub(crate) format: Format,
}

/// A sync group of virtual routers by their names.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) members: Vec<String>,
    pub(super) tracking_weight: bool,
    pub(super) notify: NotifyParts,
}

/// Makes the groups, and lets their members track what the groups do; tells everything that is wrong.
pub(super) fn join(draft: &mut Draft, diagnostics: &mut Diagnostics) -> Vec<Group> {
    let drafts = std::mem::take(&mut draft.groups);
    check_members(&drafts, draft, diagnostics);
    let mut groups: Vec<Group> = drafts
        .into_iter()
        .map(|group| join_one(group, draft, diagnostics))
        .collect();
    groups.extend(families(&draft.instances, &groups));
    groups
}

fn join_one(group: GroupDraft, draft: &mut Draft, diagnostics: &mut Diagnostics) -> Group {
    let is_member = |instance: &InstanceDraft| {
        let mut members = group.members.iter();
        members.any(|member| member.value == instance.definition || member.value == instance.name.value)
    };
    let Draft {
        instances, checks, ..
    } = draft;
    let mut members = Vec::new();
    for instance in instances.iter_mut().filter(|instance| is_member(instance)) {
        if !group.tracking_weight {
            leave_out_weights(&group, instance, checks, diagnostics);
        }
        instance
            .tracking
            .checks
            .extend(group.tracking.checks.iter().cloned());
        instance
            .tracking
            .interfaces
            .extend(group.tracking.interfaces.iter().cloned());
        members.push(instance.name.value.clone());
    }
    let joined: Vec<&InstanceDraft> = instances.iter().filter(|one| is_member(one)).collect();
    lint::members(&group.name, &joined, diagnostics);
    // Its own weights count in any case, and nobody else's are left.
    let weighted = weighted(&group.tracking, checks).next().is_some();
    Group {
        name: group.name.value,
        members,
        tracking_weight: group.tracking_weight || weighted,
        notify: group.notify,
    }
}

/// Takes weighted tracks from a member of a group in which they don't count, as keepalived does.
fn leave_out_weights(
    group: &GroupDraft,
    instance: &mut InstanceDraft,
    checks: &[CheckDraft],
    diagnostics: &mut Diagnostics,
) {
    let ignored: Vec<Span> = weighted(&instance.tracking, checks).collect();
    for at in &ignored {
        let mut found = Diagnostics::default();
        found.push(
            Diagnostic::warning("the weight does nothing in a sync group: this is not tracked")
                .at(*at)
                .also(group.name.span, "the group")
                .help(group.format.choose(
                    "track it in the group, or add `tracking_weight = true` there; or use weight 0",
                    "track it in the group, or add `sync_group_tracking_weight` there; or use weight 0",
                )),
        );
        diagnostics.absorb(found);
    }
    let tracking = &mut instance.tracking;
    tracking
        .checks
        .retain(|track| !ignored.contains(&track.check.span));
    tracking
        .interfaces
        .retain(|track| !ignored.contains(&track.interface.span));
}

/// Places of what is tracked with a weight.
fn weighted<'a>(tracking: &'a Tracking, checks: &'a [CheckDraft]) -> impl Iterator<Item = Span> + 'a {
    let of_check = |name: &str| {
        let check = checks.iter().find(|check| check.name.value == name);
        check.map_or(Weight::FAULT, |check| check.source.weight())
    };
    let tracked = tracking.checks.iter().map(move |track| {
        let weight = track.weight.map(|weight| weight.value);
        (
            weight.unwrap_or_else(|| of_check(&track.check.value)),
            track.check.span,
        )
    });
    let interfaces = tracking.interfaces.iter();
    let interfaces = interfaces.map(|track| (track.weight, track.interface.span));
    let all = tracked.chain(interfaces);
    all.filter(|(weight, _)| *weight != Weight::FAULT)
        .map(|(_, at)| at)
}

/// Both families of one definition move together, in the group that names it or in one of their own.
fn families(instances: &[InstanceDraft], groups: &[Group]) -> Vec<Group> {
    let pairs = instances.windows(2).filter(|pair| {
        let grouped = groups
            .iter()
            .any(|group| group.members.contains(&pair[0].name.value));
        pair[0].definition == pair[1].definition && pair[0].vrid_at == pair[1].vrid_at && !grouped
    });
    let taken = |name: &str| {
        instances.iter().any(|one| one.name.value == name) || groups.iter().any(|group| group.name == name)
    };
    pairs
        .map(|pair| Group {
            name: free_name(&pair[0].definition, taken),
            members: pair.iter().map(|one| one.name.value.clone()).collect(),
            tracking_weight: true,
            notify: NotifyParts::default(),
        })
        .collect()
}

/// A group can't be called as one of its members.
fn free_name(definition: &str, taken: impl Fn(&str) -> bool) -> String {
    let mut name = format!("{definition}-both");
    while taken(&name) {
        name.push('-');
    }
    name
}

fn check_members(groups: &[GroupDraft], draft: &Draft, diagnostics: &mut Diagnostics) {
    let mut first: HashMap<&str, Span> = HashMap::new();
    let known = || {
        let definitions = draft.instances.iter().map(|one| one.definition.as_str());
        definitions.chain(draft.instances.iter().map(|one| one.name.value.as_str()))
    };
    for group in groups {
        if group.members.is_empty() {
            diagnostics.push(
                Diagnostic::error(format!("the sync group `{}` has no members", group.name.value))
                    .at(group.name.span)
                    .help(group.format.choose(
                        "add `members = [\"VI_1\", \"VI_2\"]`",
                        "add `group { VI_1 VI_2 }`, one a line",
                    )),
            );
        }
        for member in &group.members {
            let name = member.value.as_str();
            if let Some(at) = first.get(name) {
                diagnostics.push(
                    Diagnostic::error(format!("`{name}` is a member of a sync group twice"))
                        .at(member.span)
                        .also(*at, "first here")
                        .help("leave it in one group, once"),
                );
                continue;
            }
            first.insert(name, member.span);
            if known().any(|known| known == name) || draft.broken.iter().any(|broken| broken == name) {
                continue;
            }
            let diagnostic =
                Diagnostic::error(format!("virtual router `{name}` is not defined")).at(member.span);
            diagnostics.push(match nearest(name, known()) {
                Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                None => diagnostic.help("define it, or leave it out of the group"),
            });
        }
    }
}
