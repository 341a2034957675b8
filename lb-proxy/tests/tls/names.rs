//! Which certificate a client gets, and which protocol.

use std::sync::Arc;

use lb_proxy::tls::{Certificate, ServerTls, ServerTlsError, TlsVersion, UnknownName};
use rustls::{ClientConfig, SignatureScheme, crypto};

use crate::support::{Ca, plain_client, shake};

#[tokio::test]
async fn the_name_that_is_asked_for_chooses_the_certificate() {
    let ca = Ca::new("ca");
    let server = ServerTls::builder()
        .certificate(ca.sign(&["default.example"]).certificate())
        .certificate(
            ca.sign(&["a.example", "*.apps.example", "apps.example"])
                .certificate(),
        )
        .certificate(ca.sign(&["b.example"]).certificate())
        .certificate(ca.sign(&["special.apps.example"]).certificate())
        .build()
        .expect("valid");
    let client = plain_client(&ca);
    for (name, shown) in [
        ("default.example", "default.example"),
        ("a.example", "a.example"),
        ("A.EXAMPLE", "a.example"),
        ("b.example", "b.example"),
        ("one.apps.example", "a.example"),
        ("apps.example", "a.example"),
        // The exact name comes before the wildcard.
        ("special.apps.example", "special.apps.example"),
    ] {
        let mut connection = shake(&server, &client, name).await.expect(name);
        assert_eq!(connection.shown(), shown, "{name}");
        connection.exchange().await;
    }
}

#[tokio::test]
async fn a_wildcard_is_for_one_label_alone() {
    let ca = Ca::new("ca");
    let server = ServerTls::builder()
        .certificate(ca.sign(&["default.example"]).certificate())
        .certificate(ca.sign(&["*.apps.example"]).certificate())
        .build()
        .expect("valid");
    let client = plain_client(&ca);
    for name in ["two.one.apps.example", "apps.example", "notapps.example"] {
        let refused = shake(&server, &client, name).await.err().expect(name);
        assert!(
            refused
                .client
                .as_ref()
                .is_some_and(|why| why.contains("default.example")),
            "{name} got the default certificate, which is not for it: {refused:?}"
        );
    }
}

#[tokio::test]
async fn a_client_without_a_name_gets_the_default() {
    let ca = Ca::new("ca");
    let default = ca.sign_with(&["default.example", "192.0.2.1"], |_| {});
    let server = ServerTls::builder()
        .certificate(default.certificate())
        .certificate(ca.sign(&["a.example"]).certificate())
        .unknown_name(UnknownName::Refuse)
        .build()
        .expect("valid");
    // SNI has no room for an address, so none is sent.
    let connection = shake(&server, &plain_client(&ca), "192.0.2.1")
        .await
        .expect("served");
    assert_eq!(connection.shown(), "default.example");
    assert_eq!(connection.server.get_ref().1.server_name(), None);
}

#[tokio::test]
async fn an_unknown_name_can_be_refused() {
    let ca = Ca::new("ca");
    let wildcard = ca.sign(&["*.apps.example"]).certificate();
    let narrow = wildcard.clone().for_names(["WWW.apps.example"]).expect("a name");
    assert_eq!(narrow.names(), ["www.apps.example"]);
    let client = plain_client(&ca);
    for (certificate, unknown, served) in [
        (&wildcard, UnknownName::Refuse, true),
        (&narrow, UnknownName::Refuse, false),
        (&narrow, UnknownName::DefaultCertificate, true),
    ] {
        let server = ServerTls::builder()
            .certificate(certificate.clone())
            .unknown_name(unknown)
            .build()
            .expect("valid");
        assert!(shake(&server, &client, "www.apps.example").await.is_ok());
        let other = shake(&server, &client, "other.apps.example").await;
        assert_eq!(other.is_ok(), served, "{unknown:?}: {:?}", other.err());
    }
}

