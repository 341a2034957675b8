//! One request and its response over one connection to a backend (RFC 9112).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::AsyncWrite;

use super::answer::Reason;
use super::buffer::LARGE;
use super::connection::Connection;
use super::core::Proxy;
use super::request::Admitted;
use super::response::{self, Accepted};
use super::source::Source;
use super::upload::Upload;
use crate::h1::{self, Body, Chunked, Step};
use crate::runtime::clock;

/// The most interim responses before a final one.
const MAX_INTERIM: u32 = 32;
/// How much of the body is gathered for one write, with the head if that comes first.
const COALESCE: usize = 16 * 1024;

/// Why an exchange came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The client's body can't go on, or the client is gone.
    #[error("{}", .0.as_str())]
    Client(Reason),
    #[error("the connection broke: {0}")]
    Io(#[from] io::Error),
    #[error("the connection was closed before the response had ended")]
    Closed,
    #[error("the backend kept us waiting")]
    TimedOut,
    #[error("bad response: {0}")]
    BadResponse(&'static str),
}

impl Failure {
    /// What the client is told.
    pub(super) fn reason(&self) -> Reason {
        match self {
            Self::Client(reason) => *reason,
            Self::Io(_) | Self::Closed => Reason::Closed,
            Self::TimedOut => Reason::ReadTimeout,
            Self::BadResponse(_) => Reason::BadResponse,
        }
    }
}

/// Makes something of the head of the final response. The flag says whether the whole request has been read.
pub(super) type OnHead<'a, T> = dyn FnMut(h1::Response<'_>, &Accepted, bool) -> T + Send + 'a;

/// What is being waited for, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    /// The client's body: its side sets the deadline.
    Client,
    /// The backend to take what is sent.
    Send,
    /// The backend to say something.
    Read,
}

/// One request and its response.
#[derive(Debug)]
pub(super) struct Exchange {
    connection: Connection,
    upload: Upload,
    /// What is to be written, and how much of it has been.
    out: Vec<u8>,
    written: usize,
    /// Whether a byte of the request has left.
    begun: bool,
    sending: Sending,
    /// A failed write: what the backend says counts more, if it says something.
    send_error: Option<io::Error>,
    receiving: Receiving,
    interim: u32,
    /// How much at the front of the connection's buffer is the response's body.
    ready: usize,
    keep_alive: bool,
    /// Whether the request may be sent again although some of it has left.
    idempotent: bool,
    wait: Wait,
    since: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sending {
    /// The body, in pieces as they come.
    Body,
    /// So many bytes of what is at hand belong to the piece that was announced.
    Piece(usize),
    Done,
}

#[derive(Debug)]
enum Receiving {
    Head,
    Length(u64),
    Chunked(Box<Chunked>),
    UntilClose,
    Done,
}

impl Exchange {
    /// Prepares to send `head` and what `upload` brings over `connection`.
    pub(super) fn new(
        mut connection: Connection,
        head: Vec<u8>,
        mut upload: Upload,
        idempotent: bool,
    ) -> Self {
        upload.rewind();
        connection.requests += 1;
        Self {
            connection,
            upload,
            out: head,
            written: 0,
            begun: false,
            sending: Sending::Body,
            send_error: None,
            receiving: Receiving::Head,
            interim: 0,
            ready: 0,
            keep_alive: false,
            idempotent,
            wait: Wait::Send,
            since: clock::now(),
        }
    }

    /// When the backend, or the client if it is the client that is waited for, will have taken too long.
    pub(super) fn deadline(&self, proxy: &Proxy) -> Duration {
        let timeouts = &proxy.config.timeouts;
        self.since
            + match self.wait {
                Wait::Client => timeouts.client_body,
                Wait::Send => timeouts.send,
                Wait::Read => timeouts.read,
            }
    }

    /// What a passed [`deadline`](Self::deadline) means.
    pub(super) fn timed_out(&self) -> Failure {
        match self.wait {
            Wait::Client => Failure::Client(Reason::ClientTimeout),
            Wait::Send | Wait::Read => Failure::TimedOut,
        }
    }

