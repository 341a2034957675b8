//! TCP connects on loopback.
#![cfg(feature = "probe")]

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use ha_health::probe::{Probe, Tcp};
use ha_health::{Failure, Outcome};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::Instant;

const AMPLE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn open_port_is_success_and_the_connection_is_reset() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(listener) = TcpListener::bind(address).await else {
            println!("skipped: no {address} here");
            continue;
        };
        let probe = Tcp::new(listener.local_addr().unwrap());
        assert_eq!(probe.probe(AMPLE).await, Outcome::success());
        let (mut peer, _) = listener.accept().await.unwrap();
        let end = tokio::time::timeout(AMPLE, peer.read(&mut [0; 16])).await;
        assert_eq!(end.unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset);
    }
}

#[tokio::test]
async fn closed_port_is_refused() {
    // Bound and not listening: nobody else can take it meanwhile.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let probe = Tcp::new(socket.local_addr().unwrap());
    assert_eq!(probe.probe(AMPLE).await, Failure::Refused.into());
}

#[tokio::test]
async fn peer_that_does_not_answer_times_out() {
    let (address, _full) = full_backlog().await;
    let timeout = Duration::from_millis(200);
    let start = Instant::now();
    assert_eq!(
        Tcp::new(address).probe(timeout).await,
        Failure::TimedOut { after: timeout }.into()
    );
    assert!(start.elapsed() >= timeout && start.elapsed() < AMPLE);
}

#[tokio::test]
async fn what_cannot_be_reached_says_why() {
    // A multicast address can't be connected to; nothing is sent.
    let probe = Tcp::new(([224, 0, 0, 18], 80).into());
    let outcome = probe.probe(AMPLE).await;
    assert!(
        matches!(outcome.failure(), Some(Failure::Connect { errno }) if errno != 0),
        "{outcome}"
    );
}

/// A listener whose queue is full: the kernel drops further SYNs, as a host that is gone would.
async fn full_backlog() -> (SocketAddr, impl Sized) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queued = Vec::new();
    for _ in 0..16 {
        match tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
            Ok(stream) => queued.push(stream.unwrap()),
            Err(_) => return (address, (listener, queued)),
        }
    }
    panic!("the queue of 1 took 16 connections");
}
