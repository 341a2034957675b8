//! The thread that writes, and waits for the disk so that no worker has to.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Mutex, PoisonError};

use super::access::{LogCounts, Target};

/// Whole lines on their way to the writer.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: u64,
}

#[derive(Debug)]
pub(super) enum Message {
    Batch(Batch),
    /// There is something else to do.
    Wake,
    /// Tell when all that came before is written.
    Flush(SyncSender<()>),
}

/// Where lines go, open.
pub(super) struct Output {
    target: Target,
    /// The open file, if the target is one.
    file: Option<File>,
    /// The last write broke off, perhaps within a line.
    torn: bool,
}

impl Output {
    pub(super) fn open(target: Target) -> io::Result<Self> {
        let file = match &target {
            Target::File(path) => Some(open(path)?),
            Target::Stdout | Target::Writer(_) => None,
        };
        Ok(Self {
            target,
            file,
            torn: false,
        })
    }

    /// Opens the file anew, since it was renamed; on an error the old one stays.
    fn reopen(&mut self) -> io::Result<()> {
        if let Target::File(path) = &self.target {
            self.file = Some(open(path)?);
            self.torn = false;
        }
        Ok(())
    }

    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let result = match (&mut self.target, &mut self.file) {
            (_, Some(file)) => write_lines(file, self.torn, lines),
            (Target::Writer(writer), None) => write_lines(writer, self.torn, lines),
            (Target::Stdout | Target::File(_), None) => {
                write_lines(&mut io::stdout().lock(), self.torn, lines)
            }
        };
        self.torn = result.is_err();
        result
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options().append(true).create(true).open(path)
}

fn write_lines(out: &mut dyn Write, torn: bool, lines: &[u8]) -> io::Result<()> {
    if torn {
        out.write_all(b"\n")?;
    }
    out.write_all(lines)?;
    out.flush()
}

/// The writer's loop: until no buffer and no handle is left.
pub(super) fn run(mut output: Output, messages: &Receiver<Message>, common: &Common, buffer_size: usize) {
    while let Ok(message) = messages.recv() {
        if common.reopen.swap(false, Ordering::Acquire) {
            common.note(output.reopen());
        }
        match message {
            Message::Batch(batch) => {
                let result = output.write(&batch.bytes);
                let count = if result.is_ok() {
                    &common.lines
                } else {
                    &common.failed
                };
                count.fetch_add(batch.lines, Ordering::Relaxed);
                common.note(result);
                common.keep_spare(batch, buffer_size);
            }
            Message::Wake => {}
            // Who asked may have given up.
            Message::Flush(done) => _ = done.send(()),
        }
    }
}

/// What the writer shares with everybody else.
#[derive(Debug)]
pub(super) struct Common {
    lines: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
    reopen: AtomicBool,
    error: Mutex<Option<String>>,
    /// Written batches, for their memory.
    spares: Mutex<Vec<Batch>>,
    most_spares: usize,
}

impl Common {
    pub(super) fn new(most_spares: usize) -> Self {
        Self {
            lines: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            reopen: AtomicBool::new(false),
            error: Mutex::new(None),
            spares: Mutex::new(Vec::new()),
            most_spares,
        }
    }

    pub(super) fn ask_to_reopen(&self) {
        self.reopen.store(true, Ordering::Release);
    }

    pub(super) fn count_dropped(&self, lines: u64) {
        self.dropped.fetch_add(lines, Ordering::Relaxed);
    }

    /// A spare, unless somebody else is just at them: no worker waits here.
    pub(super) fn take_spare(&self) -> Option<Batch> {
        self.spares.try_lock().ok()?.pop()
    }

    /// Keeps a batch for its memory, unless there are enough of them or it grew far beyond its size.
    pub(super) fn keep_spare(&self, mut batch: Batch, buffer_size: usize) {
        if batch.bytes.capacity() > buffer_size.saturating_mul(2).max(4_096) {
            return;
        }
        batch.bytes.clear();
        batch.lines = 0;
        if let Ok(mut spares) = self.spares.try_lock() {
            if spares.len() < self.most_spares {
                spares.push(batch);
            }
        }
    }

    pub(super) fn counts(&self) -> LogCounts {
        LogCounts {
            lines: self.lines.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            error: self.error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    fn note(&self, result: io::Result<()>) {
        let error = result.err().map(|error| error.to_string());
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }
}
