//! A client that writes HTTP/2 frames as it is told, right or wrong (RFC 9113), over TCP with prior knowledge.
//!
//! Its header blocks are literals without compression (RFC 7541 §6.2.2), so that nothing is checked or repaired on the
//! way; of what comes back it understands as much as tests ask for: the status, the data, and how a stream ended.

use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::PATIENCE;

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
const ACK: u8 = 1;
const PADDED: u8 = 8;
const WITH_PRIORITY: u8 = 0x20;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// RFC 9113 §6.5.2.
const HEADER_TABLE_SIZE: u16 = 1;
pub const INITIAL_WINDOW_SIZE: u16 = 4;

/// One frame (RFC 9113 §4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            kind,
            flags,
            stream,
            payload: payload.into(),
        }
    }

    /// HEADERS with a whole block, which ends the stream if `end`.
    pub fn headers(stream: u32, fields: &[(&str, &str)], end: bool) -> Self {
        let flags = END_HEADERS | if end { END_STREAM } else { 0 };
        Self::new(HEADERS, flags, stream, block(fields))
    }

    /// DATA, which ends the stream if `end`.
    pub fn data(stream: u32, data: impl Into<Vec<u8>>, end: bool) -> Self {
        Self::new(DATA, if end { END_STREAM } else { 0 }, stream, data)
    }

    pub fn settings(settings: &[(u16, u32)]) -> Self {
        let payload = settings
            .iter()
            .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat());
        Self::new(SETTINGS, 0, 0, payload.collect::<Vec<_>>())
    }

    pub fn reset(stream: u32, code: u32) -> Self {
        Self::new(RST_STREAM, 0, stream, code.to_be_bytes())
    }

    pub fn window_update(stream: u32, increment: u32) -> Self {
        Self::new(WINDOW_UPDATE, 0, stream, increment.to_be_bytes())
    }

    pub fn bytes(&self) -> Vec<u8> {
        let length = u32::try_from(self.payload.len()).expect("a length").to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([self.kind, self.flags]);
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }
}

/// The fields of a request, each pseudo-header with its usual value.
pub fn get(path: &str) -> Vec<(&str, &str)> {
    vec![
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "a"),
        (":path", path),
    ]
}

/// A header block of literals, never indexed, not compressed.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        literal(&mut block, 0x10, name.as_bytes(), value.as_bytes());
    }
    block
}

/// Appends a literal field; `kind` 0x40 puts it into the dynamic table, 0x10 never.
pub fn literal(block: &mut Vec<u8>, kind: u8, name: &[u8], value: &[u8]) {
    block.push(kind);
    for text in [name, value] {
        integer(block, 0, 7, text.len());
        block.extend(text);
    }
}

/// RFC 7541 §5.1.
pub fn integer(block: &mut Vec<u8>, first: u8, prefix: u32, value: usize) {
    let max = (1 << prefix) - 1;
    if value < max {
        return block.push(first | value as u8);
    }
    block.push(first | max as u8);
    let mut rest = value - max;
    while rest >= 128 {
        block.push((rest % 128) as u8 | 128);
        rest /= 128;
    }
    block.push(rest as u8);
}

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Answer {
        status: u16,
        body: Vec<u8>,
        /// Whether a second block of fields ended it.
        trailers: bool,
    },
    /// RST_STREAM with its code, and the status if there had been one.
    Reset(u32, Option<u16>),
    /// GOAWAY with its code.
    GoAway(u32),
    /// The end of the connection, without GOAWAY.
    Closed,
}

/// A connection.
pub struct H2 {
    stream: BufReader<TcpStream>,
}

