//! The log that all workers write to.

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use super::buffer::Buffer;
use super::clock::UtcOffset;
use super::format::Format;
use super::writer::{Batch, Common, Message, Output, run};

/// Where lines go.
pub enum Target {
    /// A file, which is created if it isn't there, and appended to.
    File(PathBuf),
    /// Standard output.
    Stdout,
    /// The embedder's own. It may block: only the log's thread waits for it.
    Writer(Box<dyn Write + Send>),
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Stdout => f.write_str("Stdout"),
            Self::Writer(_) => f.write_str("Writer"),
        }
    }
}

/// An access log's settings.
#[derive(Debug)]
#[must_use = "settings do nothing until the log is started"]
pub struct AccessLogConfig {
    target: Target,
    format: Format,
    buffer_size: usize,
    flush_interval: Duration,
    queue: usize,
    offset: UtcOffset,
}

impl AccessLogConfig {
    /// Lines of that format to that target.
    pub fn new(target: Target, format: Format) -> Self {
        Self {
            target,
            format,
            buffer_size: 64 * 1024,
            flush_interval: Duration::from_secs(1),
            queue: 64,
            offset: UtcOffset::UTC,
        }
    }

    /// Sets how many bytes a worker gathers before they are written (nginx: `buffer=`); 64 KiB by default. 0 writes
    /// each line alone.
    pub fn buffer_size(mut self, bytes: usize) -> Self {
        self.buffer_size = bytes;
        self
    }

    /// Sets after which time a line is written in any case (nginx: `flush=`); a second by default.
    pub fn flush_interval(mut self, interval: Duration) -> Self {
        self.flush_interval = interval;
        self
    }

    /// Sets how many full buffers may wait for the writer before lines are dropped, at least 1; 64 by default. With
    /// the workers' own, this bounds the log's memory.
    pub fn queue(mut self, buffers: usize) -> Self {
        self.queue = buffers.max(1);
        self
    }

    /// Sets how far its times are ahead of UTC; not at all by default.
    pub fn utc_offset(mut self, offset: UtcOffset) -> Self {
        self.offset = offset;
        self
    }
}

/// What became of lines so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogCounts {
    /// Lines that were written.
    pub lines: u64,
    /// Lines that were dropped because the writer was behind.
    pub dropped: u64,
    /// Lines that could not be written.
    pub failed: u64,
    /// What the last write, or opening the file anew, failed with, until one succeeds.
    pub error: Option<String>,
}

/// An access log that is being written; clones are handles to the same. When the last handle and the last buffer are
/// gone, its thread writes what is left and ends.
#[derive(Clone, Debug)]
pub struct AccessLog {
    shared: Arc<Shared>,
}

impl AccessLog {
    /// Opens the target and starts the thread that writes.
    ///
    /// # Errors
    /// The file can't be opened, or the thread can't be started.
    pub fn start(config: AccessLogConfig) -> io::Result<Self> {
        let output = Output::open(config.target)?;
        let (messages, received) = sync_channel(config.queue);
        let shared = Arc::new(Shared {
            format: config.format,
            offset: config.offset,
            buffer_size: config.buffer_size,
            flush_interval: config.flush_interval,
            messages,
            common: Arc::new(Common::new(config.queue)),
        });
        let (common, buffer_size) = (Arc::clone(&shared.common), config.buffer_size);
        spawn(move || run(output, &received, &common, buffer_size))?;
        Ok(Self { shared })
    }

    /// A buffer for a worker.
    #[must_use]
    pub fn buffer(&self) -> Buffer {
        Buffer::new(Arc::clone(&self.shared))
    }

    /// The format of its lines.
    #[must_use]
    pub fn format(&self) -> &Format {
        &self.shared.format
    }

    /// Opens the file anew, after it was renamed to keep it (nginx: `USR1`). Lines that were handed over before may
    /// go to either. If it can't be opened, the old one stays in use, and [`counts`](Self::counts) tells why.
    pub fn reopen(&self) {
        self.shared.common.ask_to_reopen();
        // If there is no room for it, the writer has enough to do, and looks before the next batch.
        _ = self.shared.send(Message::Wake);
    }

