//! Requests that fail ask for an active check.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Wake, Waker};

use lb_proxy::balance::{Outcome, Upstream};

use crate::support::{at, backend, config, fail, pick_id, upstream};

#[test]
fn a_failure_makes_a_suspect_before_it_ejects() {
    let (upstream, mut reader) = upstream(config([backend("a").max_fails(5), backend("b")]));
    let driver = Driver::new();
    assert_eq!(driver.suspect(&upstream), None);
    assert_eq!(driver.woken(), 0);
    assert_eq!(fail(&mut reader, at(0), "a"), None);
    assert_eq!(driver.woken(), 1);
    assert_eq!(driver.suspect(&upstream).as_deref(), Some("a"));
    assert_eq!(driver.suspect(&upstream), None);
}

#[test]
fn each_is_a_suspect_once_a_second_however_many_fail() {
    let (upstream, mut reader) = upstream(config([backend("a").max_fails(0), backend("b").max_fails(0)]));
    let driver = Driver::new();
    for _ in 0..100 {
        fail(&mut reader, at(0), "a");
        fail(&mut reader, at(0), "b");
    }
    let both = [driver.suspect(&upstream), driver.suspect(&upstream)];
    assert_eq!(both, [Some("a".to_owned()), Some("b".to_owned())]);
    fail(&mut reader, at(0), "a");
    assert_eq!(driver.suspect(&upstream), None);
    fail(&mut reader, at(1), "a");
    fail(&mut reader, at(9), "a"); // not fetched yet: still one
    assert_eq!(driver.suspect(&upstream).as_deref(), Some("a"));
    assert_eq!(driver.suspect(&upstream), None);
}

#[test]
fn a_backend_that_is_gone_is_nobody_s_suspect() {
    let (upstream, mut reader) = upstream(config([backend("a"), backend("b")]));
    fail(&mut reader, at(0), "a");
    upstream.replace(at(0), config([backend("b")]).build().unwrap());
    assert_eq!(Driver::new().suspect(&upstream), None);
}

#[test]
fn successes_and_cancelled_requests_make_no_suspect() {
    let (upstream, mut reader) = upstream(config([backend("a"), backend("b")]));
    drop(pick_id(&mut reader, at(0), "a"));
    pick_id(&mut reader, at(0), "a").finish(at(0), Outcome::Status(500));
    assert_eq!(Driver::new().suspect(&upstream), None);
}

#[test]
fn the_driver_is_woken_when_a_deadline_appears() {
    let backends = [backend("a").slow_start(at(31)), backend("b")];
    let (upstream, mut reader) = upstream(config(backends));
    pick_id(&mut reader, at(0), "a").finish(at(0), Outcome::Success);
    fail(&mut reader, at(0), "a");
    let driver = Driver::new();
    while driver.suspect(&upstream).is_some() {}
    assert_eq!((upstream.poll_timeout(), driver.woken()), (None, 0));
    pick_id(&mut reader, at(10), "a").finish(at(10), Outcome::Success);
    assert_eq!(driver.woken(), 1);
    assert_eq!(upstream.poll_timeout(), Some(at(11)));
}

struct Driver(Arc<Count>);

struct Count(AtomicUsize);

impl Driver {
    fn new() -> Self {
        Self(Arc::new(Count(AtomicUsize::new(0))))
    }

    fn suspect(&self, upstream: &Upstream) -> Option<String> {
        match upstream.poll_suspect(&Waker::from(Arc::clone(&self.0))) {
            Poll::Ready(suspect) => Some(suspect.to_string()),
            Poll::Pending => None,
        }
    }

    fn woken(&self) -> usize {
        self.0.0.load(Ordering::SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
