//! Random cases that come from one number each, which a failure prints:
//!
//! ```text
//! VRRP_SIM_SEED=42 cargo test -p vrrp-core --test sim random
//! ```
//!
//! runs that case alone, shrinks it the same way, and ends with the same trace. `VRRP_SIM_CASES` sets how many cases
//! are tried (300 unless set), `VRRP_SIM_FIRST` the number of the first.

use std::env;
use std::thread;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseResult, TestRng, TestRunner};

/// Cases that a run tries unless told otherwise: some seconds.
const CASES: u64 = 300;

/// Tries as many cases as are asked for.
///
/// # Panics
/// When one fails, with the case that is left after shrinking, its trace, and how to see it again.
pub(crate) fn try_cases<S: Strategy>(strategy: &S, run: impl Fn(S::Value) -> TestCaseResult) {
    let (first, cases) = match setting("VRRP_SIM_SEED") {
        Some(seed) => (seed, 1),
        None => (
            setting("VRRP_SIM_FIRST").unwrap_or(0),
            setting("VRRP_SIM_CASES").unwrap_or(CASES),
        ),
    };
    for number in first..first + cases {
        let mut runner = runner(number);
        let tree = strategy
            .new_tree(&mut runner)
            .expect("the strategy rejects nothing");
        if let Err(error) = runner.run_one(tree, &run) {
            let name = thread::current().name().unwrap_or("random").to_owned();
            panic!(
                "{error}\nTo see it again: VRRP_SIM_SEED={number} cargo test -p vrrp-core --test sim {name}\n"
            );
        }
    }
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
