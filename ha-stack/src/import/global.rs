//! `global_defs`.

use std::time::Duration;

use vrrp_core::{ChecksumForm, Version};

use super::tree::Block;
use super::unsupported;
use crate::config::suggest::nearest;
use crate::config::{Diagnostic, Diagnostics, Spanned};

const KNOWN: [&str; 6] = [
    "router_id",
    "vrrp_version",
    "script_user",
    "vrrp_garp_master_delay",
    "vrrp_garp_master_repeat",
    "v3_checksum_as_v2",
];

/// What holds for all instances and scripts of a file.
#[derive(Debug, Default)]
pub(super) struct Globals {
    pub(super) router_id: Option<String>,
    pub(super) version: Option<Spanned<Version>>,
    /// User and group of scripts.
    pub(super) script_user: Option<Spanned<(String, Option<String>)>>,
    pub(super) announce_delay: Option<Duration>,
    pub(super) announce_repeat: Option<u8>,
    pub(super) checksum: Option<ChecksumForm>,
}

pub(super) fn read(block: &Block, globals: &mut Globals, diagnostics: &mut Diagnostics) {
    for statement in &block.statements {
        let keyword = statement.keyword.text.as_str();
        match keyword {
            "router_id" => {
                let word = statement.argument("lb1", diagnostics);
                globals.router_id = word.map(|word| word.text.clone());
            }
            "vrrp_version" => {
                let version = statement.number::<u8>(2, 3, "3", diagnostics);
                globals.version = version.map(|one| Spanned::new(version_of(one.value), one.span));
            }
            "script_user" => {
                if let Some(user) = statement.words.first() {
                    let group = statement.words.get(1).map(|group| group.text.clone());
                    globals.script_user = Some(Spanned::new((user.text.clone(), group), statement.span()));
                } else {
                    statement.argument("nobody", diagnostics);
                }
            }
            "vrrp_garp_master_delay" => {
                globals.announce_delay = statement.seconds(diagnostics).map(|one| one.value);
            }
            "vrrp_garp_master_repeat" => {
                globals.announce_repeat = statement.number(0, 255, "5", diagnostics).map(|one| one.value);
            }
            "v3_checksum_as_v2" => globals.checksum = Some(ChecksumForm::MessageOnly),
            _ => match unsupported::global(keyword) {
                Some(consequence) => {
                    diagnostics.push(unsupported::warning(keyword, consequence).at(statement.keyword.span));
                }
                None => diagnostics.push(unknown(keyword, "global_defs", &KNOWN).at(statement.keyword.span)),
            },
        }
    }
}

pub(super) fn version_of(version: u8) -> Version {
    match version {
        2 => Version::V2,
        _ => Version::V3,
    }
}

/// keepalived logs a keyword that it doesn't know, and goes on without it; here a typing error stops the start.
pub(super) fn unknown(keyword: &str, block: &str, known: &[&str]) -> Diagnostic {
    let diagnostic = Diagnostic::error(format!("unknown keyword `{keyword}` in {block}"));
    match nearest(keyword, known.iter().copied()) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None => diagnostic.help(format!("known keywords: {}", known.join(", "))),
    }
}
