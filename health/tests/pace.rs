//! Which interval holds: fast while changing, another while down, each with its jitter, and at once on suspicion.

use core::time::Duration;

use ha_health::{Check, CheckConfig, CheckConfigBuilder, Failure, Outcome, Output, Weight};

/// Plays results, each 1 ms after the start of its run, and gives the times in milliseconds between the starts.
fn gaps(check: &mut Check, results: &str) -> Vec<u64> {
    let mut last = None;
    let mut gaps = Vec::new();
    for result in results.chars() {
        let now = check.poll_timeout().unwrap();
        gaps.extend(last.map(|last| u64::try_from((now - last).as_millis()).unwrap()));
        last = Some(now);
        check.handle_timeout(now);
        assert!(matches!(check.poll_output(), Some(Output::Start { .. })));
        check.handle_result(
            now + ms(1),
            if result == '+' {
                Outcome::success()
            } else {
                failure()
            },
        );
        while check.poll_output().is_some() {}
    }
    gaps
}

#[test]
fn it_asks_fast_while_a_count_is_under_way_and_else_at_its_interval() {
    let config = config()
        .rise(2)
        .fall(3)
        .fast_interval(ms(500))
        .down_interval(ms(5000));
    let mut check = Check::new(ms(0), config.build().unwrap());
    // Up; two failures, a third that brings it down; down; a success that comes to nothing; two that bring it up.
    let played = gaps(&mut check, "++---" /* down */);
    assert_eq!(played, [2000, 2000, 500, 500]);
    assert_eq!(check.up(), Some(false));
    let played = gaps(&mut check, "--+-++++");
    assert_eq!(played, [5000, 5000, 500, 5000, 500, 2000, 2000]);
}

#[test]
fn without_a_word_about_it_all_intervals_are_one() {
    let mut check = Check::new(ms(0), config().rise(3).fall(3).build().unwrap());
    assert_eq!(gaps(&mut check, "+--+----+-+++"), [2000; 12]);
}

#[test]
fn a_target_that_hangs_is_asked_again_as_soon_as_it_may() {
    let config = config().fall(3).timeout(ms(1000)).fast_interval(ms(500));
    let mut check = Check::new(ms(0), config.build().unwrap());
    check.handle_timeout(ms(0));
    check.handle_result(ms(1), Outcome::success());
    check.handle_timeout(ms(2000));
    check.handle_timeout(ms(3000));
    while check.poll_output().is_some() {}
    // Counted; the run before has not ended, which the next waits for.
    assert_eq!(check.consecutive(), 1);
    check.handle_result(ms(3003), failure());
    assert_eq!(check.poll_output(), Some(Output::Start { timeout: ms(1000) }));
}

#[test]
fn a_number_does_not_ask_for_more_numbers() {
    let weight = Weight::of_process(1).unwrap();
    let config = config().fast_interval(ms(500)).weight(weight);
    let mut check = Check::new(ms(0), config.build().unwrap());
    for run in 0..4 {
        check.handle_timeout(ms(run * 2000));
        check.handle_result(ms(run * 2000), failure().with_value(3));
        assert_eq!(check.poll_timeout(), Some(ms(run * 2000 + 2000)));
    }
}

#[test]
fn jitter_stays_in_its_bounds_uses_them_and_keeps_the_mean() {
    let mut check = Check::new(ms(0), config().jitter_percent(20).build().unwrap());
    let gaps = gaps(&mut check, &"+".repeat(4001));
    let (least, most) = (gaps.iter().min().unwrap(), gaps.iter().max().unwrap());
    assert!((1600..1650).contains(least), "{least}");
    assert!((2350..=2400).contains(most), "{most}");
    let mean = gaps.iter().sum::<u64>() / 4000;
    assert!((1980..=2020).contains(&mean), "{mean}");
}

#[test]
fn checks_of_one_config_do_not_stay_in_step_and_a_seed_can_be_had_again() {
    let config = config().jitter_percent(20).build().unwrap();
    let play = |check: Check| gaps(&mut { check }, "++++++++++");
    let seeded = |seed| play(Check::new(ms(0), config.clone()).with_seed(seed));
    assert_ne!(seeded(1), seeded(2));
    assert_eq!(seeded(1), seeded(1));
    let named = |name: &str| {
        let config = CheckConfig::builder(name).interval(ms(2000)).jitter_percent(20);
        play(Check::new(ms(0), config.build().unwrap()))
    };
    assert_ne!(named("app/1"), named("app/2"));
}

#[test]
fn a_suspicion_has_it_ask_at_once_and_many_do_not_have_it_ask_without_end() {
    let config = config().interval(ms(10_000)).fast_interval(ms(500)).fall(3);
    let mut check = Check::new(ms(0), config.build().unwrap());
    gaps(&mut check, "+");
    check.handle_suspicion(ms(3000));
    assert_eq!(check.poll_timeout(), Some(ms(3000)));
    gaps(&mut check, "+");
    // The last run began at 3,000 ms.
    for after in [1, 2, 300, 499] {
        check.handle_suspicion(ms(3000 + after));
        assert_eq!(check.poll_timeout(), Some(ms(3500)));
    }
    gaps(&mut check, "+");
    assert_eq!(check.poll_timeout(), Some(ms(13_500)));
}

#[test]
fn a_suspicion_does_nothing_while_a_run_is_on_or_another_is_due_before() {
    let mut check = Check::new(ms(0), config().build().unwrap());
    check.handle_timeout(ms(0));
    let running = check.clone();
    check.handle_suspicion(ms(500));
    assert_eq!(check, running);
    check.handle_result(ms(600), Outcome::success());
    check.handle_suspicion(ms(2500));
    assert_eq!(check.poll_timeout(), Some(ms(2000)));
    let mut watched = Check::watched(ha_health::WatchConfig::builder("w").build().unwrap());
    watched.handle_suspicion(ms(1));
    assert_eq!(watched.poll_timeout(), None);
}

#[test]
fn it_knows_since_when_it_is_as_it_is() {
    let mut check = Check::new(ms(0), config().fall(2).build().unwrap());
    assert_eq!(check.last_changed(), None);
    gaps(&mut check, "+++-");
    assert_eq!(check.last_changed(), Some(ms(1)));
    gaps(&mut check, "--");
    assert_eq!(check.last_changed(), Some(ms(8001)));
}

#[test]
fn new_times_move_what_is_due() {
    let mut check = Check::new(ms(0), config().build().unwrap());
    gaps(&mut check, "+");
    check.set_config(ms(100), config().interval(ms(700)).build().unwrap());
    assert_eq!(check.poll_timeout(), Some(ms(700)));
}

fn config() -> CheckConfigBuilder {
    CheckConfig::builder("c").interval(ms(2000))
}

fn failure() -> Outcome {
    Failure::Refused.into()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}
