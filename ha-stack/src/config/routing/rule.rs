//! A routing rule.

use std::ops::RangeInclusive;

use ipnet::IpNet;
use vrrp_core::Family;
use vrrp_net::{RuleAction, VirtualRule, VirtualRuleBuilder};

use super::names;
use super::phrase::{Phrase, number};
use crate::config::{Diagnostic, Diagnostics, Spanned};

/// Words of `ip rule` and of keepalived that a rule here can't mean.
const UNSUPPORTED: [&str; 6] = ["realms", "l3mdev", "tun_id", "protocol", "nat", "map-to"];

type Said = Box<dyn FnOnce(VirtualRuleBuilder) -> VirtualRuleBuilder>;

/// Reads `[from NET] [to NET] table T …`, and tells of everything that is wrong.
pub(crate) fn rule(mut phrase: Phrase<'_>, diagnostics: &mut Diagnostics) -> Option<VirtualRule> {
    let before = diagnostics.errors();
    let mut reader = Reader::default();
    while let Some(word) = phrase.next() {
        reader.read(word, &mut phrase, diagnostics);
    }
    if diagnostics.errors() > before {
        return None;
    }
    let whole = phrase.whole();
    let Some(action) = reader.action else {
        diagnostics.push(
            Diagnostic::error("a rule that does nothing")
                .at(whole)
                .help("add `table 100`, `goto 200` or `blackhole`"),
        );
        return None;
    };
    let begun = VirtualRule::builder(reader.family.unwrap_or(Family::Ipv4), action);
    match reader
        .said
        .into_iter()
        .fold(begun, |rule, said| said(rule))
        .build()
    {
        Ok(rule) => Some(rule),
        Err(error) => {
            diagnostics.push(Diagnostic::error(error.to_string()).at(whole));
            None
        }
    }
}

/// What the words say, before action and family are known to begin a rule with.
#[derive(Default)]
struct Reader {
    action: Option<RuleAction>,
    family: Option<Family>,
    said: Vec<Said>,
}

