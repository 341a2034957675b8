//! A FIFO that never makes its writer wait.

use std::collections::VecDeque;
use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ha_health::probe::{Probe as _, Script, User};
use nix::sys::stat::Mode;
use nix::unistd::{Gid, Uid, chown, mkfifo};
use tokio::net::unix::pipe;
use tokio::sync::{broadcast, mpsc};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::compose::event::Event;

/// After a reader has ended, until it is started again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long lines that wait may be written at the end.
const WRITE_REST: Duration = Duration::from_secs(1);
/// How long a reader may read after the end.
const READ_REST: Duration = Duration::from_secs(2);
/// A reader may run for so long; then it is started again.
const READER: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Most lines that wait here when the kernel takes no more.
const MAX_WAITING: usize = 1024;

/// The writing end. It is open for reading as well, so that it can be opened, and lines wait, without a reader.
#[derive(Debug)]
pub(super) struct Fifo {
    path: Arc<Path>,
    /// Whether it was made by us.
    made: bool,
    pipe: pipe::Sender,
    waiting: VecDeque<String>,
    /// Lines lost since the last time that all went through.
    lost: u64,
}

/// Why there is no FIFO to write to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FifoError {
    /// Something else has its name.
    #[error("{} is not a FIFO: remove it, or give another path", .path.display())]
    NotAFifo {
        /// The path.
        path: PathBuf,
    },
    /// It can't be made.
    #[error("the FIFO {} can't be made: {error}", .path.display())]
    Make {
        /// The path.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        error: io::Error,
    },
    /// It can't be opened.
    #[error("the FIFO {} can't be opened: {error}", .path.display())]
    Open {
        /// The path.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        error: io::Error,
    },
}

impl Fifo {
    /// Opens it, and makes it if it is missing. Called in a runtime.
    pub(super) fn open(path: &Path, owner: Option<User>) -> Result<Self, FifoError> {
        let made = match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.file_type().is_fifo() => false,
            Ok(_) => return Err(FifoError::NotAFifo { path: path.into() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make(path, owner).map_err(|error| FifoError::Make {
                    path: path.into(),
                    error,
                })?;
                true
            }
            Err(error) => {
                return Err(FifoError::Open {
                    path: path.into(),
                    error,
                });
            }
        };
        let pipe = pipe::OpenOptions::new()
            .read_write(true)
            .open_sender(path)
            .map_err(|error| FifoError::Open {
                path: path.into(),
                error,
            })?;
        Ok(Self {
            path: path.into(),
            made,
            pipe,
            waiting: VecDeque::new(),
            lost: 0,
        })
    }

    /// Writes lines until there are no more, with a reader beside.
    pub(super) async fn run(
        mut self,
        script: Option<Script>,
        mut lines: mpsc::UnboundedReceiver<String>,
        events: broadcast::Sender<Event>,
    ) {
        let path = Arc::clone(&self.path);
        let tell = |event| {
            // Nobody may be listening.
            let _ = events.send(event);
        };
        let lost = |lines| Event::NotifyLost {
            fifo: Arc::clone(&path),
            lines,
        };
        let script = script.map(|script| Arc::new(script.arg(path.as_os_str())));
        let mut readers = JoinSet::new();
        let start = |readers: &mut JoinSet<_>, delay| {
            if let Some(script) = script.clone() {
                readers.spawn(async move {
                    sleep(delay).await;
                    script.probe(READER).await
                });
            }
        };
        start(&mut readers, Duration::ZERO);
        loop {
            tokio::select! {
                line = lines.recv() => match line {
                    Some(line) => if let Some(first) = self.push(line) {
                        tell(lost(first));
                    },
                    None => break,
                },
                lines = self.drained() => if let Some(lines) = lines {
                    tell(lost(lines));
                },
                Some(Ok(outcome)) = readers.join_next() => {
                    tell(Event::NotifyReader { fifo: Arc::clone(&path), outcome });
                    start(&mut readers, AGAIN);
                }
            }
        }
        let written = async {
            while !self.waiting.is_empty() {
                self.drained().await;
            }
        };
        // Whoever reads gets the end too; if nobody does, it is lost.
        let _ = timeout(WRITE_REST, written).await;
        let made = self.made;
        // Without a writer the reader comes to the end of the file.
        drop(self);
        // Who goes on is killed.
        let _ = timeout(READ_REST, readers.join_next()).await;
        readers.shutdown().await;
        if made {
            // Somebody else may have removed it.
            let _ = fs::remove_file(&path);
        }
    }

