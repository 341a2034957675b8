//! Bytes both ways, and the end of each way by itself.

use std::time::Duration;

use lb_proxy::balance::BackendConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Backend, builder, counted, ended, one, pair, passes, spawn, upstream, within};

#[tokio::test]
async fn bytes_pass_both_ways() {
    let (server, backend, _) = one().await;
    let (mut client, mut served) = pair(&server, &backend).await;
    for _ in 0..3 {
        passes(&mut client, &mut served, b"question").await;
        passes(&mut served, &mut client, b"answer").await;
    }
    let counters = counted(&server, |counters| counters.bytes_to_clients == 18).await;
    assert_eq!((counters.bytes_to_backends, counters.connections), (24, 1));
    assert_eq!((counters.accepted, counters.connects), (1, 1));
}

/// As of mail and of databases: who has connected waits for the other side's word.
#[tokio::test]
async fn the_backend_may_speak_first() {
    let (server, backend, _) = one().await;
    let (mut client, mut served) = pair(&server, &backend).await;
    passes(&mut served, &mut client, b"220 ready\r\n").await;
    passes(&mut client, &mut served, b"QUIT\r\n").await;
}

#[tokio::test]
async fn the_end_of_the_request_is_passed_on_while_the_answer_goes_on() {
    let (server, backend, _) = one().await;
    let (mut client, mut served) = pair(&server, &backend).await;
    within(client.write_all(b"all of it")).await.expect("written");
    within(client.shutdown()).await.expect("ended");
    let mut request = Vec::new();
    within(served.read_to_end(&mut request)).await.expect("no reset");
    assert_eq!(request, b"all of it");
    for _ in 0..3 {
        passes(&mut served, &mut client, b"more").await;
    }
    drop(served);
    ended(&mut client).await;
    counted(&server, |counters| counters.connections == 0).await;
}

#[tokio::test]
async fn the_end_of_the_answer_is_passed_on_while_the_request_goes_on() {
    let (server, backend, _) = one().await;
    let (mut client, mut served) = pair(&server, &backend).await;
    within(served.shutdown()).await.expect("ended");
    ended(&mut client).await;
    for _ in 0..3 {
        passes(&mut client, &mut served, b"more").await;
    }
    drop(client);
    ended(&mut served).await;
    let counters = counted(&server, |counters| counters.connections == 0).await;
    assert_eq!((counters.client_resets, counters.backend_resets), (0, 0));
}

#[tokio::test]
async fn much_passes_both_ways_at_once() {
    const MUCH: usize = 8 * 1024 * 1024;
    let (server, backend, _) = one().await;
    let (client, served) = pair(&server, &backend).await;
    let pattern = |seed: usize| {
        (0..MUCH)
            .map(|at| ((at * 31 + at / 251 + seed) % 256) as u8)
            .collect::<Vec<_>>()
    };
    let (up, down) = (pattern(1), pattern(2));
    let (mut client_reads, mut client_writes) = client.into_split();
    let (mut backend_reads, mut backend_writes) = served.into_split();
    let send = async |to: &mut tokio::net::tcp::OwnedWriteHalf, bytes: &[u8]| {
        to.write_all(bytes).await.expect("written");
        to.shutdown().await.expect("ended");
    };
    let receive = async |from: &mut tokio::net::tcp::OwnedReadHalf| {
        let mut received = Vec::with_capacity(MUCH);
        from.read_to_end(&mut received).await.expect("no reset");
        received
    };
    let (received_up, received_down, (), ()) = within(async {
        tokio::join!(
            receive(&mut backend_reads),
            receive(&mut client_reads),
            send(&mut client_writes, &up),
            send(&mut backend_writes, &down),
        )
    })
    .await;
    assert!(received_up == up && received_down == down);
}

/// What the server takes from a client whose backend does not read is bounded by the kernel's buffers and one of 64
/// KiB; once the backend reads, everything arrives.
#[tokio::test]
async fn a_backend_that_does_not_read_holds_its_client_back() {
    const FAR_TOO_MUCH: usize = 256 * 1024 * 1024;
    let (server, backend, _) = one().await;
    let (mut client, mut served) = pair(&server, &backend).await;
    let chunk = vec![7; 64 * 1024];
    let mut sent = 0;
    while sent < FAR_TOO_MUCH {
        match tokio::time::timeout(Duration::from_secs(1), client.write(&chunk)).await {
            Ok(written) => sent += written.expect("written"),
            Err(_) => break,
        }
    }
    assert!(sent < FAR_TOO_MUCH, "the client was never held back");
    let passed = server.status().counters.bytes_to_backends;
    assert!(passed <= sent as u64);

    drop(client);
    let mut received = 0;
    let mut buffer = vec![0; 1024 * 1024];
    loop {
        match within(served.read(&mut buffer)).await.expect("no reset") {
            0 => break,
            read => received += read,
        }
    }
    assert_eq!(received, sent);
}

#[tokio::test]
async fn many_connections_share_a_worker() {
    let (server, backend, _) = one().await;
    let mut pairs = Vec::new();
    for _ in 0..100 {
        pairs.push(pair(&server, &backend).await);
    }
    for (index, (client, served)) in pairs.iter_mut().enumerate() {
        passes(client, served, format!("I am {index}").as_bytes()).await;
    }
    assert_eq!(server.status().counters.connections, 100);
    pairs.clear();
    counted(&server, |counters| counters.connections == 0).await;
}

#[tokio::test]
async fn workers_share_a_port() {
    let backend = Backend::new().await;
    let upstream = upstream([BackendConfig::new("a", backend.address)]);
    let server = spawn(builder(&upstream).workers(3));
    assert_eq!((server.addresses().len(), server.status().workers), (1, 3));
    let mut pairs = Vec::new();
    for _ in 0..30 {
        let (mut client, mut served) = pair(&server, &backend).await;
        passes(&mut client, &mut served, b"hello").await;
        pairs.push((client, served));
    }
    assert_eq!(server.status().counters.connections, 30);
}
