//! Paths as routes see them.

use std::borrow::Cow;

/// Why a path can't be normalised; such a request is answered 400, as nginx does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadPath {
    /// It does not begin with a slash.
    #[error("the path does not begin with a slash")]
    NoSlash,
    /// A `%` that two hexadecimal digits don't follow.
    #[error("the path has a % without two hexadecimal digits (at byte {at})")]
    Escape {
        /// Where the `%` stands.
        at: usize,
    },
    /// A zero byte, encoded or not.
    #[error("the path has a zero byte")]
    Zero,
    /// Dot segments that lead above the root.
    #[error("the path leads above the root")]
    AboveRoot,
}

/// The path as routes are compared with it: `%`-encoded bytes decoded, `.` and `..` segments resolved, and slashes
/// that follow each other merged, as nginx does it for its locations (with `merge_slashes on`).
///
/// An encoded slash or dot counts as one: `/a%2F%2e%2e/b` is `/b`. A decoded `%` is not decoded again. The usual
/// path needs none of this and is returned as it is.
///
/// ```
/// use lb_proxy::route::normalise;
///
/// assert_eq!(*normalise(b"/a//b/./c/%2e%2E/d%20e")?, *b"/a/b/d e");
/// assert!(normalise(b"/a/../../etc/passwd").is_err());
/// # Ok::<(), lb_proxy::route::BadPath>(())
/// ```
///
/// # Errors
/// A path that does not begin with a slash, has a broken `%`-escape or a zero byte, or leads above the root.
pub fn normalise(path: &[u8]) -> Result<Cow<'_, [u8]>, BadPath> {
    Ok(Normal::of(path)?.path)
}

/// A normalised path, and what had to be done for it.
pub(super) struct Normal<'a> {
    pub(super) path: Cow<'a, [u8]>,
    /// Dot segments were resolved or slashes merged, so that a part of it says something else alone.
    pub(super) resolved: bool,
}

impl<'a> Normal<'a> {
    pub(super) fn of(path: &'a [u8]) -> Result<Self, BadPath> {
        Self::of_scanned(path, matches!(scan(path, None), (_, true)))
    }

    /// The path of a target, whose query is left out.
    #[inline]
    pub(super) fn of_target(target: &'a [u8]) -> Result<Self, BadPath> {
        let (end, is_normal) = scan(target, Some(b'?'));
        Self::of_scanned(&target[..end], is_normal)
    }

    #[inline]
    fn of_scanned(path: &'a [u8], is_normal: bool) -> Result<Self, BadPath> {
        if path.first() != Some(&b'/') {
            return Err(BadPath::NoSlash);
        }
        if is_normal {
            return Ok(Self {
                path: Cow::Borrowed(path),
                resolved: false,
            });
        }
        resolve(path)
    }
}

/// Where `end` or the text itself ends, and whether there is certainly nothing to do for the path before it: no escape,
/// no zero byte, and neither a slash nor a dot behind a slash. Eight bytes at a time.
#[inline]
fn scan(text: &[u8], end: Option<u8>) -> (usize, bool) {
    // Within a word, the top bit of each byte that is `byte`; the first byte is the lowest.
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    const fn splat(byte: u8) -> u64 {
        byte as u64 * 0x0101_0101_0101_0101
    }
    const fn equal(word: u64, byte: u8) -> u64 {
        let differs = word ^ splat(byte);
        !(((differs & LOW) + LOW) | differs | LOW)
    }
    let (mut work, mut behind_slash, mut at) = (0, 0, 0);
    let mut rest = text;
    loop {
        let (word, after) = match rest.split_first_chunk::<8>() {
            Some((word, after)) => (u64::from_le_bytes(*word), after),
            None if rest.is_empty() => return (text.len(), work == 0),
            None => {
                let mut word = [b' '; 8];
                word[..rest.len()].copy_from_slice(rest);
                (u64::from_le_bytes(word), &[][..])
            }
        };
        let slash = equal(word, b'/');
        let slash_or_dot = equal(word | splat(1), b'/'); // `.` is `/` without its lowest bit
        let here = equal(word, b'%') | equal(word, 0) | ((slash << 8 | behind_slash) & slash_or_dot);
        let ends = end.map_or(0, |end| equal(word, end));
        if ends != 0 {
            let before = (ends & ends.wrapping_neg()) - 1;
            return (
                at + ends.trailing_zeros() as usize / 8,
                (work | here & before) == 0,
            );
        }
        work |= here;
        behind_slash = slash >> 56;
        at += 8;
        rest = after;
    }
}

fn resolve(path: &[u8]) -> Result<Normal<'_>, BadPath> {
    let mut out = Vec::with_capacity(path.len());
    let mut resolved = false;
    let mut at = 0;
    while at < path.len() {
        let byte = match path[at] {
            b'%' => {
                let byte = decode(path, at)?;
                at += 2;
                byte
            }
            0 => return Err(BadPath::Zero),
            byte => byte,
        };
        at += 1;
        if byte == b'/' {
            let dots = end_segment(&mut out)?;
            if out.last() == Some(&b'/') {
                resolved = true;
                continue;
            }
            resolved |= dots;
        }
        out.push(byte);
    }
    resolved |= end_segment(&mut out)?;
    let path = if out == path {
        Cow::Borrowed(path)
    } else {
        Cow::Owned(out)
    };
    Ok(Normal { path, resolved })
}

