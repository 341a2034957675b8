//! When a request is sent again, and when it must not be.

use std::io::{BufRead, Read, Write};
use std::net::TcpListener;
use std::time::Duration;

use crate::support::{Backend, Client, Next, dead_address, proxy, proxy_with};

const POST: &str = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";

#[test]
fn a_failed_connect_is_retried_for_every_method() {
    let (dead, _socket) = dead_address();
    let alive = Backend::text("x");
    let proxy = proxy(&[dead, alive.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    for request in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        POST,
        "PATCH / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
    ] {
        for _ in 0..2 {
            assert_eq!(client.ask(request).text(), "x", "{request:?}");
        }
    }
    assert_eq!(alive.requests().len(), 6);
    assert!(
        alive
            .requests()
            .iter()
            .skip(2)
            .all(|request| !request.body.is_empty())
    );
}

#[test]
fn an_idempotent_request_goes_on_after_a_closed_connection() {
    for (request, body) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", ""),
        (
            "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
            "hello",
        ),
        (
            "DELETE / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "hello",
        ),
    ] {
        let closing = Backend::start(|_, _| Next::Close);
        let alive = Backend::text("x");
        let proxy = proxy(&[closing.address, alive.address]);
        assert_eq!(Client::connect(proxy.addresses()[0]).ask(request).text(), "x");
        assert_eq!(closing.requests().len(), 1);
        assert_eq!(alive.request().body, body.as_bytes(), "{request:?}");
    }
}

#[test]
fn a_post_that_may_have_been_processed_is_not_sent_again() {
    let closing = Backend::start(|_, _| Next::Close);
    let alive = Backend::text("x");
    let proxy = proxy(&[closing.address, alive.address]);
    let answer = Client::connect(proxy.addresses()[0]).ask(POST);
    assert_eq!(
        (answer.status, answer.text()),
        (502, "502 Bad Gateway: the upstream closed the connection\n")
    );
    assert_eq!((closing.requests().len(), alive.requests().len()), (1, 0));
}

#[test]
fn a_body_beyond_the_replay_buffer_is_sent_once() {
    let closing = Backend::start(|_, _| Next::Close);
    let alive = Backend::text("x");
    let proxy = proxy_with(&[closing.address, alive.address], |config| {
        config.replay_buffer(1000)
    });
    let request = |length| {
        format!(
            "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{}",
            "x".repeat(length)
        )
    };
    assert_eq!(
        Client::connect(proxy.addresses()[0]).ask(request(1001)).status,
        502
    );
    assert_eq!(alive.requests().len(), 0);
    assert_eq!(Client::connect(proxy.addresses()[0]).get("/").status, 200);
    assert_eq!(
        Client::connect(proxy.addresses()[0]).ask(request(1000)).status,
        200
    );
    assert_eq!(alive.requests().last().expect("a request").body.len(), 1000);
}

