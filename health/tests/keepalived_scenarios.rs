//! Replays `data/tracker_scenarios.txt`: keepalived's script results and priority arithmetic. A row that this
//! file does not know how to play fails the test.

use core::num::NonZeroU32;
use core::time::Duration;

use ha_health::effect::effect;
use ha_health::{
    CannotExecute, Check, CheckConfig, Effect, Failure, Hysteresis, Outcome, Output, Tracked, Weight,
};

const SCENARIOS: &str = include_str!("data/tracker_scenarios.txt");

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn results_make_the_states_that_keepalived_makes_of_them() {
    let mut played = 0;
    for row in lines().filter(|line| line.contains(" | ")) {
        let [name, rise, fall, init, runs, expected] = row
            .split('|')
            .map(str::trim)
            .collect::<Vec<_>>()
            .try_into()
            .expect(row);
        let config = CheckConfig::builder(name)
            .rise(rise.parse().expect(row))
            .fall(fall.parse().expect(row))
            .init_fail(match init {
                "normal" => false,
                "init_fail" => true,
                _ => panic!("{row}"),
            })
            .build()
            .expect(row);
        match runs {
            "SIGKILL'ed" => assert_eq!(play(config, &[Failure::Signal { signal: 9 }.into()]), expected),
            "runs > timeout" => assert_eq!(timed_out(config), expected),
            "runs > interval" => assert_previous_state_is_kept_and_skip_told_once(),
            "exec fails / 126 / 127" => {
                assert_eq!(expected, "MUST be D in our design");
                let reasons = [
                    CannotExecute::NotFound,
                    CannotExecute::Shell { code: 126 },
                    CannotExecute::Shell { code: 127 },
                ];
                for reason in reasons {
                    assert_eq!(
                        play(config.clone(), &[Failure::CannotExecute(reason).into()]),
                        "D"
                    );
                }
            }
            codes => assert_eq!(play(config, &exits(codes)), expected, "{row}"),
        }
        played += 1;
    }
    assert_eq!(played, 8);
}

#[test]
fn hysteresis_alone_makes_the_same_states() {
    let codes = |row: &str| row.split('|').nth(4).unwrap().trim().starts_with(['0', '1']);
    let mut played = 0;
    for row in lines()
        .filter(|line| line.contains(" | "))
        .filter(|row| codes(row))
    {
        let fields: Vec<_> = row.split('|').map(str::trim).collect();
        let threshold = |at: usize| fields[at].parse::<NonZeroU32>().expect(row);
        let mut hysteresis = Hysteresis::new(threshold(1), threshold(2), fields[3] == "init_fail");
        for (code, expected) in fields[4].split(' ').zip(fields[5].split(' ')) {
            hysteresis.handle_result(code == "0");
            assert_eq!(letter(hysteresis.up()), expected, "{row}");
        }
        played += 1;
    }
    assert_eq!(played, 4);
}

#[test]
fn weights_make_the_priorities_that_keepalived_makes_of_them() {
    let mut played = 0;
    for line in lines().filter(|line| line.contains("->") && !line.starts_with("track_file")) {
        for case in line.split(';').map(str::trim) {
            let (trackers, result) = case.split_once("->").expect(case);
            let (base, trackers) = match trackers.trim().strip_prefix("base255") {
                Some(trackers) => (255, trackers),
                None => (100, trackers),
            };
            let expected = match result
                .rsplit("->")
                .next()
                .unwrap()
                .split_whitespace()
                .next()
                .expect(case)
            {
                "FAULT" => Effect::Fault,
                "no" => Effect::Priority(base),
                number => Effect::Priority(number.parse().expect(case)),
            };
            assert_eq!(effect(base, tracked(trackers)), expected, "{case}");
            played += 1;
        }
    }
    assert_eq!(played, 14);
}

