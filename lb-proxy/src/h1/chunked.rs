//! The chunked transfer coding (RFC 9112 §7.1), read piece by piece.

/// The most bytes of chunk extensions in one body; they are dropped.
const MAX_EXTENSIONS: usize = 16 * 1024;
/// The most bytes of trailer fields of one body.
const MAX_TRAILERS: usize = 16 * 1024;

/// What a body in chunks is being read as.
#[derive(Clone, Debug)]
pub(crate) struct Chunked {
    state: State,
    /// Bytes left of this chunk, or the size as far as it has been read.
    left: u64,
    extensions: usize,
    /// The trailer section, as it came, with its last empty line.
    trailers: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first digit of a size.
    Size,
    /// After so many digits.
    Digits(u8),
    /// White space behind the digits.
    Space,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    /// In the trailer section.
    Trailers,
    End,
}

/// What the next bytes of the input are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// After `skip` bytes of framing come `length` bytes of data, and are taken for read.
    Data { skip: usize, length: usize },
    /// After `skip` bytes of framing more input is needed.
    More { skip: usize },
    /// After `skip` bytes of framing the body has ended.
    End { skip: usize },
}

/// The coding is broken, or its extensions or trailers are longer than 16 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed chunked coding")]
pub(crate) struct ChunkedError;

impl Chunked {
    pub(crate) const fn new() -> Self {
        Self {
            state: State::Size,
            left: 0,
            extensions: 0,
            trailers: Vec::new(),
        }
    }

    /// Says what `input` begins with. It must begin where the last step ended.
    pub(crate) fn step(&mut self, input: &[u8]) -> Result<Step, ChunkedError> {
        let mut skip = 0;
        loop {
            if self.state == State::Data {
                let there = (input.len() - skip) as u64;
                if there == 0 {
                    return Ok(Step::More { skip });
                }
                let length = self.left.min(there);
                self.left -= length;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
                return Ok(Step::Data {
                    skip,
                    length: usize::try_from(length).expect("at most what is there"),
                });
            }
            if self.state == State::End {
                return Ok(Step::End { skip });
            }
            let Some(&byte) = input.get(skip) else {
                return Ok(Step::More { skip });
            };
            skip += 1;
            self.state = self.next(byte)?;
        }
    }

    /// At least how many bytes of data are still to come.
    pub(crate) const fn announced(&self) -> u64 {
        self.left
    }

    /// Whether the body has been read to its end.
    pub(crate) fn has_ended(&self) -> bool {
        self.state == State::End
    }

    /// The trailer section of a body that has ended, as lines with an empty one at the end; nothing if it is empty.
    pub(crate) fn trailers(&self) -> &[u8] {
        if self.trailers.len() > 2 {
            &self.trailers
        } else {
            &[]
        }
    }

    fn next(&mut self, byte: u8) -> Result<State, ChunkedError> {
        Ok(match (self.state, byte) {
            (State::Size | State::Digits(_), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digits = if let State::Digits(digits) = self.state {
                    digits
                } else {
                    0
                };
                // 15 digits are an exbibyte and can't overflow.
                if digits == 15 {
                    return Err(ChunkedError);
                }
                let digit = (byte as char).to_digit(16).expect("a hexadecimal digit");
                self.left = self.left * 16 + u64::from(digit);
                State::Digits(digits + 1)
            }
            (State::Digits(_) | State::Space | State::Extension, b'\r') => State::SizeLf,
            // RFC 9112 §7.1.1 has white space before an extension's semicolon (BWS); old servers pad sizes with it.
            (State::Digits(_) | State::Space, b' ' | b'\t') => {
                self.extend()?;
                State::Space
            }
            (State::Digits(_) | State::Space, b';') | (State::Extension, b'\t' | b' '..=b'~' | 0x80..) => {
                self.extend()?;
                State::Extension
            }
            (State::SizeLf, b'\n') if self.left == 0 => State::Trailers,
            (State::SizeLf, b'\n') => State::Data,
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size,
            (State::Trailers, _) => self.trail(byte)?,
            _ => return Err(ChunkedError),
        })
    }

    fn extend(&mut self) -> Result<(), ChunkedError> {
        self.extensions += 1;
        if self.extensions > MAX_EXTENSIONS {
            Err(ChunkedError)
        } else {
            Ok(())
        }
    }

    fn trail(&mut self, byte: u8) -> Result<State, ChunkedError> {
        if self.trailers.len() == MAX_TRAILERS {
            return Err(ChunkedError);
        }
        self.trailers.push(byte);
        match &*self.trailers {
            [.., last, b'\n'] if *last != b'\r' => Err(ChunkedError),
            [b'\n'] => Err(ChunkedError),
            [b'\r', b'\n'] | [.., b'\n', b'\r', b'\n'] => self.check_trailers(),
            _ => Ok(State::Trailers),
        }
    }

