//! Certificates that clients show.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{VerifierBuilderError, WebPkiClientVerifier};

use super::certificate::CaBundle;
use super::provider;
use super::x509::Facts;

/// Whether clients show a certificate (nginx: `ssl_verify_client`).
#[derive(Debug, Clone, Default)]
pub enum ClientAuth {
    /// They are not asked for one.
    #[default]
    Off,
    /// They are asked for one, and need not have any. One that the bundle's CAs did not sign ends the handshake.
    Optional(CaBundle),
    /// Without one that the bundle's CAs signed there is no connection.
    Required(CaBundle),
}

impl ClientAuth {
    pub(super) fn verifier(self) -> Result<Arc<dyn ClientCertVerifier>, VerifierBuilderError> {
        let builder = |ca: CaBundle| WebPkiClientVerifier::builder_with_provider(ca.roots, provider::ring());
        match self {
            Self::Off => Ok(WebPkiClientVerifier::no_client_auth()),
            Self::Optional(ca) => builder(ca).allow_unauthenticated().build(),
            Self::Required(ca) => builder(ca).build(),
        }
    }
}

/// The verified certificate of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    facts: Facts,
    der: CertificateDer<'static>,
}

impl ClientCertificate {
    /// Takes it from a connection whose handshake is complete; `None` if the client showed none.
    ///
    /// That there is one means that it was verified: a connection with another one has ended in its handshake.
    #[must_use]
    pub fn of(connection: &rustls::ServerConnection) -> Option<Self> {
        let der = connection.peer_certificates()?.first()?;
        Some(Self {
            facts: Facts::read(der)?,
            der: der.clone().into_owned(),
        })
    }

    /// Whose it is, as RFC 4514 writes it: `CN=client,O=Example` (nginx: `$ssl_client_s_dn`). Has no control
    /// characters, so it can stand in a header or a log line.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.facts.subject
    }

    /// The common name in the subject, if there is one. Unlike [`subject`](Self::subject) it is as it stands in the
    /// certificate.
    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        self.facts.common_name.as_deref()
    }

    /// The serial number in hexadecimal digits (nginx: `$ssl_client_serial`).
    #[must_use]
    pub fn serial(&self) -> &str {
        &self.facts.serial
    }

    /// The certificate in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }
}
