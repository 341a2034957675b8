//! What keepalived makes of the settings of a `vrrp_instance` together (vrrp_complete_instance), before they are checked.

use vrrp_core::{AuthenticationConfig, PASSWORD_LEN, Priority, Version};

use super::{AuthType, Reader};
use crate::config::{Diagnostic, Diagnostics, Spanned};
use crate::import::global::Globals;

impl Reader {
    pub(super) fn settle(&mut self, globals: &Globals, diagnostics: &mut Diagnostics) {
        self.settle_version(globals);
        self.settle_priority(diagnostics);
        self.settle_preempt(diagnostics);
        self.settle_state(diagnostics);
        self.settle_authentication(diagnostics);
        self.settle_unicast(diagnostics);
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

    /// keepalived's state machine begins as backup whatever `state` says, unless it owns the addresses.
    fn settle_state(&mut self, diagnostics: &mut Diagnostics) {
        let Some(state) = self.state_master else {
            return;
        };
        if let Some(delay) = self.parts.protocol.preempt_delay.take() {
            diagnostics.push(
                Diagnostic::warning(
                    "`preempt_delay` does nothing with `state MASTER`: it is left out, as keepalived does",
                )
                .at(delay.span)
                .also(state, "this clears it")
                .help("write `state BACKUP` if a node that returns shall wait"),
            );
        }
        let strict = self.parts.strict.is_some_and(|strict| strict.value);
        let priority = self.parts.protocol.priority;
        if strict && priority.is_some_and(|priority| priority.value != Priority::OWNER) {
            diagnostics.push(
                Diagnostic::warning(
                    "`state MASTER` in strict mode is for priority 255 alone: it is left out",
                )
                .at(state)
                .help("write `state BACKUP`"),
            );
        }
    }

    fn settle_authentication(&mut self, diagnostics: &mut Diagnostics) {
        if let (Some(hmac), Some(auth_type)) = (&self.hmac, self.auth_type) {
            diagnostics.push(
                Diagnostic::error("`auth_hmac` and `authentication` in one vrrp_instance")
                    .at(hmac.span)
                    .also(auth_type.span, "this is for version 2")
                    .help("leave one of them out"),
            );
        }
        self.parts.authentication.authentication = self.hmac.take();
        let (Some(auth_type), Some(password)) = (self.auth_type, &self.password) else {
            return;
        };
        let version = self.parts.protocol.version;
        if self.is_ipv6() || version.is_some_and(|version| version.value == Version::V3) {
            diagnostics.push(
                Diagnostic::warning("VRRPv3 has no such authentication: it is left out, as keepalived does")
                    .at(auth_type.span)
                    .help("remove the block, or use `auth_hmac`, or `version 2`"),
            );
            return;
        }
        let text = match password.value.read() {
            Ok(text) => text,
            Err(error) => {
                diagnostics.push(Diagnostic::error(error).at(password.span));
                return;
            }
        };
        let cut = cut_password(&text);
        if cut.len() < text.len() {
            diagnostics.push(
                Diagnostic::warning(format!(
                    "a password of {} octets is cut to {PASSWORD_LEN}, as keepalived does",
                    text.len()
                ))
                .at(password.span)
                .help("write the first 8 alone"),
            );
        }
        let made = match auth_type.value {
            AuthType::Pass => AuthenticationConfig::simple(cut),
            AuthType::Ah => AuthenticationConfig::ah(cut),
        };
        match made {
            Ok(authentication) => {
                self.parts.authentication.authentication = Some(Spanned::new(authentication, password.span));
            }
            Err(error) => diagnostics.push(Diagnostic::error(error.to_string()).at(password.span)),
        }
    }

    fn settle_unicast(&self, diagnostics: &mut Diagnostics) {
        if !self.parts.network.peers.is_empty() {
            return;
        }
        if let Some(at) = self.needs_peer {
            diagnostics.push(
                Diagnostic::error(
                    "`unicast_fault_no_peer` and no unicast peer: keepalived would stay in fault",
                )
                .at(at)
                .help("add `unicast_peer { 192.0.2.11 }`, or remove it for multicast"),
            );
        } else if let Some(at) = self.unicast {
            diagnostics.push(
                Diagnostic::warning(
                    "no unicast peer is given: adverts go to the group, as keepalived sends them",
                )
                .at(at)
                .help("add `unicast_peer { 192.0.2.11 }`, or write `mcast_src_ip`"),
            );
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
