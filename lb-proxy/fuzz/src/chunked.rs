//! Target `chunked`: a body in the chunked coding, in pieces as it comes.
//!
//! Input: an octet that says how long the pieces are, and the octets of the body and of what is behind it.

use crate::h1::{Chunked, MAX_FIELDS, Step, may_trail, push_size, push_trailers};
use crate::reference::{self, Decoded};

/// What a decoder has made of some input.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    body: Vec<u8>,
    trailers: Vec<u8>,
    len: usize,
}

/// Runs one input.
pub fn run(data: &[u8]) {
    let [piece, data @ ..] = data else {
        return;
    };
    let expected = reference::chunked(data);
    let read = read(data, data.len());
    assert_eq!(
        read,
        self::read(data, usize::from(*piece).max(1)),
        "however it is cut"
    );
    match (&read, &expected) {
        (Decoded::Whole(read), Decoded::Whole(expected)) => {
            assert_eq!((&read.body, read.len), (&expected.body, expected.len));
            goes_on(read, &expected.trailers);
        }
        (Decoded::Whole(read), expected) => panic!("{read:?} is {expected:?}"),
        (Decoded::Malformed, Decoded::Whole(expected)) => assert!(is_too_much(data, expected)),
        (read, Decoded::Whole(expected)) => panic!("{expected:?} is {read:?}"),
        // What is wrong may be found later than by the reference, and what is too much earlier.
        (_, Decoded::Partial | Decoded::Malformed) => {}
    }
}

fn read(data: &[u8], piece: usize) -> Decoded<Read> {
    let mut chunked = Chunked::new();
    let (mut body, mut at, mut end) = (Vec::new(), 0, 0);
    loop {
        match chunked.step(&data[at..end]) {
            Err(_) => return Decoded::Malformed,
            Ok(Step::Data { skip, length }) => {
                assert!(length > 0, "nothing is no data");
                at += skip;
                body.extend(&data[at..at + length]);
                at += length;
            }
            Ok(Step::More { skip }) => {
                at += skip;
                assert_eq!(at, end, "what has come is read");
                if end == data.len() {
                    return Decoded::Partial;
                }
                end = data.len().min(end + piece);
            }
            Ok(Step::End { skip }) => {
                assert!(chunked.has_ended());
                return Decoded::Whole(Read {
                    body,
                    trailers: chunked.trailers().to_vec(),
                    len: at + skip,
                });
            }
        }
    }
}

/// What is written of a body that was read is the same body, with those of its trailers that may go on.
fn goes_on(read: &Read, trailers: &[(&[u8], &[u8])]) {
    let mut out = Vec::new();
    for chunk in read.body.chunks(7) {
        push_size(&mut out, chunk.len());
        out.extend(chunk);
        out.extend(b"\r\n");
    }
    out.extend(b"0\r\n");
    push_trailers(&mut out, &read.trailers);
    let Decoded::Whole(written) = reference::chunked(&out) else {
        panic!("{out:?}");
    };
    let may = |(name, _): &&(&[u8], &[u8])| may_trail(std::str::from_utf8(name).expect("a token"));
    let passing: Vec<_> = trailers.iter().filter(may).copied().collect();
    assert_eq!((&written.body, written.trailers), (&read.body, passing));
    assert_eq!(written.len, out.len());
}

/// Whether a body in the coding is beyond what is read of it: 15 digits of a size, 16 KiB of extensions or trailers.
fn is_too_much(data: &[u8], whole: &reference::Chunked<'_>) -> bool {
    let lines = data[..whole.len].split(|&byte| byte == b'\n');
    let digits = |line: &[u8]| line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    whole.trailers.len() > MAX_FIELDS
        || whole.len - whole.body.len() > 16 * 1024
        || lines.map(digits).any(|n| n > 15)
}
