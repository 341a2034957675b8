//! HTTP probes against servers that behave, and that do not.
#![cfg(feature = "probe")]

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ha_health::probe::{Http, HttpBuilder, HttpError, Method, Probe};
use ha_health::{Failure, Outcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;

const AMPLE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);

#[tokio::test]
async fn status_200_is_success() {
    let outcome = get(answer("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), |http| {
        http
    })
    .await;
    assert_eq!(outcome, Outcome::success().with_message("200 OK"));
}

#[tokio::test]
async fn statuses_200_to_399_are_success_by_default() {
    for (status, success) in [(199, false), (200, true), (204, true), (302, true), (399, true)] {
        let outcome = get(answer_status(status), |http| http).await;
        // 199 is informational: the answer proper never comes.
        assert_eq!(outcome.is_success(), success, "{status}: {outcome}");
    }
    for status in [400, 404, 500, 503] {
        let outcome = get(answer_status(status), |http| http).await;
        assert_eq!(outcome.failure(), Some(Failure::Status { status }));
    }
}

#[tokio::test]
async fn expected_statuses_replace_the_default() {
    let only = |http: HttpBuilder| http.expect_status(200..=200).expect_status(500..=503);
    for (status, success) in [
        (200, true),
        (204, false),
        (302, false),
        (500, true),
        (503, true),
        (504, false),
    ] {
        let outcome = get(answer_status(status), only).await;
        assert_eq!(outcome.is_success(), success, "{status}");
    }
}

#[tokio::test]
async fn unexpected_status_reads_well() {
    let outcome = get(answer_status(503), |http| http).await;
    assert_eq!(outcome.to_string(), "unexpected status 503: Service Unavailable");
}

#[tokio::test]
async fn request_is_what_was_asked_for() {
    let server = Server::start(answer_status(200)).await;
    let http = Http::builder(server.address)
        .method(Method::POST)
        .path("/health?deep=1")
        .host("www.example.org");
    assert!(run(http).await.is_success());
    let request = server.request();
    let mut lines: Vec<&str> = request.split("\r\n").collect();
    assert_eq!(lines.remove(0), "POST /health?deep=1 HTTP/1.1");
    let lower: Vec<String> = lines.iter().map(|line| line.to_lowercase()).collect();
    assert!(lower.contains(&"host: www.example.org".into()), "{request}");
    assert!(lower.contains(&"connection: close".into()), "{request}");
    assert!(
        lower
            .iter()
            .any(|line| line.starts_with("user-agent: ha-health/")),
        "{request}"
    );
    assert!(request.ends_with("\r\n\r\n"));
}

#[tokio::test]
async fn own_headers_are_sent_and_may_replace_the_agent() {
    let server = Server::start(answer_status(200)).await;
    let http = Http::builder(server.address)
        .header("Authorization", "Basic Og==")
        .header("X-Check", "a")
        .header("X-Check", "b")
        .header("User-Agent", "probe");
    assert!(run(http).await.is_success());
    let request = server.request().to_lowercase();
    for line in [
        "authorization: basic og==",
        "x-check: a",
        "x-check: b",
        "user-agent: probe",
    ] {
        assert_eq!(
            request.matches(&format!("\r\n{line}\r\n")).count(),
            1,
            "{request}"
        );
    }
    assert!(!request.contains("ha-health"), "{request}");
}

