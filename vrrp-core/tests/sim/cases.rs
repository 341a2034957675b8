//! Random cases that come from one number each, which a failure prints:
//!
//! ```text
//! VRRP_SIM_SEED=42 cargo test -p vrrp-core --test sim random
//! ```
//!
//! runs that case alone, shrinks it the same way, and ends with the same trace. `VRRP_SIM_CASES` sets how many cases
//! are tried (300 unless set), `VRRP_SIM_FIRST` the number of the first. `.ci/simulate` tries many, built for speed.

use std::env;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner};

/// Cases that a run tries unless told otherwise: some seconds.
const CASES: u64 = 300;

/// Tries as many cases as are asked for, on all cores.
///
/// # Panics
/// When one fails, with the case that is left after shrinking, its trace, and how to see it again.
pub(crate) fn try_cases<S: Strategy>(
    strategy: impl Fn() -> S + Sync,
    run: impl Fn(S::Value) -> TestCaseResult + Sync,
) {
    let (first, cases) = match setting("VRRP_SIM_SEED") {
        Some(seed) => (seed, 1),
        None => (
            setting("VRRP_SIM_FIRST").unwrap_or(0),
            setting("VRRP_SIM_CASES").unwrap_or(CASES),
        ),
    };
    let name = thread::current().name().unwrap_or("random").to_owned();
    let next = AtomicU64::new(first);
    let work = || {
        let strategy = strategy();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= first + cases {
                return None;
            }
            if let Some(error) = fails(&strategy, number, &run) {
                // Nobody begins another case.
                next.store(first + cases, Ordering::Relaxed);
                return Some((number, error));
            }
        }
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let failures: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        let ended = threads
            .into_iter()
            .filter_map(|thread| thread.join().expect("it catches panics"));
        ended.collect()
    });
    if let Some((number, error)) = failures.into_iter().min() {
        panic!(
            "{error}\nTo see it again: VRRP_SIM_SEED={number} cargo test -p vrrp-core --test sim {name}\n"
        );
    }
}

/// Why the case of this number fails, after shrinking.
fn fails<S: Strategy>(strategy: &S, number: u64, run: impl Fn(S::Value) -> TestCaseResult) -> Option<String> {
    let mut runner = runner(number);
    let tree = strategy
        .new_tree(&mut runner)
        .expect("the strategy rejects nothing");
    runner.run_one(tree, run).err().map(|error| error.to_string())
}

/// The case of this number.
pub(crate) fn draw<S: Strategy>(strategy: &S, number: u64) -> S::Value {
    strategy
        .new_tree(&mut runner(number))
        .expect("the strategy rejects nothing")
        .current()
}

/// All that proptest draws comes from the number, its shrinking included.
fn runner(number: u64) -> TestRunner {
    let mut entropy = [0; 32];
    entropy[..8].copy_from_slice(&number.to_le_bytes());
    let config = Config {
        failure_persistence: None,
        max_shrink_iters: 2000,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &entropy))
}

fn setting(name: &str) -> Option<u64> {
    env::var(name).ok().map(|value| {
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name}={value}: use a number"))
    })
}
