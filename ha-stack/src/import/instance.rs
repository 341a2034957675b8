//! `vrrp_instance`.

use vrrp_core::{AuthenticationConfig, PASSWORD_LEN, Priority, Version};
use vrrp_net::VirtualAddress;

use super::arguments::track_options;
use super::body;
use super::global::{Globals, unknown, version_of};
use super::lexer::Word;
use super::tree::{Block, Statement};
use super::unsupported;
use crate::config::draft::Draft;
use crate::config::instance::{InstanceParts, InterfaceDraft, Spelling, TrackDraft};
use crate::config::toml::{interval_of, parse_net};
use crate::config::{Diagnostic, Diagnostics, Span, Spanned};

const KNOWN: [&str; 21] = [
    "state",
    "interface",
    "virtual_router_id",
    "priority",
    "advert_int",
    "nopreempt",
    "preempt",
    "preempt_delay",
    "mcast_src_ip",
    "unicast_src_ip",
    "unicast_peer",
    "authentication",
    "virtual_ipaddress",
    "virtual_ipaddress_excluded",
    "track_script",
    "track_interface",
    "version",
    "vrrp_version",
    "garp_master_delay",
    "garp_master_repeat",
    "v3_checksum_as_v2",
];

const SPELLING: Spelling = Spelling {
    interface: "interface eth0",
    vrid: "virtual_router_id 33",
    addresses: "virtual_ipaddress { 192.0.2.100 }",
};

pub(super) fn read(
    statement: &Statement,
    globals: &Globals,
    draft: &mut Draft,
    diagnostics: &mut Diagnostics,
) {
    let Some(name) = statement.argument("VI_1", diagnostics) else {
        return;
    };
    let name = Spanned::new(name.text.clone(), name.span);
    let Some(block) = body(statement, diagnostics) else {
        return;
    };
    let before = diagnostics.errors();
    let mut reader = Reader {
        parts: InstanceParts::new(name),
        state_master: None,
        pass: None,
        password: None,
        diagnostics,
    };
    reader.parts.announce_delay = globals.announce_delay;
    reader.parts.announce_repeat = globals.announce_repeat;
    reader.parts.checksum = globals.checksum;
    for statement in &block.statements {
        reader.read(statement);
    }
    reader.finish(globals, before, draft);
}

struct Reader<'a> {
    parts: InstanceParts,
    /// `state MASTER`.
    state_master: Option<Span>,
    /// `auth_type PASS`.
    pass: Option<Span>,
    password: Option<Spanned<String>>,
    diagnostics: &'a mut Diagnostics,
}

