//! New certificates while connections go on.

use lb_proxy::tls::{ServerTls, ServerTlsError};

use crate::support::{Ca, plain_client, shake};

#[tokio::test]
async fn old_connections_go_on_and_new_ones_get_the_new_certificate() {
    let (old_ca, new_ca) = (Ca::new("old"), Ca::new("new"));
    let server = ServerTls::builder()
        .certificate(old_ca.sign(&["a.example"]).certificate())
        .build()
        .expect("valid");
    let clone = server.clone();
    let mut before = shake(&server, &plain_client(&old_ca), "a.example")
        .await
        .expect("served");
    before.exchange().await;

    clone
        .replace_certificates([new_ca.sign(&["a.example"]).certificate()])
        .expect("valid");

    before.exchange().await;
    let mut after = shake(&server, &plain_client(&new_ca), "a.example")
        .await
        .expect("served");
    after.exchange().await;
    before.exchange().await;
    assert!(
        shake(&server, &plain_client(&old_ca), "a.example").await.is_err(),
        "the old certificate is gone"
    );
}

#[tokio::test]
async fn names_come_and_go_with_their_certificates() {
    let ca = Ca::new("ca");
    let (a, b, c) = (
        ca.sign(&["a.example"]),
        ca.sign(&["b.example"]),
        ca.sign(&["*.c.example"]),
    );
    let server = ServerTls::builder()
        .certificates([a.certificate(), b.certificate()])
        .build()
        .expect("valid");
    // A client of its own each time: a ticket would do without a certificate.
    let served = async |name: &str| shake(&server, &plain_client(&ca), name).await.is_ok();
    assert_eq!(
        (served("b.example").await, served("x.c.example").await),
        (true, false)
    );
    server
        .replace_certificates([a.certificate(), c.certificate()])
        .expect("valid");
    assert_eq!(
        (served("b.example").await, served("x.c.example").await),
        (false, true)
    );
}

#[tokio::test]
async fn a_set_that_cannot_work_leaves_the_old_one() {
    let ca = Ca::new("ca");
    let a = ca.sign(&["a.example"]).certificate();
    let server = ServerTls::builder()
        .certificate(a.clone())
        .build()
        .expect("valid");
    assert!(matches!(
        server.replace_certificates([]),
        Err(ServerTlsError::NoCertificate)
    ));
    let nameless = ca.sign(&[]).certificate();
    assert!(matches!(
        server.replace_certificates([a, nameless]),
        Err(ServerTlsError::Nameless { .. })
    ));
    assert!(shake(&server, &plain_client(&ca), "a.example").await.is_ok());
}
