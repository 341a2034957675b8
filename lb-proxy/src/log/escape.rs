//! What clients wrote, made harmless.

/// How values are written that may hold anything (nginx: `escape=`). nginx's `none` is not offered: a client could
/// write lines of its own with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Escape {
    /// `"`, `\` and whatever isn't visible ASCII as `\xXX`; what has no value as `-`.
    #[default]
    Default,
    /// As a JSON string has it; what has no value as nothing. Beyond nginx, bytes that aren't UTF-8 become U+FFFD, so
    /// that the line is always valid JSON.
    Json,
}

const HEX: [u8; 16] = *b"0123456789ABCDEF";

impl Escape {
    /// Appends a value.
    pub(super) fn push(self, value: &[u8], out: &mut Vec<u8>) {
        // Nearly all values; no early exit, so that it becomes vector code.
        let plain = value.iter().fold(true, |plain, &byte| plain & is_plain(byte));
        if plain {
            out.extend_from_slice(value);
            return;
        }
        match self {
            Self::Default => push_default(value, out),
            Self::Json => push_json(value, out),
        }
    }

    /// Appends what stands for no value.
    pub(super) fn push_none(self, out: &mut Vec<u8>) {
        if self == Self::Default {
            out.push(b'-');
        }
    }
}

const fn is_plain(byte: u8) -> bool {
    (byte >= b' ') & (byte <= b'~') & (byte != b'"') & (byte != b'\\')
}

fn push_default(value: &[u8], out: &mut Vec<u8>) {
    for &byte in value {
        if is_plain(byte) {
            out.push(byte);
        } else {
            out.extend_from_slice(&[
                b'\\',
                b'x',
                HEX[usize::from(byte >> 4)],
                HEX[usize::from(byte & 15)],
            ]);
        }
    }
}

fn push_json(value: &[u8], out: &mut Vec<u8>) {
    for chunk in value.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '"' | '\\' => out.extend_from_slice(&[b'\\', char as u8]),
                '\n' => out.extend_from_slice(b"\\n"),
                '\r' => out.extend_from_slice(b"\\r"),
                '\t' => out.extend_from_slice(b"\\t"),
                '\u{8}' => out.extend_from_slice(b"\\b"),
                '\u{c}' => out.extend_from_slice(b"\\f"),
                // All of them have one byte's worth: the C1 controls end at U+009F.
                _ if char.is_control() => {
                    let byte = char as u8;
                    out.extend_from_slice(b"\\u00");
                    out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
                }
                _ => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_is_nginx_default() {
        // nginx 1.22 wrote the right sides.
        for (value, written) in [
            (&b"plain /?a=b"[..], "plain /?a=b"),
            (b"a\"b\\c", "a\\x22b\\x5Cc"),
            (b"\0\t\n\r\x1b\x7f", "\\x00\\x09\\x0A\\x0D\\x1B\\x7F"),
            ("é".as_bytes(), "\\xC3\\xA9"),
            (b"\xff", "\\xFF"),
        ] {
            assert_eq!(pushed(Escape::Default, value), written);
        }
    }

    #[test]
    fn json_is_nginx_json_but_always_valid() {
        for (value, written) in [
            (&b"plain /?a=b"[..], "plain /?a=b"),
            (b"a\"b\\c/", "a\\\"b\\\\c/"),
            (
                b"\0\t\n\r\x08\x0c\x1b\x7f",
                "\\u0000\\t\\n\\r\\b\\f\\u001B\\u007F",
            ),
            ("é\u{9b}".as_bytes(), "é\\u009B"),
            (b"a\xffb\xc3", "a\u{fffd}b\u{fffd}"),
        ] {
            assert_eq!(pushed(Escape::Json, value), written);
        }
    }

    fn pushed(escape: Escape, value: &[u8]) -> String {
        let mut out = Vec::new();
        escape.push(value, &mut out);
        String::from_utf8(out).unwrap()
    }
}