impl Reader<'_> {
    fn read(&mut self, statement: &Statement) {
        let keyword = statement.keyword.text.as_str();
        let at = statement.keyword.span;
        let Self {
            parts, diagnostics, ..
        } = self;
        match keyword {
            "state" => self.read_state(statement),
            "interface" => {
                let word = statement.argument("eth0", diagnostics);
                parts.interface = word.map(|word| Spanned::new(word.text.clone(), word.span));
            }
            "virtual_router_id" => {
                let vrid = statement.number::<u8>(1, 255, "33", diagnostics);
                parts.vrid =
                    vrid.and_then(|one| Some(Spanned::new(vrrp_core::Vrid::new(one.value)?, one.span)));
            }
            "priority" => {
                let priority = statement.number::<u8>(1, 255, "100", diagnostics);
                parts.priority = priority.map(|one| Spanned::new(Priority::new(one.value), one.span));
            }
            "advert_int" => self.read_advert_int(statement),
            "nopreempt" => parts.preempt = Some(Spanned::new(false, at)),
            "preempt" => parts.preempt = Some(Spanned::new(true, at)),
            "preempt_delay" => parts.preempt_delay = statement.seconds(diagnostics),
            "mcast_src_ip" | "unicast_src_ip" => parts.source = statement.address(diagnostics),
            "unicast_peer" => self.read_peers(statement),
            "authentication" => self.read_authentication(statement),
            "virtual_ipaddress" => {
                parts.addresses_at = Some(at);
                let addresses = self.read_addresses(statement);
                self.parts.addresses.extend(addresses);
            }
            "virtual_ipaddress_excluded" => {
                let addresses = self.read_addresses(statement);
                self.parts.excluded.extend(addresses);
            }
            "track_script" => self.read_track_script(statement),
            "track_interface" => self.read_track_interface(statement),
            "version" | "vrrp_version" => {
                let version = statement.number::<u8>(2, 3, "3", diagnostics);
                parts.version = version.map(|one| Spanned::new(version_of(one.value), one.span));
            }
            "garp_master_delay" => parts.announce_delay = statement.seconds(diagnostics).map(|one| one.value),
            "garp_master_repeat" => {
                parts.announce_repeat = statement.number(0, 255, "5", diagnostics).map(|one| one.value);
            }
            "v3_checksum_as_v2" => parts.checksum = Some(vrrp_core::ChecksumForm::MessageOnly),
            _ => match unsupported::instance(keyword) {
                Some(consequence) => diagnostics.push(unsupported::warning(keyword, consequence).at(at)),
                None => diagnostics.push(unknown(keyword, "vrrp_instance", &KNOWN).at(at)),
            },
        }
    }

    fn read_state(&mut self, statement: &Statement) {
        let Some(word) = statement.argument("BACKUP", self.diagnostics) else {
            return;
        };
        match word.text.as_str() {
            "MASTER" => self.state_master = Some(word.span),
            "BACKUP" => self.state_master = None,
            other => self.diagnostics.push(
                Diagnostic::error(format!("unknown state `{other}`"))
                    .at(word.span)
                    .help("write `state MASTER` or `state BACKUP`"),
            ),
        }
    }

    fn read_advert_int(&mut self, statement: &Statement) {
        let Some(time) = statement.seconds(self.diagnostics) else {
            return;
        };
        match interval_of(time.value) {
            Some(interval) => self.parts.adver_interval = Some(Spanned::new(interval, time.span)),
            None => self.diagnostics.push(
                Diagnostic::error(format!("an advert_int of {:?} can't be sent", time.value))
                    .at(time.span)
                    .help(
                        "write 1 to 255 in whole seconds, or with `version 3` 0.01 to 40.95 in steps of 0.01",
                    ),
            ),
        }
    }

    fn read_peers(&mut self, statement: &Statement) {
        let Some(block) = body(statement, self.diagnostics) else {
            return;
        };
        for peer in words_of(block) {
            let word = peer[0];
            match word.text.parse() {
                Ok(address) => self.parts.peers.push(Spanned::new(address, word.span)),
                Err(_) => self.diagnostics.push(
                    Diagnostic::error(format!("`{}` is not an IP address", word.text))
                        .at(word.span)
                        .help("write the address of a peer on a line of its own"),
                ),
            }
        }
    }

    fn read_authentication(&mut self, statement: &Statement) {
        let Some(block) = body(statement, self.diagnostics) else {
            return;
        };
        for statement in &block.statements {
            let keyword = &statement.keyword;
            match keyword.text.as_str() {
                "auth_type" => {
                    let Some(word) = statement.argument("PASS", self.diagnostics) else {
                        continue;
                    };
                    match word.text.as_str() {
                        "PASS" => self.pass = Some(word.span),
                        "AH" => self.diagnostics.push(
                            Diagnostic::error("auth_type AH is not supported")
                                .at(word.span)
                                .help("write `auth_type PASS` on all nodes; it is no protection either, anyone on the link can read it"),
                        ),
                        other => self.diagnostics.push(
                            Diagnostic::error(format!("unknown auth_type `{other}`"))
                                .at(word.span)
                                .help("write `auth_type PASS`"),
                        ),
                    }
                }
                "auth_pass" => {
                    let word = statement.argument("1111", self.diagnostics);
                    self.password = word.map(|word| Spanned::new(word.text.clone(), word.span));
                }
                other => self
                    .diagnostics
                    .push(unknown(other, "authentication", &["auth_type", "auth_pass"]).at(keyword.span)),
            }
        }
        if let (Some(at), None) = (self.pass, &self.password) {
            self.diagnostics.push(
                Diagnostic::error("auth_type PASS without a password")
                    .at(at)
                    .help("add `auth_pass 1111`, the same on all nodes"),
            );
        }
    }

    fn read_addresses(&mut self, statement: &Statement) -> Vec<Spanned<VirtualAddress>> {
        let Some(block) = body(statement, self.diagnostics) else {
            return Vec::new();
        };
        words_of(block)
            .into_iter()
            .filter_map(|words| read_address(&words, self.diagnostics))
            .collect()
    }

    fn read_track_script(&mut self, statement: &Statement) {
        let Some(block) = body(statement, self.diagnostics) else {
            return;
        };
        for statement in &block.statements {
            let options = track_options(&statement.words, self.diagnostics);
            let keyword = &statement.keyword;
            self.parts.tracks.push(TrackDraft {
                check: Spanned::new(keyword.text.clone(), keyword.span),
                weight: options.weight,
                reverse: options.reverse,
            });
        }
    }

    fn read_track_interface(&mut self, statement: &Statement) {
        let Some(block) = body(statement, self.diagnostics) else {
            return;
        };
        for statement in &block.statements {
            let options = track_options(&statement.words, self.diagnostics);
            let keyword = &statement.keyword;
            self.parts.interfaces.push(InterfaceDraft {
                interface: Spanned::new(keyword.text.clone(), keyword.span),
                weight: options.weight.map(|weight| weight.value).unwrap_or_default(),
                reverse: options.reverse,
            });
        }
    }

    /// What keepalived makes of the settings together (vrrp_complete_instance).
    fn finish(mut self, globals: &Globals, before: usize, draft: &mut Draft) {
        self.settle_version(globals);
        self.settle_priority();
        self.settle_preempt();
        self.settle_authentication();
        let complete = self.diagnostics.errors() == before;
        let name = self.parts.name.value.clone();
        match self.parts.build(SPELLING, complete, self.diagnostics) {
            Some(instance) if self.diagnostics.errors() == before => draft.instances.push(instance),
            _ => draft.broken.push(name),
        }
    }

    fn settle_version(&mut self, globals: &Globals) {
        let ipv6 = self
            .parts
            .addresses
            .first()
            .is_some_and(|one| one.value.address().is_ipv6());
        // keepalived takes version 3 for IPv6 whatever the global default is.
        if self.parts.version.is_none() && !ipv6 {
            self.parts.version = globals.version;
        }
    }

    fn settle_priority(&mut self) {
        if let (Some(at), None) = (self.state_master, &self.parts.priority) {
            self.parts.priority = Some(Spanned::new(Priority::OWNER, at));
            self.diagnostics.push(
                Diagnostic::warning(
                    "`state MASTER` without a priority means priority 255, the owner of the addresses",
                )
                .at(at)
                .help("write `priority 100`, and a lower one on the other nodes"),
            );
        }
    }

    fn settle_preempt(&mut self) {
        let Some(nopreempt) = self.parts.preempt.filter(|preempt| !preempt.value) else {
            return;
        };
        let owner = self
            .parts
            .priority
            .is_some_and(|priority| priority.value == Priority::OWNER);
        let diagnostic = if let Some(state) = self.state_master {
            Diagnostic::warning("`nopreempt` does nothing with `state MASTER`: this node takes the addresses back when it returns")
                .at(nopreempt.span)
                .also(state, "this clears it")
                .help("write `state BACKUP` on all nodes if a node that returns shall wait")
        } else if owner {
            Diagnostic::warning(
                "`nopreempt` does nothing with priority 255: the owner always takes its addresses back",
            )
            .at(nopreempt.span)
            .help("use priority 254 or less if a node that returns shall wait")
        } else {
            return;
        };
        self.parts.preempt = None;
        self.diagnostics.push(diagnostic);
    }

    fn settle_authentication(&mut self) {
        let (Some(at), Some(password)) = (self.pass, &self.password) else {
            return;
        };
        let ipv6 = self
            .parts
            .addresses
            .first()
            .is_some_and(|one| one.value.address().is_ipv6());
        if ipv6
            || self
                .parts
                .version
                .is_some_and(|version| version.value == Version::V3)
        {
            self.diagnostics.push(
                Diagnostic::warning("VRRPv3 has no authentication: it is left out, as keepalived does")
                    .at(at)
                    .help("remove the block, or use `version 2`"),
            );
            return;
        }
        let cut = cut_password(&password.value);
        if cut.len() < password.value.len() {
            self.diagnostics.push(
                Diagnostic::warning(format!(
                    "a password of {} octets is cut to {PASSWORD_LEN}, as keepalived does",
                    password.value.len()
                ))
                .at(password.span)
                .help("write the first 8 alone"),
            );
        }
        match AuthenticationConfig::simple(cut) {
            Ok(authentication) => {
                self.parts.authentication = Some(Spanned::new(authentication, password.span));
            }
            Err(error) => self
                .diagnostics
                .push(Diagnostic::error(error.to_string()).at(password.span)),
        }
    }
}

