//! Waiting for a free slot.

#![allow(clippy::disallowed_methods, reason = "threads are what is tested")]

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::task::{Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use lb_proxy::balance::{
    Key, Outcome, Passive, Pick, QueueConfig, QueueStatus, Reader, Refusal, Tried, Upstream, UpstreamBuilder,
    Waiting,
};

use crate::support::{at, backend, config, order, pick, status, try_pick, upstream};

#[test]
fn a_freed_slot_wakes_the_first_and_nobody_else() {
    let (upstream, mut reader) = one_slot(10);
    let held = pick(&mut reader, at(0));
    let mut waiters: Vec<_> = (0..3).map(|_| Waiter::new(&upstream, at(0))).collect();
    assert!(waiters.iter_mut().all(|waiter| waiter.poll(at(1)).is_pending()));

    held.finish(at(2), Outcome::Success);
    assert_eq!(woken(&waiters), [1, 0, 0]);
    // Until the first comes for it, the slot is its alone.
    assert_eq!(try_pick(&mut reader, at(2)).unwrap_err(), Refusal::Full);
    assert!(waiters[1].poll(at(2)).is_pending());
    let first = waiters[0].pick(at(2));
    assert_eq!(status(&upstream, "a").active, 1);
    drop(first);
    assert_eq!(woken(&waiters), [1, 1, 0]);
    drop(waiters[1].pick(at(3)));
    drop(waiters[2].pick(at(3)));
    assert_eq!(order(&mut reader, at(3), 2), "aa");
    let queue = upstream.status().queue.unwrap();
    assert_eq!((queue.queued, queue.waiting, queue.longest), (3, 0, 3));
}

#[test]
fn who_comes_later_waits_behind_those_who_wait() {
    let (upstream, mut reader) = one_slot(10);
    let held = pick(&mut reader, at(0));
    let mut waiter = Waiter::new(&upstream, at(0));
    assert!(waiter.poll(at(0)).is_pending());
    drop(held);
    assert_eq!(try_pick(&mut reader, at(0)).unwrap_err(), Refusal::Full);
    let mut later = Waiter::new(&upstream, at(0));
    assert!(later.poll(at(0)).is_pending());
    drop(waiter.pick(at(0)));
    drop(later.pick(at(0)));
}

#[test]
fn a_waiter_that_gives_up_leaves_no_trace() {
    let (upstream, mut reader) = one_slot(2);
    let held = pick(&mut reader, at(0));
    let mut first = Waiter::new(&upstream, at(0));
    let mut second = Waiter::new(&upstream, at(0));
    assert!(first.poll(at(0)).is_pending() && second.poll(at(0)).is_pending());
    drop(first);
    let mut third = Waiter::new(&upstream, at(0)); // in its place, but at the end
    assert!(third.poll(at(0)).is_pending());
    drop(held);
    assert_eq!((second.woken(), third.woken()), (1, 0));
}

#[test]
fn what_was_meant_for_a_waiter_that_gives_up_goes_to_the_next() {
    let (upstream, mut reader) = one_slot(10);
    let held = pick(&mut reader, at(0));
    let mut waiters: Vec<_> = (0..2).map(|_| Waiter::new(&upstream, at(0))).collect();
    assert!(waiters.iter_mut().all(|waiter| waiter.poll(at(0)).is_pending()));
    drop(held);
    assert_eq!(woken(&waiters), [1, 0]);
    drop(waiters.remove(0));
    assert_eq!(woken(&waiters), [1]);
    drop(waiters.remove(0));
    assert_eq!(order(&mut reader, at(0), 2), "aa", "with nobody left it is free");
    assert_eq!(status(&upstream, "a").active, 0);
}

#[test]
fn a_slot_freed_before_the_first_poll_is_kept() {
    let (upstream, mut reader) = one_slot(10);
    let held = pick(&mut reader, at(0));
    let mut waiter = Waiter::new(&upstream, at(0));
    drop(held);
    drop(waiter.pick(at(0)));
    // And one that is free when the wait begins is taken at once.
    drop(Waiter::new(&upstream, at(0)).pick(at(0)));
    assert!(try_pick(&mut reader, at(0)).is_ok());
}

#[test]
fn the_deadline_ends_the_wait() {
    let (upstream, mut reader) = one_slot(1);
    let held = pick(&mut reader, at(0));
    let mut waiter = Waiter::new(&upstream, at(5));
    assert_eq!(waiter.waiting.deadline(), at(5) + Duration::from_secs(7));
    assert!(waiter.poll(at(11)).is_pending());
    assert_eq!(waiter.refusal(at(12)), Refusal::TimedOut);
    assert_eq!(waiter.refusal(at(12)), Refusal::TimedOut);
    let mut next = Waiter::new(&upstream, at(12)); // its place is free
    drop(held);
    drop(next.pick(at(12)));
    assert_eq!(upstream.status().queue.unwrap().timed_out, 1);
}

#[test]
fn a_slot_that_came_in_time_is_had_however_late_the_poll() {
    let (upstream, mut reader) = one_slot(1);
    let held = pick(&mut reader, at(0));
    let mut waiter = Waiter::new(&upstream, at(0));
    drop(held);
    drop(waiter.pick(at(100)));
}

#[test]
fn a_full_queue_and_none_at_all_refuse() {
    let (upstream, mut reader) = one_slot(2);
    let held = pick(&mut reader, at(0));
    let waiters = [(); 2].map(|()| Waiter::new(&upstream, at(0)));
    assert_eq!(upstream.wait(at(0), &Tried::new()).unwrap_err(), Refusal::Full);
    let expected = QueueStatus {
        length: 2,
        timeout: at(7),
        waiting: 2,
        longest: 2,
        queued: 2,
        timed_out: 0,
        refused: 1,
    };
    assert_eq!(upstream.status().queue, Some(expected));
    drop((waiters, held));

    let (upstream, mut reader) = self::upstream(config([backend("a").max_conns(1)]));
    let held = pick(&mut reader, at(0));
    assert_eq!(upstream.wait(at(0), &Tried::new()).unwrap_err(), Refusal::Full);
    assert_eq!(upstream.status().queue, None);
    drop(held);
}

#[test]
fn a_slot_of_a_backend_that_a_request_has_tried_goes_to_the_next_in_line() {
    let backends = [backend("a").max_conns(1), backend("b").max_conns(1)];
    let (upstream, mut reader) = upstream(queued(config(backends), 10));
    let (a, b) = (pick(&mut reader, at(0)), pick(&mut reader, at(0)));
    assert_eq!((a.id().as_str(), b.id().as_str()), ("a", "b"));
    let mut tried = Tried::new();
    tried.insert(&a);
    let mut choosy = Waiter::of(upstream.wait(at(0), &tried).unwrap());
    let mut any = Waiter::new(&upstream, at(0));
    assert!(choosy.poll(at(0)).is_pending() && any.poll(at(0)).is_pending());
    drop(a);
    assert_eq!((choosy.woken(), any.woken()), (0, 1));
    drop(b);
    assert_eq!((choosy.woken(), choosy.pick(at(0)).id().as_str()), (1, "b"));

    // With a choosy one alone in the queue, others need not wait.
    let held = any.pick(at(0));
    let other = reader.pick(at(0), &Tried::new()).unwrap();
    let mut choosy = Waiter::of(upstream.wait(at(0), &tried).unwrap());
    assert!(choosy.poll(at(0)).is_pending());
    drop(held);
    assert_eq!(pick(&mut reader, at(0)).id().as_str(), "a");
    drop(other);
    drop(choosy.pick(at(0)));
}

#[test]
fn a_slot_of_a_backend_that_is_out_goes_to_nobody() {
    let backends = [backend("a").max_conns(1), backend("b").max_conns(1)];
    let (upstream, mut reader) = upstream(queued(config(backends), 10));
    let (a, b) = (pick(&mut reader, at(0)), pick(&mut reader, at(0)));
    let mut waiter = Waiter::new(&upstream, at(0));
    assert!(waiter.poll(at(0)).is_pending());
    a.finish(at(0), Outcome::Failure);
    assert_eq!(waiter.woken(), 0);
    b.finish(at(0), Outcome::Success);
    assert_eq!(waiter.pick(at(0)).id().as_str(), "b");
}

#[test]
fn a_backend_that_comes_back_serves_as_many_as_it_can_in_their_order() {
    let backends = [backend("a").max_conns(1), backend("b").max_conns(2).down(true)];
    let (upstream, mut reader) = upstream(queued(config(backends), 10));
    let held = pick(&mut reader, at(0));
    let mut waiters: Vec<_> = (0..4).map(|_| Waiter::new(&upstream, at(0))).collect();
    assert!(waiters.iter_mut().all(|waiter| waiter.poll(at(0)).is_pending()));
    upstream.set_down(at(1), &"b".into(), false).unwrap();
    assert_eq!(woken(&waiters), [1, 1, 0, 0]);
    let picks = [waiters[0].pick(at(1)), waiters[1].pick(at(1))];
    assert!(picks.iter().all(|pick| pick.id().as_str() == "b"));
    drop(held);
    assert_eq!(woken(&waiters), [1, 1, 1, 0]);
}

#[test]
fn a_higher_limit_and_a_new_backend_serve_those_who_wait() {
    let (upstream, mut reader) = one_slot(10);
    let held = pick(&mut reader, at(0));
    let mut waiters: Vec<_> = (0..4).map(|_| Waiter::new(&upstream, at(0))).collect();
    assert!(waiters.iter_mut().all(|waiter| waiter.poll(at(0)).is_pending()));
    let more = queued(config([backend("a").max_conns(2), backend("b").max_conns(1)]), 10);
    upstream.replace(at(1), more.build().unwrap());
    assert_eq!(woken(&waiters), [1, 1, 0, 0]);
    let none = queued(config([backend("a")]), 10);
    upstream.replace(at(1), none.build().unwrap());
    assert_eq!(woken(&waiters), [1, 1, 1, 1]);
    drop((held, waiters));
    assert_eq!(status(&upstream, "a").active, 0);
}

#[test]
fn when_nothing_is_left_to_wait_for_the_wait_ends() {
    let (upstream, mut reader) = upstream(queued(config([backend("a").max_conns(1)]).panic(false), 10));
    let held = pick(&mut reader, at(0));
    let mut waiter = Waiter::new(&upstream, at(0));
    assert!(waiter.poll(at(0)).is_pending());
    upstream.set_check(at(1), &"a".into(), false).unwrap();
    assert_eq!(waiter.woken(), 1);
    assert_eq!(waiter.refusal(at(1)), Refusal::NoBackend);
    assert_eq!(
        upstream.wait(at(1), &Tried::new()).unwrap_err(),
        Refusal::NoBackend
    );
    drop(held);
}

#[test]
fn in_panic_limits_and_the_queue_hold_too() {
    let all_may_fail = Passive::new().keep_last(false).max_ejected_percent(100);
    let backends = [backend("a").max_conns(1), backend("b").max_conns(1)];
    let (upstream, mut reader) = upstream(queued(config(backends).passive(all_may_fail), 10));
    for _ in 0..2 {
        pick(&mut reader, at(0)).finish(at(0), Outcome::Failure);
    }
    assert_eq!(upstream.status().panic_since, Some(at(0)));
    let held = [pick(&mut reader, at(1)), pick(&mut reader, at(1))];
    let mut waiter = Waiter::new(&upstream, at(1));
    assert!(waiter.poll(at(1)).is_pending());
    let [first, second] = held;
    first.finish(at(2), Outcome::Success); // it is back up
    drop(waiter.pick(at(2)));
    drop(second);
}

#[test]
fn many_threads_wait_and_none_is_forgotten() {
    const THREADS: usize = 4;
    const REQUESTS: usize = 1_500;
    let backends = [backend("a").max_conns(1), backend("b").max_conns(1)];
    let (upstream, _) = upstream(queued(config(backends), 100));
    let under_way = AtomicI64::new(0);
    let done = AtomicUsize::new(0);
    thread::scope(|scope| {
        for number in 0..THREADS {
            let (upstream, under_way, done) = (&upstream, &under_way, &done);
            scope.spawn(move || {
                let mut reader = upstream.reader();
                for request in 0..REQUESTS {
                    let pick = match get(upstream, &mut reader, request % (5 + number) == 0) {
                        Some(pick) => pick,
                        None => continue, // gave up, at whatever moment that was
                    };
                    assert!(under_way.fetch_add(1, Ordering::SeqCst) < 2);
                    if request % 7 == 0 {
                        thread::yield_now();
                    }
                    under_way.fetch_sub(1, Ordering::SeqCst);
                    pick.finish(at(0), Outcome::Success);
                    done.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
    });
    assert!(done.load(Ordering::SeqCst) > THREADS * REQUESTS / 2);
    assert_eq!(upstream.status().queue.unwrap().waiting, 0);
    let mut reader = upstream.reader();
    let both = [pick(&mut reader, at(0)), pick(&mut reader, at(0))];
    assert!(try_pick(&mut reader, at(0)).is_err());
    drop(both);
}

/// A request that waits if it must; with `impatient`, it gives up if it has to wait for a second poll.
fn get(upstream: &Upstream, reader: &mut Reader, impatient: bool) -> Option<Pick> {
    match reader.pick_or_refusal(at(0), Key::None, &Tried::new()) {
        Ok(pick) => return Some(pick),
        Err(refusal) => assert_eq!(refusal, Refusal::Full),
    }
    let mut waiting = upstream.wait(at(0), &Tried::new()).unwrap();
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        match waiting.poll_pick(at(0), &waker) {
            Poll::Ready(pick) => return Some(pick.unwrap()),
            Poll::Pending if impatient => return None,
            // Long enough for a slow machine, and a lost wake-up fails the test instead of hanging it.
            Poll::Pending => {
                let before = std::time::Instant::now();
                thread::park_timeout(Duration::from_secs(60));
                assert!(before.elapsed() < Duration::from_secs(60), "a wake-up was lost");
            }
        }
    }
}

fn one_slot(length: u32) -> (Upstream, Reader) {
    upstream(queued(config([backend("a").max_conns(1)]), length))
}

fn queued(config: UpstreamBuilder, length: u32) -> UpstreamBuilder {
    config.queue(QueueConfig::new(NonZeroU32::new(length).unwrap()).timeout(at(7)))
}

/// A request in the queue, and how often it was woken.
struct Waiter {
    waiting: Waiting,
    woken: Arc<Count>,
}

impl Waiter {
    fn new(upstream: &Upstream, now: Duration) -> Self {
        Self::of(upstream.wait(now, &Tried::new()).unwrap())
    }

    fn of(waiting: Waiting) -> Self {
        let woken = Arc::new(Count(AtomicUsize::new(0)));
        Self { waiting, woken }
    }

    fn poll(&mut self, now: Duration) -> Poll<Result<Pick, Refusal>> {
        self.waiting.poll_pick(now, &Waker::from(Arc::clone(&self.woken)))
    }

    fn pick(&mut self, now: Duration) -> Pick {
        match self.poll(now) {
            Poll::Ready(Ok(pick)) => pick,
            other => panic!("{other:?}, where a slot was free"),
        }
    }

    fn refusal(&mut self, now: Duration) -> Refusal {
        match self.poll(now) {
            Poll::Ready(Err(refusal)) => refusal,
            other => panic!("{other:?}, where the wait is over"),
        }
    }

    fn woken(&self) -> usize {
        self.woken.0.load(Ordering::SeqCst)
    }
}

fn woken(waiters: &[Waiter]) -> Vec<usize> {
    waiters.iter().map(Waiter::woken).collect()
}

struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
