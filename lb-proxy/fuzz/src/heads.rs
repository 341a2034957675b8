//! Target `heads`: the head of a request or of a response, as it comes.
//!
//! Input: an octet of which bit 0 asks for a response, an octet that says where the head is cut on its way, and the
//! octets.

use crate::h1::{self, Body, FramingError, HeadError, MAX_FIELDS};
use crate::reference::{self, Decoded, Framing, Head};

/// Runs one input.
pub fn run(data: &[u8]) {
    let [flags, cut, data @ ..] = data else {
        return;
    };
    if flags & 1 == 0 {
        request(data, *cut);
    } else {
        response(data, *cut);
    }
}

/// A parsed head, as the reference has it: the parts of its first line, its fields and its length.
fn same(head: &Head<'_>, line: &[&[u8]], fields: h1::Fields<'_>, length: usize) {
    assert_eq!(head.line, line);
    assert_eq!(head.len, length);
    let fields: Vec<_> = fields
        .iter()
        .map(|field| (field.name.as_bytes(), field.value))
        .collect();
    assert_eq!(head.fields, fields);
}

fn request(data: &[u8], cut: u8) {
    // RFC 9112 §2.2: empty lines before a request are read over.
    let empty = data.chunks(2).take_while(|line| line == b"\r\n").count() * 2;
    let expected = reference::request_head(&data[empty..]);
    let parsed = h1::parse_request(data, |head, length| {
        let Decoded::Whole(expected) = &expected else {
            panic!("{head:?} is {expected:?}");
        };
        let version = format!("HTTP/1.{}", head.minor);
        let line = [head.method.as_bytes(), head.target.as_bytes(), version.as_bytes()];
        same(expected, &line, head.fields, length - empty);
        framing(expected, h1::of_request(head.minor, head.fields, head.kinds));
        length
    });
    match parsed {
        Ok(Some(length)) => whole_when_it_is(data, length, cut, |data| {
            h1::parse_request(data, |_, length| length)
        }),
        Ok(None) => assert!(
            !matches!(expected, Decoded::Whole(_)),
            "{expected:?} is taken for a part"
        ),
        Err(error) => {
            if let Decoded::Whole(head) = expected {
                let many = error == HeadError::TooMany && head.fields.len() > MAX_FIELDS;
                assert!(
                    many || std::str::from_utf8(head.line[1]).is_err(),
                    "{error} for {head:?}"
                );
            }
        }
    }
}

fn framing(head: &Head<'_>, framing: Result<Body, FramingError>) {
    match (reference::request_framing(head), framing) {
        (Ok(Framing::None), Ok(Body::Length(0)))
        | (Ok(Framing::Chunked), Ok(Body::Chunked))
        | (Err(()), Err(_)) => {}
        (Ok(Framing::Length(expected)), Ok(Body::Length(length))) => assert_eq!(expected, length),
        // More digits than any length has.
        (Ok(Framing::Length(_)), Err(FramingError::Length)) => {
            let long = |field: &(&[u8], &[u8])| field.1.len() > 18;
            assert!(head.fields.iter().any(long), "{head:?}");
        }
        (expected, framing) => panic!("{framing:?} is {expected:?}: {head:?}"),
    }
}

fn response(data: &[u8], cut: u8) {
    let expected = reference::response_head(data);
    let parsed = h1::parse_response(data, |head, length| {
        let token =
            |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':');
        let text = |value: &[u8]| value.iter().all(|byte| !matches!(byte, b'\r' | b'\n' | 0));
        assert!(
            head.fields
                .iter()
                .all(|field| token(field.name) && text(field.value))
        );
        assert!((100..=999).contains(&head.status) && text(head.reason.as_bytes()));
        if let Decoded::Whole(expected) = &expected {
            let (version, status) = (format!("HTTP/1.{}", head.minor), head.status.to_string());
            // A reason outside ASCII is left out.
            let reason = if head.reason.is_empty() {
                expected.line[2]
            } else {
                head.reason.as_bytes()
            };
            same(
                expected,
                &[version.as_bytes(), status.as_bytes(), reason],
                head.fields,
                length,
            );
        }
        length
    });
    match parsed {
        Ok(Some(length)) => whole_when_it_is(data, length, cut, |data| {
            h1::parse_response(data, |_, length| length)
        }),
        Ok(None) => assert!(
            !matches!(expected, Decoded::Whole(_)),
            "{expected:?} is taken for a part"
        ),
        Err(error) => {
            if let Decoded::Whole(head) = expected {
                assert!(
                    error == HeadError::TooMany && head.fields.len() > MAX_FIELDS,
                    "{error} for {head:?}"
                );
            }
        }
    }
}

/// A head that was taken for whole is one exactly when all of it has come, whatever comes behind it.
fn whole_when_it_is(
    data: &[u8],
    length: usize,
    cut: u8,
    parse: impl Fn(&[u8]) -> Result<Option<usize>, HeadError>,
) {
    assert_eq!(parse(&data[..length]), Ok(Some(length)));
    let cut = length * usize::from(cut) / 256;
    assert_eq!(parse(&data[..cut]), Ok(None), "cut at {cut}");
}
