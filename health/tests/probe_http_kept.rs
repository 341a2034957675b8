//! HTTP probes that keep their connection, and servers that don't keep theirs.
#![cfg(feature = "probe")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ha_health::Failure;
use ha_health::probe::{Http, Probe};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const AMPLE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);
const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn a_kept_connection_serves_all_runs_and_else_each_has_its_own() {
    for (keep_alive, connections) in [(true, 1), (false, 5)] {
        let server = Server::start(&[EMPTY], usize::MAX).await;
        let probe = Http::builder(server.address)
            .keep_alive(keep_alive)
            .build()
            .unwrap();
        for _ in 0..5 {
            assert!(probe.probe(AMPLE).await.is_success());
        }
        assert_eq!(server.counts(), (connections, 5));
    }
}

#[tokio::test]
async fn a_connection_that_the_server_closes_is_replaced_and_that_is_no_failure() {
    // After each second answer.
    let server = Server::start(&[EMPTY], 2).await;
    let probe = Http::builder(server.address).keep_alive(true).build().unwrap();
    for _ in 0..6 {
        let outcome = probe.probe(AMPLE).await;
        assert!(outcome.is_success(), "{outcome}");
    }
    assert_eq!(server.counts(), (3, 6));
}

#[tokio::test]
async fn a_server_that_announces_the_close_gets_a_new_connection() {
    let close = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let server = Server::start(&[close], usize::MAX).await;
    let probe = Http::builder(server.address).keep_alive(true).build().unwrap();
    for _ in 0..3 {
        assert!(probe.probe(AMPLE).await.is_success());
    }
    assert_eq!(server.counts(), (3, 3));
}

/// What is left of a body would be taken for the next answer.
#[tokio::test]
async fn bodies_are_read_to_their_end_whatever_is_made_of_them() {
    let body = "x".repeat(5000) + "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n";
    let ok = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let chunked = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    let bad = ok.replace("200 OK", "503 Off");
    let server = Server::start(&[&ok, &bad, &chunked], usize::MAX).await;
    let probe = Http::builder(server.address)
        .keep_alive(true)
        .expect_body("xx")
        .build()
        .unwrap();
    for run in 0..6 {
        let expected = (run % 3 == 1).then_some(Failure::Status { status: 503 });
        assert_eq!(probe.probe(AMPLE).await.failure(), expected, "run {run}");
    }
    assert_eq!(server.counts(), (1, 6));
}

#[tokio::test]
async fn a_connection_with_too_much_left_to_read_is_not_kept() {
    let long = "x".repeat(4_000_000);
    let ok = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{long}", long.len());
    let server = Server::start(&[&ok], usize::MAX).await;
    let probe = Http::builder(server.address)
        .keep_alive(true)
        .max_body(1000)
        .build()
        .unwrap();
    for _ in 0..2 {
        assert!(probe.probe(AMPLE).await.is_success());
    }
    assert_eq!(server.counts(), (2, 2));
}

#[tokio::test]
async fn a_connection_whose_answer_did_not_come_is_not_kept() {
    let server = Server::start(&[EMPTY, "", EMPTY], usize::MAX).await;
    let probe = Http::builder(server.address).keep_alive(true).build().unwrap();
    assert!(probe.probe(AMPLE).await.is_success());
    assert_eq!(
        probe.probe(SHORT).await.failure(),
        Some(Failure::TimedOut { after: SHORT })
    );
    assert!(probe.probe(AMPLE).await.is_success());
    assert_eq!(server.counts(), (2, 3));
}

#[tokio::test]
async fn a_copy_of_a_probe_has_a_connection_of_its_own() {
    let server = Server::start(&[EMPTY], usize::MAX).await;
    let probe = Http::builder(server.address).keep_alive(true).build().unwrap();
    assert!(probe.probe(AMPLE).await.is_success());
    assert!(probe.clone().probe(AMPLE).await.is_success());
    assert!(probe.probe(AMPLE).await.is_success());
    assert_eq!(server.counts(), (2, 3));
}

/// A server that gives these answers in turn, and closes a connection after so many.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    async fn start(answers: &[&str], per_connection: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answers: Arc<[String]> = answers.iter().map(ToString::to_string).collect();
        let [connections, requests] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
        let (accepted, answered) = (Arc::clone(&connections), Arc::clone(&requests));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(serve(
                    stream,
                    Arc::clone(&answers),
                    Arc::clone(&answered),
                    per_connection,
                ));
            }
        });
        Self {
            address,
            connections,
            requests,
            task,
        }
    }

    fn counts(&self) -> (usize, usize) {
        (
            self.connections.load(Ordering::SeqCst),
            self.requests.load(Ordering::SeqCst),
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(mut stream: TcpStream, answers: Arc<[String]>, requests: Arc<AtomicUsize>, most: usize) {
    let mut request = Vec::new();
    let mut served = 0;
    while served < most {
        while !request.ends_with(b"\r\n\r\n") {
            match stream.read_buf(&mut request).await {
                Ok(1..) => {}
                _ => return,
            }
        }
        request.clear();
        let number = requests.fetch_add(1, Ordering::SeqCst);
        let answer = &answers[number % answers.len()];
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        served += 1;
    }
}
