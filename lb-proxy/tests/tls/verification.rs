//! Which backends are trusted.

use std::net::SocketAddr;
use std::sync::Arc;

use lb_proxy::tls::{CaBundle, Certificate, ClientTls, Roots, ServerNamePolicy, ServerTls};
use rustls::ClientConfig;

use crate::support::{Ca, Pair, called, plain_client, shake};

#[tokio::test]
async fn a_backend_of_another_ca_is_refused() {
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let server = server(&other.sign(&["a.example"]));
    assert!(
        why(&server, &plain_client(&ca), "a.example")
            .await
            .contains("UnknownIssuer")
    );
    assert!(shake(&server, &plain_client(&other), "a.example").await.is_ok());
}

#[tokio::test]
async fn a_backend_of_another_name_is_refused() {
    let ca = Ca::new("ca");
    let server = server(&ca.sign(&["a.example", "192.0.2.1"]));
    let client = plain_client(&ca);
    for (name, good) in [
        ("a.example", true),
        ("192.0.2.1", true),
        ("b.example", false),
        ("192.0.2.2", false),
    ] {
        let result = shake(&server, &client, name).await;
        assert_eq!(result.is_ok(), good, "{name}: {:?}", result.err());
    }
    assert!(
        why(&server, &client, "b.example")
            .await
            .contains("not valid for name")
    );
}

#[tokio::test]
async fn a_backend_of_the_past_or_the_future_is_refused() {
    let ca = Ca::new("ca");
    for (from, to, expected) in [(2019, 2020, "expired"), (3000, 3001, "not valid yet")] {
        let pair = ca.sign_with(&["a.example"], |params| {
            params.not_before = rcgen::date_time_ymd(from, 1, 1);
            params.not_after = rcgen::date_time_ymd(to, 1, 1);
        });
        let why = why(&server(&pair), &plain_client(&ca), "a.example").await;
        assert!(why.contains(expected), "{why}");
    }
}

#[tokio::test]
async fn a_self_signed_certificate_is_trusted_if_it_is_in_the_bundle() {
    let key = rcgen::KeyPair::generate().expect("a key");
    let mut params = rcgen::CertificateParams::new(["a.example".to_owned()]).expect("names");
    params.distinguished_name = called("a.example");
    let pem = params.self_signed(&key).expect("a certificate").pem();
    let server = server(&Pair {
        chain: pem.clone(),
        key: key.serialize_pem(),
    });
    let bundle = CaBundle::from_pem(pem.as_bytes()).expect("a bundle");
    let client = ClientTls::builder(Roots::Bundle(bundle))
        .build()
        .expect("a client");
    assert!(shake(&server, &client.config(), "a.example").await.is_ok());
    assert!(
        why(&server, &plain_client(&Ca::new("ca")), "a.example")
            .await
            .contains("UnknownIssuer")
    );
}

#[tokio::test]
async fn the_public_cas_do_not_vouch_for_a_private_one() {
    let server = server(&Ca::new("ca").sign(&["a.example"]));
    let client = ClientTls::builder(Roots::Mozilla).build().expect("a client");
    assert!(
        why(&server, &client.config(), "a.example")
            .await
            .contains("UnknownIssuer")
    );
}

#[tokio::test]
async fn only_the_dangerous_builder_accepts_any_certificate() {
    let server = server(&Ca::new("nobody's").sign_with(&["other.example"], |params| {
        params.not_before = rcgen::date_time_ymd(2019, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    }));
    let client = ClientTls::dangerous_builder_that_accepts_any_certificate()
        .build()
        .expect("a client");
    let mut connection = shake(&server, &client.config(), "a.example")
        .await
        .expect("accepted");
    connection.exchange().await;
}

#[test]
fn the_name_to_verify_is_the_policys() {
    let ca = Ca::new("ca");
    let address: SocketAddr = "192.0.2.1:443".parse().expect("an address");
    let name = |policy: ServerNamePolicy, host: Option<&str>| {
        let client = ca.client().server_name(policy).build().expect("a client");
        client.server_name(address, host).to_str().into_owned()
    };
    let fixed = ServerNamePolicy::fixed("app.internal").expect("a name");
    assert_eq!(name(fixed, Some("www.example")), "app.internal");
    assert_eq!(
        name(ServerNamePolicy::RequestHost, Some("www.example")),
        "www.example"
    );
    assert_eq!(
        name(ServerNamePolicy::RequestHost, Some("198.51.100.1")),
        "198.51.100.1"
    );
    assert_eq!(
        name(ServerNamePolicy::RequestHost, Some("not a host")),
        "192.0.2.1"
    );
    assert_eq!(name(ServerNamePolicy::RequestHost, None), "192.0.2.1");
    assert_eq!(
        name(ServerNamePolicy::default(), Some("www.example")),
        "192.0.2.1"
    );
    assert!(ServerNamePolicy::fixed("a b").is_err());
}

fn server(pair: &Pair) -> ServerTls {
    let certificate: Certificate = pair.certificate();
    ServerTls::builder()
        .certificate(certificate)
        .build()
        .expect("valid")
}

/// What the client says against the server.
async fn why(server: &ServerTls, client: &Arc<ClientConfig>, name: &str) -> String {
    let refused = shake(server, client, name).await.err().expect("refused");
    refused.client.expect("the client refuses")
}
