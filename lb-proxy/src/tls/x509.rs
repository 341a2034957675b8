//! What a certificate says about itself that rustls doesn't tell: whose it is, and for how long (RFC 5280 §4.1).

use std::fmt::{self, Write};
use std::time::Duration;

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const OID: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;

/// A certificate's subject, serial number and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    /// As RFC 4514 writes it: most specific first, `CN=client,O=Example`.
    pub(super) subject: String,
    pub(super) common_name: Option<String>,
    /// In hexadecimal digits, as `openssl x509 -serial` prints it.
    pub(super) serial: String,
    pub(super) validity: Validity,
}

impl Facts {
    /// Reads them from a certificate in DER; `None` if it isn't one.
    pub(super) fn read(certificate: &[u8]) -> Option<Self> {
        let (certificate, _) = expect(SEQUENCE, certificate)?;
        let (mut rest, _) = expect(SEQUENCE, certificate)?;
        if let Some((_, after)) = expect(VERSION, rest) {
            rest = after;
        }
        let (serial, rest) = expect(INTEGER, rest)?;
        let (_signature, rest) = expect(SEQUENCE, rest)?;
        let (_issuer, rest) = expect(SEQUENCE, rest)?;
        let (validity, rest) = expect(SEQUENCE, rest)?;
        let (subject, _) = expect(SEQUENCE, rest)?;
        let (not_before, validity) = time(validity)?;
        let (not_after, _) = time(validity)?;
        let (subject, common_name) = name(subject)?;
        Some(Self {
            subject,
            common_name,
            serial: hex(serial
                .strip_prefix(&[0])
                .filter(|rest| !rest.is_empty())
                .unwrap_or(serial)),
            validity: Validity {
                not_before,
                not_after,
            },
        })
    }
}

/// From when to when a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first moment, as the time since 1970 began (UTC).
    pub not_before: Duration,
    /// The last moment, as the time since 1970 began (UTC).
    pub not_after: Duration,
}

impl Validity {
    /// Tells what an operator should hear at `now`, the time since 1970 began (UTC), `None` if nothing: that it has
    /// ended, hasn't begun, or ends within `notice`.
    #[must_use]
    pub fn warning(&self, now: Duration, notice: Duration) -> Option<ValidityWarning> {
        if now > self.not_after {
            Some(ValidityWarning::Expired(self.not_after))
        } else if now < self.not_before {
            Some(ValidityWarning::NotYetValid(self.not_before))
        } else if now.saturating_add(notice) > self.not_after {
            Some(ValidityWarning::Expires(self.not_after))
        } else {
            None
        }
    }
}

/// A certificate that clients don't accept, or soon won't. Times are those since 1970 began (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValidityWarning {
    /// It ended then.
    Expired(Duration),
    /// It begins then.
    NotYetValid(Duration),
    /// It ends then, which is soon.
    Expires(Duration),
}

impl fmt::Display for ValidityWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Expired(at) => write!(f, "expired at {}: clients refuse it, renew it", Utc(at)),
            Self::NotYetValid(at) => {
                write!(
                    f,
                    "is not valid before {}: clients refuse it, check this machine's clock",
                    Utc(at)
                )
            }
            Self::Expires(at) => write!(f, "expires at {}: renew it", Utc(at)),
        }
    }
}

/// A time as RFC 3339 writes it.
struct Utc(Duration);

impl fmt::Display for Utc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (year, month, day) = civil((seconds / DAY) as i64);
        let of_day = seconds % DAY;
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
        )
    }
}

const DAY: u64 = 24 * 60 * 60;

/// Days since 1970 began of a date in the proleptic Gregorian calendar. Years begin in March here, so that the day
/// that a leap year has more is the last one.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + of_year - 719_468
}

/// The date of a day, the inverse of [`days`].
fn civil(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let month = (month + 2) % 12 + 1;
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, of_month)
}

/// UTCTime or GeneralizedTime, always to the second and with `Z` (RFC 5280 §4.1.2.5). Before 1970 is 1970.
fn time(input: &[u8]) -> Option<(Duration, &[u8])> {
    let (tag, text, rest) = read(input)?;
    let (text, century) = match tag {
        // RFC 5280 §4.1.2.5.1: of two digits, 50 and more is the 20th century.
        UTC_TIME if text.len() == 13 => (text, if text[0] >= b'5' { 1900 } else { 2000 }),
        GENERALIZED_TIME if text.len() == 15 => (&text[2..], number(&text[..2])? * 100),
        _ => return None,
    };
    let (digits, zone) = text.split_at(12);
    let mut pairs = digits.chunks(2).map(number);
    let mut next = || pairs.next().flatten();
    let (year, month, day) = (century + next()?, next()?, next()?);
    let (hour, minute, second) = (next()?, next()?, next()?);
    if zone != b"Z" || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let seconds = days(year, month, day) * DAY as i64 + hour * 3600 + minute * 60 + second;
    Some((Duration::from_secs(u64::try_from(seconds).unwrap_or(0)), rest))
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |value, digit| {
        digit
            .is_ascii_digit()
            .then(|| value * 10 + i64::from(digit - b'0'))
    })
}

