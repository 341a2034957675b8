//! Where a message's body ends (RFC 9112 §6), told in one way or refused.

use super::field::Field;
use super::head::Fields;

/// How the length of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// There is none, whatever the fields say (a response to HEAD, a 204, a 304).
    None,
    /// So many bytes. A request without a body has 0.
    Length(u64),
    /// In chunks.
    Chunked,
    /// Until the connection closes; responses only.
    UntilClose,
}

/// Why a message's framing is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.as_str())]
pub(crate) enum FramingError {
    Both,
    TwoLengths,
    Length,
    TwoCodings,
    Coding,
    CodingInHttp10,
}

impl FramingError {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Both => "both Content-Length and Transfer-Encoding",
            Self::TwoLengths => "more than one Content-Length",
            Self::Length => "a Content-Length that is no number",
            Self::TwoCodings => "more than one Transfer-Encoding",
            Self::Coding => "a Transfer-Encoding other than chunked",
            Self::CodingInHttp10 => "Transfer-Encoding in HTTP/1.0",
        }
    }
}

/// Reads the framing of a request of HTTP/1.`minor`.
///
/// Stricter than RFC 9112 §6.3 where its leniency has been used for smuggling: both fields at once, equal lengths
/// twice and a coding in HTTP/1.0 are refused.
pub(crate) fn of_request(minor: u8, fields: Fields<'_>, kinds: &[Field]) -> Result<Body, FramingError> {
    match declared(minor, fields, kinds)? {
        Some(body) => Ok(body),
        None => Ok(Body::Length(0)),
    }
}

/// Reads the framing of a response of HTTP/1.`minor` with `status`, to a HEAD or not.
pub(crate) fn of_response(
    minor: u8,
    status: u16,
    to_head: bool,
    fields: Fields<'_>,
    kinds: &[Field],
) -> Result<Body, FramingError> {
    let declared = declared(minor, fields, kinds)?;
    if to_head || status < 200 || matches!(status, 204 | 304) {
        return Ok(Body::None);
    }
    Ok(declared.unwrap_or(Body::UntilClose))
}

fn declared(minor: u8, fields: Fields<'_>, kinds: &[Field]) -> Result<Option<Body>, FramingError> {
    let (mut length, mut coding) = (None, None);
    for (field, kind) in fields.iter().zip(kinds) {
        match kind {
            Field::ContentLength if length.is_some() => return Err(FramingError::TwoLengths),
            Field::ContentLength => length = Some(number(field.value)?),
            Field::TransferEncoding if coding.is_some() => return Err(FramingError::TwoCodings),
            Field::TransferEncoding => coding = Some(field.value),
            _ => {}
        }
    }
    match (length, coding) {
        (Some(_), Some(_)) => Err(FramingError::Both),
        (None, Some(_)) if minor == 0 => Err(FramingError::CodingInHttp10),
        (None, Some(coding)) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Some(Body::Chunked)),
        (None, Some(_)) => Err(FramingError::Coding),
        (length, None) => Ok(length.map(Body::Length)),
    }
}

/// RFC 9110 §8.6: digits and nothing else. More than 18 of them is no length of anything.
fn number(value: &[u8]) -> Result<u64, FramingError> {
    if !(1..=18).contains(&value.len()) || !value.iter().all(u8::is_ascii_digit) {
        return Err(FramingError::Length);
    }
    Ok(value.iter().fold(0, |n, digit| n * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_way_to_tell_the_length_is_taken() {
        assert_eq!(request(1, &[]), Ok(Body::Length(0)));
        assert_eq!(request(1, &[("content-length", "12")]), Ok(Body::Length(12)));
        assert_eq!(request(0, &[("content-length", "007")]), Ok(Body::Length(7)));
        assert_eq!(request(1, &[("transfer-encoding", "Chunked")]), Ok(Body::Chunked));
    }

    #[test]
    fn two_ways_or_a_strange_one_are_refused() {
        use FramingError as E;
        let (cl, te) = ("content-length", "transfer-encoding");
        for (fields, error) in [
            (&[(cl, "1"), (te, "chunked")][..], E::Both),
            (&[(cl, "1"), (cl, "1")], E::TwoLengths),
            (&[(cl, "1, 1")], E::Length),
            (&[(cl, "+1")], E::Length),
            (&[(cl, "")], E::Length),
            (&[(cl, "0x1")], E::Length),
            (&[(cl, "9999999999999999999")], E::Length),
            (&[(te, "chunked"), (te, "chunked")], E::TwoCodings),
            (&[(te, "gzip, chunked")], E::Coding),
            (&[(te, "chunked,")], E::Coding),
            (&[(te, "\u{b}chunked")], E::Coding),
            (&[(te, "identity")], E::Coding),
        ] {
            assert_eq!(request(1, fields), Err(error), "{fields:?}");
        }
        assert_eq!(request(0, &[(te, "chunked")]), Err(E::CodingInHttp10));
    }

    #[test]
    fn a_response_without_length_ends_with_its_connection_unless_it_has_no_body() {
        let of = |status, head, fields: &[_]| with(fields, |f, k| of_response(1, status, head, f, k));
        assert_eq!(of(200, false, &[]), Ok(Body::UntilClose));
        assert_eq!(of(200, false, &[("content-length", "3")]), Ok(Body::Length(3)));
        assert_eq!(of(200, true, &[("content-length", "3")]), Ok(Body::None));
        for status in [100, 103, 204, 304] {
            assert_eq!(of(status, false, &[("content-length", "3")]), Ok(Body::None));
        }
        let both = [("content-length", "3"), ("transfer-encoding", "chunked")];
        assert_eq!(of(304, false, &both), Err(FramingError::Both));
    }

    fn request(minor: u8, fields: &[(&str, &str)]) -> Result<Body, FramingError> {
        with(fields, |fields, kinds| of_request(minor, fields, kinds))
    }

    fn with<T>(fields: &[(&str, &str)], then: impl FnOnce(Fields<'_>, &[Field]) -> T) -> T {
        let fields: Vec<_> = fields
            .iter()
            .map(|(name, value)| httparse::Header {
                name,
                value: value.as_bytes(),
            })
            .collect();
        let kinds: Vec<_> = fields.iter().map(|field| Field::of(field.name)).collect();
        then(&fields, &kinds)
    }
}
