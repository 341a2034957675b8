//! Rise and fall against two references: the definition in words, and keepalived's counter.

use core::num::NonZeroU32;

use ha_health::Hysteresis;
use proptest::prelude::*;

proptest! {
    #[test]
    fn state_is_what_the_last_results_in_a_row_say(
        (rise, fall, init_fail, results) in scenario()
    ) {
        let mut hysteresis = new(rise, fall, init_fail);
        let mut expected = init_fail.then_some(false);
        for (at, &success) in results.iter().enumerate() {
            let before = expected;
            let last = |n: u32| results[..=at].iter().rev().take(n as usize);
            let in_a_row = |n: u32, kind: bool| at + 1 >= n as usize && last(n).all(|&result| result == kind);
            if expected.is_none() {
                expected = Some(success);
            } else if in_a_row(rise, true) {
                expected = Some(true);
            } else if in_a_row(fall, false) {
                expected = Some(false);
            }
            prop_assert_eq!(hysteresis.handle_result(success), expected != before);
            prop_assert_eq!(hysteresis.up(), expected);
        }
    }

    #[test]
    fn state_is_what_keepalived_counts((rise, fall, init_fail, results) in scenario()) {
        let mut hysteresis = new(rise, fall, init_fail);
        let mut keepalived = Keepalived::new(rise, fall, init_fail);
        for success in results {
            keepalived.handle_result(success);
            hysteresis.handle_result(success);
            prop_assert_eq!(hysteresis.up(), Some(keepalived.result >= keepalived.rise));
        }
    }

    #[test]
    fn lowered_thresholds_act_at_the_next_result(successes in 1_u32..10) {
        let mut hysteresis = new(20, 1, true);
        for _ in 0..successes {
            hysteresis.handle_result(true);
        }
        hysteresis.set_thresholds(NonZeroU32::MIN, NonZeroU32::MIN);
        prop_assert_eq!(hysteresis.up(), Some(false));
        prop_assert!(hysteresis.handle_result(true));
        prop_assert_eq!(hysteresis.up(), Some(true));
    }
}

#[test]
fn thresholds_of_any_size_do_not_overflow() {
    let mut hysteresis = new(u32::MAX, u32::MAX, false);
    for success in [true, false, true, false, false] {
        hysteresis.handle_result(success);
    }
    assert_eq!(hysteresis.up(), Some(true));
}

/// The counter of keepalived's `vrrp_script_child_thread`: `result` from 0 to rise + fall − 1, up from `rise` on.
struct Keepalived {
    rise: u32,
    fall: u32,
    result: u32,
}

impl Keepalived {
    fn new(rise: u32, fall: u32, init_fail: bool) -> Self {
        Self {
            rise,
            fall,
            result: if init_fail { 0 } else { rise - 1 },
        }
    }

    fn handle_result(&mut self, success: bool) {
        self.result = match success {
            true if self.result < self.rise - 1 => self.result + 1,
            true => self.rise + self.fall - 1,
            false if self.result > self.rise => self.result - 1,
            false => 0,
        };
    }
}

fn new(rise: u32, fall: u32, init_fail: bool) -> Hysteresis {
    Hysteresis::new(rise.try_into().unwrap(), fall.try_into().unwrap(), init_fail)
}

/// Results come in streaks, or long thresholds would never be reached.
fn scenario() -> impl Strategy<Value = (u32, u32, bool, Vec<bool>)> {
    let streak = (any::<bool>(), 1_usize..8).prop_map(|(result, n)| vec![result; n]);
    let results = prop::collection::vec(streak, 0..20).prop_map(|streaks| streaks.concat());
    (1_u32..7, 1_u32..7, any::<bool>(), results)
}
