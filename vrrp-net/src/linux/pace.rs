//! When packets come close together, several are read at a wake.
//!
//! A wake costs several times what reading a packet does, and who sends many adverts in a row pays for waking us for
//! each. Little is lost by a moment's rest: half a millisecond before what an advert of another host brings is acted
//! upon, beside skew times of that and much more; and whoever sends few is still heard at once.

use std::time::Duration;

/// Longest rest: a twentieth of the shortest advertisement interval.
const REST: Duration = Duration::from_micros(500);

/// Decides whether the thread rests before it waits for more.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Packets since it was last asked.
    packets: usize,
    /// When it was last asked, if there had been packets.
    busy_at: Option<Duration>,
    /// Whether it had the thread rest.
    rested: bool,
}

impl Pace {
    /// A packet was read.
    pub(super) fn note_packet(&mut self) {
        self.packets += 1;
    }

    /// All has been read, and the thread is about to wait: how long it rests first, never beyond `until`.
    pub(super) fn rest(&mut self, now: Duration, until: Option<Duration>) -> Option<Duration> {
        let packets = std::mem::take(&mut self.packets);
        let before = self.busy_at.take();
        if packets > 0 {
            self.busy_at = Some(now);
        }
        // After a rest, if it was worth it; else when two wakes with packets lie close together.
        self.rested = if self.rested {
            packets > 1
        } else {
            packets > 0 && before.is_some_and(|before| now < before + REST)
        };
        let left = until.map_or(REST, |until| until.saturating_sub(now).min(REST));
        (self.rested && !left.is_zero()).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAR: Option<Duration> = Some(Duration::from_secs(1000));

    /// Wakes at these times in microseconds with so many packets; whether each was followed by a rest.
    fn rests(wakes: &[(u64, usize)]) -> Vec<bool> {
        let mut pace = Pace::default();
        let rest = |&(at, packets): &(u64, usize)| {
            (0..packets).for_each(|_| pace.note_packet());
            pace.rest(Duration::from_micros(at), FAR).is_some()
        };
        wakes.iter().map(rest).collect()
    }

    #[test]
    fn packets_far_apart_are_each_read_at_once() {
        assert_eq!(
            rests(&[(0, 1), (1_000, 1), (2_000, 1), (1_000_000, 5)]),
            [false; 4]
        );
    }

    #[test]
    fn the_second_of_a_burst_brings_a_rest_that_gathers_the_others() {
        let wakes = [(0, 1), (20, 1), (520, 28), (1_020, 0), (100_000, 1)];
        assert_eq!(rests(&wakes), [false, true, true, false, false]);
    }

    #[test]
    fn rests_go_on_as_long_as_each_gathers_several() {
        let wakes = [(0, 1), (400, 1), (900, 2), (1_400, 3), (1_900, 1), (2_500, 1)];
        assert_eq!(rests(&wakes), [false, true, true, true, false, false]);
    }

    #[test]
    fn wakes_without_packets_bring_no_rest() {
        assert_eq!(rests(&[(0, 0), (10, 0), (20, 1), (30, 0), (40, 1)]), [false; 5]);
    }

    #[test]
    fn no_rest_outlasts_the_deadline() {
        let mut pace = Pace::default();
        let micros = Duration::from_micros;
        pace.note_packet();
        assert_eq!(pace.rest(micros(0), Some(micros(300))), None);
        pace.note_packet();
        assert_eq!(pace.rest(micros(100), Some(micros(300))), Some(micros(200)));
        (0..2).for_each(|_| pace.note_packet());
        assert_eq!(pace.rest(micros(300), Some(micros(300))), None);
    }
}