/// A distinguished name as text, and the common name in it.
fn name(mut input: &[u8]) -> Option<(String, Option<String>)> {
    let mut parts = Vec::new();
    let mut common_name = None;
    while !input.is_empty() {
        let (mut set, rest) = expect(SET, input)?;
        let mut part = String::new();
        while !set.is_empty() {
            let (attribute, after) = expect(SEQUENCE, set)?;
            let (oid, value) = expect(OID, attribute)?;
            let (tag, value, _) = read(value)?;
            if !part.is_empty() {
                part.push('+');
            }
            let text = string(tag, value);
            match (keyword(oid), &text) {
                (Some(keyword), Some(text)) => {
                    if keyword == "CN" {
                        common_name = Some(text.clone());
                    }
                    part.push_str(keyword);
                    part.push('=');
                    escape(text, &mut part);
                }
                // RFC 4514 §2.4: what has no text is written as it is encoded.
                _ => write!(part, "{}=#{}", dotted(oid), hex(&attribute[2 + oid.len()..])).ok()?,
            }
            set = after;
        }
        parts.push(part);
        input = rest;
    }
    // RFC 4514 §2.1: the last one first.
    parts.reverse();
    Some((parts.join(","), common_name))
}

/// RFC 4514 §3, and the two that OpenSSL and nginx write besides.
fn keyword(oid: &[u8]) -> Option<&'static str> {
    Some(match oid {
        [0x55, 4, 3] => "CN",
        [0x55, 4, 5] => "serialNumber",
        [0x55, 4, 6] => "C",
        [0x55, 4, 7] => "L",
        [0x55, 4, 8] => "ST",
        [0x55, 4, 9] => "STREET",
        [0x55, 4, 10] => "O",
        [0x55, 4, 11] => "OU",
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1] => "emailAddress",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1] => "UID",
        [0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25] => "DC",
        _ => return None,
    })
}

/// The text of a string type; `None` of anything else.
fn string(tag: u8, value: &[u8]) -> Option<String> {
    match tag {
        // UTF8String, NumericString, PrintableString, IA5String.
        0x0c | 0x12 | 0x13 | 0x16 => String::from_utf8(value.to_vec()).ok(),
        // TeletexString, which all who still write it mean as Latin-1.
        0x14 => Some(value.iter().copied().map(char::from).collect()),
        // BMPString.
        0x1e if value.len() % 2 == 0 => {
            let units: Vec<u16> = value
                .chunks_exact(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
                .collect();
            String::from_utf16(&units).ok()
        }
        _ => None,
    }
}

/// RFC 4514 §2.4. Control characters too, so that a subject can stand in a log line or a header.
fn escape(text: &str, out: &mut String) {
    for (at, char) in text.char_indices() {
        let last = at + char.len_utf8() == text.len();
        match char {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => out.extend(['\\', char]),
            '#' if at == 0 => out.push_str("\\#"),
            ' ' if at == 0 || last => out.push_str("\\ "),
            control if control.is_control() => {
                let mut utf8 = [0; 4];
                for byte in control.encode_utf8(&mut utf8).bytes() {
                    write!(out, "\\{byte:02x}").expect("a String takes what is written");
                }
            }
            other => out.push(other),
        }
    }
}

/// An object identifier in dotted decimal.
fn dotted(oid: &[u8]) -> String {
    let mut text = String::new();
    let mut arc: u64 = 0;
    for (at, byte) in oid.iter().enumerate() {
        arc = arc << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 != 0 {
            continue;
        }
        if text.is_empty() {
            let first = (arc / 40).min(2);
            write!(text, "{first}.{}", arc - first * 40).expect("a String takes what is written");
        } else {
            write!(text, ".{arc}").expect("a String takes what is written");
        }
        arc = 0;
        debug_assert!(at < oid.len());
    }
    text
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02X}").expect("a String takes what is written");
        text
    })
}

/// The content of the first element, which must be of `tag`, and what follows it.
fn expect(tag: u8, input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = read(input)?;
    (found == tag).then_some((content, rest))
}