impl Reader {
    /// Says what a word has told, if its value could be read.
    fn say<T: 'static>(
        &mut self,
        value: Option<T>,
        said: impl FnOnce(VirtualRuleBuilder, T) -> VirtualRuleBuilder + 'static,
    ) {
        if let Some(value) = value {
            self.said.push(Box::new(move |rule| said(rule, value)));
        }
    }

    fn read(&mut self, word: Spanned<&str>, phrase: &mut Phrase<'_>, diagnostics: &mut Diagnostics) {
        match word.value {
            "inet6" => self.family = Some(Family::Ipv6),
            "inet" => self.family = Some(Family::Ipv4),
            "from" => {
                let from = self.network(word, phrase, diagnostics);
                self.say(from, VirtualRuleBuilder::from);
            }
            "to" => {
                let to = self.network(word, phrase, diagnostics);
                self.say(to, VirtualRuleBuilder::to);
            }
            "not" => self.say(Some(()), |rule, ()| rule.invert()),
            "no_track" => self.say(Some(false), VirtualRuleBuilder::track),
            "track_group" => {
                phrase.next();
                diagnostics.push(
                    Diagnostic::warning("`track_group` is not supported: it is for static rules")
                        .at(word.span),
                );
            }
            "type" | "unicast" => {}
            "nop" => self.action = Some(RuleAction::Nop),
            "blackhole" => self.action = Some(RuleAction::Blackhole),
            "unreachable" => self.action = Some(RuleAction::Unreachable),
            "prohibit" => self.action = Some(RuleAction::Prohibit),
            "table" | "lookup" => {
                let table = phrase.value(word, "a routing table", "100", names::table, diagnostics);
                self.action = table.map(RuleAction::Lookup);
            }
            "goto" => self.action = phrase.number(word, "200", diagnostics).map(RuleAction::Goto),
            other if UNSUPPORTED.contains(&other) => {
                phrase.end();
                diagnostics.push(
                    Diagnostic::error(format!("`{other}` is not supported in a rule"))
                        .at(word.span)
                        .help("add such a rule by a script on `notify_master`"),
                );
            }
            _ => self.read_selector(word, phrase, diagnostics),
        }
    }

    fn read_selector(&mut self, word: Spanned<&str>, phrase: &mut Phrase<'_>, diagnostics: &mut Diagnostics) {
        match word.value {
            "iif" | "dev" => {
                let interface = phrase.parsed::<String>(word, "an interface", "eth0", diagnostics);
                self.say(interface, VirtualRuleBuilder::iif);
            }
            "oif" => {
                let interface = phrase.parsed::<String>(word, "an interface", "eth0", diagnostics);
                self.say(interface, VirtualRuleBuilder::oif);
            }
            "priority" | "preference" | "pref" | "order" => {
                let priority = phrase.number(word, "100", diagnostics);
                self.say(priority, VirtualRuleBuilder::priority);
            }
            "fwmark" => {
                let mark = phrase.value(word, "a firewall mark", "0x1/0xff", mark, diagnostics);
                self.say(mark, |rule, (mark, mask)| rule.fwmark(mark, mask));
            }
            "tos" | "dsfield" => {
                let tos = phrase.value(word, "a type of service", "0x10", names::tos, diagnostics);
                self.say(tos, VirtualRuleBuilder::tos);
            }
            "ipproto" | "ip_proto" => {
                let protocol = phrase.value(word, "an IP protocol", "tcp", names::ip_protocol, diagnostics);
                self.say(protocol, VirtualRuleBuilder::ip_proto);
            }
            "sport" => {
                let ports = phrase.value(word, "a range of ports", "80-443", range, diagnostics);
                self.say(ports, VirtualRuleBuilder::sport);
            }
            "dport" => {
                let ports = phrase.value(word, "a range of ports", "80-443", range, diagnostics);
                self.say(ports, VirtualRuleBuilder::dport);
            }
            "uidrange" => {
                let uids = phrase.value(word, "a range of user ids", "1000-1999", range, diagnostics);
                self.say(uids, VirtualRuleBuilder::uids);
            }
            "suppress_prefixlength" | "suppress_prefixlen" | "sup_pl" => {
                let len = phrase.number(word, "0", diagnostics);
                self.say(len, VirtualRuleBuilder::suppress_prefixlen);
            }
            "suppress_ifgroup" | "sup_group" => {
                let group = phrase.number(word, "0", diagnostics);
                self.say(group, VirtualRuleBuilder::suppress_ifgroup);
            }
            other => {
                phrase.end();
                diagnostics.push(
                    Diagnostic::error(format!("unknown word `{other}` in a rule"))
                        .at(word.span)
                        .help("write it as for `ip rule`: `from 192.0.2.0/24 table 100`"),
                );
            }
        }
    }

    /// A network, whose family is that of the rule; none for `all`.
    fn network(
        &mut self,
        keyword: Spanned<&str>,
        phrase: &mut Phrase<'_>,
        diagnostics: &mut Diagnostics,
    ) -> Option<IpNet> {
        if phrase.take("all") || phrase.take("any") || phrase.take("default") {
            return None;
        }
        let net = phrase.network(keyword, diagnostics)?;
        self.family.get_or_insert(Family::of(&net.addr()));
        Some(net)
    }
}

/// `1`, `0x1/0xff`.
fn mark(text: &str) -> Option<(u32, u32)> {
    match text.split_once('/') {
        Some((mark, mask)) => Some((number(mark)?, number(mask)?)),
        None => Some((number(text)?, u32::MAX)),
    }
}

/// `80`, `80-443`.
fn range<T: TryFrom<u32> + Copy>(text: &str) -> Option<RangeInclusive<T>> {
    let value = |text| T::try_from(number(text)?).ok();
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    Some(value(from)?..=value(to)?)
}
