//! Clients that show certificates, and what the application hears of them.

use std::sync::Arc;

use lb_proxy::tls::{ClientAuth, ClientCertificate, ServerTls, TlsVersion};
use rcgen::DnType;
use rustls::ClientConfig;

use crate::support::{Ca, Pair, shake};

#[tokio::test]
async fn a_required_certificate_is_verified_and_told() {
    let world = World::new();
    let server = world.server(ClientAuth::Required(world.clients_ca.bundle()));
    let pair = world.clients_ca.sign_with(&["client-1"], |params| {
        params
            .distinguished_name
            .push(DnType::OrganizationName, "Acme, Inc.");
        params.serial_number = Some(vec![0x01, 0xab].into());
    });
    let connection = shake(&server, &world.client(Some(&pair)), "a.example")
        .await
        .expect("served");
    let told = ClientCertificate::of(connection.server.get_ref().1).expect("shown");
    assert_eq!(told.subject(), r"O=Acme\, Inc.,CN=client-1");
    assert_eq!((told.common_name(), told.serial()), (Some("client-1"), "01AB"));
    assert!(!told.der().is_empty());
}

#[tokio::test]
async fn without_a_required_certificate_there_is_no_connection() {
    let world = World::new();
    let server = world.server(ClientAuth::Required(world.clients_ca.bundle()));
    let refused = shake(&server, &world.client(None), "a.example")
        .await
        .err()
        .expect("refused");
    assert!(
        refused
            .server
            .as_ref()
            .is_some_and(|why| why.contains("sent no certificates")),
        "{refused:?}"
    );
    assert!(
        refused
            .client
            .as_ref()
            .is_some_and(|why| why.contains("CertificateRequired")),
        "the client is told: {refused:?}"
    );
}

#[tokio::test]
async fn an_optional_certificate_need_not_be_shown() {
    let world = World::new();
    let server = world.server(ClientAuth::Optional(world.clients_ca.bundle()));
    let without = shake(&server, &world.client(None), "a.example")
        .await
        .expect("served");
    assert_eq!(ClientCertificate::of(without.server.get_ref().1), None);
    let pair = world.clients_ca.sign(&["client-1"]);
    let with = shake(&server, &world.client(Some(&pair)), "a.example")
        .await
        .expect("served");
    let told = ClientCertificate::of(with.server.get_ref().1).expect("shown");
    assert_eq!(told.subject(), "CN=client-1");
}

#[tokio::test]
async fn a_certificate_of_another_ca_or_of_the_past_is_refused() {
    let world = World::new();
    let other = Ca::new("other").sign(&["client-1"]);
    let expired = world.clients_ca.sign_with(&["client-1"], |params| {
        params.not_before = rcgen::date_time_ymd(2019, 1, 1);
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
    });
    let for_servers = world.clients_ca.sign_with(&["client-1"], |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    });
    for auth in [ClientAuth::Required, ClientAuth::Optional] {
        let server = world.server(auth(world.clients_ca.bundle()));
        for (pair, why) in [
            (&other, "UnknownIssuer"),
            (&expired, "expired"),
            (&for_servers, "extended key usage"),
        ] {
            let client = world.client(Some(pair));
            let refused = shake(&server, &client, "a.example").await.err().expect("refused");
            let told = refused.server.as_ref().expect("the server refuses");
            assert!(told.contains(why), "{refused:?}");
        }
    }
}

#[tokio::test]
async fn who_is_not_asked_shows_nothing() {
    let world = World::new();
    let server = world.server(ClientAuth::Off);
    let pair = world.clients_ca.sign(&["client-1"]);
    let connection = shake(&server, &world.client(Some(&pair)), "a.example")
        .await
        .expect("served");
    assert_eq!(ClientCertificate::of(connection.server.get_ref().1), None);
}

/// By a ticket no certificate is shown again; the one of the first handshake counts.
#[tokio::test]
async fn a_resumed_session_still_tells_the_certificate() {
    let world = World::new();
    for version in [TlsVersion::V1_2, TlsVersion::V1_3] {
        let server = ServerTls::builder()
            .certificate(world.ca.sign(&["a.example"]).certificate())
            .client_auth(ClientAuth::Required(world.clients_ca.bundle()))
            .min_version(version)
            .build()
            .expect("valid");
        let pair = world.clients_ca.sign(&["client-1"]);
        let client = world.client(Some(&pair));
        for resumed in [false, true] {
            let mut connection = shake(&server, &client, "a.example").await.expect("served");
            connection.exchange().await;
            let kind = format!("{:?}", connection.server.get_ref().1.handshake_kind());
            assert_eq!(kind.contains("Resumed"), resumed, "{kind}");
            let told = ClientCertificate::of(connection.server.get_ref().1).expect("shown");
            assert_eq!(told.subject(), "CN=client-1");
        }
    }
}

/// A CA for servers and one for clients.
struct World {
    ca: Ca,
    clients_ca: Ca,
}

impl World {
    fn new() -> Self {
        Self {
            ca: Ca::new("ca"),
            clients_ca: Ca::new("ca of clients"),
        }
    }

    fn server(&self, auth: ClientAuth) -> ServerTls {
        ServerTls::builder()
            .certificate(self.ca.sign(&["a.example"]).certificate())
            .client_auth(auth)
            .build()
            .expect("valid")
    }

    fn client(&self, pair: Option<&Pair>) -> Arc<ClientConfig> {
        let builder = self.ca.client();
        let builder = match pair {
            Some(pair) => builder.client_certificate(pair.certificate()),
            None => builder,
        };
        builder.build().expect("a client").config()
    }
}
