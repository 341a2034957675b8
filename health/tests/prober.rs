//! The driver of a set of checks, with probes of our own in virtual time.
#![cfg(feature = "probe")]

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ha_health::probe::{self, Probe, ProbeFuture, Prober};
use ha_health::{CheckConfig, Failure, Outcome, Output};
use tokio::time::timeout;

/// A probe of a program's own: it counts who is in it.
struct Counting {
    takes: Duration,
    inside: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
}

impl Probe for Counting {
    fn probe(&self, _: Duration) -> ProbeFuture<'_> {
        Box::pin(async {
            let inside = self.inside.fetch_add(1, Ordering::Relaxed) + 1;
            self.most.fetch_max(inside, Ordering::Relaxed);
            tokio::time::sleep(self.takes).await;
            self.inside.fetch_sub(1, Ordering::Relaxed);
            self.ended.fetch_add(1, Ordering::Relaxed);
            Outcome::success()
        })
    }
}

#[tokio::test(start_paused = true)]
async fn all_are_asked_and_never_more_at_a_time_than_may() {
    let counters = [(); 3].map(|()| Arc::new(AtomicUsize::new(0)));
    let [inside, most, ended] = counters.clone();
    let mut prober = Prober::new(NonZeroUsize::new(7).unwrap());
    for _ in 0..100 {
        let [inside, most, ended] = counters.clone();
        let takes = Duration::from_millis(100);
        prober.insert(
            config(),
            Counting {
                takes,
                inside,
                most,
                ended,
            },
        );
    }
    let mut up = 0;
    while up < 100 {
        let (_, output) = prober.next().await;
        up += usize::from(matches!(
            output,
            Output::Changed {
                up: true,
                first: true,
                ..
            }
        ));
    }
    assert_eq!(most.load(Ordering::Relaxed), 7);
    // Nothing more to tell, and still it asks.
    let nothing = timeout(Duration::from_secs(10), prober.next()).await;
    assert!(nothing.is_err());
    let ended = ended.load(Ordering::Relaxed);
    assert!((500..=700).contains(&ended), "{ended}");
    drop(prober);
    tokio::task::yield_now().await;
    assert!(inside.load(Ordering::Relaxed) <= 7);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_panics_has_failed_and_takes_no_other_with_it() {
    let mut prober = Prober::new(Prober::DEFAULT_LIMIT);
    let bad = prober.insert(config(), probe::from_fn(|| async { panic!("on purpose") }));
    let good = prober.insert(config(), probe::from_fn(|| async { Outcome::success() }));
    let mut told = Vec::new();
    for _ in 0..2 {
        if let (id, Output::Changed { up, outcome, .. }) = prober.next().await {
            told.push((id, up, outcome.failure()));
        }
    }
    assert_eq!(told, [(bad, false, Some(Failure::Aborted)), (good, true, None)]);
    let set = prober.set();
    assert_eq!((set.len(), set.running()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_suspicion_does_not_wait_for_the_interval() {
    let well = Arc::new(AtomicUsize::new(1));
    let seen = Arc::clone(&well);
    let probe = probe::from_fn(move || {
        let well = seen.load(Ordering::Relaxed) == 1;
        async move {
            if well {
                Outcome::success()
            } else {
                Failure::Refused.into()
            }
        }
    });
    let config = CheckConfig::builder("c")
        .interval(Duration::from_secs(60))
        .fast_interval(Duration::from_secs(1));
    let mut prober = Prober::new(Prober::DEFAULT_LIMIT);
    let id = prober.insert(config.build().unwrap(), probe);
    prober.next().await;
    well.store(0, Ordering::Relaxed);
    let quiet = timeout(Duration::from_secs(10), prober.next()).await;
    assert!(quiet.is_err());
    let before = prober.now();
    prober.suspect(id);
    let (_, output) = prober.next().await;
    assert!(matches!(output, Output::Changed { up: false, .. }), "{output}");
    assert!(prober.now() - before < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn one_without_checks_waits_and_one_that_was_removed_is_not_asked() {
    let mut prober = Prober::new(Prober::DEFAULT_LIMIT);
    assert!(timeout(Duration::from_secs(60), prober.next()).await.is_err());
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    let id = prober.insert(
        config(),
        probe::from_fn(move || {
            counted.fetch_add(1, Ordering::Relaxed);
            async { Outcome::success() }
        }),
    );
    prober.next().await;
    assert_eq!(prober.remove(id).unwrap().up(), Some(true));
    assert!(timeout(Duration::from_secs(60), prober.next()).await.is_err());
    assert_eq!(runs.load(Ordering::Relaxed), 1);
}

fn config() -> CheckConfig {
    CheckConfig::builder("c")
        .interval(Duration::from_secs(2))
        .build()
        .unwrap()
}