#[test]
fn headers_are_not_shown_since_they_may_hold_a_secret() {
    let builder = Http::builder(([127, 0, 0, 1], 80).into()).header("Authorization", "Basic c2VjcmV0");
    let shown = format!("{builder:?} {:?}", builder.clone().build().unwrap());
    assert!(
        !shown.contains("c2VjcmV0") && !shown.contains("66, 97, 115"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_method_that_may_have_a_body_says_that_there_is_none() {
    for (method, says) in [(Method::GET, false), (Method::POST, true)] {
        let server = Server::start(answer_status(200)).await;
        assert!(
            run(Http::builder(server.address).method(method))
                .await
                .is_success()
        );
        assert_eq!(server.request().contains("content-length: 0\r\n"), says);
    }
}

#[tokio::test]
async fn host_is_the_address_by_default() {
    let server = Server::start(answer_status(200)).await;
    run(Http::builder(server.address)).await;
    assert!(
        server
            .request()
            .to_lowercase()
            .contains(&format!("\r\nhost: {}\r\n", server.address))
    );
}

#[tokio::test]
async fn informational_answers_are_passed_over() {
    let outcome = get(
        answer("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        |http| http,
    );
    assert!(outcome.await.is_success());
}

#[tokio::test]
async fn old_server_without_length_is_success() {
    let outcome = get(answer("HTTP/1.0 200 OK\r\n\r\n<h1>port:8080</h1>"), |http| {
        http.expect_body("port:8080")
    });
    assert!(outcome.await.is_success());
}

#[tokio::test]
async fn server_that_never_answers_times_out() {
    let outcome = timed(|mut stream| async move { read_request(&mut stream).await.then_some(stream) }).await;
    assert_eq!(outcome, Failure::TimedOut { after: SHORT }.into());
}

#[tokio::test]
async fn server_that_never_reads_times_out() {
    assert_eq!(
        timed(|stream| async move { stream }).await,
        Failure::TimedOut { after: SHORT }.into()
    );
}

#[tokio::test]
async fn server_that_drips_its_head_times_out() {
    let outcome = timed(|mut stream| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX: ").await;
        while stream.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert_eq!(outcome.await, Failure::TimedOut { after: SHORT }.into());
}

#[tokio::test]
async fn body_that_stops_half_way_times_out_if_it_matters_only() {
    let half = |mut stream: TcpStream| async move {
        read_request(&mut stream).await;
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            .await;
        stream
    };
    let server = Server::start(half).await;
    assert!(run(Http::builder(server.address)).await.is_success());
    let server = Server::start(half).await;
    let http = Http::builder(server.address)
        .expect_body("whole")
        .build()
        .unwrap();
    assert_eq!(http.probe(SHORT).await, Failure::TimedOut { after: SHORT }.into());
}

#[tokio::test]
async fn connection_is_closed_after_a_timeout() {
    let (closed, observed) = tokio::sync::oneshot::channel();
    let closed = Arc::new(Mutex::new(Some(closed)));
    let outcome = timed(move |mut stream| {
        let closed = closed.lock().unwrap().take();
        async move {
            read_request(&mut stream).await;
            let end = stream.read(&mut [0; 16]).await;
            let _ = closed.unwrap().send(end.unwrap_or(0));
        }
    });
    assert!(!outcome.await.is_success());
    assert_eq!(tokio::time::timeout(AMPLE, observed).await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn what_is_not_http_is_told_as_such() {
    for garbage in [
        "SSH-2.0-OpenSSH_9.6\r\n",
        "\0\u{1}\u{2}\u{3}\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "{}\n\n{}\n",
    ] {
        let outcome = get(answer(garbage), |http| http).await;
        assert_eq!(outcome, Failure::NotHttp.into(), "{garbage:?}");
    }
}

#[tokio::test]
async fn head_without_end_is_refused_before_it_fills_the_memory() {
    let outcome = get(
        |mut stream: TcpStream| async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX: ").await;
            while stream.write_all(&[b'a'; 4096]).await.is_ok() {}
        },
        |http| http,
    );
    assert_eq!(outcome.await, Failure::NotHttp.into());
}

#[tokio::test]
async fn head_beyond_its_bound_is_refused_though_it_ends() {
    let head = |bytes: usize| {
        answer(format!(
            "HTTP/1.1 200 OK\r\nX: {}\r\nContent-Length: 0\r\n\r\n",
            "a".repeat(bytes)
        ))
    };
    assert!(get(head(32 * 1024), |http| http).await.is_success());
    assert_eq!(get(head(128 * 1024), |http| http).await, Failure::NotHttp.into());
}

#[tokio::test]
async fn connection_that_is_closed_early_is_failure() {
    let closed: [&'static str; 3] = ["", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Le"];
    for part in closed {
        let outcome = get(answer(part), |http| http).await;
        assert_eq!(outcome, Failure::Closed.into(), "{part:?}");
    }
    let part = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf";
    let outcome = get(answer(part), |http| http.expect_body("whole")).await;
    assert_eq!(outcome, Failure::Closed.into());
}

#[tokio::test]
async fn connection_that_is_reset_is_failure() {
    let reset = |stream: TcpStream| async move {
        // Closing with the request unread resets the connection.
        stream.readable().await.unwrap();
    };
    assert_eq!(get(reset, |http| http).await, Failure::Closed.into());
}

#[tokio::test]
async fn closed_port_is_refused() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let outcome = run(Http::builder(socket.local_addr().unwrap())).await;
    assert_eq!(outcome, Failure::Refused.into());
}

#[tokio::test]
async fn expected_text_is_found_wherever_the_body_is_cut() {
    let expect = |http: HttpBuilder| http.expect_body("port:8080");
    let whole = "HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n<h1>port:8080</h1>";
    assert!(get(answer(whole), expect).await.is_success());
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                   6\r\n<h1>po\r\n2\r\nrt\r\nA\r\n:8080</h1>\r\n0\r\n\r\n";
    assert!(get(answer(chunked), expect).await.is_success());
    let other = "HTTP/1.1 200 OK\r\nContent-Length: 18\r\n\r\n<h1>port:8081</h1>";
    assert_eq!(
        get(answer(other), expect).await,
        Failure::BodyMismatch { read: 18 }.into()
    );
    let empty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(
        get(answer(empty), expect).await,
        Failure::BodyMismatch { read: 0 }.into()
    );
}

#[tokio::test]
async fn status_is_judged_before_the_body() {
    let error = "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nok";
    let outcome = get(answer(error), |http| http.expect_body("ok")).await;
    assert_eq!(outcome.failure(), Some(Failure::Status { status: 500 }));
}

#[tokio::test]
async fn body_is_searched_to_its_limit_and_no_further() {
    let body = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n0123456789abcdefghij";
    let limit = |http: HttpBuilder| http.max_body(16);
    assert!(
        get(answer(body), |http| limit(http).expect_body("abcdef"))
            .await
            .is_success()
    );
    let outcome = get(answer(body), |http| limit(http).expect_body("abcdefg")).await;
    assert_eq!(outcome, Failure::BodyMismatch { read: 16 }.into());
}

#[tokio::test]
async fn body_without_end_is_given_up_at_the_limit() {
    let endless = |mut stream: TcpStream| async move {
        read_request(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(&[b'a'; 4096]).await.is_ok() {}
    };
    let start = Instant::now();
    let outcome = get(endless, |http| http.expect_body("b")).await;
    assert_eq!(
        outcome,
        Failure::BodyMismatch {
            read: Http::DEFAULT_MAX_BODY
        }
        .into()
    );
    assert!(start.elapsed() < AMPLE / 2);
}

#[test]
fn each_invalid_setting_has_its_own_error() {
    let builder = || Http::builder(([127, 0, 0, 1], 80).into());
    let status = |from, to| HttpError::Status { from, to };
    let cases = [
        (builder().method(Method::CONNECT), HttpError::Method),
        (builder().method(Method::HEAD).expect_body("x"), HttpError::Method),
        (builder().path(""), HttpError::Path),
        (builder().path("health"), HttpError::Path),
        (builder().path("*"), HttpError::Path),
        (builder().path("/a b"), HttpError::Path),
        (builder().path("/a\r\nX: y"), HttpError::Path),
        (builder().path("/a#b"), HttpError::Path),
        (builder().host(""), HttpError::Host),
        (builder().host("a b"), HttpError::Host),
        (builder().host("a\r\nX: y"), HttpError::Host),
        (
            builder().header("X-One", "1").header("X Two", "2"),
            HttpError::Header { number: 2 },
        ),
        (
            builder().header("X-One", "1\r\nX: y"),
            HttpError::Header { number: 1 },
        ),
        (builder().header("host", "b"), HttpError::Header { number: 1 }),
        (
            builder().header("Content-Length", "5"),
            HttpError::Header { number: 1 },
        ),
        (
            builder().expect_status(std::ops::RangeInclusive::new(399, 200)),
            status(399, 200),
        ),
        (builder().expect_status(199..=200), status(199, 200)),
        (builder().expect_status(200..=600), status(200, 600)),
        (
            builder().expect_body(""),
            HttpError::Body {
                length: 0,
                max_body: 65536,
            },
        ),
        (
            builder().expect_body("ab").max_body(1),
            HttpError::Body {
                length: 2,
                max_body: 1,
            },
        ),
        (
            builder().max_body(Http::MAX_BODY_LIMIT + 1),
            HttpError::MaxBody {
                got: Http::MAX_BODY_LIMIT + 1,
            },
        ),
    ];
    for (builder, error) in cases {
        assert_eq!(builder.build().map(|_| ()), Err(error));
    }
    assert!(
        builder()
            .host("[::1]:8080")
            .path("/é?q=1")
            .expect_status(200..=599)
            .build()
            .is_ok()
    );
}

/// A server on loopback that gives one connection to `serve`, and keeps the request.
struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
    seen: Arc<Mutex<Vec<u8>>>,
}

impl Server {
    async fn start<F, Fut, T>(serve: F) -> Self
    where
        F: FnOnce(TcpStream) -> Fut + Send + 'static,
        Fut: Future<Output = T> + Send,
        T: Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let peeked = seen.clone();
        let task = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 2048];
            let n = stream.peek(&mut buffer).await.unwrap();
            peeked.lock().unwrap().extend_from_slice(&buffer[..n]);
            let _held = serve(stream).await;
            std::future::pending::<()>().await;
        });
        Self { address, task, seen }
    }

    fn request(&self) -> String {
        String::from_utf8(self.seen.lock().unwrap().clone()).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads until the blank line.
async fn read_request(stream: &mut TcpStream) -> bool {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_buf(&mut request).await {
            Ok(n) if n > 0 => {}
            _ => return false,
        }
    }
    true
}

/// Reads the request, answers with these bytes, and closes.
fn answer(bytes: impl Into<String>) -> impl FnOnce(TcpStream) -> BoxFuture {
    let bytes = bytes.into();
    move |mut stream| {
        Box::pin(async move {
            read_request(&mut stream).await;
            let _ = stream.write_all(bytes.as_bytes()).await;
            let _ = stream.shutdown().await;
        })
    }
}

type BoxFuture = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

fn answer_status(status: u16) -> impl FnOnce(TcpStream) -> BoxFuture {
    answer(format!(
        "HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    ))
}

async fn run(http: HttpBuilder) -> Outcome {
    http.build().unwrap().probe(AMPLE).await
}

async fn get<F, Fut, T>(serve: F, set: impl FnOnce(HttpBuilder) -> HttpBuilder) -> Outcome
where
    F: FnOnce(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = T> + Send,
    T: Send,
{
    let server = Server::start(serve).await;
    run(set(Http::builder(server.address))).await
}

/// Probes with a short timeout, and checks that the run ends soon after it.
async fn timed<F, Fut, T>(serve: F) -> Outcome
where
    F: FnOnce(TcpStream) -> Fut + Send + 'static,
    Fut: Future<Output = T> + Send,
    T: Send,
{
    let server = Server::start(serve).await;
    let http = Http::builder(server.address).build().unwrap();
    let start = Instant::now();
    let outcome = http.probe(SHORT).await;
    assert!(start.elapsed() >= SHORT && start.elapsed() < AMPLE);
    // Let the server see the end.
    tokio::spawn(async move {
        tokio::time::sleep(SHORT).await;
        drop(server);
    });
    outcome
}
