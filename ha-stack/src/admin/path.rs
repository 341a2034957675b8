//! Paths of the API, both ways.

use std::fmt::Write as _;

const STATUS: &str = "/v1/status";
const VRRP: &str = "/v1/vrrp/";

/// What a path asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The status.
    Status,
    /// To hand over the virtual router or sync group of this name.
    Switchover(String),
    /// To end the hold after that.
    Resume(String),
}

impl Target {
    /// Every path that there is, for those who ask for another.
    pub(super) const KNOWN: &str = "/v1/status, /v1/vrrp/NAME/switchover or /v1/vrrp/NAME/resume";

    /// Reads a path; `None` for one that there is not.
    pub(super) fn parse(path: &str) -> Option<Self> {
        if path == STATUS {
            return Some(Self::Status);
        }
        let (name, order) = path.strip_prefix(VRRP)?.split_once('/')?;
        let name = decode(name).filter(|name| !name.is_empty())?;
        match order {
            "switchover" => Some(Self::Switchover(name)),
            "resume" => Some(Self::Resume(name)),
            _ => None,
        }
    }

    /// The path.
    pub(super) fn path(&self) -> String {
        match self {
            Self::Status => STATUS.to_owned(),
            Self::Switchover(name) => format!("{VRRP}{}/switchover", encode(name)),
            Self::Resume(name) => format!("{VRRP}{}/resume", encode(name)),
        }
    }
}

/// RFC 3986 §2.1: all but unreserved characters as octets in hex.
fn encode(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for octet in name.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            text.push(octet.into());
        } else {
            // Writing to a string never fails.
            let _ = write!(text, "%{octet:02X}");
        }
    }
    text
}

fn decode(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet != b'%' {
            octets.push(octet);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        let value = digit()? * 16 + digit()?;
        // Two hex digits.
        octets.push(value as u8);
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_as_it_was_written() {
        for name in ["VI_1", "both sides", "a/b?c#d%e", "Fürth", "..", "100%"] {
            for target in [
                Target::Switchover(name.to_owned()),
                Target::Resume(name.to_owned()),
            ] {
                let path = target.path();
                assert!(path.is_ascii() && !path.contains([' ', '?', '#']), "{path}");
                assert_eq!(Target::parse(&path), Some(target));
            }
        }
        assert_eq!(Target::parse(&Target::Status.path()), Some(Target::Status));
    }

    #[test]
    fn other_paths_are_none() {
        for path in [
            "",
            "/",
            "/v1",
            "/v1/status/",
            "/v1/vrrp/VI_1",
            "/v1/vrrp//switchover",
            "/v1/vrrp/VI_1/stop",
            "/v1/vrrp/VI_1/resume/",
            "/v1/vrrp/%/resume",
            "/v1/vrrp/%4/resume",
            "/v1/vrrp/%zz/resume",
            "/v1/vrrp/%ff/resume",
        ] {
            assert_eq!(Target::parse(path), None, "{path}");
        }
    }
}