/// Resolves the last segment if it is one of dots; whether it was.
fn end_segment(out: &mut Vec<u8>) -> Result<bool, BadPath> {
    if out.ends_with(b"/.") {
        out.pop();
        return Ok(true);
    }
    if out.ends_with(b"/..") {
        out.truncate(out.len() - 3);
        let parent = out
            .iter()
            .rposition(|&byte| byte == b'/')
            .ok_or(BadPath::AboveRoot)?;
        out.truncate(parent + 1);
        return Ok(true);
    }
    Ok(false)
}

/// The byte that the escape at `at` stands for.
fn decode(path: &[u8], at: usize) -> Result<u8, BadPath> {
    let digit = |offset: usize| {
        let digit = path
            .get(at + offset)
            .and_then(|&byte| char::from(byte).to_digit(16));
        digit.ok_or(BadPath::Escape { at })
    };
    match digit(1)? * 16 + digit(2)? {
        0 => Err(BadPath::Zero),
        byte => Ok(byte as u8),
    }
}

/// Appends a normalised path in a form that may stand in a request line: everything is `%`-encoded but what RFC 3986
/// §3.3 allows in a path.
pub(super) fn encode(path: &[u8], out: &mut Vec<u8>) {
    for &byte in path {
        if byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte) {
            out.push(byte);
        } else {
            const HEX: [u8; 16] = *b"0123456789ABCDEF";
            out.extend_from_slice(&[b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalised_as_nginx_does() {
        // Each right side is what nginx 1.22 has in `$uri` for the left one.
        for (path, normal) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a//b///c", "/a/b/c"),
            ("//a", "/a"),
            ("/./a", "/a"),
            ("/a/.", "/a/"),
            ("/a/./", "/a/"),
            ("/a/..", "/"),
            ("/a/../", "/"),
            ("/a/b/../c", "/a/c"),
            ("/a/b/../../c", "/c"),
            ("/a//../b", "/b"),
            ("/...", "/..."),
            ("/.a", "/.a"),
            ("/..a", "/..a"),
            ("/a.", "/a."),
            ("/a..", "/a.."),
            ("/%61", "/a"),
            ("/%2e%2e%2fa/%2E./b", ""),
            ("/x/%2e%2e%2fa/%2E./b", "/b"),
            ("/a%2fb", "/a/b"),
            ("/a%2F%2Fb", "/a/b"),
            ("/%252e%252e/a", "/%2e%2e/a"),
            ("/%25", "/%"),
            ("/a%3Fb%23c", "/a?b#c"),
            ("/a%20b", "/a b"),
            ("/a;b=c/../d", "/d"),
            ("/.well-known/x", "/.well-known/x"),
        ] {
            let expected = (!normal.is_empty()).then_some(normal.as_bytes());
            let got = normalise(path.as_bytes());
            assert_eq!(got.as_deref().ok(), expected, "{path}: {got:?}");
        }
    }

    #[test]
    fn broken_paths_are_refused() {
        for (path, error) in [
            ("", BadPath::NoSlash),
            ("a", BadPath::NoSlash),
            ("*", BadPath::NoSlash),
            ("%2fa", BadPath::NoSlash),
            ("/a%", BadPath::Escape { at: 2 }),
            ("/a%4", BadPath::Escape { at: 2 }),
            ("/%4/a", BadPath::Escape { at: 1 }),
            ("/%zz", BadPath::Escape { at: 1 }),
            ("/%+1", BadPath::Escape { at: 1 }),
            ("/%00", BadPath::Zero),
            ("/a\0", BadPath::Zero),
            ("/..", BadPath::AboveRoot),
            ("/a/../..", BadPath::AboveRoot),
            ("/./../a", BadPath::AboveRoot),
        ] {
            assert_eq!(normalise(path.as_bytes()), Err(error), "{path}");
        }
    }

    #[test]
    fn the_scan_sees_what_a_look_at_each_byte_sees() {
        // All texts of 4 of these bytes, at every place in and across words.
        let bytes = [b'/', b'.', b'%', 0, b'?', b'a', 0xae, 0xaf];
        for number in 0..bytes.len().pow(4) {
            let piece: Vec<u8> = (0..4)
                .map(|digit| bytes[number / bytes.len().pow(digit) % bytes.len()])
                .collect();
            for place in [0, 3, 5, 6, 7, 8, 13] {
                let text = [&vec![b'x'; place][..], &piece, b"x?"].concat();
                let end = text.iter().position(|&byte| byte == b'?').unwrap();
                let path = &text[..end];
                let work = path.iter().any(|&byte| byte == b'%' || byte == 0)
                    || path
                        .windows(2)
                        .any(|pair| pair[0] == b'/' && b"/.".contains(&pair[1]));
                assert_eq!(scan(&text, Some(b'?')), (end, !work), "{text:?}");
                assert_eq!(scan(path, None), (end, !work), "{path:?}");
            }
        }
    }

    #[test]
    fn nothing_is_copied_without_need() {
        for path in ["/", "/a/b.html", "/.well-known/acme", "/a/...", "/..a/b"] {
            assert!(
                matches!(normalise(path.as_bytes()), Ok(Cow::Borrowed(_))),
                "{path}"
            );
        }
    }

    #[test]
    fn what_is_encoded_again_reads_the_same() {
        let mut out = Vec::new();
        encode(b"/a b%?#\xff\n/c", &mut out);
        assert_eq!(out, b"/a%20b%25%3F%23%FF%0A/c");
        assert_eq!(*normalise(&out).unwrap(), *b"/a b%?#\xff\n/c");
    }
}
