//! TLS towards clients.

use std::sync::Arc;

use lb_proxy::tls::{Certificate, ServerTls};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::support::{Backend, block_on, proxy_with};

struct Pki {
    chain: String,
    key: String,
}

impl Pki {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).expect("a certificate");
        Self {
            chain: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
        }
    }

    fn server(&self) -> ServerTls {
        let certificate = Certificate::from_pem(self.chain.as_bytes(), self.key.as_bytes()).expect("valid");
        let tls = ServerTls::builder()
            .certificate(certificate)
            .alpn(["h2", "http/1.1"]);
        tls.build().expect("valid")
    }

    async fn connect(&self, address: std::net::SocketAddr, alpn: &str) -> TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(self.chain.as_bytes()).expect("PEM");
        roots.add(certificate).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        let stream = TcpStream::connect(address).await.expect("the proxy accepts");
        let name = ServerName::try_from("a.example").expect("a name");
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .expect("a handshake")
    }
}

/// Reads until `end` has come.
async fn read_until(stream: &mut TlsStream<TcpStream>, end: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let mut received = Vec::new();
    while !end(&received) {
        let mut piece = [0; 16 * 1024];
        let length = stream.read(&mut piece).await.expect("connected");
        assert!(length > 0, "the end after {} bytes", received.len());
        received.extend_from_slice(&piece[..length]);
    }
    received
}

#[test]
fn requests_over_one_connection_are_answered_and_backends_know_of_the_tls() {
    const MUCH: usize = 300_000;
    let pki = Pki::new();
    let body = "x".repeat(MUCH);
    let backend = Backend::text(&body);
    let proxy = proxy_with(&[backend.address], |config| {
        config.listen_tls("127.0.0.1:0".parse().expect("an address"), pki.server())
    });
    block_on(async {
        let mut client = pki.connect(proxy.addresses()[1], "http/1.1").await;
        for target in ["/one", "/two"] {
            let request =
                format!("POST {target} HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello");
            client.write_all(request.as_bytes()).await.expect("written");
            client.flush().await.expect("written");
            let answer = read_until(&mut client, |got| got.len() >= MUCH && got.ends_with(b"xx")).await;
            assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"));
            let head = answer
                .windows(4)
                .position(|end| end == b"\r\n\r\n")
                .expect("a head");
            assert_eq!(answer.len() - head - 4, MUCH);
        }
    });
    let requests = backend.requests();
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert_eq!(request.header("x-forwarded-proto"), Some("https"));
        assert_eq!(request.header("x-forwarded-port"), Some("443"));
        assert_eq!(request.body, b"hello");
    }
}

#[test]
fn http_2_is_spoken_where_it_was_agreed_to() {
    let pki = Pki::new();
    let backend = Backend::text("x");
    let proxy = proxy_with(&[backend.address], |config| {
        config.listen_tls("127.0.0.1:0".parse().expect("an address"), pki.server())
    });
    block_on(async {
        let mut client = pki.connect(proxy.addresses()[1], "h2").await;
        assert_eq!(client.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
        let preface = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &settings].concat();
        client.write_all(&preface).await.expect("written");
        let answer = read_until(&mut client, |got| got.len() >= 9).await;
        assert_eq!(answer[3], 4, "its first frame is SETTINGS");
    });
}

#[test]
fn what_is_not_tls_is_closed_without_an_answer() {
    let pki = Pki::new();
    let backend = Backend::text("x");
    let proxy = proxy_with(&[backend.address], |config| {
        config.listen_tls("127.0.0.1:0".parse().expect("an address"), pki.server())
    });
    let mut client = crate::support::Client::connect(proxy.addresses()[1]);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = client.read_to_end().unwrap_or_default();
    assert!(!answer.starts_with(b"HTTP/"), "{answer:?}");
    assert_eq!(backend.connections(), 0);
    assert_eq!(
        crate::support::Client::connect(proxy.addresses()[0])
            .get("/")
            .text(),
        "x"
    );
}
