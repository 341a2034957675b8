//! The body of an answer, without what frames it.

use core::ops::Range;

use crate::Failure;

/// Longest line of a chunk's size, extensions included, and most bytes of trailers.
const MAX_LINE: usize = 4096;

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes.
    Length(u64),
    /// With a chunk of no bytes, and trailers.
    Chunked,
    /// With the connection.
    Close,
}

/// Takes a body out of the bytes that come.
#[derive(Debug)]
pub(super) struct Body {
    state: State,
    /// Bytes of lines between chunks that were passed over, since the last that had content.
    lines: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// So many bytes of content; then the body ends.
    Length(u64),
    /// The line with the size of a chunk.
    Size,
    /// So many bytes of a chunk.
    Chunk(u64),
    /// The end of the line after a chunk.
    AfterChunk,
    /// Trailers, to an empty line.
    Trailers,
    Close,
    End,
}

/// What stands at the beginning of the bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Content there, and as many bytes are done with as its end says.
    Content(Range<usize>),
    /// More bytes are needed, beyond so many that are done with.
    More(usize),
    /// The body has ended, after so many bytes.
    End(usize),
}

impl Body {
    pub(super) fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size,
            Framing::Close => State::Close,
        };
        Self { state, lines: 0 }
    }

    /// Whether the end of the connection is that of the body.
    pub(super) fn ends_with_connection(&self) -> bool {
        matches!(self.state, State::Close | State::End)
    }

    /// Whether its end has been seen, other than with the connection.
    pub(super) fn has_ended(&self) -> bool {
        self.state == State::End
    }

    /// Looks at the bytes that have come and that it is not done with.
    pub(super) fn step(&mut self, bytes: &[u8]) -> Result<Step, Failure> {
        let mut at = 0;
        loop {
            let rest = &bytes[at..];
            match self.state {
                State::End | State::Length(0) => {
                    self.state = State::End;
                    return Ok(Step::End(at));
                }
                _ if rest.is_empty() => return Ok(Step::More(at)),
                State::Close => return Ok(Step::Content(at..bytes.len())),
                State::Length(left) => {
                    let len = within(rest, left);
                    self.state = State::Length(left - len as u64);
                    return Ok(Step::Content(at..at + len));
                }
                State::Chunk(left) => {
                    let len = within(rest, left);
                    self.state = match left - len as u64 {
                        0 => State::AfterChunk,
                        left => State::Chunk(left),
                    };
                    self.lines = 0;
                    return Ok(Step::Content(at..at + len));
                }
                State::Size | State::AfterChunk | State::Trailers => {
                    let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                        return if rest.len() > MAX_LINE {
                            Err(Failure::NotHttp)
                        } else {
                            Ok(Step::More(at))
                        };
                    };
                    self.lines += end;
                    if self.lines > MAX_LINE {
                        return Err(Failure::NotHttp);
                    }
                    self.state = self.after_line(rest[..end].trim_ascii())?;
                    at += end + 1;
                }
            }
        }
    }

    fn after_line(&self, line: &[u8]) -> Result<State, Failure> {
        match self.state {
            State::AfterChunk if line.is_empty() => Ok(State::Size),
            State::AfterChunk => Err(Failure::NotHttp),
            State::Trailers if line.is_empty() => Ok(State::End),
            State::Trailers => Ok(State::Trailers),
            _ => match size(line)? {
                0 => Ok(State::Trailers),
                size => Ok(State::Chunk(size)),
            },
        }
    }
}

/// How many of the bytes are within the `left` ones.
fn within(bytes: &[u8], left: u64) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len())
}

/// The size of a chunk; what follows after a semicolon is an extension (RFC 9112 §7.1).
fn size(line: &[u8]) -> Result<u64, Failure> {
    let digits = line
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii();
    let text = core::str::from_utf8(digits).unwrap_or_default();
    let valid = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let size = u64::from_str_radix(text, 16).ok().filter(|_| valid);
    size.ok_or(Failure::NotHttp)
}

#[cfg(test)]
mod tests {
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    use super::*;

    /// Decodes `bytes`, of which `step` come at a time; gives the content and how many bytes are left behind its end.
    fn decode(framing: Framing, bytes: &[u8], step: usize) -> Result<(String, usize), Failure> {
        let mut body = Body::new(framing);
        let (mut content, mut buffer) = (Vec::new(), Vec::new());
        for (index, part) in bytes.chunks(step).enumerate() {
            buffer.extend_from_slice(part);
            loop {
                let done = match body.step(&buffer)? {
                    Step::Content(range) => {
                        content.extend_from_slice(&buffer[range.clone()]);
                        range.end
                    }
                    Step::More(done) => {
                        buffer.drain(..done);
                        break;
                    }
                    Step::End(done) => {
                        let left = bytes.len() - (index * step + part.len()) + buffer.len() - done;
                        return Ok((String::from_utf8(content).unwrap(), left));
                    }
                };
                buffer.drain(..done);
            }
        }
        assert!(body.ends_with_connection(), "the body is not whole");
        Ok((String::from_utf8(content).unwrap(), 0))
    }

    #[test]
    fn a_body_is_the_same_however_it_is_cut() {
        let chunked = b"4;name=x\r\nabcd\r\n0a\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\nHTTP".as_slice();
        for step in 1..chunked.len() + 1 {
            assert_eq!(
                decode(Framing::Chunked, chunked, step),
                Ok(("abcd0123456789".to_string(), 4))
            );
            assert_eq!(
                decode(Framing::Length(3), b"abcde", step),
                Ok(("abc".to_string(), 2))
            );
            assert_eq!(
                decode(Framing::Close, b"abcde", step),
                Ok(("abcde".to_string(), 0))
            );
        }
        assert_eq!(decode(Framing::Length(0), b"HTTP", 4), Ok((String::new(), 4)));
    }

    #[test]
    fn chunks_that_are_none_are_no_http() {
        for bytes in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "+1\r\nab",
            "2\r\nabc\r\n",
            "11111111111111111\r\n",
        ] {
            assert_eq!(
                decode(Framing::Chunked, bytes.as_bytes(), 100),
                Err(Failure::NotHttp),
                "{bytes:?}"
            );
        }
    }

    #[test]
    fn lines_between_chunks_have_an_end() {
        let line = "1;".to_string() + &"x".repeat(MAX_LINE);
        assert_eq!(
            decode(Framing::Chunked, line.as_bytes(), 1000),
            Err(Failure::NotHttp)
        );
        let trailers = "0\r\n".to_string() + &"a: b\r\n".repeat(MAX_LINE);
        assert_eq!(
            decode(Framing::Chunked, trailers.as_bytes(), 1000),
            Err(Failure::NotHttp)
        );
    }
}
