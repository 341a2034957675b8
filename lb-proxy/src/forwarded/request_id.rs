//! Ids by which a request is found again in the logs of all who handled it.

use std::hash::{BuildHasher, RandomState};
use std::str;

/// Makes ids of 128 bits, one source a worker: each costs a few nanoseconds, no system call and no allocation.
///
/// A source never gives an id twice, and two sources don't meet: they count from different random places, and the
/// count is scrambled by a bijection. The ids are unique, not secret.
#[derive(Clone, Debug)]
pub struct RequestIds {
    count: u128,
}

impl RequestIds {
    /// A source that begins at `seed`; two with the same give the same ids.
    #[must_use]
    pub const fn new(seed: u128) -> Self {
        Self { count: seed }
    }

    /// A source that begins at a random place.
    #[must_use]
    pub fn random() -> Self {
        // The only randomness of the standard library: keys from the operating system.
        let state = RandomState::new();
        Self::new(u128::from(state.hash_one(0)) << 64 | u128::from(state.hash_one(1)))
    }

    /// The next id.
    pub fn next_id(&mut self) -> RequestId<'static> {
        self.count = self.count.wrapping_add(1);
        let mut id = self.count;
        // Multiplications by odd numbers and these shifts can be undone, so different counts stay different.
        id ^= id >> 64;
        id = id.wrapping_mul(0xda94_2042_e4dd_58b5_9e37_79b9_7f4a_7c15);
        id ^= id >> 67;
        id = id.wrapping_mul(0xd6e8_feb8_6659_fd93_bf58_476d_1ce4_e5b9);
        id ^= id >> 64;
        RequestId(Kind::Made(hex(id)))
    }
}

fn hex(id: u128) -> [u8; 32] {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let mut text = [0; 32];
    for (pair, byte) in text.chunks_exact_mut(2).zip(id.to_be_bytes()) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text
}

/// A request's id: 32 hexadecimal digits, or what a trusted hop gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId<'a>(Kind<'a>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind<'a> {
    Made([u8; 32]),
    Given(&'a str),
}

/// The longest id that is taken over, in bytes.
const MAX_LEN: usize = 128;

impl<'a> RequestId<'a> {
    /// An id that came: 1 to 128 letters, digits and `-_.=+/:@`, so that it is safe in any log and any field.
    pub(super) fn given(value: &'a [u8]) -> Option<Self> {
        let safe = value
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.=+/:@".contains(byte));
        if !safe || !(1..=MAX_LEN).contains(&value.len()) {
            return None;
        }
        str::from_utf8(value).ok().map(|id| Self(Kind::Given(id)))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Kind::Made(hex) => str::from_utf8(hex).unwrap_or_default(),
            Kind::Given(id) => id,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_unique_within_and_across_sources() {
        let mut sources = [RequestIds::random(), RequestIds::random(), RequestIds::new(0)];
        let mut seen = HashSet::new();
        for _ in 0..20_000 {
            for source in &mut sources {
                let id = source.next_id();
                assert!(id.as_str().len() == 32 && id.as_str().bytes().all(|byte| byte.is_ascii_hexdigit()));
                assert!(seen.insert(id.as_str().to_owned()));
            }
        }
    }

    #[test]
    fn neighbouring_ids_look_unrelated() {
        let mut source = RequestIds::new(0);
        let bits = |id: RequestId<'_>| u128::from_str_radix(id.as_str(), 16).unwrap();
        let mut before = bits(source.next_id());
        let mut differing = 0;
        for _ in 0..1_000 {
            let id = bits(source.next_id());
            differing += (id ^ before).count_ones();
            before = id;
        }
        assert!(
            (58_000..70_000).contains(&differing),
            "{differing} of 128,000 bits"
        );
    }

    #[test]
    fn only_harmless_ids_are_taken_over() {
        for id in [
            "a",
            "7d6f-1",
            "Root=1-67891233-abcdef012345678912345678",
            &"x".repeat(128),
        ] {
            assert_eq!(RequestId::given(id.as_bytes()).unwrap().as_str(), id);
        }
        for id in ["", "a b", "a\"", "a\r\nb", "\u{e9}", "<x>", &"x".repeat(129)] {
            assert_eq!(RequestId::given(id.as_bytes()), None, "{id}");
        }
    }
}
