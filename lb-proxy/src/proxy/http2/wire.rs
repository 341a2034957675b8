//! What a client's frames say before anybody has understood them: whether they bring anything, and since when one is
//! only half there.
//!
//! A flood of frames that each are allowed (PING, SETTINGS, PRIORITY, WINDOW_UPDATE, RST_STREAM, DATA of nothing) costs
//! the client nine bytes apiece and is no error of the protocol. So frames that bring nothing are counted against those
//! that do, in a leaky bucket.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::runtime::clock;

/// How many frames that bring nothing may come at once, beyond those that the traffic explains.
const BURST: u32 = 1000;
/// How many of them are forgiven each second.
const FORGIVEN: u32 = 100;
/// What a reset weighs: it undoes a request that a backend may have. Browsers reset some dozens when a page is left.
const RESET: u32 = 5;
/// The preface without its frame (RFC 9113 §3.4).
const PREFACE_LEN: usize = 24;
const FRAME_HEAD_LEN: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Watches the frames of a client.
#[derive(Debug)]
struct Frames {
    head: [u8; FRAME_HEAD_LEN],
    /// How much of the head has come.
    got: usize,
    /// How much is to come of what is not looked at.
    skip: usize,
    /// Between HEADERS and the end of its block nothing else may come (RFC 9113 §4.3).
    in_block: bool,
    /// The frame under way is a body's; its own deadlines watch over that.
    is_data: bool,
    /// Since when the preface, a frame or a block of fields has been incomplete.
    begun: Option<Duration>,
    level: u32,
    /// When `level` was last lowered for the time that has passed.
    since: Duration,
}

impl Frames {
    fn new(now: Duration) -> Self {
        Self {
            head: [0; FRAME_HEAD_LEN],
            got: 0,
            skip: PREFACE_LEN,
            in_block: false,
            is_data: false,
            begun: Some(now),
            level: 0,
            since: now,
        }
    }

    fn handle_bytes(&mut self, mut bytes: &[u8], now: Duration) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            let part = (FRAME_HEAD_LEN - self.got).min(bytes.len());
            self.head[self.got..self.got + part].copy_from_slice(&bytes[..part]);
            self.got += part;
            bytes = &bytes[part..];
            if self.got == FRAME_HEAD_LEN {
                self.got = 0;
                self.handle_frame(now);
            }
        }
        let partial = (self.skip > 0 && !self.is_data) || self.got > 0 || self.in_block;
        self.begun = partial.then(|| self.begun.unwrap_or(now));
    }

    fn handle_frame(&mut self, now: Duration) {
        let [a, b, c, kind, flags, ..] = self.head;
        self.skip = u32::from_be_bytes([0, a, b, c]) as usize;
        self.is_data = kind == DATA;
        let ends_block = flags & END_HEADERS != 0;
        match kind {
            DATA if self.skip > 0 || flags & END_STREAM != 0 => self.forgive(1),
            HEADERS => self.in_block = !ends_block,
            CONTINUATION => {
                self.in_block = !ends_block;
                self.charge(1, now);
            }
            RST_STREAM => self.charge(RESET, now),
            _ => self.charge(1, now),
        }
    }

    fn charge(&mut self, cost: u32, now: Duration) {
        self.level = self.level.saturating_add(cost);
        if self.level > BURST {
            let seconds = now.saturating_sub(self.since).as_secs_f64();
            // Saturates, as it should after a long time.
            self.forgive((seconds * f64::from(FORGIVEN)) as u32);
            self.since = now;
        }
    }

    fn forgive(&mut self, credit: u32) {
        self.level = self.level.saturating_sub(credit);
    }
}

/// What the connection and its streams know of the wire.
#[derive(Debug)]
pub(super) struct Wire(Mutex<State>);

#[derive(Debug)]
struct State {
    frames: Frames,
    /// Since when the client has taken nothing.
    blocked: Option<Duration>,
    /// When it last took something again.
    unblocked: Duration,
}

impl Wire {
    pub(super) fn new(now: Duration) -> Self {
        Self(Mutex::new(State {
            frames: Frames::new(now),
            blocked: None,
            unblocked: now,
        }))
    }

    /// Whether the client sends frames for their own sake. Nothing is read of it any more then.
    pub(super) fn is_flooded(&self) -> bool {
        self.state().frames.level > BURST
    }

    /// Since when the client owes the rest of something.
    pub(super) fn begun(&self) -> Option<Duration> {
        self.state().frames.begun
    }

    /// Since when the client has taken nothing of what it is sent.
    pub(super) fn blocked(&self) -> Option<Duration> {
        self.state().blocked
    }