    /// Whether nothing of the request has left, so that any request can be sent to another backend.
    pub(super) const fn is_unsent(&self) -> bool {
        !self.begun
    }

    /// Gives the connection up, and the body for another try.
    pub(super) fn into_upload(self) -> (Upload, Vec<u8>) {
        (self.upload, self.out)
    }

    /// Whether the client's body has been read to its end.
    pub(super) fn has_whole_request(&self) -> bool {
        self.upload.is_complete()
    }

    /// The trailer section of a response that has ended, as lines with an empty one at the end; or nothing.
    pub(super) fn trailers(&self) -> &[u8] {
        match &self.receiving {
            Receiving::Chunked(chunked) => chunked.trailers(),
            _ => &[],
        }
    }

    /// The part of the body that has come.
    pub(super) fn data(&self) -> &[u8] {
        &self.connection.buffer.data()[..self.ready]
    }

    pub(super) fn consume(&mut self, length: usize) {
        self.ready -= length;
        self.connection.buffer.consume(length);
    }

    /// Sends the request and waits for the head of the final response, which `on_head` makes something of.
    pub(super) fn poll_head<T>(
        &mut self,
        cx: &mut Context<'_>,
        proxy: &Proxy,
        request: &Admitted,
        source: &mut dyn Source,
        on_head: &mut OnHead<'_, T>,
    ) -> Poll<Result<(Accepted, T), Failure>> {
        loop {
            self.drive_upload(cx, source)?;
            while !self.connection.buffer.is_empty() {
                match self.parse_head(request, source, on_head)? {
                    Parsed::Final(accepted, made) => return Poll::Ready(Ok((accepted, made))),
                    Parsed::Interim => {}
                    Parsed::Partial if self.connection.buffer.room().is_empty() => {
                        return Poll::Ready(Err(Failure::BadResponse("a head of more than 64 KiB")));
                    }
                    Parsed::Partial => break,
                }
            }
            match self.poll_receive(cx, proxy)? {
                Poll::Ready(0) => return Poll::Ready(Err(self.closed())),
                Poll::Ready(_) => self.progress(),
                Poll::Pending => {
                    if self.sending == Sending::Done && source.poll_gone(cx).is_ready() {
                        return Poll::Ready(Err(Failure::Client(Reason::ClientGone)));
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    /// Waits until [`data`](Self::data) has something (`true`) or the response has ended; sends what is left of the
    /// request meanwhile.
    pub(super) fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        proxy: &Proxy,
        source: &mut dyn Source,
    ) -> Poll<Result<bool, Failure>> {
        if self.ready > 0 {
            return Poll::Ready(Ok(true));
        }
        loop {
            if let Some(more) = self.decode()? {
                return Poll::Ready(Ok(more));
            }
            // A request that the backend has answered need not reach it.
            if self.sending != Sending::Done && self.drive_upload(cx, source).is_err() {
                self.sending = Sending::Done;
                self.keep_alive = false;
            }
            match ready!(self.poll_receive(cx, proxy))? {
                0 if matches!(self.receiving, Receiving::UntilClose) => {
                    self.receiving = Receiving::Done;
                    return Poll::Ready(Ok(false));
                }
                0 => return Poll::Ready(Err(self.closed())),
                _ => self.progress(),
            }
        }
    }

    /// Gives the connection back after a response that has ended; `None` if it can't carry another request.
    ///
    /// It can't if something of the request is unsent, which would be taken for the next, or if the backend sent more
    /// than its response, which would be taken for the next response.
    pub(super) fn finish(self) -> (Option<Connection>, Vec<u8>) {
        let reusable = self.keep_alive
            && self.sending == Sending::Done
            && self.send_error.is_none()
            && self.written == self.out.len()
            && self.connection.buffer.is_empty();
        (reusable.then_some(self.connection), self.out)
    }

    /// Gives up the connection as it is, with what was read beyond the head: it carries no more HTTP.
    pub(super) fn into_connection(self) -> Connection {
        self.connection
    }

    fn progress(&mut self) {
        self.since = clock::now();
    }

    fn now_waits_for(&mut self, wait: Wait) {
        if self.wait != wait {
            self.wait = wait;
            self.progress();
        }
    }

    fn closed(&mut self) -> Failure {
        match self.send_error.take() {
            Some(error) => Failure::Io(error),
            None => Failure::Closed,
        }
    }

    /// Goes on sending as far as that goes; an error is the client's.
    fn drive_upload(&mut self, cx: &mut Context<'_>, source: &mut dyn Source) -> Result<(), Failure> {
        if self.sending == Sending::Done && self.out.is_empty() {
            return Ok(());
        }
        match self.poll_send(cx, source) {
            Poll::Ready(Ok(())) => {
                self.now_waits_for(Wait::Read);
                Ok(())
            }
            Poll::Pending => Ok(()),
            Poll::Ready(Err(Failure::Io(error))) => {
                // The backend may have answered and closed: its answer is read before the error is believed.
                self.send_error = Some(error);
                self.sending = Sending::Done;
                self.out.clear();
                self.written = 0;
                self.now_waits_for(Wait::Read);
                Ok(())
            }
            Poll::Ready(Err(failure)) => Err(failure),
        }
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, source: &mut dyn Source) -> Poll<Result<(), Failure>> {
        loop {
            self.prepare(cx, source)?;
            if self.written < self.out.len() {
                self.now_waits_for(Wait::Send);
                let rest = &self.out[self.written..];
                let written = ready!(Pin::new(&mut self.connection.transport).poll_write(cx, rest))?;
                self.wrote();
                self.written += written;
                if self.written == self.out.len() {
                    self.out.clear();
                    self.written = 0;
                }
                continue;
            }
            match self.sending {
                Sending::Done => return Poll::Ready(Ok(())),
                Sending::Piece(length) => {
                    self.now_waits_for(Wait::Send);
                    let data = &self.upload.data(source)[..length];
                    let written = ready!(Pin::new(&mut self.connection.transport).poll_write(cx, data))?;
                    self.wrote();
                    self.upload.consume(written, source);
                    self.end_of_piece(length - written);
                }
                Sending::Body => {
                    self.now_waits_for(Wait::Client);
                    return Poll::Pending;
                }
            }
        }
    }

    /// Has something of the body at hand for the next write, if it is there.
    fn prepare(&mut self, cx: &mut Context<'_>, source: &mut dyn Source) -> Result<(), Failure> {
        if self.sending != Sending::Body || self.out.len() >= COALESCE {
            return Ok(());
        }
        match self.upload.poll_fill(cx, source) {
            Poll::Pending => {}
            Poll::Ready(Err(reason)) => return Err(Failure::Client(reason)),
            Poll::Ready(Ok(true)) => {
                let length = self.upload.data(source).len();
                if self.upload.is_chunked() {
                    h1::push_size(&mut self.out, length);
                }
                self.sending = Sending::Piece(length);
                // What is consumed before it is written must be kept, or a connection that turns out to be closed loses it.
                if length <= COALESCE && self.upload.keeps(length) {
                    self.out.extend_from_slice(self.upload.data(source));
                    self.upload.consume(length, source);
                    self.end_of_piece(0);
                }
            }
            Poll::Ready(Ok(false)) => {
                if self.upload.is_chunked() {
                    self.out.extend_from_slice(b"0\r\n");
                    h1::push_trailers(&mut self.out, source.trailers());
                }
                self.sending = Sending::Done;
            }
        }
        Ok(())
    }

    fn end_of_piece(&mut self, left: usize) {
        if left > 0 {
            self.sending = Sending::Piece(left);
            return;
        }
        if self.upload.is_chunked() {
            self.out.extend_from_slice(b"\r\n");
        }
        self.sending = Sending::Body;
    }

    fn wrote(&mut self) {
        if !self.begun {
            self.begun = true;
            if !self.idempotent {
                self.upload.forget();
            }
        }
        self.progress();
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>, proxy: &Proxy) -> Poll<io::Result<usize>> {
        let Connection {
            transport, buffer, ..
        } = &mut self.connection;
        if buffer.capacity() == 0 {
            ready!(transport.poll_readable(cx))?;
            proxy.lend(buffer, LARGE);
        }
        let read = transport.poll_read(cx, buffer.room());
        match read {
            Poll::Ready(Ok(length)) => buffer.fill(length),
            Poll::Pending if buffer.is_empty() => proxy.take_back(std::mem::take(buffer)),
            Poll::Pending | Poll::Ready(Err(_)) => {}
        }
        read
    }

    fn parse_head<T>(
        &mut self,
        request: &Admitted,
        source: &mut dyn Source,
        on_head: &mut OnHead<'_, T>,
    ) -> Result<Parsed<T>, Failure> {
        let whole = self.upload.is_complete();
        let parsed = h1::parse_response(self.connection.buffer.data(), |head, length| {
            let accepted = response::accept(head, request)?;
            let is_interim = accepted.status < 200 && accepted.status != 101;
            if is_interim {
                // The proxy has answered an `Expect` itself.
                if accepted.status != 100 && request.minor == 1 {
                    let mut interim = Vec::new();
                    response::push_interim(&mut interim, head, &accepted);
                    source.inform(&interim);
                }
                return Ok((length, None));
            }
            let made = on_head(head, &accepted, whole);
            Ok((length, Some((accepted, made))))
        });
        let (length, made) = match parsed {
            Ok(None) => return Ok(Parsed::Partial),
            Ok(Some(result)) => result.map_err(Failure::BadResponse)?,
            Err(_) => return Err(Failure::BadResponse("a malformed head")),
        };
        self.connection.buffer.consume(length);
        let Some((accepted, made)) = made else {
            self.interim += 1;
            if self.interim > MAX_INTERIM {
                return Err(Failure::BadResponse("too many interim responses"));
            }
            return Ok(Parsed::Interim);
        };
        self.keep_alive = accepted.keep_alive;
        if accepted.announced.is_some() {
            self.connection.announced = accepted.announced;
        }
        self.receiving = match accepted.body {
            Body::None | Body::Length(0) => Receiving::Done,
            Body::Length(length) => Receiving::Length(length),
            Body::Chunked => Receiving::Chunked(Box::new(Chunked::new())),
            Body::UntilClose => {
                self.keep_alive = false;
                Receiving::UntilClose
            }
        };
        Ok(Parsed::Final(accepted, made))
    }

    /// Finds the body in what has been read: `Some(true)` if there is some, `Some(false)` if it has ended.
    fn decode(&mut self) -> Result<Option<bool>, Failure> {
        let buffer = &mut self.connection.buffer;
        match &mut self.receiving {
            Receiving::Head => unreachable!("the head comes first"),
            Receiving::Done | Receiving::Length(0) => return Ok(Some(false)),
            Receiving::Length(left) => {
                self.ready = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                *left -= self.ready as u64;
            }
            Receiving::UntilClose => self.ready = buffer.len(),
            Receiving::Chunked(chunked) => {
                let step = chunked.step(buffer.data());
                match step.map_err(|_| Failure::BadResponse("malformed chunks"))? {
                    Step::Data { skip, length } => {
                        buffer.consume(skip);
                        self.ready = length;
                    }
                    Step::More { skip } => buffer.consume(skip),
                    Step::End { skip } => {
                        buffer.consume(skip);
                        return Ok(Some(false));
                    }
                }
            }
        }
        Ok((self.ready > 0).then_some(true))
    }
}

enum Parsed<T> {
    Final(Accepted, T),
    Interim,
    Partial,
}
