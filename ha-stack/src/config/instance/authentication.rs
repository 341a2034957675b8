//! How adverts are authenticated: VRRPv2's password, plain or as the key of AH, or VRRPv3's HMAC.

use std::time::Duration;

use vrrp_core::{
    AntiReplay, AuthenticationConfig, ConfigBuilder, ConfigError, HmacConfig, HmacError, HmacKey, HmacKeys,
    HmacMode,
};

use super::hand_over;
use crate::config::format::Format;
use crate::config::secret::SecretSource;
use crate::config::{Diagnostic, Diagnostics, Span, Spanned};

/// Settings of authentication.
#[derive(Clone, Debug, Default)]
pub(crate) struct Authentication {
    pub(crate) authentication: Option<Spanned<AuthenticationConfig>>,
}

/// What a file says of HMAC.
#[derive(Clone, Debug, Default)]
pub(crate) struct HmacParts {
    /// Numbers of keys, and where each key is to be had.
    pub(crate) keys: Vec<Spanned<(u8, SecretSource)>>,
    pub(crate) active_key: Option<Spanned<u8>>,
    pub(crate) mode: Option<Spanned<HmacMode>>,
    pub(crate) anti_replay: Option<Spanned<AntiReplay>>,
    pub(crate) time_window: Option<Spanned<Duration>>,
}

impl Authentication {
    pub(super) fn configure(&self, mut builder: ConfigBuilder) -> ConfigBuilder {
        hand_over!(self to builder: authentication);
        builder
    }

    /// Takes out what IPv6 adverts can't carry.
    pub(super) fn leave_to_ipv4(&mut self) {
        self.authentication = self
            .authentication
            .take()
            .filter(|one| matches!(one.value, AuthenticationConfig::Hmac(_)));
    }

    /// Where a password is that anyone on the link can read.
    pub(super) fn clear_text_at(&self) -> Option<Span> {
        let one = self.authentication.as_ref()?;
        matches!(one.value, AuthenticationConfig::Simple(_)).then_some(one.span)
    }

    pub(super) fn leave_out(&mut self, error: &ConfigError) -> Option<Span> {
        match error {
            ConfigError::AuthenticationInV3 | ConfigError::HmacInV2 | ConfigError::PasswordLength { .. } => {
                self.authentication.take().map(|one| one.span)
            }
            _ => None,
        }
    }
}

impl HmacParts {
    /// Reads the keys, and makes the configuration that stands at `at`.
    pub(crate) fn build(
        &self,
        at: Span,
        format: Format,
        diagnostics: &mut Diagnostics,
    ) -> Option<Spanned<AuthenticationConfig>> {
        let before = diagnostics.errors();
        let mut keys = Vec::new();
        for key in &self.keys {
            match read_key(key) {
                Ok(made) => keys.push(made),
                Err(diagnostic) => diagnostics.push(*diagnostic),
            }
        }
        let active = self.active(at, format, diagnostics);
        if diagnostics.errors() > before {
            return None;
        }
        let made = HmacKeys::new(keys, active?).and_then(|keys| {
            let config = HmacConfig::new(keys)
                .with_mode(self.mode.map(|one| one.value).unwrap_or_default())
                .with_anti_replay(self.anti_replay.map(|one| one.value).unwrap_or_default());
            match self.time_window {
                Some(window) => config.with_window(window.value),
                None => Ok(config),
            }
        });
        match made {
            Ok(config) => Some(Spanned::new(config.into(), at)),
            Err(error) => {
                let span = self.culprit(&error).unwrap_or(at);
                diagnostics.push(Diagnostic::error(error.to_string()).at(span));
                None
            }
        }
    }

    /// The number of the key that signs: the only one, unless said.
    fn active(&self, at: Span, format: Format, diagnostics: &mut Diagnostics) -> Option<u8> {
        match (self.active_key, &self.keys[..]) {
            (Some(active), _) => Some(active.value),
            (None, [only]) => Some(only.value.0),
            (None, []) => {
                let example =
                    format.choose("keys = [{ id = 1, secret_file = \"/path\" }]", "key 1 file:/path");
                diagnostics.push(
                    Diagnostic::error("HMAC without a key")
                        .at(at)
                        .help(format!("add `{example}`, with 32 to 64 random octets")),
                );
                None
            }
            (None, [first, ..]) => {
                let example = format.choose("active_key = ", "active_key ");
                diagnostics.push(
                    Diagnostic::error("several HMAC keys, and none is active")
                        .at(at)
                        .help(format!(
                            "add `{example}{}`, for the key that signs",
                            first.value.0
                        )),
                );
                None
            }
        }
    }

    fn culprit(&self, error: &HmacError) -> Option<Span> {
        match error {
            HmacError::DuplicateKey { id } => {
                let twice = self.keys.iter().rfind(|key| key.value.0 == *id)?;
                Some(twice.span)
            }
            HmacError::UnknownActive { .. } => self.active_key.map(|active| active.span),
            HmacError::Window { .. } => self.time_window.map(|window| window.span),
            _ => None,
        }
    }
}

/// A key of the octets behind `hex:`, or of the text itself.
fn read_key(key: &Spanned<(u8, SecretSource)>) -> Result<HmacKey, Box<Diagnostic>> {
    let (id, source) = &key.value;
    let wrong = |message: String| Box::new(Diagnostic::error(message).at(key.span));
    let text = source.read().map_err(wrong)?;
    let octets = match text.strip_prefix("hex:") {
        Some(digits) => from_hex(digits).ok_or_else(|| {
            let wrong = wrong(format!("HMAC key {id} is not hexadecimal"));
            Box::new(
                wrong.help("write two digits for each octet, such as the output of `openssl rand -hex 32`"),
            )
        })?,
        None => text.into_bytes(),
    };
    HmacKey::new(*id, &octets).map_err(|error| wrong(error.to_string()))
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    if !digits.len().is_multiple_of(2) || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).ok())
        .collect()
}
