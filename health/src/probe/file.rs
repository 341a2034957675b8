//! A file that holds a number, for `track_file`.

use alloc::boxed::Box;
use core::fmt;
use core::mem::MaybeUninit;
use core::time::Duration;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::libc::O_NONBLOCK;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;
use tokio::time::{Instant, sleep_until, timeout};

use super::{Tell, Watch, WatchFuture, descriptor, number};
use crate::{Failure, Outcome};

/// Watches the number in a file, keepalived's `track_file`.
///
/// * The file is read as soon as somebody who wrote it has closed it, and when it is created, removed, or replaced by
///   another; by inotify on its folder and on itself, so links work as well. It is read each second
///   ([`LOOK_AGAIN`](Self::LOOK_AGAIN)) besides, for what inotify can't see: a folder that did not exist, a file system
///   that others write to.
/// * A file that does not exist has the value 0, and so has one that has been empty for 100 ms; for a moment a file is
///   empty while it is written.
/// * A number is written as in C: `15`, `-3`, `0x1f`, and with a leading 0 in base 8. White space goes before it, and
///   anything may follow after white space.
/// * What is no number from −2147483648 to 2147483647 is a failure with its reason, and counted; the last number stands.
///   (keepalived takes words for 0, which is success.) So is a file that can't be read, which keepalived takes
///   for 0 as well. Without a number that could stand the check is down.
///
/// What a number does to a priority depends on the weight of who tracks it; see [`Weight`](crate::Weight).
///
/// ```
/// use ha_health::probe::File;
///
/// let file = File::new("/run/ha/maintenance").init(0);
/// assert_eq!(file.to_string(), "file /run/ha/maintenance");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct File {
    path: PathBuf,
    init: Option<Init>,
}

/// keepalived's `init_file`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Init {
    value: i32,
    overwrite: bool,
}

/// What the file holds.
enum Content {
    Value(i32),
    Empty,
    Missing,
}

impl File {
    /// How often the file is read although nothing was reported: 1 s.
    pub const LOOK_AGAIN: Duration = Duration::from_secs(1);
    /// Shortest time between two looks, however often the file is written.
    const PAUSE: Duration = Duration::from_millis(5);
    /// How long a file that has become empty waits to be filled before it counts as 0.
    const SETTLE: Duration = Duration::from_millis(100);
    /// A number and what may stand around it.
    const MAX_CONTENT: u64 = 128;

