//! The driver of one check, with probes of our own in virtual time and with real scripts.
#![cfg(feature = "probe")]

mod support;

use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ha_health::probe::{self, Probe, ProbeFuture, Script};
use ha_health::{CannotExecute, CheckConfig, CheckConfigBuilder, Failure, Outcome, Output};
use support::{TempDir, eventually, is_alive, pids};
use tokio::time::Instant;

#[tokio::test(start_paused = true)]
async fn runs_start_at_once_and_then_every_interval() {
    let starts = AtomicUsize::new(0);
    let epoch = Instant::now();
    let probe = probe::from_fn(|| async {
        let run = starts.fetch_add(1, Ordering::Relaxed);
        let planned = Duration::from_secs(run as u64);
        assert!(epoch.elapsed() >= planned && epoch.elapsed() < planned + Duration::from_millis(20));
        tokio::time::sleep(Duration::from_millis(300)).await;
        Outcome::success()
    });
    let check = probe::run(config().build().unwrap(), &probe, |_, _| (), sleep(10_500)).await;
    assert_eq!(starts.into_inner(), 11);
    assert_eq!(check.counters().successes, 11);
}

#[tokio::test(start_paused = true)]
async fn changes_are_told_when_they_happen() {
    let runs = AtomicUsize::new(0);
    let probe = probe::from_fn(|| async {
        match runs.fetch_add(1, Ordering::Relaxed) {
            3..6 => Failure::Refused.into(),
            _ => Outcome::success(),
        }
    });
    let mut told = Vec::new();
    let config = config().rise(2).fall(2).build().unwrap();
    let on_output = |check: &ha_health::Check, output| {
        if let Output::Changed { up, first, .. } = output {
            assert_eq!(check.up(), Some(up));
            told.push((check.last_ended().unwrap().as_secs(), up, first));
        }
    };
    probe::run(config, &probe, on_output, sleep(20_500)).await;
    assert_eq!(told, [(0, true, true), (4, false, false), (7, true, false)]);
}

#[tokio::test(start_paused = true)]
async fn hung_probe_fails_at_every_interval() {
    let probe = probe::from_fn(|| async { std::future::pending().await });
    let check = probe::run(config().build().unwrap(), &probe, |_, _| (), sleep(10_500)).await;
    assert_eq!(check.up(), Some(false));
    assert_eq!(
        check.last_outcome(),
        Some(
            &Failure::TimedOut {
                after: Duration::from_secs(1)
            }
            .into()
        )
    );
    assert!(check.counters().timeouts >= 9, "{:?}", check.counters());
    assert_eq!(check.counters().skipped, 0);
}

#[tokio::test(start_paused = true)]
async fn probes_never_overlap_whatever_they_do() {
    let probe = Overlap::default();
    let config = config().interval(ms(100)).timeout(ms(250)).build().unwrap();
    let check = probe::run(config, &probe, |_, _| (), sleep(60_000)).await;
    let runs = probe.runs.load(Ordering::Relaxed);
    assert!(runs > 100);
    assert_eq!(check.counters().runs, runs as u64);
    assert!(check.counters().skipped > 0 && check.counters().timeouts > 0);
}

#[tokio::test]
async fn scripts_never_overlap_and_skipping_is_told() {
    let dir = TempDir::new("overlap");
    let lock = dir.path("lock");
    // mkdir fails if the folder is there: another copy runs.
    let line = format!("mkdir {0} || exit 9; sleep 0.12; rmdir {0}", lock.display());
    let config = config()
        .interval(ms(50))
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap();
    let mut skips = 0;
    let on_output =
        |_: &ha_health::Check, output| skips += usize::from(matches!(output, Output::Skipped { .. }));
    let check = probe::run(config, &Script::shell(line), on_output, sleep(1500)).await;
    let counters = check.counters();
    assert!(counters.successes >= 2, "{counters:?}");
    assert_eq!(counters.failures, 0, "{:?}", check.last_outcome());
    assert!(
        skips >= 2 && counters.skipped >= skips as u64,
        "{skips} {counters:?}"
    );
}

#[tokio::test]
async fn script_that_cannot_be_executed_is_down_and_told_once() {
    let mut told = Vec::new();
    let config = config().interval(ms(20)).timeout(ms(5000)).build().unwrap();
    let script = Script::new("/nonexistent/check", [""; 0]).unwrap();
    let on_output = |_: &ha_health::Check, output| {
        // On a busy machine a start may take longer than the interval.
        if !matches!(output, Output::Skipped { .. }) {
            told.push(output);
        }
    };
    let check = probe::run(config, &script, on_output, sleep(1000)).await;
    assert_eq!(check.up(), Some(false));
    assert!(check.counters().failures > 1);
    let reason = CannotExecute::NotFound;
    let outcome = Failure::CannotExecute(reason).into();
    assert_eq!(
        told,
        [
            Output::CannotExecute { reason },
            Output::Changed {
                up: false,
                first: true,
                outcome
            }
        ]
    );
}

#[tokio::test]
async fn shutdown_leaves_no_script_behind() {
    let dir = TempDir::new("shutdown");
    let file = dir.path("pids");
    let line = format!("echo $$ > {}; trap '' TERM; sleep 30", file.display());
    let shutdown = async {
        pids(&file, 1).await;
    };
    let config = config().interval(Duration::from_secs(20)).build().unwrap();
    let check = probe::run(config, &Script::shell(line), |_, _| (), shutdown).await;
    assert!(check.is_running());
    let pid: i32 = fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    eventually("the script is gone", || !is_alive(pid)).await;
}

#[tokio::test]
async fn a_check_can_be_spawned_and_its_probe_be_chosen_at_run_time() {
    let probes: [Box<dyn Probe>; 2] = [
        Box::new(Script::shell("exit 0")),
        Box::new(probe::from_fn(|| async { Outcome::success() })),
    ];
    for probe in probes {
        let config = config()
            .interval(ms(50))
            .timeout(Duration::from_secs(20))
            .build()
            .unwrap();
        let (up, told) = tokio::sync::oneshot::channel();
        let mut up = Some(up);
        let on_output = move |_: &ha_health::Check, output| {
            if let Output::Changed { up: state, .. } = output {
                let _ = up.take().map(|up| up.send(state));
            }
        };
        let shutdown = async { assert_eq!(told.await, Ok(true)) };
        let task = tokio::spawn(async move { probe::run(config, &probe, on_output, shutdown).await });
        assert_eq!(task.await.unwrap().up(), Some(true));
    }
}

/// Takes longer and longer, and now and then longer than its timeout, without ever being dropped by itself; panics
/// if it is started twice at once.
#[derive(Default)]
struct Overlap {
    on: AtomicUsize,
    runs: AtomicUsize,
}

impl Probe for Overlap {
    fn probe(&self, _timeout: Duration) -> ProbeFuture<'_> {
        let takes = ms([10, 150, 99, 101, 300, 1000, 250][self.runs.fetch_add(1, Ordering::Relaxed) % 7]);
        Box::pin(async move {
            assert_eq!(self.on.fetch_add(1, Ordering::Relaxed), 0, "two runs at once");
            tokio::time::sleep(takes).await;
            self.on.fetch_sub(1, Ordering::Relaxed);
            Outcome::success()
        })
    }
}

fn config() -> CheckConfigBuilder {
    CheckConfig::builder("chk")
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

async fn sleep(millis: u64) {
    tokio::time::sleep(ms(millis)).await;
}
