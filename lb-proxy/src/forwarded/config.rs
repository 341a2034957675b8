//! What is believed, and what is told.

use super::network::{Network, TrustedHops};
use crate::fields::{is_token, reserved};

/// What happens to fields that tell of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Policy {
    /// What came stays, and the peer is added: the last element is trustworthy, the others are worth what who wrote
    /// them is (nginx's `$proxy_add_x_forwarded_for`).
    #[default]
    Append,
    /// What came goes, and one element tells the client that is believed in.
    Replace,
    /// What came goes, and nothing is told.
    Remove,
}

/// Which field a trusted hop names the client in. Only one of them: a hop that writes the one passes on the other
/// as whoever sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ClientSource {
    /// `X-Forwarded-For`, with `X-Forwarded-Proto`, `-Host` and `-Port` for the rest.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// What happens to the field `Server` of responses.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum ServerField {
    /// The backend's own is passed on.
    #[default]
    Pass,
    /// It is this one.
    Replace(String),
    /// It goes.
    Remove,
}

/// What is told of the client, and who is believed; made by [`Forwarding::builder`]. The default is the builder's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forwarding {
    pub(super) trusted: TrustedHops,
    pub(super) source: ClientSource,
    pub(super) x_forwarded: Policy,
    pub(super) forwarded: Policy,
    pub(super) request_id: Option<Box<str>>,
    pub(super) via: Option<Box<str>>,
    pub(super) server: ServerField,
}

impl Default for Forwarding {
    fn default() -> Self {
        Self {
            trusted: TrustedHops::default(),
            source: ClientSource::XForwardedFor,
            x_forwarded: Policy::Append,
            forwarded: Policy::Remove,
            request_id: None,
            via: None,
            server: ServerField::Pass,
        }
    }
}

impl Forwarding {
    /// Starts with the defaults that the builder's methods tell.
    pub fn builder() -> ForwardingBuilder {
        ForwardingBuilder {
            networks: Vec::new(),
            forwarding: Self::default(),
        }
    }

    /// Whether requests get an id.
    #[cfg(feature = "proxy")]
    pub(crate) const fn has_request_id(&self) -> bool {
        self.request_id.is_some()
    }

    /// Whose word counts.
    #[must_use]
    pub const fn trusted(&self) -> &TrustedHops {
        &self.trusted
    }
}

/// Collects what is believed and told; mistakes are told by [`build`](Self::build).
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until they are built"]
pub struct ForwardingBuilder {
    networks: Vec<Network>,
    forwarding: Forwarding,
}

impl ForwardingBuilder {
    /// Adds a network of proxies in front of this one, whose word counts (nginx: `set_real_ip_from`). None by default.
    pub fn trust(mut self, network: Network) -> Self {
        self.networks.push(network);
        self
    }

    /// Adds networks whose word counts.
    pub fn trust_all(mut self, networks: impl IntoIterator<Item = Network>) -> Self {
        self.networks.extend(networks);
        self
    }

    /// Sets the field in which trusted hops name the client. `X-Forwarded-For` by default.
    pub fn client_source(mut self, source: ClientSource) -> Self {
        self.forwarding.source = source;
        self
    }

    /// Sets what happens to `X-Forwarded-For`, `-Proto`, `-Host` and `-Port`. [`Policy::Append`] by default; the last
    /// three are never lists: they are what a trusted hop says, or what this proxy sees.
    pub fn x_forwarded(mut self, policy: Policy) -> Self {
        self.forwarding.x_forwarded = policy;
        self
    }

    /// Sets what happens to `Forwarded`. [`Policy::Remove`] by default: a list that this proxy doesn't add itself to
    /// tells a backend of another client than there is.
    pub fn forwarded(mut self, policy: Policy) -> Self {
        self.forwarding.forwarded = policy;
        self
    }

    /// Sends the request's id to the backend in this field, usually `X-Request-ID`, and takes it over from there if a
    /// trusted hop sent one. Not sent by default.
    pub fn request_id(mut self, field: impl Into<String>) -> Self {
        self.forwarding.request_id = Some(field.into().into());
        self
    }

    /// Adds `Via` (RFC 9110 §7.6.3) under this name to requests and responses. Not added by default, as in nginx.
    pub fn via(mut self, name: impl Into<String>) -> Self {
        self.forwarding.via = Some(name.into().into());
        self
    }

    /// Sets what happens to the field `Server` of responses. [`ServerField::Pass`] by default.
    pub fn server(mut self, server: ServerField) -> Self {
        self.forwarding.server = server;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// A field for the id that is no name, or one that this proxy uses; a name for `Via` that is none; a `Server` that
    /// is empty or has control characters.
    pub fn build(self) -> Result<Forwarding, ForwardingError> {
        let mut forwarding = self.forwarding;
        forwarding.trusted = self.networks.into_iter().collect();
        if let Some(field) = &forwarding.request_id {
            let used = reserved(field).is_some() || super::received::Class::of(field).is_some();
            if !is_token(field.as_bytes()) || used {
                return Err(ForwardingError::RequestIdField {
                    field: field.to_string(),
                });
            }
        }
        if let Some(name) = &forwarding.via {
            let valid = name
                .bytes()
                .all(|byte| is_token(&[byte]) || b":[]".contains(&byte));
            if !valid || name.is_empty() {
                return Err(ForwardingError::Via {
                    name: name.to_string(),
                });
            }
        }
        if let ServerField::Replace(value) = &forwarding.server {
            let visible = value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            if !visible || value.trim().is_empty() {
                return Err(ForwardingError::Server { value: value.clone() });
            }
        }
        Ok(forwarding)
    }
}

/// What [`ForwardingBuilder::build`] refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ForwardingError {
    /// Not a header that can carry an id.
    #[error("{field:?} can't carry the request's id: write a header of its own, as X-Request-ID")]
    RequestIdField {
        /// What was given.
        field: String,
    },
    /// Not a name for `Via`.
    #[error("{name:?} is no name for Via: write a host name or a word without spaces")]
    Via {
        /// What was given.
        name: String,
    },
    /// Not a value for `Server`.
    #[error("{value:?} is no value for Server: write visible ASCII, or remove it")]
    Server {
        /// What was given.
        value: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_would_break_a_message_are_refused() {
        let builder = Forwarding::builder;
        for field in [
            "",
            "a b",
            "Host",
            "content-length",
            "X-Forwarded-For",
            "Via",
            "forwarded",
        ] {
            let error = builder().request_id(field).build();
            assert!(
                matches!(error, Err(ForwardingError::RequestIdField { .. })),
                "{field}"
            );
        }
        for name in ["", "a b", "a\r\n", "a,b"] {
            assert!(
                matches!(builder().via(name).build(), Err(ForwardingError::Via { .. })),
                "{name}"
            );
        }
        for name in ["lb", "lb.example:80", "[::1]:80"] {
            assert!(builder().via(name).build().is_ok(), "{name}");
        }
        for value in ["", " ", "a\nb", "\u{e9}"] {
            let error = builder().server(ServerField::Replace(value.to_owned())).build();
            assert!(matches!(error, Err(ForwardingError::Server { .. })), "{value}");
        }
        assert_eq!(builder().build(), Ok(Forwarding::default()));
    }
}