#[test]
fn files_make_the_priorities_that_keepalived_makes_of_them() {
    let row = lines().find(|line| line.starts_with("track_file")).unwrap();
    let mut played = 0;
    // track_file weight 2 value 15 -> +30 ; value -300 weight 1 -> <= -254 => FAULT ; …
    for case in row.trim_start_matches("track_file").split(';') {
        let (given, result) = case.split_once("->").expect(case);
        let words: Vec<_> = given.split_whitespace().collect();
        let number = |word: &str| {
            let at = words.iter().position(|one| *one == word).expect(case);
            words[at + 1].parse::<i32>().expect(case)
        };
        let tracked = Tracked {
            value: Some(number("value")),
            ..Tracked::new(Weight::of_file(number("weight")).expect(case), None)
        };
        let expected = match result.trim().strip_prefix('+') {
            Some(change) => Effect::Priority(100 + change.parse::<u8>().expect(case)),
            None => {
                assert!(result.contains("FAULT"), "{case}");
                Effect::Fault
            }
        };
        assert_eq!(effect(100, [tracked]), expected, "{case}");
        played += 1;
    }
    assert_eq!(played, 3);
}

/// The rows without comments and trailing remarks.
fn lines() -> impl Iterator<Item = &'static str> {
    SCENARIOS
        .lines()
        .map(|line| line.split('#').next().unwrap().trim())
        .filter(|line| !line.is_empty())
}

/// Reads `+20:U -253:D` and `'0 reverse':U`.
fn tracked(text: &str) -> Vec<Tracked> {
    let text = text.replace('\'', "").replace(" reverse", "reverse");
    text.split_whitespace()
        .map(|tracker| {
            let (weight, state) = tracker.split_once(':').expect(tracker);
            let number = weight.trim_end_matches("reverse");
            let up = match state {
                "U" => true,
                "D" => false,
                _ => panic!("{tracker}"),
            };
            let weight_ = Weight::new(number.parse().expect(tracker)).expect(tracker);
            let plain = Tracked::new(weight_, Some(up));
            if weight.ends_with("reverse") {
                plain.reversed()
            } else {
                plain
            }
        })
        .collect()
}

fn exits(codes: &str) -> Vec<Outcome> {
    codes
        .split(' ')
        .map(|code| match code.parse().expect(codes) {
            0 => Outcome::success(),
            code => Failure::Exit { code }.into(),
        })
        .collect()
}

/// Runs a check with these outcomes; the state after each, as the table writes it.
fn play(config: CheckConfig, outcomes: &[Outcome]) -> String {
    let mut check = Check::new(Duration::ZERO, config);
    let mut states = Vec::new();
    for outcome in outcomes {
        let now = check.poll_timeout().expect("a run falls due");
        check.handle_timeout(now);
        assert_eq!(check.poll_output(), Some(Output::Start { timeout: SECOND }));
        check.handle_result(now, outcome.clone());
        while check.poll_output().is_some() {}
        states.push(letter(check.up()));
    }
    states.join(" ")
}

fn timed_out(config: CheckConfig) -> &'static str {
    let mut check = Check::new(Duration::ZERO, config);
    check.handle_timeout(Duration::ZERO);
    assert_eq!(check.poll_timeout(), Some(SECOND));
    check.handle_timeout(SECOND);
    assert_eq!(
        check.last_outcome(),
        Some(&Failure::TimedOut { after: SECOND }.into())
    );
    letter(check.up())
}

fn assert_previous_state_is_kept_and_skip_told_once() {
    let config = CheckConfig::builder("skip").timeout(10 * SECOND).build().unwrap();
    let mut check = Check::new(Duration::ZERO, config);
    check.handle_timeout(Duration::ZERO);
    check.handle_result(Duration::ZERO, Outcome::success());
    check.handle_timeout(SECOND);
    while check.poll_output().is_some() {}
    check.handle_timeout(2 * SECOND);
    assert_eq!(check.poll_output(), Some(Output::Skipped { running: SECOND }));
    check.handle_timeout(3 * SECOND);
    assert_eq!(check.poll_output(), None);
    assert_eq!(check.counters().skipped, 2);
    assert_eq!(check.up(), Some(true));
}

fn letter(up: Option<bool>) -> &'static str {
    match up {
        None => "?",
        Some(true) => "U",
        Some(false) => "D",
    }
}
