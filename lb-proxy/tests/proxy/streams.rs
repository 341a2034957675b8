//! Random bytes in, order out: whatever clients send, every request that a backend gets is well-formed (its reader is
//! strict), there are never more of them than answers, and every client gets its own.

use std::collections::HashSet;
use std::fmt::Debug;
use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestRunner};

use crate::support::{Backend, Client, Next, PATIENCE, proxy};

/// Runs `test` on `cases` values of each of several runners at a time: most of a case is waiting.
fn check<S: Strategy<Value: Debug>>(
    cases: u32,
    strategy: impl Fn() -> S + Sync,
    test: impl Fn(S::Value) -> Result<(), TestCaseError> + Sync,
) {
    let config = ProptestConfig {
        cases,
        max_shrink_iters: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    std::thread::scope(|scope| {
        for _ in 0..RUNNERS {
            let (config, strategy, test) = (config.clone(), &strategy, &test);
            scope.spawn(move || {
                if let Err(error) = TestRunner::new(config).run(&strategy(), test) {
                    panic!("{error}");
                }
            });
        }
    });
}

const RUNNERS: usize = 8;

/// How long a connection is silent once everything has been answered.
const QUIET: Duration = Duration::from_millis(100);

/// Whole requests, each of another kind.
const REQUESTS: [&str; 12] = [
    "GET /a HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /b?c HTTP/1.1\r\nHost: example.com:80\r\nAccept: */*\r\nX-Long: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n",
    "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\nhello world",
    "POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 38\r\n\r\nGET /inside HTTP/1.1\r\nHost: inside\r\n\r\n",
    "PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n",
    "PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n26\r\nGET /inside HTTP/1.1\r\nHost: inside\r\n\r\n\r\n0\r\nX: y\r\n\r\n",
    "DELETE /d HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-Y\r\nX-Y: z\r\n\r\n",
    "POST /e HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nok",
    "GET http://b/abs HTTP/1.1\r\nHost: a\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /old HTTP/1.0\r\nConnection: keep-alive\r\nHost: a\r\n\r\n",
];

/// One change to a stream of bytes; positions are taken modulo its length.
#[derive(Debug, Clone)]
enum Mutation {
    Replace(usize, u8),
    Insert(usize, Vec<u8>),
    Remove(usize, usize),
    Repeat(usize, usize),
    Swap(usize, usize),
}

/// What protocols are made of, and what breaks them.
fn spice() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::sample::select(vec![
            "\r\n",
            "\n",
            "\r",
            "\r\n\r\n",
            " ",
            "\t",
            ":",
            ";",
            ",",
            "\0",
            "\x0b",
            "0",
            "5",
            "0\r\n\r\n",
            "-",
            "+",
            "0x",
            "Content-Length: 5\r\n",
            "Content-Length: 0\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Host: b\r\n",
            "Transfer-Encoding: identity\r\n",
            "Connection: close\r\n",
            "Connection: Content-Length\r\n",
            "X: y\r\n ",
            "GET /in HTTP/1.1\r\nHost: in\r\n\r\n",
            "HTTP/1.1",
            "Upgrade: websocket\r\nConnection: upgrade\r\n",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 1..4),
    ]
}

fn mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Replace(at, byte)),
        (any::<usize>(), spice()).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        (any::<usize>(), 1..8_usize).prop_map(|(at, count)| Mutation::Remove(at, count)),
        (any::<usize>(), 1..40_usize).prop_map(|(at, count)| Mutation::Repeat(at, count)),
        (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Mutation::Swap(a, b)),
    ]
}

fn mutate(bytes: &mut Vec<u8>, mutation: Mutation) {
    if bytes.is_empty() {
        return;
    }
    let len = bytes.len();
    match mutation {
        Mutation::Replace(at, byte) => bytes[at % len] = byte,
        Mutation::Insert(at, new) => {
            bytes.splice(at % len..at % len, new);
        }
        Mutation::Remove(at, count) => {
            bytes.drain(at % len..(at % len + count).min(len));
        }
        Mutation::Repeat(at, count) => {
            let copy = bytes[at % len..(at % len + count).min(len)].to_vec();
            bytes.splice(at % len..at % len, copy);
        }
        Mutation::Swap(a, b) => bytes.swap(a % len, b % len),
    }
}

/// A stream of requests with a few changes, and where it is cut on its way.
fn stream() -> impl Strategy<Value = (Vec<u8>, Vec<usize>)> {
    let requests = prop::collection::vec(prop::sample::select(REQUESTS.to_vec()), 1..5);
    let cuts = prop::collection::vec(any::<usize>(), 0..4);
    (requests, prop::collection::vec(mutation(), 0..4), cuts).prop_map(|(requests, mutations, cuts)| {
        let mut bytes = requests.concat().into_bytes();
        for mutation in mutations {
            mutate(&mut bytes, mutation);
        }
        (bytes, cuts)
    })
}

