//! Checks that are told their results.

use core::time::Duration;

use ha_health::effect::effect;
use ha_health::{
    Check, CheckConfig, Effect, Failure, Outcome, Output, WatchConfig, WatchConfigBuilder, Weight,
};

#[test]
fn nothing_is_started_and_no_timer_runs() {
    let mut check = watched(config());
    assert!(check.is_watched() && !check.is_running());
    assert_eq!(check.poll_timeout(), None);
    check.handle_timeout(ms(60_000));
    assert_eq!(check.poll_output(), None);
    assert_eq!(check.up(), None);
}

#[test]
fn a_result_counts_whenever_it_comes() {
    let mut check = watched(config());
    assert_eq!(result(&mut check, 0, Outcome::success()), [(true, true)]);
    assert_eq!(result(&mut check, 0, down()), [(false, false)]);
    assert_eq!(result(&mut check, 77_777, down()), []);
    assert_eq!(result(&mut check, 77_778, Outcome::success()), [(true, false)]);
    let counters = check.counters();
    assert_eq!(
        (counters.runs, counters.failures, counters.transitions),
        (4, 2, 2)
    );
    assert_eq!(check.last_duration(), None);
    assert_eq!(check.last_ended(), Some(ms(77_778)));
}

#[test]
fn results_are_counted_with_rise_and_fall() {
    let mut check = watched(config().rise(2).fall(3));
    assert_eq!(result(&mut check, 0, Outcome::success()), [(true, true)]);
    assert_eq!(result(&mut check, 1, down()), []);
    assert_eq!(result(&mut check, 2, down()), []);
    assert_eq!(result(&mut check, 3, down()), [(false, false)]);
    assert_eq!(result(&mut check, 4, Outcome::success()), []);
    assert_eq!(result(&mut check, 5, Outcome::success()), [(true, false)]);
}

#[test]
fn one_that_is_assumed_failed_is_down_before_its_first_result() {
    let check = watched(config().init_fail(true));
    assert_eq!(check.up(), Some(false));
}

#[test]
fn a_value_counts_at_once_and_each_new_one_is_told() {
    let mut check = watched(config().weight(Weight::of_file(2).unwrap()).rise(5).fall(5));
    assert_eq!(result(&mut check, 0, value(0)), [(true, true)]);
    assert_eq!(result(&mut check, 1, value(15)), [(true, false)]);
    assert_eq!(result(&mut check, 2, value(15)), []);
    assert_eq!(check.value(), Some(15));
    assert_eq!(effect(100, [check.tracked()]), Effect::Priority(130));
    // 2 × −127 = −254 is a fault; that is down.
    assert_eq!(result(&mut check, 3, value(-127)), [(false, false)]);
    assert_eq!(effect(100, [check.tracked()]), Effect::Fault);
    assert_eq!(check.counters().transitions, 1);
}

#[test]
fn a_value_without_weight_is_up_at_zero_alone() {
    let mut check = watched(config());
    assert_eq!(result(&mut check, 0, value(0)), [(true, true)]);
    assert_eq!(result(&mut check, 1, value(1)), [(false, false)]);
    assert_eq!(result(&mut check, 2, value(0)), [(true, false)]);
}

#[test]
fn a_failure_with_a_value_is_counted_and_the_value_stands() {
    let mut check = watched(config());
    result(&mut check, 0, value(0));
    let failed = Outcome::failed(Failure::NotANumber).with_value(0);
    assert_eq!(
        failed.to_string(),
        "no number from -2147483648 to 2147483647, value 0 stands"
    );
    assert_eq!(result(&mut check, 1, failed), []);
    assert_eq!(check.up(), Some(true));
    assert_eq!(check.counters().failures, 1);
}

#[test]
fn a_failure_without_a_value_takes_the_value_away() {
    let mut check = watched(config());
    result(&mut check, 0, value(0));
    assert_eq!(result(&mut check, 1, Failure::Aborted.into()), [(false, false)]);
    assert_eq!(check.value(), None);
    assert_eq!(effect(100, [check.tracked()]), Effect::Fault);
}

#[test]
fn new_settings_keep_the_state() {
    let mut check = watched(config());
    result(&mut check, 0, down());
    check.set_watch_config(config().weight(Weight::new(-20).unwrap()).build().unwrap());
    assert_eq!(check.up(), Some(false));
    assert_eq!(effect(100, [check.tracked()]), Effect::Priority(80));
}

#[test]
fn a_check_may_change_between_watching_and_polling() {
    let mut check = watched(config());
    result(&mut check, 0, down());
    check.set_config(ms(500), CheckConfig::builder("c").build().unwrap());
    assert_eq!(check.poll_timeout(), Some(ms(500)));
    assert_eq!(check.up(), Some(false));
    check.handle_timeout(ms(500));
    assert!(matches!(check.poll_output(), Some(Output::Start { .. })));
    check.set_watch_config(config().build().unwrap());
    assert_eq!(check.poll_timeout(), None);
    assert_eq!(result(&mut check, 600, Outcome::success()), [(true, false)]);
}

fn config() -> WatchConfigBuilder {
    WatchConfig::builder("c")
}

fn watched(config: WatchConfigBuilder) -> Check {
    Check::watched(config.build().unwrap())
}

fn down() -> Outcome {
    Failure::TooFew { found: 0, quorum: 1 }.into()
}

fn value(value: i32) -> Outcome {
    Outcome::success().with_value(value)
}

/// Up and first, of each change.
fn result(check: &mut Check, now: u64, outcome: Outcome) -> Vec<(bool, bool)> {
    check.handle_result(ms(now), outcome);
    core::iter::from_fn(|| check.poll_output())
        .map(|output| match output {
            Output::Changed { up, first, .. } => (up, first),
            other => panic!("{other}"),
        })
        .collect()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
