//! Checks of backends on real sockets: what is asked, and what comes of the answers.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ha_health::CheckConfigBuilder;
use ha_health::probe::{Http, HttpBuilder, Probe, ProbeFuture};
use ha_health::{CheckConfig, Failure, Outcome};
use ha_stack::config::Configuration;
use ha_stack::{BackendCheckStatus, BuildError, Event, Events, Handle, Stack, UpstreamCheck};
use lb_proxy::balance::{self, BackendConfig, BackendId, BackendState, Tried, Upstream, UpstreamConfig};

#[test]
fn a_backend_gets_no_requests_while_its_check_is_down() {
    let backends = [Backend::start(), Backend::start()];
    let upstream = upstream(&backends, |backend| backend);
    let mut handle = spawn(&upstream, http(quick()));
    let mut events = handle.events();
    poll(|| up(&handle) == 2);
    assert_eq!(picks(&upstream), ["a", "b"]);

    backends[1].answer("503 Off");
    let down = check_event(&mut events);
    assert_eq!(
        down,
        "upstream app: backend b: check down: unexpected status 503: Service Unavailable"
    );
    poll(|| picks(&upstream) == ["a"]);
    let [a, b] = &checks(&handle)[..] else { panic!() };
    assert_eq!((&*a.upstream, a.backend.as_str(), a.up), ("app", "a", Some(true)));
    assert_eq!((b.backend.as_str(), b.up), ("b", Some(false)));
    assert_eq!(
        b.last.as_ref().unwrap().failure(),
        Some(Failure::Status { status: 503 })
    );
    assert!(b.counters.failures >= 3 && b.counters.transitions == 1, "{b:?}");
    assert!(b.since.unwrap() < a.since.unwrap());
    assert!(
        a.next.is_none_or(|next| next <= Duration::from_millis(60)),
        "{a:?}"
    );

    backends[1].answer("200 OK");
    assert_eq!(
        check_event(&mut events),
        "upstream app: backend b: check up: ok: 200 OK"
    );
    poll(|| picks(&upstream) == ["a", "b"]);
    let requests = backends[0].requests();
    assert!(
        requests[0].starts_with("GET /health HTTP/1.1\r\n"),
        "{requests:?}"
    );
    handle.shutdown(Duration::ZERO).wait().unwrap();
    // Nobody asks any more.
    let asked = backends[0].requests().len();
    pause(Duration::from_millis(200));
    assert_eq!(backends[0].requests().len(), asked);
}

#[test]
fn a_mandatory_check_lets_no_request_through_before_it_has_passed() {
    for mandatory in [false, true] {
        let backends = [Backend::start()];
        backends[0].halt(true);
        let upstream = upstream(&backends, |backend| backend.mandatory(mandatory));
        let timeout = Duration::from_secs(10);
        let handle = spawn(&upstream, http(quick().timeout(timeout)));
        poll(|| backends[0].accepted() == 1);
        let expected: &[&str] = if mandatory { &[] } else { &["a"] };
        assert_eq!(picks(&upstream), expected);
        assert_eq!(up(&handle), 0);
        backends[0].halt(false);
        poll(|| picks(&upstream) == ["a"] && up(&handle) == 1);
    }
}

#[test]
fn a_body_without_the_expected_text_is_a_failure() {
    let backends = [Backend::start()];
    let upstream = upstream(&backends, |backend| backend);
    let check = UpstreamCheck::http(quick().build().unwrap(), request().expect_body("rea:dy"));
    let mut handle = spawn(&upstream, check.unwrap());
    assert_eq!(
        check_event(&mut handle.events()),
        "upstream app: backend a: check down: expected text not in the first 2 bytes of the body"
    );
}

/// The next run would come after a minute.
#[test]
fn a_request_that_fails_has_the_check_ask_at_once() {
    let backends = [Backend::start(), Backend::start()];
    let upstream = upstream(&backends, |backend| backend.max_fails(0));
    let minute = Duration::from_secs(60);
    let times = quick().interval(minute).fast_interval(Duration::from_millis(30));
    let mut handle = spawn(&upstream, http(times));
    let mut events = handle.events();
    poll(|| up(&handle) == 2);
    backends[1].answer("500 Broken");
    pause(Duration::from_millis(300));
    assert_eq!(backends[1].requests().len(), 1);

    let began = Instant::now();
    let fail = || {
        let mut tried = Tried::new();
        loop {
            let pick = upstream.pick(now(), &tried).unwrap();
            if pick.id().as_str() == "b" {
                pick.finish(now(), balance::Outcome::Failure);
                return;
            }
            tried.insert(&pick);
        }
    };
    fail();
    assert!(check_event(&mut events).starts_with("upstream app: backend b: check down"));
    assert!(began.elapsed() < minute / 2);
    assert_eq!(backends[0].requests().len(), 1, "the other one is not asked");
}

