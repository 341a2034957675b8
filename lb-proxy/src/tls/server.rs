//! TLS towards clients.

use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, VerifierBuilderError};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{Accept, TlsAcceptor};

use super::certificate::Certificate;
use super::client_certificate::ClientAuth;
use super::names::NameTable;
use super::provider;
use super::version::TlsVersion;

/// TLS towards clients: a clone shares the certificates.
#[derive(Clone, Debug)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    chooser: Arc<Chooser>,
}

impl ServerTls {
    /// Starts a configuration; it needs a [`certificate`](ServerTlsBuilder::certificate).
    pub fn builder() -> ServerTlsBuilder {
        ServerTlsBuilder {
            certificates: Vec::new(),
            client_auth: ClientAuth::Off,
            alpn: Vec::new(),
            min_version: TlsVersion::default(),
            unknown_name: UnknownName::default(),
            session_tickets: true,
        }
    }

    /// Serves `certificates` from the next handshake on, in place of those before; the first is the default.
    ///
    /// Connections go on, and so do their session tickets.
    ///
    /// # Errors
    /// There is none, or one besides the default that is for no name. The certificates are then as they were.
    pub fn replace_certificates(
        &self,
        certificates: impl IntoIterator<Item = Certificate>,
    ) -> Result<(), ServerTlsError> {
        let certificates: Vec<_> = certificates.into_iter().collect();
        check(&certificates)?;
        self.chooser.names.store(Arc::new(NameTable::new(&certificates)));
        Ok(())
    }

    /// The config for rustls, which follows every later [replacement](Self::replace_certificates).
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// Begins the handshake with a client that has connected; the caller bounds its time.
    pub fn accept<IO: AsyncRead + AsyncWrite + Unpin>(&self, io: IO) -> Accept<IO> {
        TlsAcceptor::from(self.config()).accept(io)
    }
}

/// Builds a [`ServerTls`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct ServerTlsBuilder {
    certificates: Vec<Certificate>,
    client_auth: ClientAuth,
    alpn: Vec<Vec<u8>>,
    min_version: TlsVersion,
    unknown_name: UnknownName,
    session_tickets: bool,
}

impl ServerTlsBuilder {
    /// Adds a certificate; the first is the default. For the same name there may be several with different kinds of
    /// keys: a client gets the first that it understands.
    pub fn certificate(mut self, certificate: Certificate) -> Self {
        self.certificates.push(certificate);
        self
    }

    /// Adds certificates after those already there.
    pub fn certificates(mut self, certificates: impl IntoIterator<Item = Certificate>) -> Self {
        self.certificates.extend(certificates);
        self
    }

    /// Sets whether clients show a certificate. Default [`ClientAuth::Off`].
    pub fn client_auth(mut self, client_auth: ClientAuth) -> Self {
        self.client_auth = client_auth;
        self
    }

    /// Sets the protocols that are spoken within, the best first, such as `h2` and `http/1.1` (RFC 7301). A client
    /// that offers some, but none of these, is refused. Default none: whatever the client offers is ignored.
    pub fn alpn<P: Into<Vec<u8>>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.alpn = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the oldest version that is spoken. Default [`TlsVersion::V1_2`].
    pub fn min_version(mut self, version: TlsVersion) -> Self {
        self.min_version = version;
        self
    }

    /// Sets what a client gets that asks for a name that no certificate is for. Default
    /// [`UnknownName::DefaultCertificate`].
    pub fn unknown_name(mut self, unknown_name: UnknownName) -> Self {
        self.unknown_name = unknown_name;
        self
    }

    /// Sets whether clients get tickets, by which a later handshake needs no signature (RFC 8446 §2.2, RFC 5077).
    ///
    /// They hold the session, encrypted with a key that is made anew every 6 hours and dies after 12, so the server
    /// stores nothing. Default yes.
    pub fn session_tickets(mut self, session_tickets: bool) -> Self {
        self.session_tickets = session_tickets;
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    /// There is no certificate, one besides the default is for no name, an ALPN protocol is empty or too long, or the
    /// system has no randomness.
    pub fn build(self) -> Result<ServerTls, ServerTlsError> {
        check(&self.certificates)?;
        if let Some(protocol) = self.alpn.iter().find(|name| !(1..=255).contains(&name.len())) {
            let protocol = String::from_utf8_lossy(protocol).into_owned();
            return Err(ServerTlsError::Alpn { protocol });
        }
        let chooser = Arc::new(Chooser {
            names: ArcSwap::from_pointee(NameTable::new(&self.certificates)),
            unknown_name: self.unknown_name,
        });
        let mut config = ServerConfig::builder_with_provider(provider::ring())
            .with_protocol_versions(self.min_version.and_later())
            .map_err(ServerTlsError::Rustls)?
            .with_client_cert_verifier(self.client_auth.verifier()?)
            .with_cert_resolver(Arc::clone(&chooser) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = self.alpn;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        if self.session_tickets {
            config.ticketer = rustls::crypto::ring::Ticketer::new().map_err(ServerTlsError::Rustls)?;
        } else {
            config.send_tls13_tickets = 0;
        }
        Ok(ServerTls {
            config: Arc::new(config),
            chooser,
        })
    }
}

fn check(certificates: &[Certificate]) -> Result<(), ServerTlsError> {
    if certificates.is_empty() {
        return Err(ServerTlsError::NoCertificate);
    }
    match certificates.iter().skip(1).find(|other| other.names.is_empty()) {
        Some(nameless) => Err(ServerTlsError::Nameless {
            file: nameless.file().to_owned(),
            subject: nameless.subject().to_owned(),
        }),
        None => Ok(()),
    }
}

/// What a client gets that asks for a name that no certificate is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum UnknownName {
    /// The default certificate, as from nginx; the client will hardly accept it, but can say so to its user.
    #[default]
    DefaultCertificate,
    /// Nothing, the handshake fails (nginx: `ssl_reject_handshake`). A client that asks for no name still gets the
    /// default certificate.
    Refuse,
}

/// What [`ServerTlsBuilder::build`] refuses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerTlsError {
    /// No certificate was given.
    #[error("TLS towards clients needs a certificate")]
    NoCertificate,
    /// A certificate that no client could ask for.
    #[error(
        "{file}: the certificate of {subject:?} has no DNS name in its subjectAltName, so no client would get it; give \
         the names that it is for, or make it the first, which is the default"
    )]
    Nameless {
        /// Its file.
        file: String,
        /// Whose it is.
        subject: String,
    },
    /// A protocol's name that ALPN has no room for.
    #[error("an ALPN protocol has 1 to 255 bytes, as \"h2\" or \"http/1.1\" has, not {protocol:?}")]
    Alpn {
        /// What was given.
        protocol: String,
    },
    /// The CA bundle for client certificates can't be used.
    #[error("client certificates can't be verified: {0}")]
    ClientAuth(#[from] VerifierBuilderError),
    /// rustls refused it.
    #[error("{0}")]
    Rustls(#[source] rustls::Error),
}

/// Chooses the certificate of a handshake.
#[derive(Debug)]
struct Chooser {
    names: ArcSwap<NameTable>,
    unknown_name: UnknownName,
}

impl ResolvesServerCert for Chooser {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let names = self.names.load();
        let found = match hello.server_name() {
            // rustls has made it lower case.
            Some(name) => match names.find(name, hello.signature_schemes()) {
                None if self.unknown_name == UnknownName::DefaultCertificate => names.fallback(),
                found => found,
            },
            None => names.fallback(),
        };
        found.map(Arc::clone)
    }
}
