//! What keepalived makes of the settings of a `vrrp_instance` together (vrrp_complete_instance), before they are checked.

use vrrp_core::{AuthenticationConfig, PASSWORD_LEN, Priority, Version};

use super::Reader;
use crate::config::{Diagnostic, Diagnostics, Spanned};
use crate::import::global::Globals;

impl Reader {
    pub(super) fn settle(&mut self, globals: &Globals, diagnostics: &mut Diagnostics) {
        self.settle_version(globals);
        self.settle_priority(diagnostics);
        self.settle_preempt(diagnostics);
        self.settle_authentication(diagnostics);
    }

    /// keepalived takes the family of the first address.
    fn is_ipv6(&self) -> bool {
        let first = self.parts.addresses.advertised.first();
        first.is_some_and(|one| one.value.address().is_ipv6())
    }

    fn settle_version(&mut self, globals: &Globals) {
        let ipv6 = self.is_ipv6();
        // keepalived takes version 3 for IPv6 whatever the global default is.
        if self.parts.protocol.version.is_none() && !ipv6 {
            self.parts.protocol.version = globals.version();
        }
    }

    fn settle_priority(&mut self, diagnostics: &mut Diagnostics) {
        if let (Some(at), None) = (self.state_master, &self.parts.protocol.priority) {
            self.parts.protocol.priority = Some(Spanned::new(Priority::OWNER, at));
            diagnostics.push(
                Diagnostic::warning(
                    "`state MASTER` without a priority means priority 255, the owner of the addresses",
                )
                .at(at)
                .help("write `priority 100`, and a lower one on the other nodes"),
            );
        }
    }

    fn settle_preempt(&mut self, diagnostics: &mut Diagnostics) {
        let Some(nopreempt) = self.parts.protocol.preempt.filter(|preempt| !preempt.value) else {
            return;
        };
        let owner = self
            .parts
            .protocol
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
        self.parts.protocol.preempt = None;
        diagnostics.push(diagnostic);
    }

    fn settle_authentication(&mut self, diagnostics: &mut Diagnostics) {
        let (Some(at), Some(password)) = (self.pass, &self.password) else {
            return;
        };
        let ipv6 = self.is_ipv6();
        if ipv6
            || self
                .parts
                .protocol
                .version
                .is_some_and(|version| version.value == Version::V3)
        {
            diagnostics.push(
                Diagnostic::warning("VRRPv3 has no authentication: it is left out, as keepalived does")
                    .at(at)
                    .help("remove the block, or use `version 2`"),
            );
            return;
        }
        let cut = cut_password(&password.value);
        if cut.len() < password.value.len() {
            diagnostics.push(
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
                self.parts.authentication.authentication = Some(Spanned::new(authentication, password.span));
            }
            Err(error) => diagnostics.push(Diagnostic::error(error.to_string()).at(password.span)),
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
