//! How adverts are authenticated.

use vrrp_core::{AuthenticationConfig, ConfigBuilder, ConfigError};

use super::hand_over;
use crate::config::{Span, Spanned};

/// Settings of authentication.
#[derive(Clone, Debug, Default)]
pub(crate) struct Authentication {
    pub(crate) authentication: Option<Spanned<AuthenticationConfig>>,
}

impl Authentication {
    pub(super) fn configure(&self, mut builder: ConfigBuilder) -> ConfigBuilder {
        hand_over!(self to builder: authentication);
        builder
    }

    /// Takes out what IPv6 adverts can't carry.
    pub(super) fn leave_to_ipv4(&mut self) {
        self.authentication = None;
    }

    pub(super) fn leave_out(&mut self, error: &ConfigError) -> Option<Span> {
        match error {
            ConfigError::AuthenticationInV3 | ConfigError::PasswordLength { .. } => {
                self.authentication.take().map(|one| one.span)
            }
            _ => None,
        }
    }
}
