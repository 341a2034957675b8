//! `vrrp_instance`.

mod addresses;
mod announcements;
pub(super) mod authentication;
mod network;
mod notify;
mod protocol;
mod settle;
pub(super) mod tracking;

use vrrp_core::AuthenticationConfig;

use super::body;
use super::global::Globals;
use super::keywords::Grammar;
use super::notify::ScriptDefaults;
use super::tree::Statement;
use super::unsupported;
use crate::config::draft::Draft;
use crate::config::format::Format;
use crate::config::instance::InstanceParts;
use crate::config::secret::SecretSource;
use crate::config::{Diagnostics, Span, Spanned};

/// What may stand in the block.
pub(super) const BLOCK: Grammar<Reader> = Grammar {
    block: "vrrp_instance",
    read: &[
        network::KEYWORDS,
        protocol::KEYWORDS,
        authentication::KEYWORDS,
        addresses::KEYWORDS,
        announcements::KEYWORDS,
        tracking::KEYWORDS,
        notify::KEYWORDS,
    ],
    unsupported: unsupported::INSTANCE,
};

/// What a block says, before it is settled what that means together.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    pub(super) parts: InstanceParts,
    /// `state MASTER`.
    state_master: Option<Span>,
    auth_type: Option<Spanned<AuthType>>,
    password: Option<Spanned<SecretSource>>,
    hmac: Option<Spanned<AuthenticationConfig>>,
    /// Who runs scripts.
    pub(super) scripts: ScriptDefaults,
    /// `unicast_fault_no_peer`, and words that mean something with peers.
    needs_peer: Option<Span>,
    unicast: Option<Span>,
}

/// `auth_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AuthType {
    Pass,
    Ah,
}

impl Reader {
    /// One that has read nothing.
    pub(super) fn new(name: Spanned<String>) -> Self {
        Self {
            parts: InstanceParts::new(name),
            state_master: None,
            auth_type: None,
            password: None,
            hmac: None,
            scripts: ScriptDefaults::default(),
            needs_peer: None,
            unicast: None,
        }
    }
}

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
    let mut reader = globals.reader(name.clone());
    BLOCK.read(block, &mut reader, diagnostics);
    reader.settle(globals, diagnostics);
    let complete = diagnostics.errors() == before;
    let tracked: Vec<String> = reader.parts.tracking.names().collect();
    match reader.parts.build(Format::Keepalived, complete, diagnostics) {
        Some(instances) if diagnostics.errors() == before => draft.instances.extend(instances),
        _ => {
            draft.broken.push(name.value);
            draft.mentioned.extend(tracked);
        }
    }
}
