//! `strict_mode`: what goes beyond the RFCs is refused, as keepalived lists it.

use vrrp_core::{AuthenticationConfig, Family, Priority, Version};
use vrrp_net::Vmac;

use super::InstanceParts;
use crate::config::format::Format;
use crate::config::{Diagnostic, Diagnostics, Spanned};

/// Adverts that may go missing, by the RFCs.
const DOWN_TIMER_ADVERTS: u8 = 3;

impl InstanceParts {
    /// Leaves out what strict mode doesn't allow, where it is on.
    ///
    /// In TOML each is an error. From a keepalived.conf, which may well have `vrrp_strict` from a sample, each is left out
    /// with a warning, as keepalived does, but for what it refuses too.
    pub(super) fn enforce_strict(&mut self, format: Format, diagnostics: &mut Diagnostics) {
        if !self.strict.is_some_and(|strict| strict.value) {
            return;
        }
        self.refuse_strictly(diagnostics);
        let mut demand = Demand { format, diagnostics };
        let is_v2 = self.is_v2();
        let is_owner = self
            .protocol
            .priority
            .is_some_and(|one| one.value == Priority::OWNER);
        demand.no("authentication", &mut self.authentication.authentication, |one| {
            !matches!(one, AuthenticationConfig::None)
        });
        let protocol = &mut self.protocol;
        demand.no("preempt_delay", &mut protocol.preempt_delay, |delay| {
            !delay.is_zero()
        });
        demand.no(
            "down_timer_adverts",
            &mut protocol.down_timer_adverts,
            |adverts| *adverts != DOWN_TIMER_ADVERTS,
        );
        demand.no(
            "higher_prio_send_advert",
            &mut protocol.higher_prio_send_advert,
            |on| *on,
        );
        let announcements = &mut self.announcements;
        demand.no(
            format.choose("lower_prio_announce_repeat", "garp_lower_prio_repeat"),
            &mut announcements.lower_prio_announce_repeat,
            |repeat| repeat.is_some_and(|repeat| repeat > 0),
        );
        demand.no(
            format.choose("lower_prio_announce_delay", "garp_lower_prio_delay"),
            &mut announcements.lower_prio_announce_delay,
            |delay| delay.is_some_and(|delay| !delay.is_zero()),
        );
        let network = &mut self.network;
        demand.no("vmac_xmit_base", &mut network.vmac_xmit_base, |on| *on);
        let mut mac = network.vmac.take_if(|vmac| vmac.value.given_mac().is_some());
        if let (Format::Keepalived, Some(vmac)) = (format, &mac) {
            // It goes on with the RFC's address.
            let name = vmac.value.given_name().into_iter();
            let plain = name.fold(Vmac::new(), Vmac::name);
            network.vmac = Some(Spanned::new(plain, vmac.span));
        }
        demand.no(
            format.choose("vmac.mac", "the address of use_vmac"),
            &mut mac,
            |_| true,
        );
        demand.no("accept", &mut network.accept, |on| *on && is_v2 && !is_owner);
        self.apply_strict(format, is_owner, demand.diagnostics);
    }

    /// What keepalived refuses as well.
    fn refuse_strictly(&self, diagnostics: &mut Diagnostics) {
        if let Some(peer) = self.network.peers.first() {
            diagnostics.push(
                Diagnostic::error("unicast peers in strict mode: the RFCs know the group alone")
                    .at(peer.span)
                    .help("turn strict mode off, or leave the peers out"),
            );
        }
        let first = self.addresses.advertised.first();
        let not_link_local = first.filter(|first| match first.value.address() {
            std::net::IpAddr::V6(address) => !address.is_unicast_link_local(),
            std::net::IpAddr::V4(_) => false,
        });
        if let Some(first) = not_link_local {
            diagnostics.push(
                Diagnostic::error(format!(
                    "the first IPv6 address, {}, is not link-local",
                    first.value.address()
                ))
                .at(first.span)
                .help("put one such as fe80::100 first (RFC 9568 §5.2.9), or turn strict mode off"),
            );
        }
    }

    /// What holds in strict mode unless said otherwise.
    fn apply_strict(&mut self, format: Format, is_owner: bool, diagnostics: &mut Diagnostics) {
        let Some(strict) = self.strict else { return };
        let said = |value| Some(Spanned::new(value, strict.span));
        self.protocol.higher_prio_send_advert = said(false);
        if format == Format::Keepalived {
            // RFC 5798; RFC 9568 has a master answer a losing advert.
            self.protocol.reassert = self.protocol.reassert.or(said(false));
        }
        if self.network.accept.is_none() && !is_owner {
            self.network.accept = said(false);
            diagnostics.push(
                Diagnostic::warning("strict mode drops what is sent to the virtual addresses: they can't be pinged, and no service on them reached")
                    .at(strict.span)
                    .help(format.choose(
                        "add `accept = true` with `version = 3`, or turn it off",
                        "add `accept` with `version 3`, or remove it",
                    )),
            );
        }
    }

    fn is_v2(&self) -> bool {
        let first = self.addresses.advertised.first();
        let ipv4 = first.is_none_or(|one| Family::of(&one.value.address()) == Family::Ipv4);
        ipv4 && self
            .protocol
            .version
            .is_none_or(|version| version.value == Version::V2)
    }
}

struct Demand<'a> {
    format: Format,
    diagnostics: &'a mut Diagnostics,
}

impl Demand<'_> {
    /// Takes a setting out that strict mode doesn't allow.
    fn no<T>(&mut self, key: &str, setting: &mut Option<Spanned<T>>, refused: impl Fn(&T) -> bool) {
        let Some(said) = setting.take_if(|said| refused(&said.value)) else {
            return;
        };
        self.diagnostics.push(match self.format {
            Format::Toml => Diagnostic::error(format!("`{key}` is not allowed in strict mode"))
                .at(said.span)
                .help("leave it out, or turn strict mode off"),
            Format::Keepalived => {
                Diagnostic::warning(format!("`{key}` is left out in strict mode, as keepalived does"))
                    .at(said.span)
                    .help("remove it, or turn strict mode off")
            }
        });
    }
}