fn send(client: &mut Client, bytes: &[u8], cuts: &[usize]) {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.sort_unstable();
    cuts.push(bytes.len());
    let mut start = 0;
    for cut in cuts {
        if client.try_send(&bytes[start..cut]).is_err() {
            return;
        }
        start = cut;
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Counts final answers. No body of theirs looks like one.
fn answers(received: &[u8]) -> usize {
    let text = String::from_utf8_lossy(received);
    text.match_indices("HTTP/1.")
        .filter(|(at, _)| !text[at + 8..].starts_with(" 1"))
        .count()
}

/// Sends a stream to a proxy with a strict backend behind it, and checks the rules.
fn attempt(bytes: &[u8], cuts: &[usize]) -> Result<(), TestCaseError> {
    let backend = Backend::text("x");
    let proxy = proxy(&[backend.address]);
    let mut client = Client::connect(proxy.addresses()[0]);
    client.socket().set_read_timeout(Some(QUIET)).expect("a timeout");
    send(&mut client, bytes, cuts);
    let deadline = Instant::now() + PATIENCE;
    let (mut received, mut ended) = (Vec::new(), false);
    let (mut seen, mut answered) = (0, 0);
    while Instant::now() < deadline {
        ended = client.read_more(&mut received) || ended;
        (seen, answered) = (backend.requests().len(), answers(&received));
        if seen <= answered || ended {
            break;
        }
    }
    prop_assert!(
        seen <= answered,
        "{seen} requests {:?}, and these answers: {:?}",
        backend.requests(),
        String::from_utf8_lossy(&received)
    );
    prop_assert_eq!(backend.malformed(), Vec::<String>::new());
    // The proxy is as good as before.
    let after = Client::connect(proxy.addresses()[0]).get("/after");
    prop_assert_eq!(after.text(), "x");
    drop(client);
    let deadline = Instant::now() + PATIENCE;
    while proxy.status().counters.connections > 0 || proxy.config().upstream().status().backends[0].active > 0
    {
        prop_assert!(
            Instant::now() < deadline,
            "a connection or a request is left over"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

#[test]
fn changed_requests_never_become_more_or_worse_ones() {
    check(60, stream, |(bytes, cuts)| {
        attempt(&bytes, &cuts).map_err(|error| match error {
            TestCaseError::Fail(why) => TestCaseError::fail(format!(
                "{why}: {:?} cut at {cuts:?}",
                String::from_utf8_lossy(&bytes)
            )),
            reject => reject,
        })
    });
}

#[test]
fn whole_requests_pass_however_they_are_cut() {
    let strategy = || {
        (
            prop::collection::vec(prop::sample::select(REQUESTS.to_vec()), 1..6),
            prop::collection::vec(any::<usize>(), 0..12),
        )
    };
    check(40, strategy, |(requests, cuts)| {
        let backend = Backend::text("x");
        let proxy = proxy(&[backend.address]);
        let mut client = Client::connect(proxy.addresses()[0]);
        send(&mut client, requests.concat().as_bytes(), &cuts);
        for request in &requests {
            let method = request.split(' ').next().expect("a method");
            let answer = client.try_response(method);
            prop_assert!(
                answer.as_ref().is_ok_and(|answer| answer.status == 200),
                "{answer:?}"
            );
        }
        let seen = backend.requests();
        prop_assert_eq!(seen.len(), requests.len());
        for (seen, sent) in seen.iter().zip(&requests) {
            prop_assert!(sent.starts_with(&seen.method));
            let inside = sent.contains("/inside");
            prop_assert_eq!(seen.body.starts_with(b"GET /inside"), inside);
        }
        prop_assert_eq!(backend.malformed(), Vec::<String>::new());
        Ok(())
    });
}

/// What a client of several does next.
#[derive(Debug, Clone)]
enum Step {
    Get,
    Post(usize),
    Chunks(Vec<usize>),
    Head,
    Pipeline(usize),
    /// Asks and leaves without the answer; a new connection takes its place.
    Leave,
    /// Asks, begins to ask once more, and leaves with the first answer.
    Half,
    /// Asks for a backend that sends more than an answer.
    Extra,
    /// Breaks HTTP; a new connection takes its place.
    Break,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Get),
        2 => (0..3000_usize).prop_map(Step::Post),
        2 => prop::collection::vec(1..2000_usize, 0..4).prop_map(Step::Chunks),
        1 => Just(Step::Head),
        1 => (2..5_usize).prop_map(Step::Pipeline),
        1 => Just(Step::Leave),
        1 => Just(Step::Half),
        1 => Just(Step::Extra),
        1 => Just(Step::Break),
    ]
}

/// Answers each request with its target and the length of its body.
fn mirror() -> Backend {
    Backend::start(|request, stream| {
        let text = format!("{}={}", request.target, request.body.len());
        let body = if request.method == "HEAD" { "" } else { &text };
        let extra = if request.target.starts_with("/extra") {
            "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
        } else {
            ""
        };
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}{extra}",
            text.len()
        );
        if stream.write_all(answer.as_bytes()).is_err() {
            return Next::Close;
        }
        Next::Keep
    })
}

/// One of several clients of the same proxy; every target that it asks for is its own.
struct Own {
    proxy: SocketAddr,
    client: Client,
    name: usize,
    asked: usize,
}

impl Own {
    fn new(proxy: SocketAddr, name: usize) -> Self {
        Self {
            proxy,
            client: Client::connect(proxy),
            name,
            asked: 0,
        }
    }

    fn target(&mut self, kind: &str) -> String {
        self.asked += 1;
        format!("/{kind}-{}-{}", self.name, self.asked)
    }

    fn expect(&mut self, method: &str, text: &str) -> Result<(), TestCaseError> {
        match self.client.try_response(method) {
            Ok(answer) => {
                prop_assert_eq!((answer.status, answer.text()), (200, text));
                if answer.header("connection") == Some("close") {
                    self.client = Client::connect(self.proxy);
                }
                Ok(())
            }
            Err(error) => Err(TestCaseError::fail(format!("no answer for {text:?}: {error}"))),
        }
    }

    fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Get | Step::Extra => {
                let target = self.target(if matches!(step, Step::Extra) {
                    "extra"
                } else {
                    "get"
                });
                self.client
                    .send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
                self.expect("GET", &format!("{target}=0"))
            }
            Step::Post(length) => {
                let target = self.target("post");
                let body = "b".repeat(*length);
                self.client.send(format!(
                    "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}"
                ));
                self.expect("POST", &format!("{target}={length}"))
            }
            Step::Chunks(lengths) => {
                let target = self.target("put");
                let chunks: String = lengths
                    .iter()
                    .map(|n| format!("{n:x}\r\n{}\r\n", "c".repeat(*n)))
                    .collect();
                self.client.send(format!(
                    "PUT {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"
                ));
                self.expect("PUT", &format!("{target}={}", lengths.iter().sum::<usize>()))
            }
            Step::Head => {
                let target = self.target("head");
                self.client
                    .send(format!("HEAD {target} HTTP/1.1\r\nHost: a\r\n\r\n"));
                self.expect("HEAD", "")
            }
            Step::Pipeline(count) => {
                let targets: Vec<_> = (0..*count).map(|_| self.target("pipe")).collect();
                let requests: String = targets
                    .iter()
                    .map(|target| format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"))
                    .collect();
                self.client.send(requests);
                targets
                    .iter()
                    .try_for_each(|target| self.expect("GET", &format!("{target}=0")))
            }
            Step::Leave => {
                let target = self.target("leave");
                self.client.send(format!(
                    "POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nGET /half HT"
                ));
                self.client = Client::connect(self.proxy);
                Ok(())
            }
            Step::Half => {
                let target = self.target("get");
                self.client.send(format!(
                    "GET {target} HTTP/1.1\r\nHost: a\r\n\r\nGET /unfinished HTTP/1.1\r\nHo"
                ));
                self.expect("GET", &format!("{target}=0"))?;
                self.client = Client::connect(self.proxy);
                Ok(())
            }
            Step::Break => {
                let target = self.target("break");
                self.client.send(format!(
                    "GET {target} HTTP/1.1\r\nHost: a\r\nBad Header: x\r\n\r\n"
                ));
                let answer = self.client.try_response("GET");
                prop_assert!(
                    answer.as_ref().is_ok_and(|answer| answer.status == 400),
                    "{answer:?}"
                );
                self.client = Client::connect(self.proxy);
                Ok(())
            }
        }
    }
}

#[test]
fn clients_that_share_upstream_connections_get_their_own_answers() {
    let strategy = || prop::collection::vec((0..3_usize, step()), 1..30);
    check(24, strategy, |steps| {
        let backend = mirror();
        let proxy = proxy(&[backend.address]);
        let mut clients: Vec<_> = (0..3).map(|name| Own::new(proxy.addresses()[0], name)).collect();
        for (client, step) in &steps {
            clients[*client].take(step)?;
        }
        let targets: Vec<_> = backend
            .requests()
            .into_iter()
            .map(|request| request.target)
            .collect();
        let distinct: HashSet<_> = targets.iter().collect();
        prop_assert_eq!(
            distinct.len(),
            targets.len(),
            "a request came twice: {:?}",
            targets
        );
        prop_assert!(
            targets
                .iter()
                .all(|target| !target.starts_with("/break") && !target.starts_with("/leave"))
        );
        prop_assert_eq!(backend.malformed(), Vec::<String>::new());
        Ok(())
    });
}