impl H2 {
    /// Connects and says nothing.
    pub fn bare(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the proxy accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// Connects, and sends the preface with `settings`.
    pub fn with(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut client = Self::bare(address);
        // Without a dynamic table of the peer, a block can be understood alone.
        let settings = [&[(HEADER_TABLE_SIZE, 0)], settings].concat();
        client.send_raw([PREFACE, &Frame::settings(&settings).bytes()].concat());
        client
    }

    pub fn connect(address: SocketAddr) -> Self {
        Self::with(address, &[])
    }

    #[track_caller]
    pub fn send(&mut self, frame: &Frame) {
        self.send_raw(frame.bytes());
    }

    #[track_caller]
    pub fn send_raw(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the proxy takes the bytes");
    }

    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())
    }

    pub fn socket(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    /// Reads a frame; `None` at the end of the connection, clean or not.
    pub fn read(&mut self) -> io::Result<Option<Frame>> {
        let mut head = [0; 9];
        match self.stream.read_exact(&mut head) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
            Err(_) => return Ok(None),
            Ok(()) => {}
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        if self.stream.read_exact(&mut payload).is_err() {
            return Ok(None);
        }
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & 0x7fff_ffff;
        Ok(Some(Frame::new(head[3], head[4], stream, payload)))
    }

    /// Sends a request without a body and waits for the end of its stream.
    #[track_caller]
    pub fn ask(&mut self, stream: u32, fields: &[(&str, &str)]) -> End {
        self.send(&Frame::headers(stream, fields, true));
        self.end_of(stream)
    }

    /// Waits until `stream` ends, or the connection; acknowledges what has to be, and gives back what it received of the
    /// windows.
    #[track_caller]
    pub fn end_of(&mut self, stream: u32) -> End {
        let (mut status, mut body, mut going) = (None, Vec::new(), None);
        loop {
            let Some(frame) = self.read().expect("the proxy doesn't wait for ever") else {
                return going.map_or(End::Closed, End::GoAway);
            };
            match frame.kind {
                SETTINGS if frame.flags & ACK == 0 => {
                    let _ = self.try_send(Frame::new(SETTINGS, ACK, 0, []).bytes());
                }
                PING if frame.flags & ACK == 0 => {
                    let _ = self.try_send(Frame::new(PING, ACK, 0, frame.payload).bytes());
                }
                // A graceful one doesn't touch streams that it covers.
                GOAWAY if code_of(&frame.payload[4..]) != 0 => going = Some(code_of(&frame.payload[4..])),
                RST_STREAM if frame.stream == stream => return End::Reset(code_of(&frame.payload), status),
                DATA if frame.stream == stream => {
                    let length = u32::try_from(frame.payload.len()).expect("a length");
                    if length > 0 {
                        for stream in [0, stream] {
                            let _ = self.try_send(Frame::window_update(stream, length).bytes());
                        }
                    }
                    body.extend(unpadded(&frame));
                }
                HEADERS if frame.stream == stream && status.is_none_or(|status| status < 200) => {
                    status = Some(status_of(unpadded(&frame)));
                }
                _ => {}
            }
            let ends = matches!(frame.kind, DATA | HEADERS) && frame.flags & END_STREAM != 0;
            if frame.stream == stream && ends {
                return End::Answer {
                    status: status.expect("a status comes first"),
                    trailers: frame.kind == HEADERS && !body.is_empty(),
                    body,
                };
            }
        }
    }

    /// Whether the proxy ends the connection before a read times out.
    pub fn is_ended(&mut self) -> bool {
        loop {
            match self.read() {
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }

    pub fn finish_sending(&mut self) {
        let _ = self.stream.get_mut().shutdown(Shutdown::Write);
    }
}

fn code_of(payload: &[u8]) -> u32 {
    payload.get(..4).map_or(u32::MAX, |code| {
        u32::from_be_bytes(code.try_into().expect("four octets"))
    })
}

fn unpadded(frame: &Frame) -> &[u8] {
    let mut payload = &frame.payload[..];
    if frame.flags & PADDED != 0 {
        payload = &payload[1..payload.len() - usize::from(payload[0])];
    }
    if frame.kind == HEADERS && frame.flags & WITH_PRIORITY != 0 {
        payload = &payload[5..];
    }
    payload
}

/// The status of a response, which its block begins with (RFC 9113 §8.3.2).
fn status_of(mut block: &[u8]) -> u16 {
    // RFC 7541 §6.3: updates of the table's size.
    while block.first().is_some_and(|byte| byte >> 5 == 1) {
        block = &block[1..];
    }
    match block {
        // RFC 7541 Appendix A: the statuses of the static table.
        [indexed @ 0x88..=0x8e, ..] => [200, 204, 206, 304, 400, 404, 500][usize::from(indexed - 0x88)],
        // A literal whose name is one of theirs.
        [0x48..=0x4e | 0x08..=0x0e | 0x18..=0x1e, length, value @ ..] => {
            let value = &value[..usize::from(length & 0x7f)];
            let digits = if length & 0x80 == 0 {
                value.iter().map(|digit| u16::from(digit - b'0')).collect()
            } else {
                huffman_digits(value)
            };
            digits.iter().fold(0, |status, digit| status * 10 + digit)
        }
        other => panic!("no status: {other:x?}"),
    }
}

/// RFC 7541 Appendix B, of which a status needs the digits: 0 to 2 have five bits, 3 to 9 six.
fn huffman_digits(bytes: &[u8]) -> Vec<u16> {
    let mut bits = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |n| u16::from(byte >> n & 1)));
    let mut digits = Vec::new();
    while digits.len() < 3 {
        let mut code = (0..5).fold(0, |code, _| code << 1 | bits.next().expect("three digits"));
        if code >= 3 {
            code = (code << 1 | bits.next().expect("three digits")) - 0b01_1001 + 3;
        }
        digits.push(code);
    }
    digits
}