    /// Watches the file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            init: None,
        }
    }

    /// Writes `value` into the file when the watch begins, if it does not exist (keepalived's `init_file VALUE`).
    #[must_use]
    pub fn init(mut self, value: i32) -> Self {
        self.init = Some(Init {
            value,
            overwrite: false,
        });
        self
    }

    /// Writes `value` into the file when the watch begins, whatever it held (keepalived's `init_file VALUE overwrite`).
    #[must_use]
    pub fn overwrite(mut self, value: i32) -> Self {
        self.init = Some(Init {
            value,
            overwrite: true,
        });
        self
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the first value, if there is one to write.
    fn initialise(&self) -> io::Result<()> {
        let Some(Init { value, overwrite }) = self.init else {
            return Ok(());
        };
        let mut options = OpenOptions::new();
        options.write(true).custom_flags(O_NONBLOCK);
        if overwrite {
            options.create(true).truncate(true);
        } else {
            options.create_new(true);
        }
        match options.open(&self.path) {
            Ok(mut file) => writeln!(file, "{value}"),
            Err(error) if !overwrite && error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn read(&self) -> Result<Content, Failure> {
        let unreadable = |error: &io::Error| Failure::Unreadable {
            errno: error.raw_os_error().unwrap_or(0),
        };
        // Without O_NONBLOCK a FIFO would wait for its other end.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(O_NONBLOCK)
            .open(&self.path);
        let file = match file {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::Missing),
            Err(error) => return Err(unreadable(&error)),
        };
        let mut content = alloc::vec::Vec::new();
        file.take(Self::MAX_CONTENT)
            .read_to_end(&mut content)
            .map_err(|error| unreadable(&error))?;
        if content.trim_ascii().is_empty() {
            return Ok(Content::Empty);
        }
        number::parse(&content)
            .map(Content::Value)
            .ok_or(Failure::NotANumber)
    }

    async fn run(&self, tell: Tell<'_>) -> Failure {
        let mut last = None;
        let mut reports = match Reports::open(&self.path) {
            Ok(reports) => reports,
            Err(error) => return super::cannot_watch(&error),
        };
        let mut not_written = self.initialise().err();
        let mut reported = true;
        let mut settling = false;
        loop {
            // Before the file is read, so that no change falls in between.
            let next = Instant::now() + Self::PAUSE;
            reports.renew(&self.path);
            let found = self.read();
            // Between its truncation and what is written then, a file is empty for a moment: it counts as 0 when it has
            // stayed so.
            let empty = matches!(found, Ok(Content::Empty));
            let stayed = settling && !reported;
            if empty && stayed {
                // The time may be up before the runtime has come round to reports that are there already. Read after the
                // file: a writer who closed it between the two looks at it is among them.
                match reports.read() {
                    Ok(false) => {}
                    Ok(true) => {
                        reported = true;
                        sleep_until(next).await;
                        continue;
                    }
                    Err(error) => return super::cannot_watch(&error),
                }
            }
            settling = empty && !stayed && last.is_some_and(|last| last != 0);
            if !settling {
                tell(outcome(&mut last, found, not_written.take()));
            }
            let wait = if settling { Self::SETTLE } else { Self::LOOK_AGAIN };
            reported = match timeout(wait, reports.next()).await {
                Ok(Ok(())) => {
                    sleep_until(next).await;
                    true
                }
                Ok(Err(error)) => return super::cannot_watch(&error),
                Err(_) => false,
            };
        }
    }
}

/// Turns what was found into a result; `last` is the number that stands.
fn outcome(
    last: &mut Option<i32>,
    found: Result<Content, Failure>,
    not_written: Option<io::Error>,
) -> Outcome {
    let outcome = match found {
        Ok(content) => {
            let (value, message) = match content {
                Content::Value(value) => (value, ""),
                Content::Empty => (0, "the file is empty"),
                Content::Missing => (0, "there is no file"),
            };
            *last = Some(value);
            Outcome::success().with_value(value).with_message(message)
        }
        Err(failure) => match *last {
            Some(value) => Outcome::failed(failure).with_value(value),
            None => failure.into(),
        },
    };
    match not_written {
        Some(error) => outcome.with_message(alloc::format!("the first value can't be written: {error}")),
        None => outcome,
    }
}

/// inotify on a file and on its folder. Either may come and go.
#[derive(Debug)]
struct Reports {
    inotify: AsyncFd<OwnedFd>,
    folder: PathBuf,
    name: OsString,
    /// Watch on the file itself, which may be a link to somewhere else.
    file: Option<i32>,
}

impl Reports {
    fn open(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.into();
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.into(),
            _ => PathBuf::from("."),
        };
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self {
            inotify: descriptor::readable(inotify)?,
            folder,
            name,
            file: None,
        })
    }

    /// Watches the folder and the file that are there now. The kernel knows what it watches already.
    fn renew(&mut self, path: &Path) {
        let inotify = self.inotify.get_ref();
        let in_folder = WatchFlags::CLOSE_WRITE
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        // A folder that is not there, or is closed to us, is looked for again each second.
        let _ = inotify::add_watch(inotify, &self.folder, in_folder);
        let file = inotify::add_watch(inotify, path, WatchFlags::CLOSE_WRITE).ok();
        if let Some(old) = self.file.filter(|_| self.file != file) {
            // It may be gone together with its file.
            let _ = inotify::remove_watch(inotify, old);
        }
        self.file = file;
    }

    /// Waits for a report that may concern the file.
    async fn next(&self) -> io::Result<()> {
        loop {
            let mut ready = self.inotify.readable().await?;
            if self.read()? {
                return Ok(());
            }
            ready.clear_ready();
        }
    }

    /// Reads all reports; says whether one may concern the file.
    fn read(&self) -> io::Result<bool> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reports = inotify::Reader::new(self.inotify.get_ref(), &mut buffer);
        let mut ours = false;
        loop {
            match reports.next() {
                // Without a name: of the file itself, of the folder itself, or about lost reports. A watch that the
                // kernel dropped follows the end of its file, or our own request.
                Ok(report) => {
                    let other = match report.file_name() {
                        Some(name) => name.to_bytes() != self.name.as_bytes(),
                        None => report.events().contains(ReadFlags::IGNORED),
                    };
                    ours |= !other;
                }
                Err(Errno::AGAIN) => return Ok(ours),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl Watch for File {
    fn watch<'a>(&'a self, tell: Tell<'a>) -> WatchFuture<'a> {
        Box::pin(self.run(tell))
    }
}

impl fmt::Display for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "file {}", self.path.display())
    }
}