#[tokio::test]
async fn of_two_certificates_for_a_name_the_client_gets_the_one_that_it_understands() {
    let ca = Ca::new("ca");
    let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("a key");
    let first = ca.sign_key(&["a.example", "first"], &p384).certificate();
    let second = ca.sign(&["a.example", "second"]).certificate();
    let server = ServerTls::builder()
        .certificates([first, second])
        .build()
        .expect("valid");
    let both = plain_client(&ca);
    let connection = shake(&server, &both, "a.example").await.expect("served");
    let scheme = |connection: &crate::support::Connection| {
        let certificates = connection.client.get_ref().1.peer_certificates().expect("shown");
        certificates[0].len()
    };
    let of_first = scheme(&connection);

    let mut provider = crypto::ring::default_provider();
    let algorithms = &mut provider.signature_verification_algorithms;
    let understood: Vec<_> = algorithms
        .mapping
        .iter()
        .filter(|(scheme, _)| *scheme == SignatureScheme::ECDSA_NISTP256_SHA256)
        .copied()
        .collect();
    algorithms.mapping = understood.leak();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.der()).expect("a CA");
    let only_p256 = Arc::new(
        ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth(),
    );
    let connection = shake(&server, &only_p256, "a.example").await.expect("served");
    assert_ne!(
        scheme(&connection),
        of_first,
        "the second certificate, with the P-256 key"
    );
}

#[tokio::test]
async fn protocols_are_agreed_upon() {
    let ca = Ca::new("ca");
    let pair = ca.sign(&["a.example"]);
    let server = |alpn: &[&str]| {
        ServerTls::builder()
            .certificate(pair.certificate())
            .alpn(alpn.iter().copied())
            .build()
            .expect("valid")
    };
    let client = |alpn: &[&str]| {
        ca.client()
            .alpn(alpn.iter().copied())
            .build()
            .expect("a client")
            .config()
    };
    for (offered, agreed) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1", "h2"], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&["spdy/3", "http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let connection = shake(&server(&["h2", "http/1.1"]), &client(offered), "a.example")
            .await
            .expect("served");
        let agreed = agreed.map(str::as_bytes);
        assert_eq!(
            connection.server.get_ref().1.alpn_protocol(),
            agreed,
            "{offered:?}"
        );
        assert_eq!(
            connection.client.get_ref().1.alpn_protocol(),
            agreed,
            "{offered:?}"
        );
    }
    let refused = shake(&server(&["http/1.1"]), &client(&["h2"]), "a.example")
        .await
        .err();
    let why = refused
        .expect("none in common")
        .client
        .expect("the client is told");
    assert!(why.contains("NoApplicationProtocol"), "{why}");
    let connection = shake(&server(&[]), &client(&["h2"]), "a.example")
        .await
        .expect("served");
    assert_eq!(connection.client.get_ref().1.alpn_protocol(), None);
}

#[tokio::test]
async fn versions_below_the_least_are_refused() {
    let ca = Ca::new("ca");
    let pair = ca.sign(&["a.example"]);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(ca.der()).expect("a CA");
    let provider = Arc::new(crypto::ring::default_provider());
    let only_1_2 = Arc::new(
        ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS12])
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth(),
    );
    for (least, served) in [(TlsVersion::V1_2, true), (TlsVersion::V1_3, false)] {
        let server = ServerTls::builder()
            .certificate(pair.certificate())
            .min_version(least)
            .build()
            .expect("valid");
        let result = shake(&server, &only_1_2, "a.example").await;
        assert_eq!(result.is_ok(), served, "{least:?}: {:?}", result.err());
        assert!(shake(&server, &plain_client(&ca), "a.example").await.is_ok());
    }
}

#[test]
fn what_cannot_work_is_refused() {
    let ca = Ca::new("ca");
    let named = ca.sign(&["a.example"]).certificate();
    let nameless = ca.sign(&[]).certificate();
    assert!(matches!(
        ServerTls::builder().build(),
        Err(ServerTlsError::NoCertificate)
    ));
    let build = |certificates: [&Certificate; 2]| {
        ServerTls::builder()
            .certificates(certificates.map(Clone::clone))
            .build()
    };
    assert!(build([&nameless, &named]).is_ok(), "the default needs no name");
    let error = build([&named, &nameless]).expect_err("nobody can ask for it");
    assert!(
        error.to_string().contains("\"CN=nobody\" has no DNS name"),
        "{error}"
    );
    let given = nameless.for_names(["b.example"]).expect("a name");
    assert!(build([&named, &given]).is_ok());
    for bad in [
        "",
        "a b",
        "*",
        "*.*.example",
        "a.*.example",
        "[::1]",
        "a.example:443",
        "http://a",
    ] {
        let error = named.clone().for_names([bad]).expect_err(bad);
        assert!(error.to_string().contains("is not a host name"), "{error}");
    }
    for bad in [String::new(), "x".repeat(256)] {
        let built = ServerTls::builder()
            .certificate(named.clone())
            .alpn([bad])
            .build();
        assert!(matches!(built, Err(ServerTlsError::Alpn { .. })));
    }
}
