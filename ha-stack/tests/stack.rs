//! A stack in a program: its events, its answers, its end.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use ha_health::probe::{Probe, ProbeFuture, Tcp};
use ha_health::{CheckConfig, Failure, Outcome, WatchConfig, Weight};
use ha_stack::compose::{ProxyError, StartError};
use ha_stack::{
    BuildError, Event, Events, Handle, Instance, SetHmacError, Stack, StackBuilder, Stopped, Track,
};
use lb_proxy::balance::{BackendConfig, BackendState, Upstream, UpstreamConfig};
use lb_proxy::proxy::ProxyConfig;
use vrrp_core::{
    AddressList, Config, ConfigBuilder, HmacConfig, HmacKey, HmacKeys, Priority, Reason, State, Vrid,
};
use vrrp_net::Attachment;
use vrrp_net::lab::{Frame, Lab, LabTest};

#[test]
fn a_proxy_that_was_aborted_can_be_started_again() {
    let mut handle = Stack::builder("n")
        .proxy("web", proxy("127.0.0.1:0"))
        .build()
        .unwrap()
        .spawn()
        .unwrap();
    let mut events = handle.events();
    assert_eq!(running(&handle), [true]);
    handle.abort_proxy("web").wait().unwrap().unwrap();
    assert_eq!(running(&handle), [false]);
    // What has ended already is as it should be.
    handle.abort_proxy("web").wait().unwrap().unwrap();
    handle.start_proxy("web").wait().unwrap().unwrap();
    assert_eq!(running(&handle), [true]);
    assert!(matches!(
        handle.start_proxy("web").wait().unwrap(),
        Err(ProxyError::Running(_))
    ));
    assert!(matches!(
        handle.abort_proxy("other").wait().unwrap(),
        Err(ProxyError::Unknown(_))
    ));
    assert_eq!(events.wait().unwrap().to_string(), "proxy web: stopped");
    assert_eq!(events.wait().unwrap().to_string(), "proxy web: running");
    assert_eq!(handle.shutdown(Duration::from_secs(5)).wait(), Ok(0));
}

#[test]
fn events_come_from_the_start_and_end_with_the_stack() {
    let up = Arc::new(AtomicBool::new(true));
    let check = CheckConfig::builder("c")
        .interval(Duration::from_millis(20))
        .build()
        .unwrap();
    let stack = Stack::builder("n")
        .check(check, Switch(Arc::clone(&up)))
        .build()
        .unwrap();
    let mut handle = stack.spawn().unwrap();
    let mut events = handle.events();
    assert!(matches!(
        events.wait(),
        Some(Event::Check {
            up: true,
            first: true,
            ..
        })
    ));
    up.store(false, Ordering::SeqCst);
    let event = events.wait().unwrap();
    assert_eq!(event.to_string(), "check c: down: switched off");
    let controller = handle.controller();
    assert_eq!(controller.status().wait().unwrap().checks[0].up, Some(false));
    handle.shutdown(Duration::ZERO).wait().unwrap();
    assert!(events.wait().is_none());
    assert_eq!(controller.status().wait().map(|_| ()), Err(Stopped));
}

/// Whoever ends the process when the stack has stopped would leave a script behind.
#[test]
fn a_probe_under_way_has_ended_when_the_stack_has_stopped() {
    struct Hangs(mpsc::Sender<&'static str>);
    struct Slow(mpsc::Sender<&'static str>);
    impl Probe for Hangs {
        fn probe(&self, _timeout: Duration) -> ProbeFuture<'_> {
            let slow = Slow(self.0.clone());
            Box::pin(async move {
                slow.0.send("begins").unwrap();
                std::future::pending::<()>().await;
                drop(slow);
                Outcome::success()
            })
        }
    }
    impl Drop for Slow {
        #[expect(clippy::disallowed_methods, reason = "takes its time to end")]
        fn drop(&mut self) {
            std::thread::sleep(Duration::from_millis(100));
            self.0.send("ends").unwrap();
        }
    }
    let (sender, told) = mpsc::channel();
    let check = CheckConfig::builder("c").build().unwrap();
    let stack = Stack::builder("n").check(check, Hangs(sender)).build().unwrap();
    let handle = stack.spawn().unwrap();
    assert_eq!(told.recv_timeout(Duration::from_secs(5)), Ok("begins"));
    assert_eq!(handle.shutdown(Duration::ZERO).wait(), Ok(0));
    assert_eq!(told.try_recv(), Ok("ends"));
}

#[test]
fn a_probe_that_panics_has_failed_and_the_stack_goes_on() {
    struct Panics;
    impl Probe for Panics {
        fn probe(&self, _timeout: Duration) -> ProbeFuture<'_> {
            Box::pin(async { panic!("a bug in a probe") })
        }
    }
    // A panic is told with a backtrace, which takes its time.
    let check = CheckConfig::builder("c")
        .interval(Duration::from_millis(10))
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap();
    let mut handle = Stack::builder("n")
        .check(check, Panics)
        .build()
        .unwrap()
        .spawn()
        .unwrap();
    let mut events = handle.events();
    assert_eq!(
        events.wait().unwrap().to_string(),
        "check c: down: probe broke off"
    );
    poll(|| handle.status().wait().unwrap().checks[0].counters.runs > 3);
}

