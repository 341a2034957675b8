//! Weights to priority.

use ha_health::effect::effect;
use ha_health::{ConfigError, Effect, Tracked, Weight};
use proptest::prelude::*;

#[test]
fn weight_is_held_to_its_range() {
    for weight in [-253, -1, 0, 1, 253] {
        assert_eq!(Weight::new(weight).map(Weight::get), Ok(weight));
    }
    for weight in [i32::MIN, -65_536, -254, 254, 65_536, i32::MAX] {
        assert_eq!(
            Weight::new(weight),
            Err(ConfigError::WeightOutOfRange {
                got: weight,
                limit: 253
            })
        );
    }
    for (of, limit) in [
        (Weight::of_process as fn(i32) -> Result<Weight, ConfigError>, 254),
        (Weight::of_file, i32::MAX),
    ] {
        assert_eq!(of(limit).map(Weight::get), Ok(limit));
        assert_eq!(of(-limit).map(Weight::get), Ok(-limit));
        let got = limit.wrapping_add(1);
        assert_eq!(of(got), Err(ConfigError::WeightOutOfRange { got, limit }));
    }
    assert_eq!(Weight::default(), Weight::FAULT);
    assert_eq!(Weight::new(-20).unwrap().to_string(), "-20");
}

#[test]
fn without_checks_the_base_stands() {
    for base in 1..=255 {
        assert_eq!(effect(base, []), Effect::Priority(base));
    }
}

#[test]
fn unweighted_check_is_fault_until_known() {
    assert_eq!(effect(100, [tracked(0, None)]), Effect::Fault);
    assert_eq!(effect(100, [tracked(0, None).reversed()]), Effect::Fault);
    assert_eq!(
        effect(100, [tracked(0, Some(true)), tracked(0, None)]),
        Effect::Fault
    );
    assert_eq!(
        effect(100, [tracked(0, Some(true)), tracked(0, Some(true))]),
        Effect::Priority(100)
    );
}

#[test]
fn weighted_check_changes_nothing_until_known() {
    for weight in [-253, -20, 20, 253] {
        assert_eq!(effect(100, [tracked(weight, None)]), Effect::Priority(100));
        assert_eq!(
            effect(100, [tracked(weight, None).reversed()]),
            Effect::Priority(100)
        );
    }
}

#[test]
fn owner_ignores_weights_but_not_fault() {
    assert_eq!(
        effect(255, [tracked(-253, Some(false)), tracked(20, Some(true))]),
        Effect::Priority(255)
    );
    assert_eq!(effect(255, [tracked(0, Some(false))]), Effect::Fault);
}

#[test]
fn nobody_becomes_owner_or_silent_by_weights() {
    assert_eq!(effect(254, [tracked(253, Some(true))]), Effect::Priority(254));
    assert_eq!(effect(1, [tracked(-253, Some(false))]), Effect::Priority(1));
}

#[test]
fn sum_is_clamped_at_the_end_and_not_on_the_way() {
    let up_and_down = [tracked(253, Some(true)), tracked(-253, Some(false))];
    assert_eq!(effect(100, up_and_down), Effect::Priority(100));
}

#[test]
fn many_checks_do_not_overflow() {
    let all_up = std::iter::repeat_n(tracked(253, Some(true)), 100_000);
    assert_eq!(effect(100, all_up), Effect::Priority(254));
}

#[test]
fn the_weight_of_a_process_may_reach_past_the_lowest_priority() {
    let process = |weight, up| Tracked::new(Weight::of_process(weight).unwrap(), Some(up));
    assert_eq!(effect(254, [process(-254, false)]), Effect::Priority(1));
    assert_eq!(effect(1, [process(254, true)]), Effect::Priority(254));
}

