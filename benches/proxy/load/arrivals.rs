//! When the requests of many users come who know nothing of each other.

use std::time::{Duration, Instant};

/// Times of a Poisson process, the same ones in every run.
#[derive(Debug)]
pub(super) struct Arrivals {
    next: Instant,
    mean: f64,
    state: u64,
}

impl Arrivals {
    /// So many a second.
    pub(super) fn new(start: Instant, rate: f64) -> Self {
        Self {
            next: start,
            mean: 1.0 / rate,
            state: 0x9e37_79b9_7f4a_7c15,
        }
    }

    /// When the next one comes.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Those up to now.
    pub(super) fn take_due(&mut self, now: Instant) -> impl Iterator<Item = Instant> + '_ {
        std::iter::from_fn(move || {
            let due = self.next;
            (due <= now).then(|| {
                self.next = due + self.gap();
                due
            })
        })
    }

    fn gap(&mut self) -> Duration {
        // xorshift64, of which 53 bits make a number above 0 and at most 1.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        let uniform = ((self.state >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        Duration::from_secs_f64(-uniform.ln() * self.mean)
    }
}