#[test]
fn backends_that_come_and_go_while_running_are_asked_and_not_asked() {
    let backends = [Backend::start(), Backend::start()];
    let only = |which: usize| {
        let backend = BackendConfig::new("a", backends[which].address);
        UpstreamConfig::builder("app").backend(backend).build().unwrap()
    };
    let upstream = Upstream::new(only(0));
    let handle = spawn(&upstream, http(quick()));
    poll(|| !backends[0].requests().is_empty());
    upstream.replace(now(), only(1));
    poll(|| !backends[1].requests().is_empty());
    let asked = backends[0].requests().len();
    pause(Duration::from_millis(300));
    assert_eq!(backends[0].requests().len(), asked);
    assert_eq!(checks(&handle).len(), 1);
    let both = backends.iter().zip(["b", "c"]);
    let both = both.map(|(backend, name)| BackendConfig::new(name, backend.address));
    upstream.replace(
        now(),
        UpstreamConfig::builder("app").backends(both).build().unwrap(),
    );
    poll(|| {
        let names: Vec<_> = checks(&handle).into_iter().map(|one| one.backend).collect();
        names == [BackendId::from("b"), BackendId::from("c")]
    });
}

#[test]
fn a_backend_with_a_check_of_its_own_follows_that_alone() {
    let backends = [Backend::start(), Backend::start()];
    let upstream = upstream(&backends, |backend| backend);
    let well = Arc::new(AtomicBool::new(false));
    let own = CheckConfig::builder("own").interval(Duration::from_millis(20));
    let handle = Stack::builder("n")
        .check(own.build().unwrap(), Switch(Arc::clone(&well)))
        .upstream(upstream.clone())
        .check_backends("app", http(quick()))
        .backend_check("app", "b", "own")
        .build()
        .unwrap()
        .spawn()
        .unwrap();
    poll(|| picks(&upstream) == ["a"] && checks(&handle).len() == 1);
    assert_eq!(backends[1].accepted(), 0);
    well.store(true, Ordering::SeqCst);
    poll(|| picks(&upstream) == ["a", "b"]);
}

#[test]
fn a_probe_of_ones_own_is_made_for_each_backend() {
    let backends = [Backend::start(), Backend::start()];
    let upstream = upstream(&backends, |backend| backend);
    let made = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&made);
    let check = UpstreamCheck::new(quick().build().unwrap(), move |id, address| {
        seen.lock().unwrap().push((id.as_str().to_owned(), address));
        Switch(Arc::new(AtomicBool::new(id.as_str() == "a")))
    });
    let handle = spawn(&upstream, check.port(7));
    poll(|| picks(&upstream) == ["a"]);
    let at = |which: usize| SocketAddr::new(backends[which].address.ip(), 7);
    assert_eq!(
        *made.lock().unwrap(),
        [("a".to_owned(), at(0)), ("b".to_owned(), at(1))]
    );
    assert_eq!(
        checks(&handle)[1].last.as_ref().unwrap().to_string(),
        "switched off"
    );
}

#[test]
fn a_check_for_an_upstream_that_is_not_there_makes_no_stack() {
    let one = upstream(&[Backend::start()], |backend| backend);
    let builder = || {
        let check = || UpstreamCheck::tcp(quick().build().unwrap());
        (Stack::builder("n").upstream(one.clone()), check)
    };
    let (stack, check) = builder();
    let error = stack.check_backends("other", check()).build().unwrap_err();
    assert_eq!(
        error,
        BuildError::UnknownUpstream {
            upstream: "other".to_owned()
        }
    );
    let (stack, check) = builder();
    let twice = stack
        .check_backends("app", check())
        .check_backends("app", check());
    assert_eq!(
        twice.build().unwrap_err(),
        BuildError::DuplicateName {
            kind: "check of upstream",
            name: "app".to_owned()
        }
    );
}

#[test]
fn what_a_file_says_is_what_is_asked() {
    let backends = [Backend::start(), Backend::start()];
    let (one, other) = (backends[0].address, backends[1].address);
    let file = format!(
        "[[upstream]]\nname = \"app\"\nbackends = [\"{one}\"]\n\
         [upstream.check]\nhttp = \"/ready?deep=1\"\nport = {port}\nmethod = \"POST\"\nhost = \"www.example.org\"\n\
         headers = {{ X-Check = \"yes\" }}\nstatus = [204]\nkeep_alive = true\nmandatory = true\n\
         interval = \"50ms\"\nfall = 1\n\
         [[proxy]]\nlisten = \"127.0.0.1:0\"\nworkers = 1\n",
        port = other.port()
    );
    let mut configuration = Configuration::new();
    configuration.add_text("app.toml", file);
    let loaded = configuration.load();
    assert!(loaded.diagnostics().is_empty(), "{}", loaded.render(false));
    let handle = loaded.into_stack().unwrap().spawn().unwrap();
    let state = || handle.status().wait().unwrap().upstreams[0].backends[0].state;
    poll(|| state() == BackendState::Unhealthy);
    backends[1].answer("204 Well");
    poll(|| state() == BackendState::Up);
    let asked = backends[1].requests();
    assert!(
        asked[0].starts_with("POST /ready?deep=1 HTTP/1.1\r\n"),
        "{asked:?}"
    );
    let lower = asked[0].to_lowercase();
    assert!(lower.contains("\r\nhost: www.example.org\r\n"), "{asked:?}");
    assert!(lower.contains("\r\nx-check: yes\r\n"), "{asked:?}");
    poll(|| backends[1].requests().len() > 4);
    assert_eq!(backends[1].accepted(), 1);
    assert_eq!(backends[0].accepted(), 0);
}

