//! The schedule of one check, in virtual time.

use core::time::Duration;

use ha_health::{CannotExecute, Check, CheckConfig, CheckConfigBuilder, Failure, Outcome, Output};

const TIMED_OUT: Failure = Failure::TimedOut {
    after: Duration::from_millis(1000),
};

#[test]
fn first_run_starts_at_once() {
    let mut check = Check::new(ms(5_000), config().build().unwrap());
    assert_eq!(check.poll_timeout(), Some(ms(5_000)));
    assert_eq!(timeout(&mut check, 5_000), [start()]);
}

#[test]
fn runs_start_at_a_fixed_cadence_however_long_they_take() {
    let mut check = new();
    for run in 0..5 {
        assert_eq!(check.poll_timeout(), Some(ms(run * 1000)));
        assert_eq!(timeout(&mut check, run * 1000)[..1], [start()]);
        result(&mut check, run * 1000 + 100 * run, Outcome::success());
    }
}

#[test]
fn early_and_spurious_timeouts_do_nothing() {
    let mut check = new();
    timeout(&mut check, 0);
    let running = check.clone();
    assert_eq!(timeout(&mut check, 0), []);
    assert_eq!(timeout(&mut check, 999), []);
    assert_eq!(check, running);
    result(&mut check, 999, Outcome::success());
    let idle = check.clone();
    assert_eq!(timeout(&mut check, 999), []);
    assert_eq!(check, idle);
}

#[test]
fn a_driver_that_comes_late_gets_one_run_and_no_burst() {
    let mut check = new();
    timeout(&mut check, 0);
    result(&mut check, 10, Outcome::success());
    assert_eq!(timeout(&mut check, 60_000), [start()]);
    assert_eq!(check.counters().runs, 2);
    result(&mut check, 60_010, Outcome::success());
    assert_eq!(check.poll_timeout(), Some(ms(61_000)));
}

#[test]
fn first_result_counts_at_once_whatever_rise_and_fall_are() {
    for (outcome, up) in [(Outcome::success(), true), (failure(), false)] {
        let mut check = Check::new(ms(0), config().rise(5).fall(5).build().unwrap());
        assert_eq!(check.up(), None);
        timeout(&mut check, 0);
        let outputs = result(&mut check, 10, outcome.clone());
        assert_eq!(
            outputs,
            [Output::Changed {
                up,
                first: true,
                outcome
            }]
        );
        assert_eq!(check.counters().transitions, 0);
    }
}

#[test]
fn init_fail_is_down_from_the_start_and_rises() {
    let mut check = Check::new(ms(0), config().init_fail(true).rise(2).build().unwrap());
    assert_eq!(check.up(), Some(false));
    timeout(&mut check, 0);
    assert_eq!(result(&mut check, 10, Outcome::success()), []);
    timeout(&mut check, 1000);
    assert_eq!(
        result(&mut check, 1010, Outcome::success()),
        [changed(true, Outcome::success())]
    );
    assert_eq!(check.counters().transitions, 1);
}

#[test]
fn result_in_the_very_moment_of_the_timeout_counts() {
    let mut check = new();
    timeout(&mut check, 0);
    result(&mut check, 1000, Outcome::success());
    assert_eq!(check.up(), Some(true));
}

#[test]
fn result_after_the_timeout_has_failed_even_if_no_timer_came_between() {
    let mut check = new();
    timeout(&mut check, 0);
    let outputs = result(&mut check, 1001, Outcome::success());
    assert_eq!(
        outputs,
        [Output::Changed {
            up: false,
            first: true,
            outcome: TIMED_OUT.into()
        }]
    );
    assert_eq!(check.counters().timeouts, 1);
}

#[test]
fn timeout_counts_when_it_passes_and_the_late_result_does_not_count_again() {
    let mut check = new();
    timeout(&mut check, 0);
    let outputs = timeout(&mut check, 1000);
    assert_eq!(
        outputs,
        [Output::Changed {
            up: false,
            first: true,
            outcome: TIMED_OUT.into()
        }]
    );
    assert!(check.is_running());
    let before = check.counters();
    assert_eq!(result(&mut check, 1800, Outcome::success()), [start()]);
    assert_eq!(
        (check.counters().failures, check.counters().successes),
        (before.failures, before.successes)
    );
    assert_eq!(check.up(), Some(false));
}

