//! Asking a daemon.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::HOST;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

use super::STATUS_PATH;
use super::report::Report;

/// Longest time for a whole answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer, in bytes: that of some hundred thousand backends.
const MAX_ANSWER: usize = 64 << 20;

/// Asks the daemon on that socket for its status.
///
/// # Errors
/// When nobody answers, in time and as expected. See [`FetchError`].
pub async fn fetch(path: impl AsRef<Path>) -> Result<Report, FetchError> {
    let path = path.as_ref();
    tokio::time::timeout(TIMEOUT, ask(path))
        .await
        .unwrap_or_else(|_| {
            Err(FetchError::Timeout {
                path: path.to_owned(),
            })
        })
}

async fn ask(path: &Path) -> Result<Report, FetchError> {
    let broken = |what: String| FetchError::Broken {
        path: path.to_owned(),
        what,
    };
    let stream = UnixStream::connect(path)
        .await
        .map_err(|error| FetchError::Connect {
            path: path.to_owned(),
            error,
        })?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| broken(error.to_string()))?;
    let request = Request::get(STATUS_PATH)
        .header(HOST, "ha-stack")
        .body(Empty::<Bytes>::new())
        .map_err(|error| broken(error.to_string()))?;
    let exchange = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| broken(error.to_string()))?;
        if response.status() != StatusCode::OK {
            return Err(broken(format!("status {}", response.status())));
        }
        let body = Limited::new(response.into_body(), MAX_ANSWER);
        let body = body.collect().await.map_err(|error| broken(error.to_string()))?;
        serde_json::from_slice(&body.to_bytes()).map_err(|error| broken(error.to_string()))
    };
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        report = &mut exchange => report,
        // Its error shows in the exchange too.
        _ = connection => exchange.await,
    }
}

/// Why there is no status.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// Nobody listens, or not for us.
    #[error("cannot reach ha-stack on {}: {error}{}", .path.display(), connect_hint(.error))]
    Connect {
        /// The socket.
        path: PathBuf,
        /// The reason.
        error: io::Error,
    },
    /// What came is not a status.
    #[error("no status from {}: {what}", .path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// What came.
        what: String,
    },
    /// Nothing came in time.
    #[error("no answer from {} within {TIMEOUT:?}", .path.display())]
    Timeout {
        /// The socket.
        path: PathBuf,
    },
}

fn connect_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            "; does it run, and with the same --socket?"
        }
        io::ErrorKind::PermissionDenied => "; only the user that runs it may ask",
        _ => "",
    }
}
