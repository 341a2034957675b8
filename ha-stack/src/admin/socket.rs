//! The socket: its mode, and who may have left it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::{Mode, umask};
use tokio::net::{UnixListener, UnixStream};

/// Only the owner may ask.
const MODE: u32 = 0o600;
/// How long two programs that start in one folder wait for each other.
const LOCK_TRIES: u32 = 100;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// A bound socket. Dropping it removes its file.
#[derive(Debug)]
pub struct AdminSocket {
    pub(super) listener: UnixListener,
    file: SocketFile,
}

/// The file of a socket that is ours.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = fs::remove_file(&self.0);
    }
}

impl AdminSocket {
    /// Binds a socket of mode 0600. Its folder is made if only that is missing.
    ///
    /// A socket that a process left when it died is replaced. One that a process listens on is not, and neither is
    /// any other kind of file.
    ///
    /// For the moment of binding the process has a umask of 0177, which concerns files that other threads make then.
    ///
    /// # Errors
    /// See [`SocketError`]; nothing has changed then.
    pub async fn bind(path: impl AsRef<Path>) -> Result<Self, SocketError> {
        let path = path.as_ref();
        let io = |error| SocketError::Io {
            path: path.to_owned(),
            error,
        };
        let folder = match path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        };
        match fs::create_dir(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(io(error)),
            _ => {}
        }
        // Between looking at a left socket and replacing it nobody else may do the same.
        let _lock = lock(folder).await.map_err(io)?;
        remove_stale(path).await?;
        // Nobody can connect between the making of the file and the setting of its mode.
        let before = umask(Mode::from_bits_truncate(!MODE & 0o777));
        let bound = UnixListener::bind(path);
        umask(before);
        let listener = bound.map_err(io)?;
        let file = SocketFile(path.to_owned());
        fs::set_permissions(path, fs::Permissions::from_mode(MODE)).map_err(io)?;
        Ok(Self { listener, file })
    }

    pub(super) fn into_parts(self) -> (UnixListener, SocketFile) {
        (self.listener, self.file)
    }
}

async fn lock(folder: &Path) -> io::Result<Flock<File>> {
    let mut folder = File::open(folder)?;
    let mut tries = 0;
    loop {
        folder = match Flock::lock(folder, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Ok(lock),
            Err((folder, nix::errno::Errno::EAGAIN)) if tries < LOCK_TRIES => folder,
            Err((_, errno)) => return Err(errno.into()),
        };
        tries += 1;
        tokio::time::sleep(LOCK_PAUSE).await;
    }
}

async fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let io = |error| SocketError::Io {
        path: path.to_owned(),
        error,
    };
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(io(error)),
    };
    if !metadata.file_type().is_socket() {
        return Err(SocketError::NotASocket {
            path: path.to_owned(),
        });
    }
    match UnixStream::connect(path).await {
        // Nobody listens: left by a process that died.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(io),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        // Accepted, or the queue is full, or we may not ask: somebody is there.
        _ => Err(SocketError::InUse {
            path: path.to_owned(),
        }),
    }
}

/// Why the socket can't be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// A process listens there.
    #[error("another process listens on {}: stop it, or choose another path with --socket", .path.display())]
    InUse {
        /// The path.
        path: PathBuf,
    },
    /// Something else is there, and stays.
    #[error("{} is not a socket: remove it, or choose another path with --socket", .path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The system says no.
    #[error("cannot listen on {}: {error}; choose another path with --socket", .path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
}