#[test]
fn the_value_of_a_file_counts_times_its_weight() {
    let cases = [
        (1, 0, Effect::Priority(100)),
        (1, 20, Effect::Priority(120)),
        (2, 15, Effect::Priority(130)),
        (-3, 10, Effect::Priority(70)),
        (-3, -10, Effect::Priority(130)),
        (1, -253, Effect::Priority(1)),
        (1, 253, Effect::Priority(254)),
        (1, i32::MAX, Effect::Priority(254)),
        (1, -254, Effect::Fault),
        (-1, 254, Effect::Fault),
        (254, -1, Effect::Fault),
        (i32::MAX, i32::MIN, Effect::Fault),
        (i32::MAX, i32::MAX, Effect::Priority(254)),
        (0, 0, Effect::Priority(100)),
        (0, 7, Effect::Fault),
        (0, -7, Effect::Fault),
    ];
    for (weight, value, expected) in cases {
        assert_eq!(effect(100, [file(weight, value)]), expected, "{weight} × {value}");
    }
}

/// A sum of two large values is no larger than keepalived makes it: each is held below 253 before it is added.
#[test]
fn each_value_is_held_before_it_is_added() {
    assert_eq!(effect(100, [file(1, 1000), file(1, -250)]), Effect::Priority(103));
}

#[test]
fn a_reversed_file_is_taken_the_other_way_round() {
    assert_eq!(effect(100, [file(2, 15).reversed()]), Effect::Priority(70));
    assert_eq!(effect(100, [file(1, 254).reversed()]), Effect::Fault);
    assert_eq!(effect(100, [file(0, 0).reversed()]), Effect::Fault);
    assert_eq!(effect(100, [file(0, 7).reversed()]), Effect::Priority(100));
}

#[test]
fn owner_ignores_the_value_of_a_weighted_file_but_not_of_one_without_weight() {
    assert_eq!(effect(255, [file(1, -1000), file(2, 7)]), Effect::Priority(255));
    assert_eq!(effect(255, [file(0, 1)]), Effect::Fault);
}

proptest! {
    #[test]
    fn order_does_not_matter(
        base in 1_u8..=255,
        (checks, shuffled) in prop::collection::vec(any_tracked(), 0..8)
            .prop_flat_map(|checks| (Just(checks.clone()), Just(checks).prop_shuffle())),
    ) {
        prop_assert_eq!(effect(base, checks), effect(base, shuffled));
    }

    #[test]
    fn a_check_that_comes_up_never_lowers_the_priority(
        base in 1_u8..=255,
        mut checks in prop::collection::vec(any_tracked(), 1..8),
    ) {
        checks[0] = Tracked { reverse: false, up: Some(false), ..checks[0] };
        let down = effect(base, checks.iter().copied());
        checks[0].up = Some(true);
        let up = effect(base, checks);
        prop_assert!(number(up) >= number(down));
    }

    #[test]
    fn reversing_turns_what_a_weight_adds_into_what_it_takes(weight in -100..=100, up in any::<Option<bool>>()) {
        prop_assume!(weight != 0);
        // From 127 no clamp is in the way.
        let change = |check| i16::from(number(effect(127, [check]))) - 127;
        let check = tracked(weight, up);
        prop_assert_eq!(change(check.reversed()), -change(check));
    }

    #[test]
    fn reversing_without_weight_is_the_same_as_the_other_state(base in 1_u8..=255, up in any::<Option<bool>>()) {
        let other = tracked(0, up.map(|up| !up));
        prop_assert_eq!(effect(base, [tracked(0, up).reversed()]), effect(base, [other]));
    }
}

fn tracked(weight: i32, up: Option<bool>) -> Tracked {
    Tracked::new(Weight::new(weight).unwrap(), up)
}

fn file(weight: i32, value: i32) -> Tracked {
    Tracked {
        value: Some(value),
        ..Tracked::new(Weight::of_file(weight).unwrap(), Some(true))
    }
}

fn number(effect: Effect) -> u8 {
    match effect {
        Effect::Fault => 0,
        Effect::Priority(priority) => priority,
    }
}

fn any_tracked() -> impl Strategy<Value = Tracked> {
    let weight = prop_oneof![Just(0), -253..=253];
    (weight, any::<bool>(), any::<Option<bool>>()).prop_map(|(weight, reverse, up)| Tracked {
        reverse,
        ..tracked(weight, up)
    })
}
