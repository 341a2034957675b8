//! Answers on the socket.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;

use super::report::Report;
use super::{AdminSocket, STATUS_PATH};
use crate::Controller;

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
                            let _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection(stream, controller))
                                .await;
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

async fn connection(stream: UnixStream, controller: Controller) -> Result<(), hyper::Error> {
    hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(
            TokioIo::new(stream),
            service_fn(move |request| {
                let controller = controller.clone();
                async move { Ok::<_, Infallible>(respond(&request, &controller).await) }
            }),
        )
        .await
}

async fn respond(request: &Request<Incoming>, controller: &Controller) -> Response<Full<Bytes>> {
    if request.uri().path() != STATUS_PATH {
        return text(StatusCode::NOT_FOUND, format!("not found; try {STATUS_PATH}\n"));
    }
    if request.method() != Method::GET {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "use GET\n".to_owned());
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET"));
        return response;
    }
    let Ok(status) = controller.status().await else {
        return text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned());
    };
    match serde_json::to_vec(&Report::from(&status)) {
        Ok(json) => {
            let mut response = Response::new(Full::new(Bytes::from(json)));
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(CONTENT_TYPE, json);
            response
        }
        Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

fn text(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response
}
