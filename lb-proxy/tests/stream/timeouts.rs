//! Silence, either way and both ways.

use std::time::Duration;

use lb_proxy::balance::{BackendConfig, BackendState};
use lb_proxy::stream::now;

use crate::support::{Backend, builder, counted, ended, pair, passes, spawn, upstream};

#[tokio::test]
async fn a_silent_connection_is_closed_on_both_sides() {
    let backend = Backend::new().await;
    let upstream = upstream([BackendConfig::new("a", backend.address)]);
    let server = spawn(builder(&upstream).idle_timeout(Duration::from_millis(300)));
    let start = now();
    let (mut client, mut served) = pair(&server, &backend).await;
    ended(&mut client).await;
    ended(&mut served).await;
    assert!(now() - start >= Duration::from_millis(300));
    let counters = counted(&server, |counters| counters.connections == 0).await;
    assert_eq!(counters.idle_timeouts, 1);
    assert_eq!(
        upstream.status().backends[0].failures,
        0,
        "nobody asked it anything"
    );
}

#[tokio::test]
async fn bytes_in_one_direction_keep_the_connection_alive() {
    const IDLE: Duration = Duration::from_secs(2);
    let backend = Backend::new().await;
    let upstream = upstream([BackendConfig::new("a", backend.address)]);
    let server = spawn(builder(&upstream).idle_timeout(IDLE));
    let (mut client, mut served) = pair(&server, &backend).await;
    let start = now();
    while now() - start < 2 * IDLE {
        passes(&mut served, &mut client, b"tick").await;
        tokio::time::sleep(IDLE / 20).await;
    }
    passes(&mut client, &mut served, b"still here").await;
    assert_eq!(server.status().counters.idle_timeouts, 0);
}

#[tokio::test]
async fn a_backend_that_never_answers_has_failed() {
    let (a, b) = (Backend::new().await, Backend::new().await);
    let upstream = upstream([
        BackendConfig::new("a", a.address),
        BackendConfig::new("b", b.address),
    ]);
    let server = spawn(builder(&upstream).idle_timeout(Duration::from_millis(300)));
    let (mut client, mut served) = pair(&server, &a).await;
    passes(&mut client, &mut served, b"are you there?").await;
    ended(&mut client).await;
    counted(&server, |counters| counters.connections == 0).await;
    assert_eq!(upstream.status().backends[0].state, BackendState::Failed);
}