#[test]
fn a_check_takes_its_backend_out_and_brings_it_back() {
    let up = Arc::new(AtomicBool::new(false));
    let check = CheckConfig::builder("a")
        .interval(Duration::from_millis(20))
        .build()
        .unwrap();
    let stack = Stack::builder("n")
        .proxy("web", proxy("127.0.0.1:0"))
        .check(check, Switch(Arc::clone(&up)))
        .backend_check("app", "a", "a")
        .build()
        .unwrap();
    let mut handle = stack.spawn().unwrap();
    let mut events = handle.events();
    let mut next_state = || loop {
        if let Event::Backend { to, .. } = events.wait().unwrap() {
            return to;
        }
    };
    assert_eq!(next_state(), BackendState::Unhealthy);
    up.store(true, Ordering::SeqCst);
    assert_eq!(next_state(), BackendState::Up);
}

#[test]
fn a_port_that_is_taken_starts_nothing_even_inside_of_a_runtime() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let free = free_port();
    let stack = Stack::builder("n")
        .proxy("first", proxy(&free.to_string()))
        .proxy("second", proxy(&address.to_string()))
        .build()
        .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let error = runtime.block_on(async { stack.spawn().unwrap_err() });
    let expected = format!(
        "proxy second: can't listen on {address}: Address already in use (os error 98): another program listens there"
    );
    assert_eq!(error.to_string(), expected);
    assert!(matches!(error, StartError::Proxy { .. }));
    // The first one listens no more.
    assert!(TcpStream::connect(free).is_err());
}

#[test]
fn dropping_the_handle_ends_everything() {
    let free = free_port();
    let stack = Stack::builder("n")
        .proxy("web", proxy(&free.to_string()))
        .build()
        .unwrap();
    let mut handle = stack.spawn().unwrap();
    let mut events = handle.events();
    assert!(TcpStream::connect(free).is_ok());
    drop(handle);
    assert!(TcpStream::connect(free).is_err());
    assert!(events.wait().is_none());
}

#[test]
fn answers_can_be_awaited_and_waited_for() {
    let handle = Stack::builder("n").build().unwrap().spawn().unwrap();
    assert_eq!(&*handle.status().wait().unwrap().node, "n");
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let status = runtime.block_on(async { handle.status().await }).unwrap();
    assert_eq!(&*status.node, "n");
}

#[test]
fn a_receiver_that_is_too_slow_is_told_how_much_it_missed() {
    let check = |index: usize| {
        CheckConfig::builder(format!("c{index}"))
            .interval(Duration::from_secs(60))
            .build()
            .unwrap()
    };
    let probe = || Switch(Arc::new(AtomicBool::new(true)));
    let checks = Events::CAPACITY + 10;
    let builder = (0..checks).fold(Stack::builder("n"), |builder, index| {
        builder.check(check(index), probe())
    });
    let mut handle = builder.build().unwrap().spawn().unwrap();
    poll(|| {
        handle
            .status()
            .wait()
            .unwrap()
            .checks
            .iter()
            .all(|check| check.up == Some(true))
    });
    let mut events = handle.events();
    assert!(matches!(events.wait(), Some(Event::Missed { events: 10 })));
    assert!(matches!(events.wait(), Some(Event::Check { .. })));
}

