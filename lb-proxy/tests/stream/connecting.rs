//! Which backend a client gets, and what happens if it is not there.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use lb_proxy::balance::{BackendConfig, BackendState, QueueConfig, Strategy, Upstream, UpstreamConfig};
use lb_proxy::stream::{StreamHandle, now};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{
    Backend, builder, client, counted, is_not_served, nobody, pair, passes, spawn, upstream, within,
};

#[tokio::test]
async fn the_next_backend_is_tried_when_one_refuses() {
    let backend = Backend::new().await;
    let upstream = upstream([
        BackendConfig::new("dead", nobody().await),
        BackendConfig::new("b", backend.address),
    ]);
    let server = spawn(builder(&upstream));
    for _ in 0..3 {
        let (mut client, mut served) = pair(&server, &backend).await;
        passes(&mut client, &mut served, b"hello").await;
    }
    let status = upstream.status();
    assert_eq!(status.backends[0].state, BackendState::Failed);
    let counters = server.status().counters;
    assert_eq!(
        (counters.connects, counters.connect_failures, counters.unserved),
        (3, 1, 0)
    );
}

#[tokio::test]
async fn a_client_without_a_backend_is_reset() {
    let upstream = upstream([
        BackendConfig::new("a", nobody().await),
        BackendConfig::new("b", nobody().await),
    ]);
    let server = spawn(builder(&upstream).tries(5));
    is_not_served(&server).await;
    let counters = counted(&server, |counters| counters.unserved == 1).await;
    assert_eq!(counters.connect_failures, 2, "never twice to the same");
}

#[tokio::test]
async fn no_more_backends_are_tried_than_allowed() {
    let backend = Backend::new().await;
    let upstream = upstream([
        BackendConfig::new("a", nobody().await),
        BackendConfig::new("b", nobody().await),
        BackendConfig::new("c", backend.address),
    ]);
    let server = spawn(builder(&upstream).tries(2));
    is_not_served(&server).await;
    let counters = counted(&server, |counters| counters.unserved == 1).await;
    assert_eq!((counters.connect_failures, counters.connects), (2, 0));
}

/// A listener whose queue is full lets a connect wait for ever.
#[tokio::test]
async fn a_backend_that_does_not_accept_in_time_is_passed_over() {
    let backend = Backend::new().await;
    let (_full, address) = full().await;
    let upstream = upstream([
        BackendConfig::new("full", address),
        BackendConfig::new("b", backend.address),
    ]);
    let server = spawn(builder(&upstream).connect_timeout(Duration::from_millis(300)));
    let (mut client, mut served) = pair(&server, &backend).await;
    passes(&mut client, &mut served, b"hello").await;
    assert_eq!(upstream.status().backends[0].failures, 1);
}

#[tokio::test]
async fn a_connection_that_is_made_brings_a_failed_backend_back_while_it_is_open() {
    let backend = Backend::new().await;
    let patient =
        |id: &'static str, address| BackendConfig::new(id, address).fail_timeout(Duration::from_millis(200));
    let dead = nobody().await;
    let upstream = upstream([patient("a", dead), patient("b", backend.address)]);
    let server = spawn(builder(&upstream));
    let _first = pair(&server, &backend).await;
    assert_eq!(upstream.status().backends[0].state, BackendState::Failed);
    // It listens again.
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("set");
    socket.bind(dead).expect("bound");
    let listener = socket.listen(8).expect("listening");
    let mut open = Vec::new();
    let start = now();
    while upstream.status().backends[0].state != BackendState::Up {
        assert!(
            (now() - start) < crate::support::PATIENCE,
            "{:?}",
            upstream.status()
        );
        open.push(client(&server).await);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    within(listener.accept()).await.expect("a connection");
    drop(open);
}

#[tokio::test]
async fn a_client_keeps_its_backend_by_its_address() {
    let backends = [Backend::new().await, Backend::new().await, Backend::new().await];
    let config = UpstreamConfig::builder("app")
        .strategy(Strategy::IpHash)
        .backends(
            backends
                .iter()
                .enumerate()
                .map(|(n, backend)| BackendConfig::new(n.to_string(), backend.address)),
        )
        .build()
        .expect("valid");
    let upstream = Upstream::new(config);
    let server = spawn(builder(&upstream));
    let mut open = Vec::new();
    for connects in 1..=9 {
        open.push(client(&server).await);
        counted(&server, |counters| counters.connects == connects).await;
    }
    let mut active: Vec<_> = upstream
        .status()
        .backends
        .iter()
        .map(|backend| backend.active)
        .collect();
    active.sort_unstable();
    assert_eq!(active, [0, 0, 9], "all from 127.0.0.1");
}

#[tokio::test]
async fn a_client_waits_for_a_slot_of_a_full_backend() {
    let backend = Backend::new().await;
    let one = NonZeroU32::new(1).expect("one");
    let config = UpstreamConfig::builder("app")
        .backend(BackendConfig::new("a", backend.address).max_conns(1))
        .queue(QueueConfig::new(one).timeout(Duration::from_secs(20)))
        .build()
        .expect("valid");
    let server = spawn(builder(&Upstream::new(config)));
    let first = pair(&server, &backend).await;
    // The queue has room for one of these two; the other is reset.
    let others = [try_client(&server).await, try_client(&server).await];
    let counters = counted(&server, |counters| counters.unserved == 1).await;
    assert_eq!((counters.accepted, counters.connects), (3, 1));
    drop(first);
    let mut served = backend.accept().await;
    let mut answered = 0;
    within(served.write_all(b"!")).await.expect("written");
    for mut other in others.into_iter().flatten() {
        let mut buffer = [0; 1];
        answered += within(other.read(&mut buffer)).await.unwrap_or(0);
    }
    assert_eq!(answered, 1);
}

/// None if the connection was reset at once.
async fn try_client(server: &StreamHandle) -> Option<TcpStream> {
    within(TcpStream::connect(server.addresses()[0])).await.ok()
}

/// A listener with connections that nobody accepts, until no more are let in.
async fn full() -> (Vec<TcpStream>, SocketAddr) {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket
        .bind("127.0.0.1:0".parse().expect("an address"))
        .expect("bound");
    let listener = socket.listen(1).expect("listening").into_std().expect("a socket");
    let address = listener.local_addr().expect("an address");
    // For as long as the process lives, so that nobody is ever accepted.
    std::mem::forget(listener);
    let mut waiting = Vec::new();
    while let Ok(stream) = tokio::time::timeout(Duration::from_millis(500), TcpStream::connect(address)).await
    {
        waiting.push(stream.expect("connected"));
        assert!(waiting.len() < 100, "the queue never fills");
    }
    (waiting, address)
}