    /// Waits until all lines that buffers have handed over so far are written. Not for a worker's thread.
    pub fn flush(&self) {
        let (done, wait) = sync_channel(1);
        if self.shared.messages.send(Message::Flush(done)).is_ok() {
            // The writer's thread may end instead, if the embedder's writer panics.
            _ = wait.recv();
        }
    }

    /// What became of lines so far; those that are still in buffers are not counted.
    #[must_use]
    pub fn counts(&self) -> LogCounts {
        self.shared.common.counts()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the writer is a driver, and this is its thread"
)]
fn spawn(run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new()
        .name("access-log".to_owned())
        .spawn(run)
        .map(drop)
}

/// Room for the line that fills a buffer, in bytes: longer ones are rare, and make it grow.
const LINE: usize = 2 * 1024;

/// What handles and buffers share. The thread has [`Common`] alone, so that it ends when these are gone.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) format: Format,
    pub(super) offset: UtcOffset,
    pub(super) buffer_size: usize,
    pub(super) flush_interval: Duration,
    messages: SyncSender<Message>,
    common: Arc<Common>,
}

impl Shared {
    /// An empty batch, with the memory of a written one if there is one at hand.
    pub(super) fn empty_batch(&self) -> Batch {
        self.common.take_spare().unwrap_or_else(|| Batch {
            bytes: Vec::with_capacity(self.buffer_size.saturating_add(LINE)),
            lines: 0,
        })
    }

    /// Keeps the memory of a batch that wasn't used.
    pub(super) fn recycle(&self, batch: Batch) {
        self.common.keep_spare(batch, self.buffer_size);
    }

    /// Hands over without waiting; the message comes back if the writer is too far behind, or gone.
    pub(super) fn send(&self, message: Message) -> Result<(), Message> {
        self.messages.try_send(message).map_err(|error| match error {
            TrySendError::Full(message) | TrySendError::Disconnected(message) => message,
        })
    }

    pub(super) fn count_dropped(&self, lines: u64) {
        self.common.count_dropped(lines);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};
    use std::sync::{Condvar, Mutex};

    use super::super::{Escape, Record};
    use super::*;

    #[test]
    fn lines_of_a_worker_arrive_whole_and_in_order() {
        let sink = Sink::default();
        let log = start(&sink, |config| config.buffer_size(100).queue(1_000));
        let mut buffer = log.buffer();
        let mut expected = String::new();
        for number in 0..1_000 {
            write(&mut buffer, Duration::ZERO, number);
            expected += &format!("line {number}\n");
        }
        drop(buffer);
        log.flush();
        assert_eq!(sink.text(), expected);
        let counts = log.counts();
        assert_eq!(
            (counts.lines, counts.dropped, counts.failed, counts.error),
            (1_000, 0, 0, None)
        );
    }

    #[test]
    fn lines_wait_for_a_full_buffer_or_the_flush_interval() {
        let sink = Sink::default();
        let log = start(&sink, |config| config.flush_interval(Duration::from_secs(5)));
        let mut buffer = log.buffer();
        let at = Duration::from_secs;
        assert_eq!(buffer.poll_timeout(), None);
        write(&mut buffer, at(10), 1);
        write(&mut buffer, at(12), 2);
        assert_eq!(buffer.poll_timeout(), Some(at(15)));
        buffer.handle_timeout(at(14));
        log.flush();
        assert_eq!(sink.text(), "");
        buffer.handle_timeout(at(15));
        assert_eq!(buffer.poll_timeout(), None);
        log.flush();
        assert_eq!(sink.text(), "line 1\nline 2\n");

        // A busy worker needs no timer.
        write(&mut buffer, at(20), 3);
        write(&mut buffer, at(25), 4);
        log.flush();
        assert_eq!(sink.text(), "line 1\nline 2\nline 3\nline 4\n");

        let long = "x".repeat(70_000);
        let record = Record {
            target: &long,
            ..Record::default()
        };
        buffer.write(at(26), &record);
        assert_eq!(buffer.poll_timeout(), None);
    }

