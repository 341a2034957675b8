//! Which of the configured names a host falls under.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};

use crate::fields::host_name;

/// Names and wildcards, each with the number of what it leads to.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts {
    exact: Names,
    /// `*.example.com` without its `*.`.
    leading: Wildcards,
    /// `www.*` without its `.*`.
    trailing: Wildcards,
    any: Option<u32>,
}

type Names = HashMap<Box<str>, u32, BuildHasherDefault<NameHasher>>;

#[derive(Clone, Debug, Default)]
struct Wildcards {
    names: Names,
    /// The length of the longest, so that a host of a hundred labels costs no hundred look-ups.
    longest: usize,
}

/// A pattern of a host, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Pattern {
    Exact(String),
    Leading(String),
    Trailing(String),
    Any,
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Leading(name) => write!(f, "*.{name}"),
            Self::Trailing(name) => write!(f, "{name}.*"),
            Self::Any => f.write_str("any host"),
        }
    }
}

impl Hosts {
    pub(super) fn insert(&mut self, pattern: Pattern, leads_to: u32) {
        let (names, name) = match pattern {
            Pattern::Exact(name) => (&mut self.exact, name),
            Pattern::Leading(name) => (self.leading.longest(name.len()), name),
            Pattern::Trailing(name) => (self.trailing.longest(name.len()), name),
            Pattern::Any => {
                self.any = Some(leads_to);
                return;
            }
        };
        names.insert(name.into(), leads_to);
    }

    /// What the best pattern for `authority` leads to: exact, else longest `*.x`, else longest `x.*`, else any.
    #[inline]
    pub(super) fn find(&self, authority: &str) -> Option<u32> {
        if self.exact.is_empty() && self.leading.names.is_empty() && self.trailing.names.is_empty() {
            return self.any;
        }
        let name = host_name(authority);
        // Names are in lower case here, so what is found needs no other look.
        if let Some(&found) = self.exact.get(name) {
            return Some(found);
        }
        if !name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return self.find_wildcard(name);
        }
        let mut lower = [0; MAX_HOST];
        let Some(lower) = lower.get_mut(..name.len()) else {
            return self.any; // no name is as long
        };
        lower.copy_from_slice(name.as_bytes());
        lower.make_ascii_lowercase();
        let Ok(name) = std::str::from_utf8(lower) else {
            return self.any; // ASCII letters changed their case, so it is UTF-8 as before
        };
        self.exact.get(name).copied().or_else(|| self.find_wildcard(name))
    }

    fn find_wildcard(&self, name: &str) -> Option<u32> {
        let suffixes = name.match_indices('.').filter(|(dot, _)| *dot > 0);
        let leading = self.leading.find(suffixes.map(|(dot, _)| &name[dot + 1..]));
        let prefixes = || name.rmatch_indices('.').map(|(dot, _)| &name[..dot]);
        leading.or_else(|| self.trailing.find(prefixes())).or(self.any)
    }
}

impl Wildcards {
    fn longest(&mut self, len: usize) -> &mut Names {
        self.longest = self.longest.max(len);
        &mut self.names
    }

    /// The first of `candidates`, which come by falling length, that there is.
    fn find<'a>(&self, candidates: impl Iterator<Item = &'a str>) -> Option<u32> {
        if self.names.is_empty() {
            return None;
        }
        candidates
            .filter(|candidate| candidate.len() <= self.longest)
            .find_map(|candidate| self.names.get(candidate).copied())
    }
}

/// The longest host name, in bytes (RFC 1035 §2.3.4).
pub(super) const MAX_HOST: usize = 255;

/// A quick hash of names that the operator chose: nobody else adds keys, so it need not withstand anybody.
#[derive(Clone, Copy, Debug, Default)]
struct NameHasher(u64);

impl Hasher for NameHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((word, after)) = rest.split_first_chunk::<8>() {
            self.write_u64(u64::from_le_bytes(*word));
            rest = after;
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.write_u64(u64::from_le_bytes(last));
        }
    }

    #[inline]
    fn write_u8(&mut self, byte: u8) {
        self.write_u64(byte.into());
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        let product =
            u128::from(self.0.rotate_left(23) ^ word ^ 0x9e37_79b9_7f4a_7c15) * 0xd6e8_feb8_6659_fd93;
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_pattern_is_chosen() {
        let mut hosts = Hosts::default();
        let exact = |name: &str| Pattern::Exact(name.to_owned());
        let leading = |name: &str| Pattern::Leading(name.to_owned());
        for (pattern, number) in [
            (Pattern::Any, 0),
            (exact("example.com"), 1),
            (leading("example.com"), 2),
            (leading("a.example.com"), 3),
            (exact("x.a.example.com"), 4),
            (Pattern::Trailing("www".to_owned()), 5),
            (Pattern::Trailing("www.example".to_owned()), 6),
            (exact("[::1]"), 7),
        ] {
            hosts.insert(pattern, number);
        }
        for (host, number) in [
            ("example.com", 1),
            ("EXAMPLE.com:8080", 1),
            ("example.com.", 1),
            ("b.example.com", 2),
            ("www.example.com", 2),
            ("c.b.example.com", 2),
            ("a.example.com", 2),
            ("B.A.example.com", 3),
            ("y.x.a.example.com", 3),
            ("x.a.example.com", 4),
            ("www.org", 5),
            ("www.example.org", 6),
            ("www.example.co.uk", 6),
            ("www", 0),
            (".example.com", 0),
            ("xexample.com", 0),
            ("[::1]:80", 7),
            ("", 0),
            (".", 0),
        ] {
            assert_eq!(hosts.find(host), Some(number), "{host}");
        }
        assert_eq!(hosts.find(&"A".repeat(256)), Some(0));
    }

    #[test]
    fn without_a_default_a_strange_host_finds_nothing() {
        let mut hosts = Hosts::default();
        hosts.insert(Pattern::Exact("a".to_owned()), 1);
        assert_eq!(hosts.find("b"), None);
    }
}