/// A server that answers as it is told, and keeps what it was asked.
struct Backend {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    status: Mutex<&'static str>,
    requests: Mutex<Vec<String>>,
    accepted: AtomicUsize,
    halted: AtomicBool,
}

impl Backend {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            status: Mutex::new("200 OK"),
            requests: Mutex::default(),
            accepted: AtomicUsize::new(0),
            halted: AtomicBool::new(false),
        });
        let served = Arc::clone(&shared);
        // It ends with the process.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                served.accepted.fetch_add(1, Ordering::SeqCst);
                let served = Arc::clone(&served);
                std::thread::spawn(move || serve(stream.unwrap(), &served));
            }
        });
        Self { address, shared }
    }

    fn answer(&self, status: &'static str) {
        *self.shared.status.lock().unwrap() = status;
    }

    fn halt(&self, halted: bool) {
        self.shared.halted.store(halted, Ordering::SeqCst);
    }

    fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }

    fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) {
    let mut request = Vec::new();
    loop {
        let mut buffer = [0; 1024];
        match stream.read(&mut buffer) {
            Ok(read @ 1..) => request.extend_from_slice(&buffer[..read]),
            _ => return,
        }
        if !request.ends_with(b"\r\n\r\n") {
            continue;
        }
        while shared.halted.load(Ordering::SeqCst) {
            pause(Duration::from_millis(5));
        }
        let text = String::from_utf8(std::mem::take(&mut request)).unwrap();
        shared.requests.lock().unwrap().push(text);
        let status = *shared.status.lock().unwrap();
        let body = if status.starts_with("204") {
            ""
        } else {
            "Content-Length: 2\r\n\r\nok"
        };
        let end = if body.is_empty() { "\r\n" } else { "" };
        if write!(stream, "HTTP/1.1 {status}\r\n{body}{end}").is_err() {
            return;
        }
    }
}

/// A probe that says what it is told to.
struct Switch(Arc<AtomicBool>);

impl Probe for Switch {
    fn probe(&self, _timeout: Duration) -> ProbeFuture<'_> {
        Box::pin(async {
            match self.0.load(Ordering::SeqCst) {
                true => Outcome::success(),
                false => Failure::Other("switched off").into(),
            }
        })
    }
}

/// Backends called a, b and so on.
fn upstream(backends: &[Backend], set: impl Fn(BackendConfig) -> BackendConfig) -> Upstream {
    let names = ["a", "b", "c"];
    let backends = backends.iter().zip(names);
    let backends = backends.map(|(backend, name)| set(BackendConfig::new(name, backend.address)));
    Upstream::new(UpstreamConfig::builder("app").backends(backends).build().unwrap())
}

fn quick() -> CheckConfigBuilder {
    UpstreamCheck::times("app")
        .interval(Duration::from_millis(50))
        .fast_interval(Duration::from_millis(20))
        .timeout(Duration::from_secs(5))
}

fn request() -> HttpBuilder {
    Http::builder(([127, 0, 0, 1], 1).into()).path("/health")
}

fn http(times: CheckConfigBuilder) -> UpstreamCheck {
    UpstreamCheck::http(times.build().unwrap(), request()).unwrap()
}

fn spawn(upstream: &Upstream, check: UpstreamCheck) -> Handle {
    let stack = Stack::builder("n")
        .upstream(upstream.clone())
        .check_backends("app", check)
        .build()
        .unwrap();
    stack.spawn().unwrap()
}

fn checks(handle: &Handle) -> Vec<BackendCheckStatus> {
    handle.status().wait().unwrap().backend_checks
}

/// How many are up.
fn up(handle: &Handle) -> usize {
    checks(handle)
        .iter()
        .filter(|check| check.up == Some(true))
        .count()
}

/// Who gets requests, in their order.
fn picks(upstream: &Upstream) -> Vec<String> {
    let mut tried = Tried::new();
    let mut ids = Vec::new();
    while let Some(pick) = upstream.pick(now(), &tried) {
        ids.push(pick.id().as_str().to_owned());
        tried.insert(&pick);
    }
    ids.sort();
    ids
}

/// The next event of a check of a backend, in words.
fn check_event(events: &mut Events) -> String {
    loop {
        let event = events.wait().expect("the stack runs");
        if matches!(event, Event::BackendCheck { .. }) {
            return event.to_string();
        }
    }
}

fn now() -> Duration {
    lb_proxy::proxy::now()
}

fn poll(mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < deadline, "not within 20 s");
        pause(Duration::from_millis(5));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test polls; no adverts are sent by this thread"
)]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
