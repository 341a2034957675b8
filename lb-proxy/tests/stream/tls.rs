//! TLS towards clients and towards backends.

use std::time::Duration;

use lb_proxy::balance::{BackendConfig, BackendState};
use lb_proxy::proxy_protocol::{Version, parse};
use lb_proxy::tls::{CaBundle, Certificate, ClientTls, Roots, ServerNamePolicy, ServerTls};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::{client, server};

use crate::support::{Backend, builder, client, counted, ended, passes, spawn, upstream, was_reset, within};

#[tokio::test]
async fn a_clients_tls_ends_here() {
    let pki = Pki::new();
    let backend = Backend::new().await;
    let upstream = upstream([BackendConfig::new("a", backend.address)]);
    let tls = pki.server(&["a.example", "b.example"]);
    let server = spawn(builder(&upstream).tls(tls.clone()));
    for name in ["a.example", "b.example"] {
        let mut client = pki.connect(client(&server).await, name).await;
        let mut served = backend.accept().await;
        passes(&mut client, &mut served, b"question").await;
        passes(&mut served, &mut client, b"answer").await;
        // Both ends, one after the other.
        within(client.shutdown()).await.expect("ended");
        ended(&mut served).await;
        passes(&mut served, &mut client, b"afterwards").await;
        within(served.shutdown()).await.expect("ended");
        ended(&mut client).await;
    }
    let counters = counted(&server, |counters| counters.connections == 0).await;
    assert_eq!((counters.client_resets, counters.bad_handshakes), (0, 0));
}

#[tokio::test]
async fn a_certificate_is_swapped_under_a_connection() {
    let (old, new) = (Pki::new(), Pki::new());
    let backend = Backend::new().await;
    let upstream = upstream([BackendConfig::new("a", backend.address)]);
    let tls = old.server(&["a.example"]);
    let server = spawn(builder(&upstream).tls(tls.clone()));
    let mut before = old.connect(client(&server).await, "a.example").await;
    let mut before_served = backend.accept().await;
    passes(&mut before, &mut before_served, b"before").await;
    tls.replace_certificates([new.certificate(&["a.example"])])
        .expect("valid");
    let mut after = new.connect(client(&server).await, "a.example").await;
    let mut after_served = backend.accept().await;
    passes(&mut after, &mut after_served, b"after").await;
    passes(&mut before_served, &mut before, b"still").await;
}

#[tokio::test]
async fn much_passes_through_tls_on_both_sides() {
    const MUCH: usize = 3 * 1024 * 1024;
    let pki = Pki::new();
    let backend = Backend::new().await;
    let upstream = upstream([BackendConfig::new("a", backend.address)]);
    let name = ServerNamePolicy::fixed("backend.example").expect("a name");
    let server = spawn(
        builder(&upstream)
            .tls(pki.server(&["a.example"]))
            .upstream_tls(pki.client(name)),
    );
    let backend_tls = pki.server(&["backend.example"]);
    let bytes: Vec<u8> = (0..MUCH).map(|at| (at * 31 % 251) as u8).collect();
    let connect = async {
        let stream = pki.connect(client(&server).await, "a.example").await;
        let (mut reads, mut writes) = tokio::io::split(stream);
        let send = async {
            writes.write_all(&bytes).await.expect("written");
            writes.shutdown().await.expect("ended");
        };
        let receive = async {
            let mut received = Vec::new();
            reads.read_to_end(&mut received).await.expect("no reset");
            received
        };
        tokio::join!(receive, send).0
    };
    let echo = async {
        let stream = backend_tls
            .accept(backend.accept().await)
            .await
            .expect("a handshake");
        assert_eq!(stream.get_ref().1.server_name(), Some("backend.example"));
        let (mut reads, mut writes) = tokio::io::split(stream);
        tokio::io::copy(&mut reads, &mut writes).await.expect("copied");
        writes.shutdown().await.expect("ended");
    };
    let (received, ()) = within(async { tokio::join!(connect, echo) }).await;
    assert!(received == bytes);
}

#[tokio::test]
async fn a_backend_with_a_strange_certificate_has_failed() {
    let (pki, strange) = (Pki::new(), Pki::new());
    let (a, b) = (Backend::new().await, Backend::new().await);
    let upstream = upstream([
        BackendConfig::new("a", a.address),
        BackendConfig::new("b", b.address),
    ]);
    let server = spawn(builder(&upstream).upstream_tls(pki.client(ServerNamePolicy::Address)));
    let accept = async |backend: &Backend, tls: &ServerTls| -> Result<server::TlsStream<TcpStream>, _> {
        tls.accept(backend.accept().await).await
    };
    // Another CA's, and then another host's.
    let mut client = client(&server).await;
    assert!(accept(&a, &strange.server(&["127.0.0.1"])).await.is_err());
    assert!(accept(&b, &pki.server(&["192.0.2.1"])).await.is_err());
    was_reset(&mut client).await;
    assert!(
        upstream
            .status()
            .backends
            .iter()
            .all(|backend| backend.failures == 1)
    );
    let counters = counted(&server, |counters| counters.unserved == 1).await;
    assert_eq!((counters.connects, counters.connect_failures), (0, 2));
    assert_ne!(upstream.status().backends[0].state, BackendState::Down);
}