    /// When the client last took something of what it had not.
    pub(super) fn unblocked(&self) -> Duration {
        self.state().unblocked
    }

    /// The client is sent a head, or `length` bytes of a body, which it may acknowledge: with a WINDOW_UPDATE of the
    /// stream and one of the connection as often as it likes, or a PING to see how long it takes.
    pub(super) fn sent(&self, length: usize) {
        let credit = u32::try_from(length / 1024).unwrap_or(u32::MAX);
        self.state().frames.forgive(credit.saturating_add(4));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection's bytes under watch, with what was read of it before in front.
#[derive(Debug)]
pub(super) struct Watched<T> {
    io: T,
    early: Vec<u8>,
    wire: Arc<Wire>,
}

impl<T> Watched<T> {
    pub(super) fn new(io: T, early: Vec<u8>, wire: Arc<Wire>) -> Self {
        Self { io, early, wire }
    }

    fn note_write<R>(&self, polled: &Poll<R>) {
        let mut state = self.wire.state();
        match (polled, state.blocked) {
            (Poll::Pending, None) => state.blocked = Some(clock::now()),
            (Poll::Ready(_), Some(_)) => {
                state.blocked = None;
                state.unblocked = clock::now();
            }
            (Poll::Pending, Some(_)) | (Poll::Ready(_), None) => {}
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.wire.is_flooded() {
            // Whoever polls the connection looks at the flood next, and ends it.
            return Poll::Pending;
        }
        let before = buf.filled().len();
        if this.early.is_empty() {
            std::task::ready!(Pin::new(&mut this.io).poll_read(cx, buf))?;
        } else {
            let part = this.early.len().min(buf.remaining());
            buf.put_slice(&this.early[..part]);
            this.early.drain(..part);
        }
        let mut state = this.wire.state();
        state.frames.handle_bytes(&buf.filled()[before..], clock::now());
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write(cx, buf);
        self.note_write(&polled);
        polled
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.note_write(&polled);
        polled
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn what_is_half_there_is_noticed_however_it_is_cut() {
        let bytes = [
            &[b'p'; PREFACE_LEN][..],
            &frame(4, 0, 6),
            &frame(HEADERS, 0, 3),
            &frame(CONTINUATION, END_HEADERS, 2),
            &frame(DATA, 0, 5),
        ]
        .concat();
        let data = bytes.len() - 5;
        for piece in 1..bytes.len() {
            let mut frames = Frames::new(SECOND);
            let mut at = 0;
            for bytes in bytes.chunks(piece) {
                frames.handle_bytes(bytes, SECOND * 2);
                at += bytes.len();
                // Whole: behind the preface, behind SETTINGS, behind the block; and within the data.
                let whole = [24, 39, 62].contains(&at) || at >= data;
                assert_eq!(frames.begun.is_none(), whole, "{at} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn a_block_has_one_beginning() {
        let mut frames = begun();
        frames.handle_bytes(&frame(HEADERS, 0, 0), SECOND);
        frames.handle_bytes(&frame(CONTINUATION, 0, 1), SECOND * 2);
        assert_eq!(frames.begun, Some(SECOND));
    }

    #[test]
    fn frames_for_nothing_are_counted_and_forgiven_with_time() {
        let mut frames = begun();
        for _ in 0..BURST {
            frames.handle_bytes(&frame(6, 0, 8), SECOND);
        }
        assert_eq!(frames.level, BURST);
        frames.handle_bytes(&frame(6, 0, 8), SECOND + Duration::from_millis(1));
        assert!(
            frames.level > BURST - FORGIVEN,
            "a second's worth since the beginning"
        );
        for _ in 0..FORGIVEN {
            frames.handle_bytes(&frame(6, 0, 8), SECOND + Duration::from_millis(2));
        }
        assert!(frames.level > BURST, "too many");
    }

    #[test]
    fn resets_weigh_more_than_other_frames_and_traffic_pays_for_them() {
        let mut frames = begun();
        for _ in 0..BURST {
            frames.handle_bytes(&frame(RST_STREAM, 0, 4), SECOND);
            for _ in 0..RESET {
                frames.handle_bytes(&frame(DATA, 0, 1), SECOND);
            }
        }
        assert_eq!(frames.level, 0);
        for _ in 0..BURST {
            frames.handle_bytes(&frame(RST_STREAM, 0, 4), SECOND);
        }
        assert!(frames.level > BURST);
    }

    fn begun() -> Frames {
        let mut frames = Frames::new(Duration::ZERO);
        frames.handle_bytes(&[0; PREFACE_LEN], Duration::ZERO);
        frames
    }

    fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, 1];
        frame.extend(vec![0; usize::from(length)]);
        frame
    }
}
