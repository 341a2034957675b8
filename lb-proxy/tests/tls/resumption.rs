//! Tickets, by which a later handshake is shorter.

use lb_proxy::tls::ServerTls;
use rustls::HandshakeKind;

use crate::support::{Ca, plain_client, shake};

#[tokio::test]
async fn a_second_handshake_resumes_the_session_even_after_a_swap() {
    let ca = Ca::new("ca");
    let server = server(&ca, true);
    let client = plain_client(&ca);
    assert_eq!(kind(&server, &client).await, HandshakeKind::Full);
    assert_eq!(kind(&server, &client).await, HandshakeKind::Resumed);
    server
        .replace_certificates([ca.sign(&["a.example"]).certificate()])
        .expect("valid");
    assert_eq!(kind(&server, &client).await, HandshakeKind::Resumed);
}

#[tokio::test]
async fn another_server_cannot_read_the_ticket_and_shakes_hands_in_full() {
    let ca = Ca::new("ca");
    let client = plain_client(&ca);
    assert_eq!(kind(&server(&ca, true), &client).await, HandshakeKind::Full);
    assert_eq!(kind(&server(&ca, true), &client).await, HandshakeKind::Full);
}

#[tokio::test]
async fn without_tickets_nothing_is_resumed() {
    let ca = Ca::new("ca");
    let server = server(&ca, false);
    let client = plain_client(&ca);
    for _ in 0..2 {
        assert_eq!(kind(&server, &client).await, HandshakeKind::Full);
    }
}

fn server(ca: &Ca, tickets: bool) -> ServerTls {
    ServerTls::builder()
        .certificate(ca.sign(&["a.example"]).certificate())
        .session_tickets(tickets)
        .build()
        .expect("valid")
}

async fn kind(server: &ServerTls, client: &std::sync::Arc<rustls::ClientConfig>) -> HandshakeKind {
    let mut connection = shake(server, client, "a.example").await.expect("served");
    connection.exchange().await;
    connection.client.get_ref().1.handshake_kind().expect("complete")
}
