//! `vrrp_instance`.

use vrrp_core::Priority;
use vrrp_net::VirtualAddress;

use super::addresses;
use super::arguments::track_options;
use super::body;
use super::global::{Globals, unknown, version_of};
use super::tree::Statement;
use super::unsupported;
use crate::config::draft::Draft;
use crate::config::instance::{InstanceParts, InterfaceDraft, Spelling, TrackDraft};
use crate::config::toml::interval_of;
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

pub(super) struct Reader<'a> {
    pub(super) parts: InstanceParts,
    /// `state MASTER`.
    pub(super) state_master: Option<Span>,
    /// `auth_type PASS`.
    pub(super) pass: Option<Span>,
    pub(super) password: Option<Spanned<String>>,
    pub(super) diagnostics: &'a mut Diagnostics,
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
        for peer in addresses::lines(block) {
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
        addresses::lines(block)
            .into_iter()
            .filter_map(|words| addresses::read(&words, self.diagnostics))
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

    fn finish(mut self, globals: &Globals, before: usize, draft: &mut Draft) {
        self.settle(globals);
        let complete = self.diagnostics.errors() == before;
        let name = self.parts.name.value.clone();
        let tracked: Vec<String> = self
            .parts
            .tracks
            .iter()
            .map(|track| track.check.value.clone())
            .collect();
        match self.parts.build(SPELLING, complete, self.diagnostics) {
            Some(instance) if self.diagnostics.errors() == before => draft.instances.push(instance),
            _ => {
                draft.broken.push(name);
                draft.mentioned.extend(tracked);
            }
        }
    }
}
