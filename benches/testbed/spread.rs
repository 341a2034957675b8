//! Several measurements of one thing.

use std::fmt;
use std::time::Duration;

/// The median of several runs, with the fastest and the slowest.
#[derive(Clone, Debug, Default)]
pub struct Spread {
    sorted: Vec<Duration>,
}

impl Spread {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn add(&mut self, value: Duration) {
        let place = self.sorted.partition_point(|other| *other <= value);
        self.sorted.insert(place, value);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// The one in the middle; with an even number, the middle of the two there.
    #[must_use]
    pub fn median(&self) -> Option<Duration> {
        let upper = self.sorted.get(self.sorted.len() / 2)?;
        let lower = self.sorted.get((self.sorted.len() - 1) / 2)?;
        Some((*upper + *lower) / 2)
    }

    /// The lowest.
    #[must_use]
    pub fn min(&self) -> Option<Duration> {
        self.sorted.first().copied()
    }

    /// The highest.
    #[must_use]
    pub fn max(&self) -> Option<Duration> {
        self.sorted.last().copied()
    }

    /// `median (min–max)` in microseconds.
    #[must_use]
    pub fn micros(&self) -> String {
        match (self.median(), self.min(), self.max()) {
            (Some(median), Some(min), Some(max)) => format!("{} ({}–{})", us(median), us(min), us(max)),
            _ => "–".to_owned(),
        }
    }

    /// How far the middle half of them lies apart: what may come of chance.
    #[must_use]
    pub fn noise(&self) -> Duration {
        let quarter = self.sorted.len() / 4;
        match (
            self.sorted.get(quarter),
            self.sorted.get(self.sorted.len().saturating_sub(quarter + 1)),
        ) {
            (Some(low), Some(high)) => *high - *low,
            _ => Duration::ZERO,
        }
    }
}

impl FromIterator<Duration> for Spread {
    fn from_iter<I: IntoIterator<Item = Duration>>(values: I) -> Self {
        let mut spread = Self::new();
        values.into_iter().for_each(|value| spread.add(value));
        spread
    }
}

/// `median (min–max)` in milliseconds.
impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.median(), self.min(), self.max()) {
            (Some(median), Some(min), Some(max)) => {
                write!(f, "{} ({}–{})", ms(median), ms(min), ms(max))
            }
            _ => f.write_str("–"),
        }
    }
}

/// Milliseconds for people: three digits or so.
#[must_use]
pub fn ms(time: Duration) -> String {
    digits(time.as_secs_f64() * 1e3)
}

/// Microseconds for people, likewise.
#[must_use]
pub fn us(time: Duration) -> String {
    digits(time.as_secs_f64() * 1e6)
}

fn digits(number: f64) -> String {
    if number >= 99.95 {
        format!("{number:.0}")
    } else {
        format!("{number:.1}")
    }
}
