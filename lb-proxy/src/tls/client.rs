//! TLS towards backends.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::ServerName;
use rustls::server::VerifierBuilderError;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{Connect, TlsConnector};

use super::certificate::{CaBundle, Certificate, NameError};
use super::provider;
use super::unverified::AnyCertificate;
use super::version::TlsVersion;

/// TLS towards backends, which are verified. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ClientTls {
    config: Arc<ClientConfig>,
    server_name: ServerNamePolicy,
}

impl ClientTls {
    /// Starts a configuration that trusts the certificates that `roots` signed.
    pub fn builder(roots: Roots) -> ClientTlsBuilder {
        ClientTlsBuilder::new(Some(roots))
    }

    /// Starts a configuration that trusts **every certificate**: whoever can take the backend's place in the network
    /// reads and changes everything.
    ///
    /// For tests, and for backends behind a network that is as safe as the machine. What it replaces is
    /// [`Roots::Bundle`] with the backend's own self-signed certificate, which costs nothing and is safe.
    pub fn dangerous_builder_that_accepts_any_certificate() -> ClientTlsBuilder {
        ClientTlsBuilder::new(None)
    }

    /// The config for rustls.
    #[must_use]
    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.config)
    }

    /// The name that the backend at `address` must show in its certificate, for a request to `host` if there is one
    /// (without its port).
    #[must_use]
    pub fn server_name(&self, address: SocketAddr, host: Option<&str>) -> ServerName<'static> {
        match &self.server_name {
            ServerNamePolicy::Fixed(name) => name.clone(),
            ServerNamePolicy::RequestHost => host
                .and_then(|host| ServerName::try_from(host.to_owned()).ok())
                .unwrap_or_else(|| address.ip().into()),
            ServerNamePolicy::Address => address.ip().into(),
        }
    }

    /// Begins the handshake with the backend that `io` is connected to; the caller bounds its time.
    pub fn connect<IO: AsyncRead + AsyncWrite + Unpin>(
        &self,
        name: ServerName<'static>,
        io: IO,
    ) -> Connect<IO> {
        TlsConnector::from(self.config()).connect(name, io)
    }
}

/// Whose certificates are trusted.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Roots {
    /// The CAs that Mozilla trusts, as they were when this was compiled.
    Mozilla,
    /// The CAs of the system, `/etc/ssl/certs` mostly, as they are now; `SSL_CERT_FILE` and `SSL_CERT_DIR` count.
    System,
    /// The operator's own CAs. A self-signed certificate of a backend may stand here itself.
    Bundle(CaBundle),
}

impl Roots {
    fn load(self) -> Result<Arc<RootCertStore>, ClientTlsError> {
        match self {
            Self::Mozilla => Ok(Arc::new(RootCertStore {
                roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
            })),
            Self::System => {
                let found = rustls_native_certs::load_native_certs();
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(found.certs);
                if roots.is_empty() {
                    let why = found.errors.first().map(|error| format!(" ({error})"));
                    return Err(ClientTlsError::NoSystemRoots {
                        why: why.unwrap_or_default(),
                    });
                }
                Ok(Arc::new(roots))
            }
            Self::Bundle(bundle) => Ok(bundle.roots),
        }
    }
}

/// Which name a backend must show in its certificate; it is also sent to it as SNI, unless it is an IP address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerNamePolicy {
    /// Its IP address.
    #[default]
    Address,
    /// The host of the client's request, where there is one (nginx: `proxy_ssl_name $host`), otherwise the address.
    RequestHost,
    /// Always this one: a host name or an IP address (nginx: `proxy_ssl_name`).
    Fixed(ServerName<'static>),
}

impl ServerNamePolicy {
    /// [`ServerNamePolicy::Fixed`] of a host name or an IP address.
    ///
    /// # Errors
    /// It is neither.
    pub fn fixed(name: &str) -> Result<Self, NameError> {
        match ServerName::try_from(name.to_owned()) {
            Ok(name) => Ok(Self::Fixed(name)),
            Err(_) => Err(NameError::new(name)),
        }
    }
}

/// Builds a [`ClientTls`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct ClientTlsBuilder {
    /// None trusts everybody.
    roots: Option<Roots>,
    server_name: ServerNamePolicy,
    certificate: Option<Certificate>,
    alpn: Vec<Vec<u8>>,
    min_version: TlsVersion,
}

impl ClientTlsBuilder {
    fn new(roots: Option<Roots>) -> Self {
        Self {
            roots,
            server_name: ServerNamePolicy::default(),
            certificate: None,
            alpn: Vec::new(),
            min_version: TlsVersion::default(),
        }
    }

    /// Sets which name backends must show. Default [`ServerNamePolicy::Address`].
    pub fn server_name(mut self, policy: ServerNamePolicy) -> Self {
        self.server_name = policy;
        self
    }

    /// Sets the certificate that is shown to backends that ask for one (nginx: `proxy_ssl_certificate`). Default
    /// none.
    pub fn client_certificate(mut self, certificate: Certificate) -> Self {
        self.certificate = Some(certificate);
        self
    }

    /// Sets the protocols that are offered, the best first (RFC 7301). Default none.
    pub fn alpn<P: Into<Vec<u8>>>(mut self, protocols: impl IntoIterator<Item = P>) -> Self {
        self.alpn = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the oldest version that is spoken. Default [`TlsVersion::V1_2`].
    pub fn min_version(mut self, version: TlsVersion) -> Self {
        self.min_version = version;
        self
    }

    /// Checks everything, and reads the system's CAs if those are trusted.
    ///
    /// # Errors
    /// The system has no CAs, or rustls refuses the configuration.
    pub fn build(self) -> Result<ClientTls, ClientTlsError> {
        let provider = provider::ring();
        let verifier: Arc<dyn ServerCertVerifier> = match self.roots {
            None => Arc::new(AnyCertificate(Arc::clone(&provider))),
            Some(roots) => {
                WebPkiServerVerifier::builder_with_provider(roots.load()?, Arc::clone(&provider)).build()?
            }
        };
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(self.min_version.and_later())
            .map_err(ClientTlsError::Rustls)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match self.certificate {
            None => config.with_no_client_auth(),
            Some(certificate) => config
                .with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certificate.key))),
        };
        config.alpn_protocols = self.alpn;
        Ok(ClientTls {
            config: Arc::new(config),
            server_name: self.server_name,
        })
    }
}

/// What [`ClientTlsBuilder::build`] refuses.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientTlsError {
    /// The system's CAs are to be trusted, and there are none.
    #[error("the system has no CA certificates{why}; install ca-certificates, or name a CA bundle")]
    NoSystemRoots {
        /// What went wrong in looking for them.
        why: String,
    },
    /// The CA bundle can't be used.
    #[error("backends can't be verified: {0}")]
    Roots(#[from] VerifierBuilderError),
    /// rustls refused it.
    #[error("{0}")]
    Rustls(#[source] rustls::Error),
}