#[test]
fn names_that_refer_to_nothing_or_stand_twice_make_no_stack() {
    let check = || CheckConfig::builder("c").build().unwrap();
    let probe = || Tcp::new("127.0.0.1:1".parse().unwrap());
    let instance = |name: &str| Instance::new(name, config(100, |config| config), attachment());
    let cases: [(StackBuilder, &str); 6] = [
        (
            Stack::builder("n")
                .check(check(), probe())
                .check(check(), probe()),
            "two of kind check are called c: give each its own name",
        ),
        (
            Stack::builder("n")
                .instance(instance("i"))
                .instance(instance("i")),
            "two of kind instance are called i: give each its own name",
        ),
        (
            Stack::builder("n").instance(instance("i").track("c")),
            "i tracks check c, which does not exist",
        ),
        (
            Stack::builder("n")
                .check(check(), probe())
                .backend_check("app", "a", "c"),
            "a check is for upstream app, which does not exist",
        ),
        (
            Stack::builder("n")
                .check(check(), probe())
                .proxy("p", proxy("127.0.0.1:0"))
                .backend_check("app", "b", "c"),
            "a check is for backend b, which upstream app does not have",
        ),
        (
            Stack::builder("n")
                .proxy("p", proxy("127.0.0.1:0"))
                .backend_check("app", "a", "c"),
            "backend a of app tracks check c, which does not exist",
        ),
    ];
    for (builder, expected) in cases {
        let error: BuildError = builder.build().unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
}

#[test]
fn a_failing_proxy_moves_the_address_while_vrrp_runs_on() {
    LabTest::new().run(|| {
        let lab = lab();
        let start = |host: &str, priority: u8| {
            let check = CheckConfig::builder("proxy")
                .interval(Duration::from_millis(100))
                .weight(Weight::new(-100).unwrap())
                .build()
                .unwrap();
            let config = config(priority, |config| config);
            let stack = Stack::builder(host)
                .check(check, Tcp::new("127.0.0.1:80".parse().unwrap()))
                .instance(Instance::new("VI_1", config, attachment()).track(Track::new("proxy")))
                .proxy("web", proxy("0.0.0.0:80"))
                .build()
                .unwrap();
            lab.host(host).run(|| stack.spawn().unwrap())
        };
        let mut a = start("a", 200);
        let mut events = a.events();
        wait_for_state(&mut events, State::Master);
        let b = start("b", 150);
        a.abort_proxy("web").wait().unwrap().unwrap();
        let superseded = wait_for_state(&mut events, State::Backup);
        assert!(matches!(superseded, Reason::Superseded(peer) if peer.priority == Priority::new(150)));
        let status = a.status().wait().unwrap();
        assert_eq!(status.instances[0].effective_priority, Priority::new(100));
        assert_eq!(status.instances[0].master, Some(IpAddr::from([192, 0, 2, 2])));
        // It comes back where it was started: in the host's namespace.
        a.start_proxy("web").wait().unwrap().unwrap();
        wait_for_state(&mut events, State::Master);
        a.shutdown(Duration::from_secs(1)).wait().unwrap();
        b.shutdown(Duration::from_secs(1)).wait().unwrap();
    });
}

#[test]
fn a_planned_stop_hands_over_first_and_drains_then() {
    LabTest::new().run(|| {
        let lab = lab();
        let backend = lab.host("a").run(|| TcpListener::bind("127.0.0.1:9")).unwrap();
        let stack = Stack::builder("a")
            .instance(Instance::new("VI_1", config(200, |config| config), attachment()))
            .proxy("web", proxy("0.0.0.0:80"))
            .build()
            .unwrap();
        let mut handle = lab.host("a").run(|| stack.spawn().unwrap());
        let mut events = handle.events();
        wait_for_state(&mut events, State::Master);
        let mut client = lab.host("b").run(|| TcpStream::connect("192.0.2.1:80")).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let (mut request, _) = backend.accept().unwrap();
        let mut head = [0; 1024];
        assert!(request.read(&mut head).unwrap() > 0);

        // The request is under way: the address goes at once, the answer still comes.
        let stopped = handle.shutdown(Duration::from_secs(10));
        wait_for_state(&mut events, State::Initialize);
        let addresses = lab.host("a").addresses().unwrap();
        assert!(
            addresses
                .iter()
                .all(|one| one.addr() != IpAddr::from([192, 0, 2, 100])),
            "{addresses:?}"
        );
        request
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("ok"),
            "{answer}"
        );
        assert_eq!(stopped.wait(), Ok(0));
    });
}

