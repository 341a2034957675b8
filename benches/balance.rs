//! One pick of a backend, beside a straightforward smooth weighted round robin under a mutex, in the same run.
//!
//! `pick` is the pick alone, `request` a pick and its end (which counts the request under way, out again and as done),
//! `contended` a whole request on each of two threads at once, per thread. Weights are 1 to 10.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use lb_proxy::balance::{BackendConfig, Outcome, Schedule, Tried, Upstream, UpstreamConfig};

const SIZES: [u16; 3] = [10, 1_000, 10_000];
/// Picks that are held at once while only the picking is timed.
const HELD: u64 = 4_096;
const NOW: Duration = Duration::from_secs(1);

fn pick(c: &mut Criterion) {
    let mut group = c.benchmark_group("balance/pick");
    for backends in SIZES {
        let upstream = Upstream::new(config(backends));
        let mut reader = upstream.reader();
        group.bench_function(BenchmarkId::new("reader", backends), |b| {
            b.iter_custom(|iters| held(iters, || reader.pick(black_box(NOW), &Tried::new())));
        });
        group.bench_function(BenchmarkId::new("upstream", backends), |b| {
            b.iter_custom(|iters| held(iters, || upstream.pick(black_box(NOW), &Tried::new())));
        });
        let equal = Upstream::new(equal(backends));
        let mut reader = equal.reader();
        group.bench_function(BenchmarkId::new("reader, round robin", backends), |b| {
            b.iter_custom(|iters| held(iters, || reader.pick(black_box(NOW), &Tried::new())));
        });
        let naive = Naive::new(backends);
        group.bench_function(BenchmarkId::new("O(n) under a mutex", backends), |b| {
            b.iter(|| naive.pick())
        });
    }
}

fn request(c: &mut Criterion) {
    let mut group = c.benchmark_group("balance/request");
    for backends in SIZES {
        let mut reader = Upstream::new(config(backends)).reader();
        group.bench_function(BenchmarkId::new("reader", backends), |b| {
            b.iter(|| {
                let pick = reader.pick(black_box(NOW), &Tried::new()).expect("all are up");
                pick.finish(black_box(NOW), Outcome::Success)
            });
        });
    }
}

fn contended(c: &mut Criterion) {
    let mut group = c.benchmark_group("balance/contended");
    for backends in SIZES {
        let upstream = Upstream::new(config(backends));
        group.bench_function(BenchmarkId::new("reader", backends), |b| {
            b.iter_custom(|iters| {
                on_two_threads(|| {
                    let mut reader = upstream.reader();
                    for _ in 0..iters {
                        let pick = reader.pick(black_box(NOW), &Tried::new()).expect("all are up");
                        black_box(pick.finish(black_box(NOW), Outcome::Success));
                    }
                })
            });
        });
        let naive = Naive::new(backends);
        group.bench_function(BenchmarkId::new("O(n) under a mutex", backends), |b| {
            b.iter_custom(|iters| on_two_threads(|| (0..iters).for_each(|_| drop(black_box(naive.pick())))));
        });
    }
}

fn rebuild(c: &mut Criterion) {
    let mut group = c.benchmark_group("balance/rebuild");
    let upstream = Upstream::new(config(10_000));
    let id = upstream.status().backends[5_000].id.clone();
    let mut weight = 1;
    group.bench_function("set_weight/10000", |b| {
        b.iter(|| {
            weight = 3 - weight;
            upstream.set_weight(NOW, &id, weight)
        });
    });
    let new = config(10_000);
    group.bench_function("replace/10000", |b| {
        b.iter_batched(
            || new.clone(),
            |new| upstream.replace(NOW, new),
            criterion::BatchSize::LargeInput,
        );
    });
}

criterion_group!(benches, pick, request, contended, rebuild);
criterion_main!(benches);

/// The time of `iters` picks; they are let go outside of it.
fn held<T>(iters: u64, mut pick: impl FnMut() -> T) -> Duration {
    let mut held = Vec::with_capacity(HELD as usize);
    let (mut left, mut elapsed) = (iters, Duration::ZERO);
    while left > 0 {
        let batch = left.min(HELD);
        let start = Instant::now();
        for _ in 0..batch {
            held.push(pick());
        }
        elapsed += start.elapsed();
        held.clear();
        left -= batch;
    }
    elapsed
}

/// The longer of the times that `work` takes on two threads at once.
fn on_two_threads(work: impl Fn() + Sync) -> Duration {
    let timed = || {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    thread::scope(|scope| {
        let other = scope.spawn(timed);
        timed().max(other.join().expect("the work does not panic"))
    })
}

fn config(backends: u16) -> UpstreamConfig {
    let backends =
        (0..backends).map(|n| BackendConfig::new(format!("backend-{n}"), address(n)).weight(1 + n % 10));
    UpstreamConfig::builder("bench")
        .backends(backends)
        .build()
        .expect("valid")
}

fn equal(backends: u16) -> UpstreamConfig {
    let backends = (0..backends).map(|n| BackendConfig::new(format!("backend-{n}"), address(n)));
    UpstreamConfig::builder("bench")
        .schedule(Schedule::RoundRobin)
        .backends(backends)
        .build()
        .expect("valid")
}

fn address(n: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, n.to_be_bytes()[0], n.to_be_bytes()[1]], 80))
}

/// nginx's loop over all peers, as most balancers have it.
struct Naive(Mutex<Vec<(i64, i64)>>);

impl Naive {
    fn new(backends: u16) -> Self {
        Self(Mutex::new(
            (0..backends).map(|n| (1 + i64::from(n % 10), 0)).collect(),
        ))
    }

    fn pick(&self) -> usize {
        let mut peers = self.0.lock().expect("never poisoned");
        let (mut best, mut total) = (0, 0);
        for index in 0..peers.len() {
            let (weight, current) = &mut peers[index];
            *current += *weight;
            total += *weight;
            if peers[index].1 > peers[best].1 {
                best = index;
            }
        }
        peers[best].1 -= total;
        best
    }
}