/// The first element: its tag, its content, and what follows it. Long tags and lengths of more than four bytes are
/// in no certificate.
fn read(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = input.split_first_chunk()?;
    let (len, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        if !(1..=4).contains(&count) {
            return None;
        }
        let (bytes, rest) = rest.split_at_checked(count)?;
        (
            bytes.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)),
            rest,
        )
    };
    let (content, rest) = rest.split_at_checked(len)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (date, day) in [
            ((1970, 1, 1), 0),
            ((2000, 2, 29), 11_016),
            ((2000, 3, 1), 11_017),
            ((2024, 12, 31), 20_088),
            ((2100, 3, 1), 47_541),
        ] {
            assert_eq!(days(date.0, date.1, date.2), day, "{date:?}");
            assert_eq!(civil(day), date);
        }
        for day in 0..200_000 {
            let (year, month, of_month) = civil(day);
            assert_eq!(days(year, month, of_month), day);
        }
    }

    #[test]
    fn times_of_both_kinds() {
        let at = |tag: u8, text: &str| {
            let element = [&[tag, text.len() as u8], text.as_bytes()].concat();
            time(&element).map(|(time, _)| Utc(time).to_string())
        };
        assert_eq!(
            at(UTC_TIME, "241231235959Z").as_deref(),
            Some("2024-12-31T23:59:59Z")
        );
        assert_eq!(
            at(UTC_TIME, "700101000000Z").as_deref(),
            Some("1970-01-01T00:00:00Z")
        );
        assert_eq!(
            at(UTC_TIME, "500101000000Z").as_deref(),
            Some("1970-01-01T00:00:00Z")
        );
        assert_eq!(
            at(GENERALIZED_TIME, "20500101000000Z").as_deref(),
            Some("2050-01-01T00:00:00Z")
        );
        // RFC 5280 §4.1.2.5: the end of a certificate that has none.
        assert_eq!(
            at(GENERALIZED_TIME, "99991231235959Z").as_deref(),
            Some("9999-12-31T23:59:59Z")
        );
        for bad in [
            "241331235959Z",
            "2412312359Z",
            "24123123595 Z",
            "241231235959+0100",
            "241231235959X",
        ] {
            assert_eq!(at(UTC_TIME, bad), None, "{bad}");
        }
    }

    /// RFC 4514 §4, and §2.4's escapes.
    #[test]
    fn names_are_written_as_rfc_4514_does() {
        let attribute = |oid: &[u8], tag: u8, value: &[u8]| {
            element(SEQUENCE, &[element(OID, oid), element(tag, value)].concat())
        };
        let set = |attributes: &[Vec<u8>]| element(SET, &attributes.concat());
        let cn = [0x55, 4, 3];
        let written = |rdns: &[Vec<u8>]| name(&rdns.concat()).expect("a name").0;
        assert_eq!(
            written(&[
                set(&[attribute(&[0x55, 4, 6], 0x13, b"GB")]),
                set(&[attribute(
                    &[0x55, 4, 10],
                    0x0c,
                    "Sue, Grabbit and Runn".as_bytes()
                )]),
                set(&[attribute(&cn, 0x0c, b"L. Eagle")]),
            ]),
            r"CN=L. Eagle,O=Sue\, Grabbit and Runn,C=GB"
        );
        assert_eq!(
            written(&[set(&[
                attribute(&[0x55, 4, 11], 0x0c, b"Sales"),
                attribute(&cn, 0x0c, b"J.  Smith")
            ])]),
            "OU=Sales+CN=J.  Smith"
        );
        assert_eq!(
            written(&[set(&[attribute(&cn, 0x0c, b"Before\rAfter")])]),
            r"CN=Before\0dAfter"
        );
        assert_eq!(
            written(&[set(&[attribute(&cn, 0x0c, b" #\"x ")])]),
            "CN=\\ #\\\"x\\ "
        );
        assert_eq!(written(&[set(&[attribute(&cn, 0x0c, b"#x")])]), r"CN=\#x");
        assert_eq!(
            written(&[set(&[attribute(&cn, 0x1e, b"\x00L\x00u\x01\x0d")])]),
            "CN=Lu\u{10d}"
        );
        // RFC 4514 §4: "1.3.6.1.4.1.1466.0=#04024869".
        assert_eq!(
            written(&[set(&[attribute(&[0x2b, 6, 1, 4, 1, 0x8b, 0x3a, 0], 4, b"Hi")])]),
            "1.3.6.1.4.1.1466.0=#04024869"
        );
        assert_eq!(name(&[]), Some((String::new(), None)));
    }

    #[test]
    fn warnings_come_in_time() {
        let validity = Validity {
            not_before: Duration::from_secs(1000),
            not_after: Duration::from_secs(2000),
        };
        let at = |seconds| validity.warning(Duration::from_secs(seconds), Duration::from_secs(100));
        assert_eq!(at(999), Some(ValidityWarning::NotYetValid(validity.not_before)));
        assert_eq!((at(1000), at(1900)), (None, None));
        assert_eq!(at(1901), Some(ValidityWarning::Expires(validity.not_after)));
        assert_eq!(at(2000), Some(ValidityWarning::Expires(validity.not_after)));
        assert_eq!(at(2001), Some(ValidityWarning::Expired(validity.not_after)));
        let text = at(2001).expect("expired").to_string();
        assert_eq!(
            text,
            "expired at 1970-01-01T00:33:20Z: clients refuse it, renew it"
        );
    }

    proptest! {
        #[test]
        fn junk_is_refused_without_a_panic(junk in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Facts::read(&junk);
            let _ = Facts::read(&element(SEQUENCE, &element(SEQUENCE, &junk)));
            let _ = name(&junk);
        }
    }

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let len = content.len();
        let head = if len < 0x80 {
            vec![tag, len as u8]
        } else {
            vec![tag, 0x82, (len >> 8) as u8, len as u8]
        };
        [&head, content].concat()
    }
}
