//! Start, change and end of a server.

use std::time::Duration;

use lb_proxy::balance::BackendConfig;
use lb_proxy::stream::{ServerState, StartError, StreamServer, now};

use crate::support::{Backend, builder, client, counted, one, pair, passes, spawn, upstream, within};

#[tokio::test]
async fn a_drain_lets_connections_finish_and_takes_no_new_ones() {
    let (server, backend, _) = one().await;
    let address = server.addresses()[0];
    let (mut client, mut served) = pair(&server, &backend).await;
    let drain = server.shutdown(Duration::from_secs(60));
    let talk = async {
        while server.status().state == ServerState::Running {
            tokio::task::yield_now().await;
        }
        // The listener is gone a moment after the word is given.
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        passes(&mut client, &mut served, b"still").await;
        passes(&mut served, &mut client, b"served").await;
        drop((client, served));
    };
    let (cut, ()) = within(async { tokio::join!(drain, talk) }).await;
    assert_eq!(cut, 0);
    within(async {
        while server.status().state != ServerState::Stopped {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_drain_ends_at_its_deadline() {
    let (server, backend, _) = one().await;
    let (mut client, mut served) = pair(&server, &backend).await;
    passes(&mut client, &mut served, b"hello").await;
    let _second = pair(&server, &backend).await;
    let cut = within(server.shutdown(Duration::from_millis(100))).await;
    assert_eq!(cut, 2);
    crate::support::ended(&mut client).await;
    assert_eq!(
        within(server.shutdown(Duration::from_secs(60))).await,
        0,
        "it is over"
    );
}

#[tokio::test]
async fn an_abort_closes_everything_and_frees_the_port() {
    let (server, backend, upstream) = one().await;
    let (mut client, _served) = pair(&server, &backend).await;
    server.abort();
    crate::support::ended(&mut client).await;
    assert_eq!(server.status().state, ServerState::Stopped);
    let config = builder(&upstream).build().expect("valid");
    drop(config);
    let again = lb_proxy::stream::StreamConfig::builder(upstream)
        .listen(server.addresses()[0])
        .workers(1);
    let again = spawn(again);
    assert_eq!(again.addresses(), server.addresses());
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error() {
    let (server, _, upstream) = one().await;
    let taken = server.addresses()[0];
    let config = lb_proxy::stream::StreamConfig::builder(upstream)
        .listen(taken)
        .build()
        .expect("valid");
    match StreamServer::spawn(config) {
        Err(StartError::Bind { address, .. }) => assert_eq!(address, taken),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait() {
    let backend = Backend::new().await;
    let upstream = upstream([BackendConfig::new("a", backend.address)]);
    let server = spawn(builder(&upstream).max_connections(2));
    let first = pair(&server, &backend).await;
    let _second = pair(&server, &backend).await;
    let mut third = client(&server).await;
    let early = tokio::time::timeout(Duration::from_millis(300), backend.accept()).await;
    assert!(early.is_err(), "two are open");
    assert_eq!(server.status().counters.accepted, 2);
    drop(first);
    let mut served = backend.accept().await;
    passes(&mut third, &mut served, b"hello").await;
}

#[tokio::test]
async fn a_new_set_of_backends_leaves_connections_alone() {
    let (server, old, upstream) = one().await;
    let (mut client, mut served) = pair(&server, &old).await;
    let new = Backend::new().await;
    let config = lb_proxy::balance::UpstreamConfig::builder("app")
        .backend(BackendConfig::new("b", new.address))
        .build()
        .expect("valid");
    upstream.replace(now(), config);
    let (mut later, mut later_served) = pair(&server, &new).await;
    passes(&mut later, &mut later_served, b"to the new one").await;
    passes(&mut client, &mut served, b"to the old one").await;
}

#[tokio::test]
async fn another_config_is_for_later_connections() {
    let (server, old, old_upstream) = one().await;
    let (mut before, mut before_served) = pair(&server, &old).await;
    let new = Backend::new().await;
    let upstream = upstream([BackendConfig::new("b", new.address)]);
    let idle = Duration::from_millis(300);
    server
        .apply(builder(&upstream).idle_timeout(idle).build().expect("valid"))
        .expect("applied");
    let (mut after, _after_served) = pair(&server, &new).await;
    crate::support::ended(&mut after).await;
    passes(&mut before, &mut before_served, b"hello").await;

    let other = builder(&old_upstream).max_connections(7).build().expect("valid");
    let error = server.apply(other).expect_err("can't be changed");
    assert!(
        error.to_string().starts_with("max_connections of a running"),
        "{error}"
    );
    let other = builder(&old_upstream).workers(2).build().expect("valid");
    assert!(server.apply(other).is_err());
    let _third = pair(&server, &new).await;
    counted(&server, |counters| counters.accepted == 3).await;
}

#[tokio::test]
async fn a_dropped_handle_closes_everything() {
    let (server, backend, _) = one().await;
    let address = server.addresses()[0];
    let (mut client, mut served) = pair(&server, &backend).await;
    passes(&mut client, &mut served, b"hello").await;
    drop(server);
    crate::support::ended(&mut client).await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