#[test]
fn run_that_hangs_costs_no_further_run_once_it_has_ended() {
    let mut check = new();
    timeout(&mut check, 0);
    for run in 1..=4 {
        // Timeout and next run fall due together; the probe ends 1 ms later.
        let now = 1001 * (run - 1) + 1000;
        assert_eq!(check.poll_timeout(), Some(ms(now)));
        let outputs = timeout(&mut check, now);
        assert!(
            !outputs
                .iter()
                .any(|output| matches!(output, Output::Start { .. } | Output::Skipped { .. }))
        );
        assert_eq!(
            check.poll_timeout(),
            None,
            "nothing but the end of the run can come"
        );
        assert_eq!(result(&mut check, now + 1, TIMED_OUT.into()), [start()]);
        assert_eq!(check.counters().failures, run);
    }
    assert_eq!(check.counters().skipped, 0);
}

#[test]
fn run_that_times_out_before_the_next_is_due_leaves_the_cadence_alone() {
    let mut check = Check::new(ms(0), config().timeout(ms(300)).build().unwrap());
    timeout(&mut check, 0);
    assert_eq!(check.poll_timeout(), Some(ms(300)));
    timeout(&mut check, 300);
    assert_eq!(
        result(&mut check, 310, Failure::TimedOut { after: ms(300) }.into()),
        []
    );
    assert_eq!(check.poll_timeout(), Some(ms(1000)));
}

#[test]
fn no_run_starts_while_a_killed_one_has_not_ended() {
    let mut check = new();
    timeout(&mut check, 0);
    for now in [1000, 1500, 2000, 10_000, 1_000_000] {
        assert!(!timeout(&mut check, now).contains(&start()));
    }
    assert_eq!(check.counters().failures, 1);
    assert_eq!(result(&mut check, 1_000_001, TIMED_OUT.into()), [start()]);
}

#[test]
fn run_longer_than_the_interval_skips_and_says_so_once() {
    let mut check = Check::new(ms(0), config().timeout(ms(5000)).build().unwrap());
    timeout(&mut check, 0);
    assert_eq!(timeout(&mut check, 1000), [Output::Skipped { running: ms(1000) }]);
    assert_eq!(timeout(&mut check, 2000), []);
    assert_eq!(check.counters().skipped, 2);
    result(&mut check, 2500, Outcome::success());
    assert_eq!(check.up(), Some(true));
    assert_eq!(check.poll_timeout(), Some(ms(3000)));
    timeout(&mut check, 3000);
    // Once for each run.
    assert_eq!(timeout(&mut check, 4000), [Output::Skipped { running: ms(1000) }]);
}

#[test]
fn skipping_catches_up_with_a_late_driver() {
    let mut check = Check::new(ms(0), config().timeout(ms(3_600_000)).build().unwrap());
    timeout(&mut check, 0);
    timeout(&mut check, 10_500);
    assert_eq!(check.counters().skipped, 10);
    assert_eq!(check.poll_timeout(), Some(ms(11_000)));
}

#[test]
fn what_cannot_be_executed_is_down_and_told_once_for_each_reason() {
    let not_found = CannotExecute::NotFound;
    let denied = CannotExecute::PermissionDenied;
    let mut check = new();
    timeout(&mut check, 0);
    let outputs = result(&mut check, 1, Failure::CannotExecute(not_found).into());
    let outcome = Outcome::from(Failure::CannotExecute(not_found));
    let told = Output::CannotExecute { reason: not_found };
    assert_eq!(
        outputs,
        [
            told.clone(),
            Output::Changed {
                up: false,
                first: true,
                outcome
            }
        ]
    );
    let runs = [
        (Failure::CannotExecute(not_found).into(), vec![]),
        (
            Failure::CannotExecute(denied).into(),
            vec![Output::CannotExecute { reason: denied }],
        ),
        (failure(), vec![]),
        (Failure::CannotExecute(not_found).into(), vec![told]),
    ];
    for (run, (outcome, expected)) in (1..).zip(runs) {
        timeout(&mut check, run * 1000);
        assert_eq!(result(&mut check, run * 1000 + 1, outcome), expected);
    }
}

#[test]
fn result_without_a_run_is_ignored() {
    let mut check = new();
    let before = check.clone();
    assert_eq!(result(&mut check, 0, failure()), []);
    assert_eq!(check, before);
}

