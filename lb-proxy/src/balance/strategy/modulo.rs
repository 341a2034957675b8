//! nginx's `hash` without `consistent`: the key's hash modulo the sum of weights.

use super::Key;
use super::crc32::Crc32;
use super::ketama::Text;
use super::placement::Placed;

/// How many places a key tries before it goes by the schedule.
const MAX_TRIES: usize = 20;

/// Backends side by side, each as broad as its weight, in the operator's order. Most keys move when one comes
/// or goes.
#[derive(Debug)]
pub(super) struct Modulo {
    /// Where each ends.
    ends: Box<[u64]>,
    slots: Box<[u16]>,
}

impl Modulo {
    pub(super) fn new(placed: &[Placed]) -> Self {
        let ends = placed.iter().scan(0, |end, placed| {
            *end += u64::from(placed.member.weight);
            Some(*end)
        });
        Self {
            ends: ends.collect(),
            slots: placed.iter().map(|placed| placed.member.slot).collect(),
        }
    }

    /// Where `key` belongs; if that is not `fit`, where it does with 1, 2 and so on in front.
    pub(super) fn find(&self, key: Key<'_>, tried: usize, fit: impl Fn(u16) -> bool) -> Option<u16> {
        let (buffer, text);
        let bytes = match key {
            Key::Bytes(bytes) => bytes,
            Key::Hash(hash) => {
                buffer = hash.to_be_bytes();
                &buffer[..]
            }
            Key::Ip(ip) => {
                text = Text::of(ip);
                text.as_bytes()
            }
            Key::None | Key::Sticky(_) => return None,
        };
        let mut rehash = Digits::default();
        let mut sum = 0;
        self.walk(tried, fit, || {
            let hash = Crc32::new().update(rehash.as_bytes()).update(bytes).finish();
            sum += u64::from(hash >> 16 & 0x7fff);
            rehash.count_up();
            sum
        })
    }

    /// Goes from place to place until there is one that is `fit`.
    ///
    /// nginx does not count the tries that ended on a backend that the request was then sent to; one that
    /// begins anew for each attempt meets these again, `tried` in number.
    pub(super) fn walk(
        &self,
        tried: usize,
        fit: impl Fn(u16) -> bool,
        mut next: impl FnMut() -> u64,
    ) -> Option<u16> {
        let total = *self.ends.last()?;
        (0..=MAX_TRIES + tried)
            .map(|_| self.at(next() % total))
            .find(|&slot| fit(slot))
    }

    fn at(&self, place: u64) -> u16 {
        self.slots[self.ends.partition_point(|&end| end <= place)]
    }
}

/// How often a key has been hashed again, in decimal; nothing for 0 times.
#[derive(Default)]
struct Digits {
    bytes: [u8; 20],
    len: usize,
    count: u64,
}

impl Digits {
    fn as_bytes(&self) -> &[u8] {
        &self.bytes[20 - self.len..]
    }

    fn count_up(&mut self) {
        self.count += 1;
        (self.len, self.bytes) = (0, [0; 20]);
        let mut rest = self.count;
        while rest > 0 {
            self.len += 1;
            self.bytes[20 - self.len] = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::placement::tests::{names, placed};
    use super::*;

    #[test]
    fn counts_are_written_in_decimal() {
        let mut digits = Digits::default();
        let mut seen = Vec::new();
        for _ in 0..12 {
            seen.push(String::from_utf8(digits.as_bytes().to_vec()).unwrap());
            digits.count_up();
        }
        assert_eq!(seen.concat(), "1234567891011");
    }

    #[test]
    fn places_are_as_broad_as_weights() {
        let modulo = Modulo::new(&placed(&names(3), &[2, 1, 3]));
        let places: Vec<_> = (0..6).map(|place| modulo.at(place)).collect();
        assert_eq!(places, [0, 0, 1, 2, 2, 2]);
    }

    #[test]
    fn nobody_is_found_among_nobody_and_among_none_that_are_fit() {
        assert_eq!(Modulo::new(&[]).find(Key::Hash(1), 0, |_| true), None);
        assert_eq!(
            Modulo::new(&placed(&names(2), &[1, 1])).find(Key::Hash(1), 0, |_| false),
            None
        );
    }
}
