//! A CA, certificates, and handshakes.

use std::sync::Arc;

use lb_proxy::tls::{CaBundle, Certificate, ClientTls, ClientTlsBuilder, Roots, ServerTls};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::{TlsConnector, client, server};

/// A CA that signs certificates.
pub(crate) struct Ca {
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key as they stand in files.
pub(crate) struct Pair {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Pair {
    pub(crate) fn certificate(&self) -> Certificate {
        Certificate::from_pem(self.chain.as_bytes(), self.key.as_bytes()).expect("a certificate")
    }
}

impl Ca {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = called(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        Self {
            pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    pub(crate) fn bundle(&self) -> CaBundle {
        CaBundle::from_pem(self.pem.as_bytes()).expect("a bundle")
    }

    /// For the first of the names, also its subject, and the others.
    pub(crate) fn sign(&self, names: &[&str]) -> Pair {
        self.sign_with(names, |_| {})
    }

    pub(crate) fn sign_with(&self, names: &[&str], edit: impl FnOnce(&mut CertificateParams)) -> Pair {
        let names_in = names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut params = CertificateParams::new(names_in).expect("names");
        params.distinguished_name = called(names.first().unwrap_or(&"nobody"));
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        edit(&mut params);
        self.sign_params(&params, &KeyPair::generate().expect("a key"))
    }

    /// For these names, with that key.
    pub(crate) fn sign_key(&self, names: &[&str], key: &KeyPair) -> Pair {
        let names_in = names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut params = CertificateParams::new(names_in).expect("names");
        params.distinguished_name = called(names[0]);
        self.sign_params(&params, key)
    }

    fn sign_params(&self, params: &CertificateParams, key: &KeyPair) -> Pair {
        let certificate = params.signed_by(key, &self.issuer).expect("a certificate");
        Pair {
            chain: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("PEM")
    }

    /// Trusts this CA.
    pub(crate) fn client(&self) -> ClientTlsBuilder {
        ClientTls::builder(Roots::Bundle(self.bundle()))
    }
}

pub(crate) fn called(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

/// Both ends of a connection after its handshake.
pub(crate) struct Connection {
    pub(crate) client: client::TlsStream<DuplexStream>,
    pub(crate) server: server::TlsStream<DuplexStream>,
}

impl Connection {
    /// The common name of the certificate that the server showed.
    pub(crate) fn shown(&self) -> String {
        let certificates = self.client.get_ref().1.peer_certificates().expect("shown");
        subject(&certificates[0])
    }

    /// Fails unless both ends can still talk to each other.
    pub(crate) async fn exchange(&mut self) {
        let mut received = [0; 4];
        self.client.write_all(b"ping").await.expect("written");
        self.client.flush().await.expect("flushed");
        self.server.read_exact(&mut received).await.expect("read");
        self.server.write_all(b"pong").await.expect("written");
        self.server.flush().await.expect("flushed");
        self.client.read_exact(&mut received).await.expect("read");
        assert_eq!(&received, b"pong");
    }
}

/// The common name, which is ASCII in these tests and stands last in the subject.
fn subject(certificate: &CertificateDer<'_>) -> String {
    let der: &[u8] = certificate;
    // 2.5.4.3; the first is the issuer's, the last the subject's.
    let at = der
        .windows(3)
        .rposition(|window| window == [0x55, 4, 3])
        .expect("a common name");
    let len = usize::from(der[at + 4]);
    String::from_utf8(der[at + 5..at + 5 + len].to_vec()).expect("ASCII")
}

/// The result of a handshake: the connection, or what each side says against it.
pub(crate) type Shaken = Result<Connection, Refused>;

#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) client: Option<String>,
    pub(crate) server: Option<String>,
}

/// Lets a client that asks for `name` shake hands with the server.
pub(crate) async fn shake(server: &ServerTls, client: &Arc<ClientConfig>, name: &str) -> Shaken {
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    let (client_io, server_io) = tokio::io::duplex(64 * 1024);
    let connect = async {
        let mut stream = TlsConnector::from(Arc::clone(client))
            .connect(name, client_io)
            .await
            .map_err(|error| error.to_string())?;
        // In TLS 1.3 the server's verdict on a client certificate comes after the client's own handshake.
        let mut greeting = [0; 1];
        stream
            .read_exact(&mut greeting)
            .await
            .map_err(|error| error.to_string())?;
        Ok(stream)
    };
    let accept = async {
        let mut stream = server
            .accept(server_io)
            .await
            .map_err(|error| error.to_string())?;
        stream.write_all(b"!").await.map_err(|error| error.to_string())?;
        stream.flush().await.map_err(|error| error.to_string())?;
        Ok(stream)
    };
    match tokio::join!(connect, accept) {
        (Ok(client), Ok(server)) => Ok(Connection { client, server }),
        (client, server) => Err(Refused {
            client: client.err(),
            server: server.err(),
        }),
    }
}

/// A client that trusts `ca` and shows no certificate.
pub(crate) fn plain_client(ca: &Ca) -> Arc<ClientConfig> {
    ca.client().build().expect("a client").config()
}
