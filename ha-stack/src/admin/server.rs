//! Answers on the socket.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;

use super::path::Target;
use super::report::{Handed, Report};
use super::{AdminSocket, SWITCHOVER_TIMEOUT};
use crate::{Controller, SwitchoverError};

/// Most connections at once; more wait in the listen queue.
const MAX_CONNECTIONS: usize = 16;
/// Longest time for a request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time from accepting a connection to its end.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause after a failed accept, for which there is no file descriptor, so that it doesn't spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl AdminSocket {
    /// Answers until the future is dropped; the socket's file is removed then. Needs a tokio runtime.
    pub fn serve(self, controller: Controller) -> impl Future<Output = Infallible> + Send {
        let (listener, file) = self.into_parts();
        let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        async move {
            let _file = file;
            let mut connections = tokio::task::JoinSet::new();
            loop {
                // 1. Wait for room, and for a connection.
                let permit = Arc::clone(&permits).acquire_owned().await;
                let accepted = listener.accept().await;
                // 2. Serve it beside the others.
                match accepted {
                    Ok((stream, _)) => {
                        let controller = controller.clone();
                        connections.spawn(async move {
                            let _permit = permit;
                            // A client that is slow, or gone, concerns nobody else.
                            let waits = AtomicBool::new(false);
                            let mut connection = pin!(connection(stream, controller, &waits));
                            let ended = tokio::time::timeout(CONNECTION_TIMEOUT, &mut connection).await;
                            if ended.is_err() && waits.load(Ordering::Relaxed) {
                                let _ = tokio::time::timeout(SWITCHOVER_TIMEOUT, connection).await;
                            }
                        });
                    }
                    Err(error) => {
                        tracing::warn!("admin socket: {error}");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                }
                // 3. Forget those that have ended.
                while connections.try_join_next().is_some() {}
            }
        }
    }
}

/// `waits` is set while a switchover is under way, which may take longer than a connection.
async fn connection(
    stream: UnixStream,
    controller: Controller,
    waits: &AtomicBool,
) -> Result<(), hyper::Error> {
    let controller = &controller;
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(
            TokioIo::new(stream),
            service_fn(move |request| async move {
                Ok::<_, Infallible>(respond(&request, controller, waits).await)
            }),
        )
        .await
}

async fn respond(
    request: &Request<Incoming>,
    controller: &Controller,
    waits: &AtomicBool,
) -> Response<Full<Bytes>> {
    let Some(target) = Target::parse(request.uri().path()) else {
        return text(
            StatusCode::NOT_FOUND,
            format!("not found; try {}\n", Target::KNOWN),
        );
    };
    let allowed = match &target {
        Target::Status => Method::GET,
        Target::Switchover(_) | Target::Resume(_) => Method::POST,
    };
    if request.method() != allowed {
        return not_allowed(&allowed);
    }
    match target {
        Target::Status => {
            let status = controller.status().await;
            status.map_or_else(|_| stopping(), |status| json(&Report::from(&status)))
        }
        Target::Switchover(name) => {
            waits.store(true, Ordering::Relaxed);
            let end = controller.switchover(name).await;
            waits.store(false, Ordering::Relaxed);
            match end {
                Ok(Ok(master)) => json(&Handed { master }),
                Ok(Err(error)) => refused(&error),
                Err(_) => stopping(),
            }
        }
        Target::Resume(name) => match controller.resume(name).await {
            Ok(Ok(())) => json(&serde_json::Map::new()),
            Ok(Err(error)) => refused(&error),
            Err(_) => stopping(),
        },
    }
}

fn json(value: &impl serde::Serialize) -> Response<Full<Bytes>> {
    match serde_json::to_vec(value) {
        Ok(json) => {
            let mut response = Response::new(Full::new(Bytes::from(json)));
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(CONTENT_TYPE, json);
            response
        }
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

fn not_allowed(allowed: &Method) -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, format!("use {allowed}\n"));
    if let Ok(allowed) = HeaderValue::from_str(allowed.as_str()) {
        response.headers_mut().insert(ALLOW, allowed);
    }
    response
}

fn refused(error: &SwitchoverError) -> Response<Full<Bytes>> {
    let status = match error {
        SwitchoverError::Unknown(_) => StatusCode::NOT_FOUND,
        SwitchoverError::Busy => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::CONFLICT,
    };
    text(status, format!("{error}\n"))
}

fn stopping() -> Response<Full<Bytes>> {
    text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned())
}

fn text(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response
}
