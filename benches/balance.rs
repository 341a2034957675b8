//! One pick of a backend, beside a straightforward smooth weighted round robin under a mutex, in the same
//! run.
//!
//! `pick` is the choice alone, up to the backend's address, and, `counted`, the choice that counts as a
//! request under way; `request` a whole request, which counts as under way, then as ended; `contended` the
//! same on two threads at once, per thread; `strategy` the choice by each other strategy, with a key where
//! it goes by one and with nothing under way, and `loaded` with three requests under way on each backend.
//! Weights are 1 to 10.

#[path = "support/upstreams.rs"]
mod upstreams;

use std::hint::black_box;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{Bencher, BenchmarkId, Criterion, criterion_group, criterion_main};
use lb_proxy::balance::{HashKind, Key, Outcome, Pick, Reader, Strategy, Tried, Upstream};

const SIZES: [u16; 3] = [10, 1_000, 10_000];
/// Picks that are timed in one go.
const BATCH: u64 = 256;
/// All but the two that `pick` times.
const STRATEGIES: [(&str, Strategy); 8] = [
    ("nginx weighted", Strategy::NginxWeighted),
    ("least conn", Strategy::LeastConn),
    ("power of two", Strategy::PowerOfTwo),
    ("random", Strategy::Random),
    ("maglev", Strategy::Hash(HashKind::Maglev)),
    ("ketama", Strategy::Hash(HashKind::Ketama)),
    ("modulo", Strategy::Hash(HashKind::Modulo)),
    ("ip hash", Strategy::IpHash),
];
const NOW: Duration = Duration::from_secs(1);

fn pick(c: &mut Criterion) {
    let mut group = c.benchmark_group("balance/pick");
    for backends in SIZES {
        let mut reader = Upstream::new(upstreams::weighted(backends)).reader();
        group.bench_function(BenchmarkId::new("weighted", backends), |b| {
            typical(b, || choose(&mut reader));
        });
        let mut reader = Upstream::new(upstreams::equal(backends)).reader();
        group.bench_function(BenchmarkId::new("round robin", backends), |b| {
            typical(b, || choose(&mut reader));
        });
        let mut reader = Upstream::new(upstreams::weighted(backends)).reader();
        group.bench_function(BenchmarkId::new("weighted, counted", backends), |b| {
            typical(b, || reader.pick(black_box(NOW), &Tried::new()));
        });
        let naive = Naive::new(backends);
        group.bench_function(BenchmarkId::new("O(n) under a mutex", backends), |b| {
            typical(b, || naive.pick());
        });
    }
}

fn strategy(c: &mut Criterion) {
    let mut group = c.benchmark_group("balance/strategy");
    for (name, strategy) in STRATEGIES {
        for backends in SIZES {
            let upstream = Upstream::new(upstreams::of(strategy, backends));
            let (mut reader, mut key) = (upstream.reader(), 0_u32);
            group.bench_function(BenchmarkId::new(name, backends), |b| {
                typical(b, || choose_by(&mut reader, &mut key));
            });
            if matches!(strategy, Strategy::LeastConn | Strategy::PowerOfTwo) {
                let requests = 3 * usize::from(backends);
                let held: Vec<_> = (0..requests).map(|_| reader.pick(NOW, &Tried::new())).collect();
                group.bench_function(BenchmarkId::new(format!("{name}, loaded"), backends), |b| {
                    typical(b, || choose(&mut reader));
                });
                drop(held);
            }
            group.bench_function(BenchmarkId::new(format!("{name}, contended"), backends), |b| {
                b.iter_custom(|iters| {
                    on_two_threads(|| {
                        let (mut reader, mut key) = (upstream.reader(), 0);
                        for _ in 0..iters {
                            black_box(choose_by(&mut reader, &mut key));
                        }
                    })
                });
            });
        }
    }
}

fn request(c: &mut Criterion) {
    let mut group = c.benchmark_group("balance/request");
    for backends in SIZES {
        let upstream = Upstream::new(upstreams::weighted(backends));
        let mut reader = upstream.reader();
        group.bench_function(BenchmarkId::new("by a reader", backends), |b| {
            typical(b, || end(reader.pick(black_box(NOW), &Tried::new())));
        });
        group.bench_function(BenchmarkId::new("by the upstream", backends), |b| {
            typical(b, || end(upstream.pick(black_box(NOW), &Tried::new())));
        });
    }
}