    /// Writes a line, or keeps it. Gives how many are lost so far, if this is the first.
    fn push(&mut self, line: String) -> Option<u64> {
        self.waiting.push_back(line);
        self.flush();
        if self.waiting.len() <= MAX_WAITING {
            return None;
        }
        self.waiting.pop_front();
        self.lost += 1;
        (self.lost == 1).then_some(self.lost)
    }

    /// Waits until lines that wait here can be written, and writes them. Gives how many were lost before, when none is
    /// left. Never ends while none waits.
    async fn drained(&mut self) -> Option<u64> {
        if self.waiting.is_empty() {
            std::future::pending::<()>().await;
        }
        if self.pipe.writable().await.is_err() {
            std::future::pending::<()>().await;
        }
        self.flush();
        if self.waiting.is_empty() && self.lost > 0 {
            return Some(std::mem::take(&mut self.lost));
        }
        None
    }

    /// Writes as many as the kernel takes. A line is below PIPE_BUF, and so written whole or not at all.
    fn flush(&mut self) {
        while let Some(line) = self.waiting.front() {
            match self.pipe.try_write(line.as_bytes()) {
                Ok(_) => {
                    self.waiting.pop_front();
                }
                Err(_) => return,
            }
        }
    }
}

fn make(path: &Path, owner: Option<User>) -> io::Result<()> {
    mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR)?;
    if let Some(owner) = owner {
        let owned = chown(
            path,
            Some(Uid::from_raw(owner.uid())),
            Some(Gid::from_raw(owner.gid())),
        );
        if let Err(errno) = owned {
            let _ = fs::remove_file(path);
            return Err(errno.into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};

    use super::*;

    /// More than the kernel and we keep, of some 40 bytes each.
    const MANY: usize = 10_000;

    #[tokio::test]
    async fn without_a_reader_the_oldest_lines_here_are_lost_and_counted_and_the_newest_kept() {
        let path = std::env::temp_dir().join(format!("ha-stack-fifo-{}", std::process::id()));
        let mut fifo = Fifo::open(&path, None).unwrap();
        // Until then nothing is known of it.
        fifo.pipe.writable().await.unwrap();
        let line = |number| format!("INSTANCE \"VI_1\" MASTER_PRIORITY {number}\n");
        let told: Vec<u64> = (0..MANY).filter_map(|number| fifo.push(line(number))).collect();
        assert_eq!(told, [1], "it is told once that lines are lost");
        assert_eq!(fifo.waiting.len(), MAX_WAITING);
        let lost = fifo.lost as usize;
        let in_kernel = MANY - lost - MAX_WAITING;
        assert!(in_kernel > 1000, "{in_kernel}");

        // The reader gets what the kernel has, and then the newest.
        let (numbers, read) = std::sync::mpsc::channel();
        let reader = fs::File::open(&path).unwrap();
        let reading = tokio::task::spawn_blocking(move || {
            for line in BufReader::new(reader).lines().map(Result::unwrap) {
                let number: usize = line.rsplit(' ').next().unwrap().parse().unwrap();
                numbers.send(number).unwrap();
            }
        });
        let total = loop {
            if let Some(total) = fifo.drained().await {
                break total;
            }
        };
        assert_eq!(total, lost as u64);
        drop(fifo);
        reading.await.unwrap();
        let read: Vec<usize> = read.try_iter().collect();
        let expected: Vec<usize> = (0..in_kernel).chain(MANY - MAX_WAITING..MANY).collect();
        assert_eq!(read, expected);
        fs::remove_file(&path).unwrap();
    }
}