/// The first octets, as many as an advert carries, without cutting a character in two.
fn cut_password(password: &str) -> &str {
    let mut end = password.len().min(PASSWORD_LEN);
    while !password.is_char_boundary(end) {
        end -= 1;
    }
    &password[..end]
}

/// The lines of a block, each as its words; a block within is not looked into.
fn words_of(block: &Block) -> Vec<Vec<&Word>> {
    block
        .statements
        .iter()
        .map(|statement| {
            std::iter::once(&statement.keyword)
                .chain(&statement.words)
                .collect()
        })
        .collect()
}

/// `addr[/len] [dev IF] [label L] …`
fn read_address(words: &[&Word], diagnostics: &mut Diagnostics) -> Option<Spanned<VirtualAddress>> {
    let first = words[0];
    let Some(net) = parse_net(&first.text) else {
        diagnostics.push(
            Diagnostic::error(format!("`{}` is not an IP address", first.text))
                .at(first.span)
                .help("write `192.0.2.100` or `192.0.2.100/24`"),
        );
        return None;
    };
    let mut address = VirtualAddress::new(net);
    let mut rest = words[1..].iter();
    while let Some(word) = rest.next() {
        match word.text.as_str() {
            "dev" | "label" => {
                let Some(value) = rest.next() else {
                    diagnostics.push(
                        Diagnostic::error(format!("`{}` without a name", word.text))
                            .at(word.span)
                            .help(format!("write `{} eth0`", word.text)),
                    );
                    return None;
                };
                address = match word.text.as_str() {
                    "dev" => address.on(value.text.clone()),
                    _ => address.labelled(value.text.clone()),
                };
            }
            "brd" | "broadcast" | "scope" | "peer" | "preferred_lft" | "track_group" | "use_vmac" => {
                let value = rest.next();
                let span = value.map_or(word.span, |value| word.span.to(value.span));
                diagnostics.push(unsupported::warning(&word.text, "the kernel's default applies").at(span));
            }
            "home" | "-nodad" | "mngtmpaddr" | "noprefixroute" | "autojoin" => {
                diagnostics
                    .push(unsupported::warning(&word.text, "the kernel's default applies").at(word.span));
            }
            other => {
                diagnostics.push(
                    Diagnostic::error(format!("unknown word `{other}` behind an address"))
                        .at(word.span)
                        .help("write `dev eth0`, `label eth0:1` or nothing; one address a line"),
                );
                return None;
            }
        }
    }
    Some(Spanned::new(address, first.span))
}
