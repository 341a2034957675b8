//! How ours compares with another, over the rounds.

use std::fmt;
use std::time::Duration;

/// Ours by theirs, a ratio a round: what disturbs a round disturbs both.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ratio {
    sorted: Vec<f64>,
}

impl Ratio {
    pub(crate) fn new(pairs: impl IntoIterator<Item = (Duration, Duration)>) -> Self {
        let ratios = pairs
            .into_iter()
            .map(|(ours, theirs)| ours.as_secs_f64() / theirs.as_secs_f64());
        let mut sorted: Vec<f64> = ratios.filter(|ratio| ratio.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        Self { sorted }
    }

    /// The one in the middle; not a number if there is none.
    pub(crate) fn median(&self) -> f64 {
        let middle = self.sorted.len() / 2;
        match self.sorted.get(middle) {
            None => f64::NAN,
            Some(upper) if self.sorted.len() % 2 == 1 => *upper,
            Some(upper) => f64::midpoint(*upper, self.sorted[middle - 1]),
        }
    }
}

/// `median (min–max)`.
impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.sorted.first(), self.sorted.last()) {
            (Some(min), Some(max)) => write!(f, "{:.2} ({min:.2}–{max:.2})", self.median()),
            _ => f.write_str("–"),
        }
    }
}
