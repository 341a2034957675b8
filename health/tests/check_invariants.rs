//! What holds for a check whatever its settings, its probe and its driver do.

use core::num::NonZeroU32;
use core::time::Duration;

use ha_health::{Check, CheckConfig, Failure, Hysteresis, Outcome, Output};
use proptest::prelude::*;

/// One run as the world plays it: how long the probe takes, what it finds, and how late the driver wakes.
#[derive(Debug, Clone)]
struct Run {
    takes_ms: u64,
    success: bool,
    late_ms: u64,
}

/// What came of a run.
struct Played {
    started: Duration,
    ended: Duration,
}

proptest! {
    #[test]
    fn schedule_and_counts_hold_for_any_probe_and_any_driver(
        interval_ms in 1_u64..500,
        timeout_ms in 1_u64..900,
        (rise, fall, init_fail) in (1_u32..5, 1_u32..5, any::<bool>()),
        runs in prop::collection::vec(run(), 1..40),
    ) {
        let (interval, timeout) = (Duration::from_millis(interval_ms), Duration::from_millis(timeout_ms));
        let config = CheckConfig::builder("c")
            .interval(interval).timeout(timeout).rise(rise).fall(fall).init_fail(init_fail)
            .build().unwrap();
        let mut check = Check::new(Duration::ZERO, config);
        let nonzero = |n| NonZeroU32::new(n).unwrap();
        let mut model = Hysteresis::new(nonzero(rise), nonzero(fall), init_fail);

        let mut now = Duration::ZERO;
        let mut on: Option<(Duration, Run)> = None;
        let mut played: Vec<Played> = Vec::new();
        let mut script = runs.iter().cloned();
        let mut next = script.next();
        let mut wakes = 0;

        'play: while next.is_some() || on.is_some() {
            wakes += 1;
            prop_assert!(wakes < 100_000, "busy loop");
            // 1. Wait.
            let timer = check.poll_timeout();
            let end = on.as_ref().map(|(started, run)| *started + Duration::from_millis(run.takes_ms));
            let wake = timer.into_iter().chain(end).min();
            prop_assert!(wake.is_some(), "neither a timer nor a run");
            let late = next.as_ref().map_or(0, |run| run.late_ms);
            now = now.max(wake.unwrap()) + Duration::from_millis(late);
            // 2. Feed one input, the result first.
            if end.is_some_and(|end| end <= now) {
                let (started, run) = on.take().unwrap();
                let outcome = if run.success { Outcome::success() } else { Failure::Refused.into() };
                let counted = check.counters();
                check.handle_result(now, outcome);
                played.push(Played { started, ended: now });
                if counted.successes + counted.failures < check.counters().runs_counted() {
                    model.handle_result(run.success && now - started <= timeout);
                }
            } else {
                let counted = check.counters().runs_counted();
                check.handle_timeout(now);
                if check.counters().runs_counted() > counted {
                    model.handle_result(false);
                }
                let timer = check.poll_timeout();
                prop_assert!(timer.is_none_or(|timer| timer > now), "the timer must move on");
            }
            // 3. Drain.
            let mut outputs = 0;
            while let Some(output) = check.poll_output() {
                outputs += 1;
                if let Output::Start { timeout: given } = output {
                    prop_assert_eq!(given, timeout);
                    prop_assert!(on.is_none(), "two runs at once");
                    let Some(run) = next.take() else { break 'play };
                    on = Some((now, run));
                    next = script.next();
                }
            }
            prop_assert!(outputs <= 3);
            // The check knows what is on, and its state is that of the counted results.
            prop_assert_eq!(check.is_running(), on.is_some());
            prop_assert_eq!(check.up(), model.up());
            // A run is counted once: at its end or, at the latest, when its time has passed.
            let uncounted = check.counters().runs - check.counters().runs_counted();
            prop_assert!(uncounted <= u64::from(check.is_running()));
        }

        for pair in played.windows(2) {
            prop_assert!(pair[1].started >= pair[0].ended, "a run began before the last had ended");
            prop_assert!(pair[1].started - pair[0].started >= interval, "faster than the interval");
        }
    }
}

trait RunsCounted {
    fn runs_counted(&self) -> u64;
}

impl RunsCounted for ha_health::Counters {
    fn runs_counted(&self) -> u64 {
        self.successes + self.failures
    }
}

fn run() -> impl Strategy<Value = Run> {
    let takes_ms = prop_oneof![4 => 0_u64..50, 1 => 0_u64..1500];
    let late_ms = prop_oneof![8 => Just(0), 1 => 0_u64..700];
    (takes_ms, any::<bool>(), late_ms).prop_map(|(takes_ms, success, late_ms)| Run {
        takes_ms,
        success,
        late_ms,
    })
}
