//! A connection to the server, for one run or kept for the next.

use alloc::boxed::Box;
use core::fmt;
use core::future::Future;
use core::net::SocketAddr;
use core::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};

use ::http::{Request, Response};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::failure_of;
use crate::Failure;
use crate::probe::tcp;

type Body = Empty<Bytes>;
/// What moves bytes while it is polled; `None` when it has ended.
type Driver = Option<Pin<Box<http1::Connection<TokioIo<TcpStream>, Body>>>>;

pub(super) struct Connection {
    sender: http1::SendRequest<Body>,
    driver: Driver,
}

impl Connection {
    /// Connects. A head of an answer may be `max_head` bytes long.
    pub(super) async fn open(address: SocketAddr, max_head: usize) -> Result<Self, Failure> {
        let stream = tcp::connect(address).await?;
        let (sender, driver) = http1::Builder::new()
            .max_buf_size(max_head)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| failure_of(&error))?;
        Ok(Self {
            sender,
            driver: Some(Box::pin(driver)),
        })
    }

    /// Sends a request and has the answer judged.
    pub(super) async fn ask<T, F>(
        &mut self,
        request: Request<Body>,
        judge: impl FnOnce(Response<Incoming>) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let Self { sender, driver } = self;
        let answer = async {
            // One that was kept tells here that the server has closed it.
            sender.ready().await.map_err(|error| failure_of(&error))?;
            let response = sender
                .send_request(request)
                .await
                .map_err(|error| failure_of(&error))?;
            judge(response).await
        };
        alongside(driver, answer).await
    }

    /// Whether it can take another request: all of the last answer was read, and the server leaves it open.
    pub(super) async fn is_ready(&mut self) -> bool {
        let Self { sender, driver } = self;
        alongside(driver, sender.ready()).await.is_ok()
    }
}

/// Waits for `answer` while it drives the connection, in one task, so that dropping the one drops the other.
async fn alongside<T>(driver: &mut Driver, answer: impl Future<Output = T>) -> T {
    let mut answer = pin!(answer);
    if let Some(connection) = driver {
        tokio::select! {
            biased;
            answer = &mut answer => return answer,
            // Its error, if any, shows in the answer too.
            _ = connection => {}
        }
        *driver = None;
    }
    answer.await
}

/// The connection that is kept between two runs.
#[derive(Default)]
pub(super) struct Idle(Mutex<Option<Connection>>);

impl Idle {
    pub(super) fn take(&self) -> Option<Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(super) fn put(&self, connection: Connection) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
    }
}

/// Each probe keeps a connection of its own.
impl Clone for Idle {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl fmt::Debug for Idle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idle").finish_non_exhaustive()
    }
}
