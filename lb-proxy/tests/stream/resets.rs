//! Connections that break.

use lb_proxy::balance::{BackendConfig, BackendState, Upstream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Backend, builder, counted, one, pair, passes, spawn, upstream, was_reset, within};

#[tokio::test]
async fn a_clients_reset_is_the_backends() {
    let (server, backend, upstream) = one().await;
    let (mut client, mut served) = pair(&server, &backend).await;
    passes(&mut client, &mut served, b"hello").await;
    reset(client);
    was_reset(&mut served).await;
    let counters = counted(&server, |counters| counters.client_resets == 1).await;
    assert_eq!(
        (counters.backend_resets, upstream.status().backends[0].failures),
        (0, 0)
    );
}

#[tokio::test]
async fn a_backends_reset_is_the_clients() {
    let (server, backend, upstream) = one().await;
    let (mut client, mut served) = pair(&server, &backend).await;
    passes(&mut served, &mut client, b"hello").await;
    reset(served);
    was_reset(&mut client).await;
    counted(&server, |counters| {
        counters.backend_resets == 1 && counters.connections == 0
    })
    .await;
    assert_eq!(upstream.status().backends[0].failures, 0, "it had served");
}

#[tokio::test]
async fn a_backend_that_resets_before_its_first_word_has_failed() {
    let (a, b) = (Backend::new().await, Backend::new().await);
    let upstream = upstream([
        BackendConfig::new("a", a.address),
        BackendConfig::new("b", b.address),
    ]);
    let server = spawn(builder(&upstream));
    let (mut client, served) = pair(&server, &a).await;
    // Before that it would be a connect that failed, and another backend would have the client.
    counted(&server, |counters| counters.connects == 1).await;
    reset(served);
    was_reset(&mut client).await;
    counted(&server, |counters| counters.connections == 0).await;
    assert_eq!(states(&upstream), [BackendState::Failed, BackendState::Up]);
    for _ in 0..3 {
        let (mut client, mut served) = pair(&server, &b).await;
        passes(&mut client, &mut served, b"hello").await;
    }
}

/// A server may answer before it has read everything, and its kernel then resets the connection behind the answer.
#[tokio::test]
async fn an_answer_before_a_reset_is_passed_on() {
    let (server, backend, _) = one().await;
    let (mut client, mut served) = pair(&server, &backend).await;
    within(client.write_all(&[7; 100_000])).await.expect("written");
    let mut some = [0; 100];
    within(served.read_exact(&mut some)).await.expect("read");
    within(served.write_all(b"413 too large")).await.expect("written");
    let mut answer = [0; 13];
    within(client.read_exact(&mut answer)).await.expect("the answer");
    assert_eq!(&answer, b"413 too large");
    // With unread data, so the kernel sends a reset.
    drop(served);
    was_reset(&mut client).await;
}

fn states(upstream: &Upstream) -> Vec<BackendState> {
    upstream
        .status()
        .backends
        .iter()
        .map(|backend| backend.state)
        .collect()
}

fn reset(stream: TcpStream) {
    stream.set_zero_linger().expect("set");
    drop(stream);
}