#[test]
fn nothing_is_retried_once_a_byte_of_the_answer_went_out() {
    let broken = Backend::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        Next::Close
    });
    let alive = Backend::text("x");
    let proxy = proxy(&[broken.address, alive.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(client.try_response("GET").is_err());
    assert_eq!(alive.requests().len(), 0);
}

#[test]
fn no_backend_is_tried_twice_and_the_tries_are_bounded() {
    let backends: Vec<_> = (0..5).map(|_| Backend::start(|_, _| Next::Close)).collect();
    let addresses: Vec<_> = backends.iter().map(|backend| backend.address).collect();
    let seen = |backends: &[Backend]| {
        backends
            .iter()
            .map(|backend| backend.requests().len())
            .collect::<Vec<_>>()
    };
    {
        let proxy = proxy(&addresses);
        assert_eq!(Client::connect(proxy.addresses()[0]).get("/").status, 502);
        assert_eq!(seen(&backends), [1, 1, 1, 0, 0]);
        assert_eq!(proxy.status().counters.retries, 2);
    }
    let proxy = proxy_with(&addresses, |config| config.retry_tries(64));
    assert_eq!(Client::connect(proxy.addresses()[0]).get("/").status, 502);
    assert_eq!(seen(&backends), [2, 2, 2, 1, 1]);
}

#[test]
fn the_time_for_retries_is_bounded() {
    let backends: Vec<_> = (0..5)
        .map(|_| {
            Backend::start(|_, _| {
                std::thread::sleep(Duration::from_millis(700));
                Next::Close
            })
        })
        .collect();
    let addresses: Vec<_> = backends.iter().map(|backend| backend.address).collect();
    let proxy = proxy_with(&addresses, |config| {
        config.retry_tries(64).retry_timeout(Duration::from_millis(1200))
    });
    assert_eq!(Client::connect(proxy.addresses()[0]).get("/").status, 502);
    assert_eq!(
        backends
            .iter()
            .map(|backend| backend.requests().len())
            .sum::<usize>(),
        2
    );
}

#[test]
fn a_silent_backend_is_left_for_the_next_by_idempotent_requests_alone() {
    let silent = Backend::start(|_, _| Next::Keep);
    let alive = Backend::text("x");
    let proxy = proxy_with(&[silent.address, alive.address], |config| {
        config.read_timeout(Duration::from_millis(200))
    });
    let mut client = Client::connect(proxy.addresses()[0]);
    assert_eq!(client.get("/").text(), "x");
    let answer = client.ask(POST);
    assert_eq!(
        (answer.status, answer.text()),
        (504, "504 Gateway Timeout: the upstream timed out\n")
    );
    assert_eq!(alive.requests().len(), 1);
}

#[test]
fn a_kept_connection_that_the_backend_closed_is_no_failure() {
    // Closes each connection after one answer, without saying so.
    let backend = Backend::start(|_, stream| {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
        Next::Close
    });
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    for n in 0..50 {
        let request = if n % 2 == 0 {
            POST
        } else {
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
        };
        assert_eq!(client.ask(request).text(), "x");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(backend.requests().len(), 50);
    assert_eq!(proxy.config().upstream().status().backends[0].failures, 0);
}

#[test]
fn a_kept_connection_that_dies_under_a_get_is_replaced() {
    // Takes the second request of a connection and closes without an answer: the race of a keep-alive that runs out.
    let backend = Backend::raw(|connection, mut reader, record| {
        let mut stream = reader.get_ref().try_clone().expect("a descriptor");
        for answered in [true, connection > 0] {
            let mut line = String::new();
            while line != "\r\n" {
                line.clear();
                if reader.read_line(&mut line).unwrap_or(0) == 0 {
                    return;
                }
            }
            record(Err(format!("connection {connection}")));
            if answered {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
            }
        }
    });
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    assert_eq!(client.get("/").text(), "x");
    assert_eq!(client.get("/").text(), "x");
    assert_eq!(
        backend.malformed(),
        ["connection 0", "connection 0", "connection 1"]
    );
    assert_eq!(proxy.config().upstream().status().backends[0].failures, 0);
}

#[test]
fn a_post_does_not_go_over_an_old_connection() {
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    client.get("/");
    client.ask(POST);
    assert_eq!(backend.connections(), 1, "it is young");
    std::thread::sleep(Duration::from_millis(1100));
    client.ask(POST);
    assert_eq!(backend.connections(), 2, "it has been idle for a second");
    std::thread::sleep(Duration::from_millis(1100));
    client.get("/");
    assert_eq!(backend.connections(), 2, "a GET takes any");
}

#[test]
fn a_connect_that_hangs_is_bounded_and_retried() {
    // A listener whose queue is full drops further SYNs.
    let listener =
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().expect("an address");
    listener.bind(&any.into()).expect("a free port");
    listener.listen(0).expect("listening");
    let listener = TcpListener::from(listener);
    let full = listener.local_addr().expect("bound");
    let fill: Vec<_> = (0..8)
        .map(|_| std::net::TcpStream::connect_timeout(&full, Duration::from_millis(100)))
        .collect();
    assert!(fill.iter().any(Result::is_err), "the queue is full");
    let alive = Backend::text("x");
    let proxy = proxy_with(&[full, alive.address], |config| {
        config.connect_timeout(Duration::from_millis(200))
    });
    assert_eq!(Client::connect(proxy.addresses()[0]).ask(POST).text(), "x");
    let alone = proxy_with(&[full], |config| {
        config.connect_timeout(Duration::from_millis(200))
    });
    let answer = Client::connect(alone.addresses()[0]).get("/");
    assert_eq!(
        (answer.status, answer.text()),
        (504, "504 Gateway Timeout: connecting to the upstream timed out\n")
    );
}

#[test]
fn a_client_that_goes_away_counts_for_nothing() {
    let (started, wait) = std::sync::mpsc::channel();
    let started = std::sync::Mutex::new(started);
    let backend = Backend::raw(move |_, mut reader, _| {
        let mut byte = [0];
        let _ = reader.read(&mut byte);
        let _ = started.lock().expect("no panic").send(());
        let _ = std::io::copy(&mut reader, &mut std::io::sink());
        let _ = started.lock().expect("no panic").send(());
    });
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    wait.recv_timeout(crate::support::PATIENCE)
        .expect("the request came");
    assert_eq!(proxy.config().upstream().status().backends[0].active, 1);
    drop(client);
    wait.recv_timeout(crate::support::PATIENCE)
        .expect("the backend's connection is closed");
    crate::support::eventually("nothing is under way", || {
        proxy.config().upstream().status().backends[0].active == 0
    });
    assert_eq!(proxy.config().upstream().status().backends[0].failures, 0);
}

#[test]
fn a_connection_is_not_used_for_longer_than_the_backend_keeps_it() {
    let backend =
        Backend::bytes("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=2, max=100\r\nContent-Length: 1\r\n\r\nx");
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    client.get("/");
    client.get("/");
    assert_eq!(backend.connections(), 1);
    std::thread::sleep(Duration::from_millis(1100));
    client.get("/");
    assert_eq!(backend.connections(), 2, "two seconds, less one for the way");
}

#[test]
fn what_may_be_sent_again_is_decided_by_the_method() {
    for (method, again) in [
        ("GET", true),
        ("HEAD", true),
        ("OPTIONS", true),
        ("PUT", true),
        ("DELETE", true),
        ("POST", false),
        ("PATCH", false),
        ("LOCK", false),
    ] {
        let closing = Backend::start(|_, _| Next::Close);
        let alive = Backend::bytes("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        let proxy = proxy(&[closing.address, alive.address]);
        let mut client = Client::connect(proxy.addresses()[0]);
        client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n"));
        let status = client.try_response(method).expect("an answer").status;
        assert_eq!(status, if again { 200 } else { 502 }, "{method}");
        assert_eq!(
            (closing.requests().len(), alive.requests().len()),
            (1, again.into()),
            "{method}"
        );
    }
}

#[test]
fn the_second_backend_gets_the_very_same_request() {
    let closing = Backend::start(|_, _| Next::Close);
    let alive = Backend::text("x");
    let proxy = proxy(&[closing.address, alive.address]);
    for request in [
        "PUT /a?b HTTP/1.1\r\nHost: a\r\nConnection: close, X-Y\r\nX-Y: z\r\nX-Keep: 1\r\nContent-Length: 5\r\n\r\nhello",
        "PUT /c HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x\r\nllo\r\n0\r\nX-Sum: 1\r\n\r\n",
    ] {
        // Two requests on the same pair take turns: the first one of a pair goes to the backend that closes.
        let before = (closing.requests().len(), alive.requests().len());
        while closing.requests().len() == before.0 {
            assert_eq!(Client::connect(proxy.addresses()[0]).ask(request).text(), "x");
        }
        let (first, second) = (
            closing.requests().pop().expect("one"),
            alive.requests().pop().expect("one"),
        );
        assert_eq!(
            (
                &first.method,
                &first.target,
                &first.headers,
                &first.body,
                &first.trailers
            ),
            (
                &second.method,
                &second.target,
                &second.headers,
                &second.body,
                &second.trailers
            )
        );
        assert_eq!(second.body, b"hello");
    }
}

#[test]
fn an_answer_of_any_status_is_an_answer() {
    // nginx's default is `error timeout`: a 5xx of a backend goes to the client, and is not asked for twice.
    let failing = Backend::bytes("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy");
    let alive = Backend::text("x");
    let proxy = proxy(&[failing.address, alive.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    let answer = client.get("/");
    assert_eq!((answer.status, answer.text()), (503, "busy"));
    assert_eq!((failing.requests().len(), alive.requests().len()), (1, 0));
}

#[test]
fn a_request_that_was_half_sent_is_half_a_request_and_may_be_sent_elsewhere() {
    // The backend closes once it has the head and some of the body; the whole goes to the next.
    let closing = Backend::raw(|_, mut reader, _| {
        let mut some = [0; 200];
        let _ = reader.read(&mut some);
    });
    let alive = Backend::text("x");
    let proxy = proxy(&[closing.address, alive.address]);
    let body = "y".repeat(40_000);
    let request = format!(
        "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    for _ in 0..4 {
        assert_eq!(Client::connect(proxy.addresses()[0]).ask(&request).text(), "x");
    }
    assert_eq!(alive.requests().len(), 4);
    assert!(
        alive
            .requests()
            .iter()
            .all(|request| request.body == body.as_bytes())
    );
}

#[test]
fn what_a_backend_may_have_seen_is_sent_again_within_a_budget() {
    let closing = Backend::start(|_, _| Next::Close);
    let other = Backend::start(|_, _| Next::Close);
    let proxy = proxy_with(&[closing.address, other.address], |config| {
        config.retry_percent(0).retry_floor(1)
    });
    let start = std::time::Instant::now();
    for _ in 0..60 {
        assert_eq!(Client::connect(proxy.addresses()[0]).get("/").status, 502);
    }
    // Ten from the start, and one for each second that it took.
    let most = 11 + start.elapsed().as_secs();
    let retries = proxy.status().counters.retries;
    assert!((10..=most).contains(&retries), "{retries} of {most}");
    assert_eq!(
        (closing.requests().len() + other.requests().len()) as u64,
        60 + retries
    );
}

#[test]
fn what_no_backend_has_seen_goes_on_without_a_budget() {
    let (dead, _socket) = dead_address();
    let alive = Backend::text("x");
    let proxy = proxy_with(&[dead, alive.address], |config| {
        config.retry_percent(0).retry_floor(0)
    });
    for _ in 0..30 {
        assert_eq!(Client::connect(proxy.addresses()[0]).ask(POST).text(), "x");
    }
    assert_eq!(alive.requests().len(), 30);
    assert_eq!(
        proxy.status().counters.retries,
        30,
        "the turn of the first comes again with each request"
    );
}
