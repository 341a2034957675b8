//! A worker's part of the log.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::access::Shared;
use super::clock::Clock;
use super::record::Record;
use super::writer::{Batch, Message};

/// A worker's part of an [`AccessLog`](super::AccessLog): lines gather here and are handed over to the writer together.
/// Nothing of it blocks. What is in it when it is dropped is handed over.
#[derive(Debug)]
pub struct Buffer {
    shared: Arc<Shared>,
    clock: Clock,
    wall: Wall,
    batch: Batch,
    /// When what is in it must go; `None` if it is empty.
    due: Option<Duration>,
}

impl Buffer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let clock = Clock::new(shared.offset);
        Self {
            clock,
            wall: Wall::default(),
            batch: shared.empty_batch(),
            due: None,
            shared,
        }
    }

    /// Writes the line of a request that is over at `now`, the time since the driver's epoch.
    ///
    /// If the buffer is full and the writer is behind, the line is dropped and counted.
    pub fn write(&mut self, now: Duration, record: &Record<'_>) {
        if self.is_full() && !self.hand_over() {
            self.shared.count_dropped(1);
            return;
        }
        let stamp = self.clock.at(self.wall.at(now));
        self.shared.format.write(stamp, record, &mut self.batch.bytes);
        self.batch.lines += 1;
        let due = *self
            .due
            .get_or_insert(now.saturating_add(self.shared.flush_interval));
        if self.is_full() || now >= due {
            self.hand_over();
        }
    }

    /// Hands over what waits for the flush interval or longer. Calls that are early, late or spurious are harmless.
    pub fn handle_timeout(&mut self, now: Duration) {
        if self.due.is_some_and(|due| now >= due) && !self.hand_over() {
            self.due = Some(now.saturating_add(self.shared.flush_interval));
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do; `None` while the buffer is empty.
    #[must_use]
    pub const fn poll_timeout(&self) -> Option<Duration> {
        self.due
    }

    /// The request and response fields that the format needs are told by this.
    #[must_use]
    pub fn format(&self) -> &super::Format {
        &self.shared.format
    }

    fn is_full(&self) -> bool {
        self.batch.bytes.len() >= self.shared.buffer_size
    }

    /// Gives the lines to the writer, unless it is too far behind; whether it took them.
    fn hand_over(&mut self) -> bool {
        if self.batch.lines > 0 {
            let empty = self.shared.empty_batch();
            let full = std::mem::replace(&mut self.batch, empty);
            if let Err(Message::Batch(full)) = self.shared.send(Message::Batch(full)) {
                self.shared.recycle(std::mem::replace(&mut self.batch, full));
                return false;
            }
        }
        self.due = None;
        true
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if !self.hand_over() {
            self.shared.count_dropped(self.batch.lines);
        }
    }
}

/// The time of day, read from the system once a second at most.
#[derive(Debug, Default)]
struct Wall {
    read_at: Duration,
    unix: Duration,
}

impl Wall {
    fn at(&mut self, now: Duration) -> Duration {
        let since = now.checked_sub(self.read_at);
        match since.filter(|since| *since < Duration::from_secs(1) && !self.unix.is_zero()) {
            Some(since) => self.unix + since,
            None => {
                self.read_at = now;
                self.unix = read();
                self.unix
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a log tells the time of day, and this is where it reads it"
)]
fn read() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_day_goes_on_with_the_drivers_clock() {
        let mut wall = Wall::default();
        let first = wall.at(Duration::from_secs(5));
        assert_eq!(
            wall.at(Duration::from_millis(5_999)),
            first + Duration::from_millis(999)
        );
        assert_eq!(wall.at(Duration::from_secs(5)), first);
        // Read again, whether the clock went on or is another.
        assert!(wall.at(Duration::from_secs(9_999)) < first + Duration::from_secs(5_000));
        assert!(wall.at(Duration::from_secs(1)) < first + Duration::from_secs(5_000));
    }
}