#[tokio::test]
async fn a_client_that_speaks_no_tls_or_nothing_is_not_served() {
    let pki = Pki::new();
    let backend = Backend::new().await;
    let upstream = upstream([BackendConfig::new("a", backend.address)]);
    let server = spawn(
        builder(&upstream)
            .tls(pki.server(&["a.example"]))
            .handshake_timeout(Duration::from_millis(500)),
    );
    let mut plain = client(&server).await;
    within(plain.write_all(b"GET / HTTP/1.1\r\n\r\n"))
        .await
        .expect("written");
    let _silent = client(&server).await;
    counted(&server, |counters| {
        counters.bad_handshakes == 2 && counters.connections == 0
    })
    .await;
    assert_eq!(server.status().counters.connects, 0);
}

/// Without TLS's own word of the end it may be anybody's.
#[tokio::test]
async fn an_end_without_tlss_own_end_is_a_reset_to_the_other_side() {
    let pki = Pki::new();
    let backend = Backend::new().await;
    let upstream = upstream([BackendConfig::new("a", backend.address)]);
    let server = spawn(builder(&upstream).tls(pki.server(&["a.example"])));
    let mut client = pki.connect(client(&server).await, "a.example").await;
    let mut served = backend.accept().await;
    passes(&mut client, &mut served, b"all of i").await;
    within(client.get_mut().0.shutdown()).await.expect("ended");
    was_reset(&mut served).await;
}

#[tokio::test]
async fn backends_are_told_of_the_clients_tls() {
    let pki = Pki::new();
    let backend = Backend::new().await;
    let upstream = upstream([BackendConfig::new("a", backend.address)]);
    let tls = ServerTls::builder()
        .certificate(pki.certificate(&["a.example"]))
        .alpn(["acme/1"])
        .client_auth(lb_proxy::tls::ClientAuth::Optional(pki.bundle()))
        .build()
        .expect("valid");
    let server = spawn(builder(&upstream).tls(tls).send_proxy_protocol(Some(Version::V2)));
    for certificate in [None, Some(pki.certificate(&["client-1"]))] {
        let shown = certificate.is_some();
        let builder = ClientTls::builder(Roots::Bundle(pki.bundle())).alpn(["acme/1"]);
        let builder = match certificate {
            Some(certificate) => builder.client_certificate(certificate),
            None => builder,
        };
        let tls = builder.build().expect("a client");
        let name = ServerName::try_from("a.example").expect("a name");
        let mut client = within(tls.connect(name, client(&server).await))
            .await
            .expect("a handshake");
        let mut served = backend.accept().await;
        let mut received = Vec::new();
        let told = loop {
            received.push(within(served.read_u8()).await.expect("a header"));
            if let Some(header) = parse(&received).expect("a header") {
                break header;
            }
        };
        assert_eq!(
            told.addresses.source(),
            Some(client.get_ref().0.local_addr().expect("an address"))
        );
        assert_eq!(told.tlvs.authority(), Some(&b"a.example"[..]));
        let ssl = told.tlvs.ssl().expect("told");
        assert_eq!((ssl.tls, ssl.version), (true, &b"TLSv1.3"[..]));
        assert_eq!((ssl.certificate, ssl.verified), (shown, shown));
        assert_eq!(ssl.common_name, if shown { &b"client-1"[..] } else { b"" });
        passes(&mut client, &mut served, b"hello").await;
    }
}

/// A CA.
struct Pki {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Pki {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self {
            pem,
            issuer: Issuer::new(params, key),
        }
    }

    fn bundle(&self) -> CaBundle {
        CaBundle::from_pem(self.pem.as_bytes()).expect("a bundle")
    }

    fn certificate(&self, names: &[&str]) -> Certificate {
        let alternatives = names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut params = CertificateParams::new(alternatives).expect("names");
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, names[0]);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Certificate::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes())
            .expect("a certificate")
    }

    fn server(&self, names: &[&str]) -> ServerTls {
        ServerTls::builder()
            .certificate(self.certificate(names))
            .build()
            .expect("valid")
    }

    fn client(&self, name: ServerNamePolicy) -> ClientTls {
        ClientTls::builder(Roots::Bundle(self.bundle()))
            .server_name(name)
            .build()
            .expect("valid")
    }

    async fn connect(&self, stream: TcpStream, name: &str) -> client::TlsStream<TcpStream> {
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let tls = self.client(ServerNamePolicy::Address);
        within(tls.connect(name, stream)).await.expect("a handshake")
    }
}