    #[test]
    fn a_writer_that_stands_still_costs_lines_but_no_time_and_no_memory() {
        let sink = Sink::default();
        let log = start(&sink, |config| config.buffer_size(100).queue(3));
        let mut buffer = log.buffer();
        sink.stop();
        // Whether the writer took one of the batches before it stood still is chance.
        for number in 0..10_000 {
            write(&mut buffer, Duration::ZERO, number);
        }
        let dropped = log.counts().dropped;
        assert!((9_900..10_000).contains(&dropped), "{dropped}");
        sink.go_on();
        log.flush();
        write(&mut buffer, Duration::ZERO, 10_000);
        drop(buffer);
        log.flush();
        let text = sink.text();
        let numbers: Vec<u64> = text
            .lines()
            .map(|line| line["line ".len()..].parse().unwrap())
            .collect();
        assert_eq!(numbers.len() as u64, 10_001 - dropped);
        // Nothing is torn, and all that was not dropped is there, in order.
        assert!(numbers.is_sorted_by(|a, b| a < b));
        assert_eq!((numbers[0], numbers[numbers.len() - 1]), (0, 10_000));
        assert_eq!(log.counts().lines, 10_001 - dropped);
    }

    #[test]
    fn buffers_of_many_threads_do_not_mix_their_lines() {
        let sink = Sink::default();
        let log = start(&sink, |config| config.buffer_size(64).queue(100_000));
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let log = log.clone();
                scope.spawn(move || {
                    let mut buffer = log.buffer();
                    for number in 0..500 {
                        write(&mut buffer, Duration::ZERO, thread * 1_000 + number);
                    }
                });
            }
        });
        log.flush();
        let text = sink.text();
        let mut numbers: Vec<u64> = text
            .lines()
            .map(|line| line["line ".len()..].parse().unwrap())
            .collect();
        for thread in 0..4 {
            let own = numbers.iter().filter(|number| **number / 1_000 == thread);
            assert!(own.is_sorted(), "thread {thread}");
        }
        numbers.sort_unstable();
        let expected = (0..4).flat_map(|thread| (0..500).map(move |number| thread * 1_000 + number));
        assert!(numbers.into_iter().eq(expected));
    }

    #[test]
    fn a_renamed_file_is_opened_anew() {
        let folder = Folder::new("reopen");
        let (path, old) = (folder.0.join("access.log"), folder.0.join("access.log.1"));
        let log = AccessLog::start(AccessLogConfig::new(Target::File(path.clone()), format())).unwrap();
        let mut buffer = log.buffer();
        write(&mut buffer, Duration::ZERO, 1);
        buffer.handle_timeout(Duration::from_secs(1));
        log.flush();
        std::fs::rename(&path, &old).unwrap();
        write(&mut buffer, Duration::ZERO, 2);
        buffer.handle_timeout(Duration::from_secs(2));
        log.flush();
        log.reopen();
        write(&mut buffer, Duration::ZERO, 3);
        drop(buffer);
        log.flush();
        assert_eq!(std::fs::read_to_string(&old).unwrap(), "line 1\nline 2\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "line 3\n");
    }

    #[test]
    fn a_file_that_cannot_be_opened_anew_leaves_the_old_one_in_use() {
        let folder = Folder::new("gone");
        let sub = folder.0.join("sub");
        std::fs::create_dir(&sub).unwrap();
        let path = sub.join("access.log");
        let log = AccessLog::start(AccessLogConfig::new(Target::File(path), format())).unwrap();
        let moved = folder.0.join("moved");
        std::fs::rename(&sub, &moved).unwrap();
        log.reopen();
        log.flush();
        assert!(log.counts().error.is_some());
        let mut buffer = log.buffer();
        write(&mut buffer, Duration::ZERO, 1);
        drop(buffer);
        log.flush();
        assert_eq!(
            std::fs::read_to_string(moved.join("access.log")).unwrap(),
            "line 1\n"
        );

        let missing = folder.0.join("none/access.log");
        let refused = AccessLog::start(AccessLogConfig::new(Target::File(missing), format()));
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_and_the_next_starts_on_its_own() {
        let sink = Sink::default();
        let log = start(&sink, |config| config.buffer_size(0));
        let mut buffer = log.buffer();
        sink.fail_after(3);
        write(&mut buffer, Duration::ZERO, 1);
        log.flush();
        let counts = log.counts();
        assert_eq!((counts.lines, counts.failed), (0, 1));
        assert_eq!(counts.error.as_deref(), Some("the disk is full"));
        sink.fail_after(usize::MAX);
        write(&mut buffer, Duration::ZERO, 2);
        log.flush();
        assert_eq!(sink.text(), "lin\nline 2\n");
        assert_eq!((log.counts().lines, log.counts().error), (1, None));
    }

    #[test]
    fn a_writer_that_panics_costs_lines_and_nothing_else() {
        struct Panics;
        impl Write for Panics {
            fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
                panic!("a bug of the embedder's");
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let config = AccessLogConfig::new(Target::Writer(Box::new(Panics)), format()).buffer_size(0);
        let log = AccessLog::start(config).unwrap();
        let mut buffer = log.buffer();
        write(&mut buffer, Duration::ZERO, 1);
        log.flush();
        for number in 2..10 {
            write(&mut buffer, Duration::ZERO, number);
        }
        drop(buffer);
        log.flush();
        assert!(log.counts().dropped >= 7, "{:?}", log.counts());
    }

    #[test]
    fn the_thread_ends_with_the_last_handle_and_buffer() {
        struct Tells(std::sync::mpsc::Sender<()>);
        impl Write for Tells {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        impl Drop for Tells {
            fn drop(&mut self) {
                self.0.send(()).unwrap();
            }
        }
        let (tells, ended): (_, Receiver<()>) = channel();
        let log = AccessLog::start(AccessLogConfig::new(
            Target::Writer(Box::new(Tells(tells))),
            format(),
        ))
        .unwrap();
        let buffer = log.buffer();
        drop(log);
        assert!(ended.try_recv().is_err());
        drop(buffer);
        ended.recv().unwrap();
    }

    fn format() -> Format {
        Format::parse("line $request_uri", Escape::Default).unwrap()
    }

    fn start(sink: &Sink, set: impl Fn(AccessLogConfig) -> AccessLogConfig) -> AccessLog {
        let config = AccessLogConfig::new(Target::Writer(Box::new(sink.clone())), format());
        AccessLog::start(set(config)).unwrap()
    }

    fn write(buffer: &mut Buffer, now: Duration, number: u64) {
        let number = number.to_string();
        let record = Record {
            target: &number,
            ..Record::default()
        };
        buffer.write(now, &record);
    }

    /// A target in memory, which can be made to stand still or to fail.
    #[derive(Clone, Default)]
    struct Sink(Arc<(Mutex<State>, Condvar)>);

    #[derive(Default)]
    struct State {
        written: Vec<u8>,
        stopped: bool,
        room: Option<usize>,
    }

    impl Sink {
        fn text(&self) -> String {
            String::from_utf8(self.0.0.lock().unwrap().written.clone()).unwrap()
        }

        fn stop(&self) {
            self.0.0.lock().unwrap().stopped = true;
        }

        fn go_on(&self) {
            self.0.0.lock().unwrap().stopped = false;
            self.0.1.notify_all();
        }

        fn fail_after(&self, bytes: usize) {
            self.0.0.lock().unwrap().room = Some(bytes);
        }
    }

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut state = self
                .0
                .1
                .wait_while(self.0.0.lock().unwrap(), |state| state.stopped)
                .unwrap();
            let taken = bytes.len().min(state.room.unwrap_or(usize::MAX));
            if taken == 0 {
                return Err(io::Error::other("the disk is full"));
            }
            state.room = state.room.map(|room| room - taken);
            state.written.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A folder of the test's own, which goes with it.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("lb-proxy-log-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            _ = std::fs::remove_dir_all(&self.0);
        }
    }
}