fn contended(c: &mut Criterion) {
    let mut group = c.benchmark_group("balance/contended");
    for backends in SIZES {
        let upstream = Upstream::new(upstreams::weighted(backends));
        group.bench_function(BenchmarkId::new("pick", backends), |b| {
            b.iter_custom(|iters| {
                on_two_threads(|| {
                    let mut reader = upstream.reader();
                    for _ in 0..iters {
                        black_box(choose(&mut reader));
                    }
                })
            });
        });
        group.bench_function(BenchmarkId::new("request", backends), |b| {
            b.iter_custom(|iters| {
                on_two_threads(|| {
                    let mut reader = upstream.reader();
                    for _ in 0..iters {
                        end(reader.pick(black_box(NOW), &Tried::new()));
                    }
                })
            });
        });
        let naive = Naive::new(backends);
        group.bench_function(BenchmarkId::new("O(n) under a mutex", backends), |b| {
            b.iter_custom(|iters| {
                on_two_threads(|| {
                    for _ in 0..iters {
                        black_box(naive.pick());
                    }
                })
            });
        });
    }
}

fn rebuild(c: &mut Criterion) {
    let mut group = c.benchmark_group("balance/rebuild");
    let upstream = Upstream::new(upstreams::weighted(10_000));
    let id = upstream.status().backends[5_000].id.clone();
    let mut weight = 1;
    group.bench_function("set_weight/10000", |b| {
        let work = |weight| upstream.set_weight(NOW, &id, weight);
        let next = || {
            weight = 3 - weight;
            weight
        };
        typical_of(1, b, next, work);
    });
    for (name, strategy) in STRATEGIES {
        let upstream = Upstream::new(upstreams::of(strategy, 10_000));
        let mut up = false;
        group.bench_function(format!("set_check/{name}/10000"), |b| {
            let work = |up| {
                let changed = upstream.set_check(NOW, &id, up);
                upstream.handle_timeout(NOW);
                changed
            };
            let next = || {
                up = !up;
                up
            };
            typical_of(1, b, next, work);
        });
    }
    let mut new = [upstreams::weighted(10_000), upstreams::weighted(9_999)]
        .into_iter()
        .cycle();
    group.bench_function("replace/10000", |b| {
        typical_of(
            1,
            b,
            || new.next().expect("endless"),
            |new| upstream.replace(NOW, new),
        );
    });
}

criterion_group!(benches, pick, strategy, request, contended, rebuild);
criterion_main!(benches);

fn choose(reader: &mut Reader) -> Option<u16> {
    Some(reader.choose(black_box(NOW), &Tried::new())?.address().port())
}

/// By eight octets that are different each time, where a strategy goes by a key.
fn choose_by(reader: &mut Reader, key: &mut u32) -> Option<u16> {
    *key = key.wrapping_add(1);
    let octets = u64::from(*key).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_ne_bytes();
    let choice = reader.choose_by(black_box(NOW), Key::Bytes(black_box(&octets)), &Tried::new());
    Some(choice?.address().port())
}

fn end(pick: Option<Pick>) {
    black_box(pick.expect("all are up").finish(black_box(NOW), Outcome::Success));
}

fn typical<T>(b: &mut Bencher<'_>, mut work: impl FnMut() -> T) {
    typical_of(BATCH, b, || (), |()| work());
}

/// Times batches and takes the median one for all, so that what else runs on the machine (a batch is a few
/// µs, a preemption milliseconds) does not count as time of a pick. What `work` takes and returns is made and
/// let go outside of the time.
fn typical_of<S, T>(
    batch: u64,
    b: &mut Bencher<'_>,
    mut setup: impl FnMut() -> S,
    mut work: impl FnMut(S) -> T,
) {
    let (mut inputs, mut results) = (Vec::new(), Vec::new());
    b.iter_custom(|iters| {
        let (batches, batch) = (iters.div_ceil(batch), iters.min(batch));
        let mut times: Vec<_> = (0..batches)
            .map(|_| {
                inputs.extend((0..batch).map(|_| setup()));
                results.clear();
                results.reserve(batch as usize);
                let start = Instant::now();
                results.extend(inputs.drain(..).map(&mut work));
                start.elapsed()
            })
            .collect();
        times.sort_unstable();
        times[times.len() / 2].mul_f64(iters as f64 / batch as f64)
    });
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