#[test]
fn keys_are_rotated_while_the_stack_runs() {
    LabTest::new().run(|| {
        let lab = lab();
        let key = |id| HmacKey::new(id, &[id; 32]).unwrap();
        let stack = Stack::builder("a")
            .instance(Instance::new(
                "VI_1",
                config(200, |config| {
                    config.authentication(HmacConfig::new(key(1)).into())
                }),
                attachment(),
            ))
            .instance(Instance::new(
                "VI_2",
                Config::builder(
                    Vrid::new(34).unwrap(),
                    AddressList::new(&[IpAddr::from([192, 0, 2, 101])]).unwrap(),
                )
                .build()
                .unwrap(),
                attachment(),
            ))
            .build()
            .unwrap();
        let mut capture = lab.capture().unwrap();
        let mut handle = lab.host("a").run(|| stack.spawn().unwrap());
        let mut events = handle.events();
        wait_for_state(&mut events, State::Master);
        let keys = HmacKeys::new([key(1), key(2)], 2).unwrap();
        let set = |name: &str| {
            handle
                .set_hmac(name, HmacConfig::new(keys.clone()))
                .wait()
                .unwrap()
        };
        assert_eq!(set("VI_1"), Ok(()));
        assert_eq!(set("VI_2"), Err(SetHmacError::NoHmac("VI_2".to_owned())));
        assert_eq!(set("VI_3"), Err(SetHmacError::Unknown("VI_3".to_owned())));
        // Type 1 and the number of the key, after eight octets and an address.
        let signed_with = |frame: &Frame, id| {
            frame
                .vrrp()
                .is_some_and(|ip| ip.payload.get(12..14) == Some(&[1, id]))
        };
        assert!(
            capture
                .wait_for(Duration::from_secs(5), |frame| signed_with(frame, 2))
                .is_some()
        );
        assert!(capture.frames().iter().any(|frame| signed_with(frame, 1)));
    });
}

#[test]
fn a_tracked_interface_that_goes_down_is_a_fault() {
    LabTest::new().run(|| {
        let lab = lab();
        let check = WatchConfig::builder("uplink").build().unwrap();
        let stack = Stack::builder("a")
            .watch(check, ha_stack::Interface::new("eth0"))
            .instance(Instance::new("VI_1", config(200, |config| config), attachment()).track("uplink"))
            .build()
            .unwrap();
        let mut handle = lab.host("a").run(|| stack.spawn().unwrap());
        let mut events = handle.events();
        wait_for_state(&mut events, State::Master);
        lab.cut("a").unwrap();
        wait_for_state(&mut events, State::Fault);
        poll(|| handle.status().wait().unwrap().checks[0].up == Some(false));
        lab.heal("a").unwrap();
        wait_for_state(&mut events, State::Master);
    });
}

/// A probe with a switch.
struct Switch(Arc<AtomicBool>);

impl Probe for Switch {
    fn probe(&self, _timeout: Duration) -> ProbeFuture<'_> {
        let up = self.0.load(Ordering::SeqCst);
        Box::pin(async move {
            if up {
                Outcome::success()
            } else {
                Failure::Other("switched off").into()
            }
        })
    }
}

fn lab() -> Lab {
    Lab::builder()
        .host("a", ["192.0.2.1/24"])
        .host("b", ["192.0.2.2/24"])
        .build()
        .unwrap()
}

/// VRRPv3 with 50 ms between adverts: a takeover takes some 200 ms.
fn config(priority: u8, set: impl FnOnce(ConfigBuilder) -> ConfigBuilder) -> Config {
    let addresses = AddressList::new(&[IpAddr::from([192, 0, 2, 100])]).unwrap();
    let builder = Config::builder(Vrid::new(33).unwrap(), addresses)
        .version(vrrp_core::Version::V3)
        .adver_interval(vrrp_core::AdverInterval::from_centis(5).unwrap())
        .priority(Priority::new(priority));
    set(builder).build().unwrap()
}

fn attachment() -> Attachment {
    Attachment::builder("eth0").build().unwrap()
}

fn proxy(listen: &str) -> ProxyConfig {
    let backend = BackendConfig::new("a", "127.0.0.1:9".parse().unwrap());
    let app = UpstreamConfig::builder("app").backend(backend).build().unwrap();
    let builder = ProxyConfig::builder(Upstream::new(app)).workers(1);
    builder.listen(listen.parse().unwrap()).build().unwrap()
}

fn running(handle: &Handle) -> Vec<bool> {
    let status = handle.status().wait().unwrap();
    status
        .proxies
        .iter()
        .map(|proxy| proxy.server.is_some())
        .collect()
}

/// A port that was free a moment ago.
fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

fn wait_for_state(events: &mut Events, state: State) -> Reason {
    loop {
        match events.wait().expect("the stack runs") {
            Event::Transition { transition, .. } if transition.to == state => return transition.reason,
            _ => {}
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test polls; no adverts are sent by this thread"
)]
fn poll(mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !done() {
        assert!(Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(5));
    }
}
