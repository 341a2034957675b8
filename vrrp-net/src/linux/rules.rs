//! Routing rules as netlink carries them.

use std::io;
use std::ops::RangeInclusive;

use ipnet::IpNet;
use nix::libc;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL, Parseable};
use rtnetlink::packet_route::rule::{
    RuleAction as Action, RuleAttribute, RuleFlags, RuleHeader, RuleMessage, RulePortRange, RuleUidRange,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use vrrp_core::Family;

use super::mark::MARK;
use crate::config::{RuleAction, VirtualRule};
use crate::network::RoutingError;

/// Adds a rule that is not there yet.
pub(super) fn addition(rule: &VirtualRule) -> (RouteNetlinkMessage, u16) {
    (
        RouteNetlinkMessage::NewRule(message(rule)),
        NLM_F_CREATE | NLM_F_EXCL,
    )
}

/// Removes a rule of ours: the mark is among what is compared.
pub(super) fn removal(rule: &VirtualRule) -> (RouteNetlinkMessage, u16) {
    (RouteNetlinkMessage::DelRule(message(rule)), 0)
}

/// Asks for all rules of a family.
pub(super) fn listing(family: AddressFamily) -> RouteNetlinkMessage {
    let mut message = RuleMessage::default();
    message.header.family = family;
    RouteNetlinkMessage::GetRule(message)
}

/// A rule that bears our mark, from RTM_NEWRULE or RTM_DELRULE.
pub(super) fn parse_marked(payload: &[u8]) -> Option<RuleMessage> {
    let message = RuleMessage::parse(payload).ok()?;
    let marked = |attribute: &RuleAttribute| matches!(attribute, RuleAttribute::Protocol(protocol) if u8::from(*protocol) == MARK);
    message.attributes.iter().any(marked).then_some(message)
}

/// Removes a rule that the kernel has told of.
pub(super) fn removal_of(message: &RuleMessage) -> (RouteNetlinkMessage, u16) {
    (RouteNetlinkMessage::DelRule(message.clone()), 0)
}

/// Whether a rule that the kernel tells of is this one; it tells more than it was told.
pub(super) fn is(message: &RuleMessage, rule: &VirtualRule) -> bool {
    let ours = self::message(rule);
    let header = |header: &RuleHeader| {
        (
            header.family,
            header.dst_len,
            header.src_len,
            header.tos,
            header.action,
        )
    };
    header(&message.header) == header(&ours.header)
        && message.header.flags.contains(RuleFlags::Invert) == rule.invert
        && ours
            .attributes
            .iter()
            .all(|attribute| message.attributes.contains(attribute))
}

pub(super) fn refused(rule: &VirtualRule, error: io::Error) -> RoutingError {
    RoutingError::Rule {
        rule: rule.to_string(),
        error,
    }
}

/// Whether a removal failed because there was nothing to remove.
pub(super) fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH))
}

fn message(rule: &VirtualRule) -> RuleMessage {
    let mut message = RuleMessage::default();
    let prefix = |net: Option<IpNet>| net.map_or(0, |net| net.prefix_len());
    message.header = RuleHeader {
        family: match rule.family {
            Family::Ipv4 => AddressFamily::Inet,
            Family::Ipv6 => AddressFamily::Inet6,
        },
        dst_len: prefix(rule.to),
        src_len: prefix(rule.from),
        tos: rule.tos,
        table: 0,
        action: action(rule.action),
        flags: match rule.invert {
            true => RuleFlags::Invert,
            false => RuleFlags::empty(),
        },
    };
    let ports = |ports: &RangeInclusive<u16>| RulePortRange {
        start: *ports.start(),
        end: *ports.end(),
    };
    let shorter_than_all = |net: &IpNet| net.prefix_len() > 0;
    let attributes = [
        rule.to
            .filter(shorter_than_all)
            .map(|net| RuleAttribute::Destination(net.addr())),
        rule.from
            .filter(shorter_than_all)
            .map(|net| RuleAttribute::Source(net.addr())),
        rule.iif.clone().map(RuleAttribute::Iifname),
        rule.oif.clone().map(RuleAttribute::Oifname),
        match rule.action {
            RuleAction::Lookup(table) => Some(RuleAttribute::Table(table)),
            RuleAction::Goto(target) => Some(RuleAttribute::Goto(target)),
            _ => None,
        },
        rule.fwmark.map(|(mark, _)| RuleAttribute::FwMark(mark)),
        rule.fwmark.map(|(_, mask)| RuleAttribute::FwMask(mask)),
        rule.ip_proto
            .map(|protocol| RuleAttribute::IpProtocol(i32::from(protocol).into())),
        rule.sport
            .as_ref()
            .map(|range| RuleAttribute::SourcePortRange(ports(range))),
        rule.dport
            .as_ref()
            .map(|range| RuleAttribute::DestinationPortRange(ports(range))),
        rule.uids.as_ref().map(|uids| {
            RuleAttribute::UidRange(RuleUidRange {
                start: *uids.start(),
                end: *uids.end(),
            })
        }),
        rule.suppress_prefixlen
            .map(|len| RuleAttribute::SuppressPrefixLen(u32::from(len))),
        rule.suppress_ifgroup.map(RuleAttribute::SuppressIfGroup),
        Some(RuleAttribute::Priority(rule.priority)),
        Some(RuleAttribute::Protocol(MARK.into())),
    ];
    message.attributes = attributes.into_iter().flatten().collect();
    message
}

fn action(action: RuleAction) -> Action {
    match action {
        RuleAction::Lookup(_) => Action::ToTable,
        RuleAction::Goto(_) => Action::Goto,
        RuleAction::Nop => Action::Nop,
        RuleAction::Blackhole => Action::Blackhole,
        RuleAction::Unreachable => Action::Unreachable,
        RuleAction::Prohibit => Action::Prohibit,
    }
}
