//! Asking a daemon.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::HOST;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::SWITCHOVER_TIMEOUT;
use super::path::Target;
use super::report::{Handed, Report};

/// Longest time for a whole answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest answer, in bytes: that of some hundred thousand backends.
const MAX_ANSWER: usize = 64 << 20;

/// Asks the daemon on that socket for its status.
///
/// # Errors
/// When nobody answers, in time and as expected. See [`FetchError`].
pub async fn fetch(path: impl AsRef<Path>) -> Result<Report, FetchError> {
    ask(path.as_ref(), Method::GET, &Target::Status, TIMEOUT).await
}

/// Asks the daemon on that socket to hand over a virtual router or a sync group, and waits until it has. The answer is
/// the address of the new master.
///
/// # Errors
/// When nobody answers, or the daemon can't; then [`FetchError::Refused`] says why.
pub async fn switchover(path: impl AsRef<Path>, name: &str) -> Result<IpAddr, FetchError> {
    let target = Target::Switchover(name.to_owned());
    let handed: Handed = ask(path.as_ref(), Method::POST, &target, SWITCHOVER_TIMEOUT).await?;
    Ok(handed.master)
}

/// Asks the daemon on that socket to end the hold after a switchover.
///
/// # Errors
/// When nobody answers, or there is nothing of that name; then [`FetchError::Refused`] says so.
pub async fn resume(path: impl AsRef<Path>, name: &str) -> Result<(), FetchError> {
    let target = Target::Resume(name.to_owned());
    let _: serde_json::Map<_, _> = ask(path.as_ref(), Method::POST, &target, TIMEOUT).await?;
    Ok(())
}

async fn ask<T: DeserializeOwned>(
    path: &Path,
    method: Method,
    target: &Target,
    timeout: Duration,
) -> Result<T, FetchError> {
    let broken = |what: String| FetchError::Broken {
        path: path.to_owned(),
        what,
    };
    let answered = tokio::time::timeout(timeout, exchange(path, method, target)).await;
    let (status, body) = answered.unwrap_or_else(|_| {
        Err(FetchError::Timeout {
            path: path.to_owned(),
            timeout,
        })
    })?;
    if status == StatusCode::OK {
        return serde_json::from_slice(&body).map_err(|error| broken(error.to_string()));
    }
    // What the daemon says to it, in a line. A status has no reason to fail but that it stops.
    match String::from_utf8_lossy(&body).trim() {
        "" => Err(broken(format!("status {status}"))),
        reason => Err(FetchError::Refused {
            reason: reason.to_owned(),
        }),
    }
}

async fn exchange(path: &Path, method: Method, target: &Target) -> Result<(StatusCode, Bytes), FetchError> {
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
    let request = Request::builder()
        .method(method)
        .uri(target.path())
        .header(HOST, "ha-stack")
        .body(Empty::<Bytes>::new())
        .map_err(|error| broken(error.to_string()))?;
    let exchange = async {
        let response = sender
            .send_request(request)
            .await
            .map_err(|error| broken(error.to_string()))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER);
        let body = body.collect().await.map_err(|error| broken(error.to_string()))?;
        Ok((status, body.to_bytes()))
    };
    let mut exchange = std::pin::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        // Its error shows in the exchange too.
        _ = connection => exchange.await,
    }
}

/// Why there is no answer, or not the one that was hoped for.
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
    /// The daemon says no.
    #[error("{reason}")]
    Refused {
        /// Why, in one line.
        reason: String,
    },
    /// What came is not an answer.
    #[error("no answer that can be read from {}: {what}", .path.display())]
    Broken {
        /// The socket.
        path: PathBuf,
        /// What came.
        what: String,
    },
    /// Nothing came in time.
    #[error("no answer from {} within {timeout:?}", .path.display())]
    Timeout {
        /// The socket.
        path: PathBuf,
        /// How long was waited.
        timeout: Duration,
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