    fn check_trailers(&self) -> Result<State, ChunkedError> {
        let mut fields = [httparse::EMPTY_HEADER; super::MAX_FIELDS];
        match httparse::parse_headers(&self.trailers, &mut fields) {
            Ok(httparse::Status::Complete(_)) => Ok(State::End),
            _ => Err(ChunkedError),
        }
    }
}

/// Appends the line that a chunk of `length` bytes begins with.
pub(crate) fn push_size(out: &mut Vec<u8>, length: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut shift = (usize::BITS - 1 - (length | 1).leading_zeros()) / 4 * 4;
    loop {
        out.push(DIGITS[(length >> shift) & 15]);
        if shift == 0 {
            break;
        }
        shift -= 4;
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn chunks_extensions_and_trailers_are_read() {
        let input = b"5\r\nhello\r\nA;x=\"y\"\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\nnext";
        let (body, trailers, rest) = read(input, input.len()).unwrap();
        assert_eq!((body.as_slice(), rest), (&b"hello0123456789"[..], 4));
        assert_eq!(trailers, b"X-Sum: 1\r\n\r\n");
    }

    #[test]
    fn a_body_without_trailers_has_none() {
        assert_eq!(read(b"0\r\n\r\n", 1).unwrap(), (vec![], vec![], 0));
    }

    #[test]
    fn anything_else_is_refused() {
        for input in [
            &b"\r\n"[..],
            b" 5\r\n",
            b"+5\r\n",
            b"0x5\r\n",
            b"-1\r\n",
            b"5\n",
            b"5\r\r",
            b"5;\n",
            b"g\r\n",
            b"5 \n",
            b"5 5\r\n",
            b"5 x\r\n",
            b"5\r\nhelloX",
            b"5\r\nhello\n",
            b"5\r\nhello\rX",
            b"1234567890abcdef\r\n",
            b"5;a\0\r\n",
            b"0\r\n\n",
            b"0\r\nA: b\n",
            b"0\r\nA b\r\n\r\n",
            b"0\r\nA : b\r\n\r\n",
            b"0\r\n A: b\r\n\r\n",
        ] {
            let mut chunked = Chunked::new();
            let mut at = 0;
            let refused = loop {
                match chunked.step(&input[at..]) {
                    Err(ChunkedError) => break true,
                    Ok(Step::Data { skip, length }) => at += skip + length,
                    Ok(Step::More { .. } | Step::End { .. }) => break false,
                }
            };
            assert!(refused, "{:?}", String::from_utf8_lossy(input));
        }
    }

    #[test]
    fn extensions_and_trailers_have_a_limit() {
        let mut chunk = b"1;".to_vec();
        chunk.extend(std::iter::repeat_n(b'x', MAX_EXTENSIONS / 2));
        chunk.extend_from_slice(b"\r\na\r\n");
        let body = [chunk.clone(), chunk, b"0\r\n\r\n".to_vec()].concat();
        assert!(read(&body, body.len()).is_none());
        let trailers = [&b"0\r\nA: "[..], &[b'x'; MAX_TRAILERS], b"\r\n\r\n"].concat();
        assert!(read(&trailers, trailers.len()).is_none());
    }

    #[test]
    fn sizes_are_written_as_they_are_read() {
        for size in [1_usize, 9, 10, 15, 16, 255, 256, 4095, 65_536, usize::MAX >> 8] {
            let mut out = Vec::new();
            push_size(&mut out, size);
            assert_eq!(out, format!("{size:x}\r\n").into_bytes());
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_in_any_pieces(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
            piece in 1_usize..20,
        ) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                push_size(&mut wire, chunk.len());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\n\r\n");
            let (body, trailers, rest) = read(&wire, piece).unwrap();
            prop_assert_eq!(body, chunks.concat());
            prop_assert!(trailers.is_empty() && rest == 0);
        }

        #[test]
        fn any_bytes_are_read_without_panic(input in prop::collection::vec(any::<u8>(), 0..200), piece in 1_usize..20) {
            let _ = read(&input, piece);
        }
    }

    /// Reads `input` in pieces: body, trailers and how much is left, if it is a whole body.
    fn read(input: &[u8], piece: usize) -> Option<(Vec<u8>, Vec<u8>, usize)> {
        let mut chunked = Chunked::new();
        let (mut body, mut at, mut end) = (Vec::new(), 0, 0);
        loop {
            match chunked.step(&input[at..end]).ok()? {
                Step::Data { skip, length } => {
                    body.extend_from_slice(&input[at + skip..at + skip + length]);
                    at += skip + length;
                }
                Step::More { skip } => {
                    at += skip;
                    if end == input.len() {
                        return None;
                    }
                    end = input.len().min(end + piece);
                }
                Step::End { skip } => {
                    at += skip;
                    return Some((body, chunked.trailers().to_vec(), input.len() - at));
                }
            }
        }
    }
}