#[test]
fn status_tells_of_the_last_run() {
    let mut check = new();
    assert_eq!(
        (check.last_outcome(), check.last_duration(), check.last_ended()),
        (None, None, None)
    );
    timeout(&mut check, 0);
    assert!(check.is_running());
    result(&mut check, 30, Outcome::success());
    timeout(&mut check, 1000);
    result(&mut check, 1040, failure());
    timeout(&mut check, 2000);
    result(&mut check, 2050, failure());
    assert!(!check.is_running());
    assert_eq!(check.last_outcome(), Some(&failure()));
    assert_eq!(check.last_duration(), Some(ms(50)));
    assert_eq!(check.last_ended(), Some(ms(2050)));
    assert_eq!(check.consecutive(), 2);
    let counters = check.counters();
    assert_eq!((counters.runs, counters.successes, counters.failures), (3, 1, 2));
    assert_eq!(
        (counters.timeouts, counters.skipped, counters.transitions),
        (0, 0, 1)
    );
    assert_eq!(check.tracked().up, Some(false));
}

#[test]
fn new_settings_keep_the_state_and_the_count() {
    let mut check = Check::new(ms(0), config().fall(3).build().unwrap());
    for (now, outcome) in [(0, Outcome::success()), (1000, failure()), (2000, failure())] {
        timeout(&mut check, now);
        result(&mut check, now + 10, outcome);
    }
    assert_eq!(check.up(), Some(true));
    check.set_config(ms(2100), config().fall(3).interval(ms(500)).build().unwrap());
    assert_eq!(check.up(), Some(true));
    assert_eq!(
        check.poll_timeout(),
        Some(ms(2500)),
        "an interval after the last start"
    );
    timeout(&mut check, 2500);
    assert_eq!(result(&mut check, 2510, failure()), [changed(false, failure())]);
}

#[test]
fn shorter_interval_never_schedules_into_the_past() {
    let mut check = new();
    timeout(&mut check, 0);
    result(&mut check, 10, Outcome::success());
    check.set_config(ms(900), config().interval(ms(100)).build().unwrap());
    assert_eq!(check.poll_timeout(), Some(ms(900)));
}

#[test]
fn new_settings_leave_the_run_that_is_on_its_time() {
    let mut check = new();
    timeout(&mut check, 0);
    check.set_config(
        ms(100),
        config().interval(ms(5000)).timeout(ms(200)).build().unwrap(),
    );
    assert_eq!(check.poll_timeout(), Some(ms(1000)));
    let outputs = timeout(&mut check, 1000);
    assert_eq!(
        outputs,
        [Output::Changed {
            up: false,
            first: true,
            outcome: TIMED_OUT.into()
        }]
    );
    assert_eq!(check.poll_timeout(), Some(ms(5000)));
}

#[test]
fn new_settings_before_the_first_run_do_not_put_it_off() {
    let mut check = new();
    check.set_config(ms(0), config().interval(ms(5000)).build().unwrap());
    assert_eq!(check.poll_timeout(), Some(ms(0)));
}

#[test]
fn outputs_read_well() {
    let outputs = [
        (
            changed(false, failure().with_message("no worker")),
            "down: exit status 1: no worker",
        ),
        (
            Output::Changed {
                up: true,
                first: true,
                outcome: Outcome::success(),
            },
            "up at its first result: ok",
        ),
        (
            Output::Skipped { running: ms(1500) },
            "skipped a run, the one before has been on for 1.5s",
        ),
        (
            Output::CannotExecute {
                reason: CannotExecute::Shell { code: 127 },
            },
            "cannot be executed, counted as failed: shell answered 127 (command not found)",
        ),
    ];
    for (output, text) in outputs {
        assert_eq!(output.to_string(), text);
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn config() -> CheckConfigBuilder {
    CheckConfig::builder("chk")
}

fn new() -> Check {
    Check::new(ms(0), config().build().unwrap())
}

fn failure() -> Outcome {
    Failure::Exit { code: 1 }.into()
}

fn start() -> Output {
    Output::Start { timeout: ms(1000) }
}

fn changed(up: bool, outcome: Outcome) -> Output {
    Output::Changed {
        up,
        first: false,
        outcome,
    }
}

fn timeout(check: &mut Check, now: u64) -> Vec<Output> {
    check.handle_timeout(ms(now));
    drain(check)
}

fn result(check: &mut Check, now: u64, outcome: Outcome) -> Vec<Output> {
    check.handle_result(ms(now), outcome);
    drain(check)
}

fn drain(check: &mut Check) -> Vec<Output> {
    core::iter::from_fn(|| check.poll_output()).collect()
}
