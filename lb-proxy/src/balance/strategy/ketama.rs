//! nginx's `hash … consistent`, point by point: the circle of ketama, as Cache::Memcached::Fast draws it.

use std::net::IpAddr;

use super::Key;
use super::crc32::Crc32;
use super::placement::Placed;

/// How many points of the circle a weight of 1 has.
const POINTS: usize = 160;

/// The most points that a circle has, unless the backends are more: 64 MiB of them. Beyond that, weights are
/// scaled down, and places are not nginx's any more.
const MAX_POINTS: usize = 10_000_000;

/// How many points a key tries before it goes by the schedule.
const MAX_TRIES: usize = 20;

/// A circle of hashes, on which each backend has points, and a key belongs to the next point's backend.
///
/// The name that nginx hashes is what stands in its `server` line: a [`BackendId`](crate::balance::BackendId)
/// that is such a name, say `192.0.2.1:8080`, has the same points here.
#[derive(Debug)]
pub(super) struct Ketama {
    /// In ascending order, without two that are equal.
    hashes: Box<[u32]>,
    /// Whose the point at the same index is.
    slots: Box<[u16]>,
    /// Where the hashes of each prefix begin.
    starts: Box<[u32]>,
    /// What makes a prefix of a hash.
    shift: u32,
}

impl Ketama {
    pub(super) fn new(placed: &[Placed]) -> Self {
        Self::with_at_most(MAX_POINTS, placed)
    }

    fn with_at_most(max_points: usize, placed: &[Placed]) -> Self {
        let total: usize = placed.iter().map(|placed| placed.member.weight as usize).sum();
        let divisor = (total * POINTS).div_ceil(max_points).max(1);
        let mut points = Vec::with_capacity(total / divisor * POINTS);
        for (index, placed) in placed.iter().enumerate() {
            let weight = (placed.member.weight as usize / divisor).max(1);
            let name = Name::new(placed.id.as_str().as_bytes());
            points.extend(
                name.points(weight * POINTS)
                    .map(|hash| u64::from(hash) << 32 | index as u64),
            );
        }
        // Of equal hashes the first backend keeps the point.
        points.sort_unstable();
        points.dedup_by_key(|point| *point >> 32);

        let bits = points.len().checked_ilog2().unwrap_or(0).min(31);
        let shift = 32 - bits;
        let mut starts = Vec::with_capacity((1 << bits) + 1);
        for (index, point) in points.iter().enumerate() {
            let prefix = (point >> 32 >> shift) as usize;
            while starts.len() <= prefix {
                starts.push(index as u32);
            }
        }
        starts.resize((1 << bits) + 1, points.len() as u32);
        Self {
            hashes: points.iter().map(|point| (point >> 32) as u32).collect(),
            slots: points
                .iter()
                .map(|&point| placed[point as u32 as usize].member.slot)
                .collect(),
            starts: starts.into_boxed_slice(),
            shift,
        }
    }

    /// Where `key` belongs; if that is not `fit`, what follows on the circle.
    pub(super) fn find(&self, key: Key<'_>, fit: impl Fn(u16) -> bool) -> Option<u16> {
        let first = self.first_from(hash(key)?);
        let (before, after) = self.slots.split_at(first);
        let mut following = after.iter().chain(before.iter().cycle()).copied();
        // nginx counts a try after each point.
        following.by_ref().take(MAX_TRIES + 1).find(|&slot| fit(slot))
    }

    /// The index of the first point at or after `hash`.
    fn first_from(&self, hash: u32) -> usize {
        let prefix = (u64::from(hash) >> self.shift) as usize;
        let (start, end) = (self.starts[prefix] as usize, self.starts[prefix + 1] as usize);
        start + self.hashes[start..end].partition_point(|&point| point < hash)
    }
}

/// The place on the circle: of bytes, their CRC-32; of a caller's hash, its lower half.
fn hash(key: Key<'_>) -> Option<u32> {
    match key {
        Key::Hash(hash) => Some(hash as u32),
        Key::Bytes(bytes) => Some(Crc32::new().update(bytes).finish()),
        Key::Ip(ip) => Some(Crc32::new().update(Text::of(ip).as_bytes()).finish()),
        Key::None | Key::Sticky(_) => None,
    }
}

/// A backend's name as nginx takes it apart: the digits behind the last colon are a port.
struct Name<'a> {
    host: &'a [u8],
    port: &'a [u8],
}

impl<'a> Name<'a> {
    fn new(name: &'a [u8]) -> Self {
        let path = name
            .get(..5)
            .filter(|scheme| scheme.eq_ignore_ascii_case(b"unix:"));
        if path.is_some() {
            return Self {
                host: &name[5..],
                port: b"",
            };
        }
        match name.iter().rposition(|byte| !byte.is_ascii_digit()) {
            Some(colon) if name[colon] == b':' => Self {
                host: &name[..colon],
                port: &name[colon + 1..],
            },
            _ => Self {
                host: name,
                port: b"",
            },
        }
    }

    /// CRC-32 of the host, a zero, the port, and the point before.
    fn points(&self, points: usize) -> impl Iterator<Item = u32> {
        let base = Crc32::new().update(self.host).update(&[0]).update(self.port);
        let mut last = 0_u32;
        std::iter::repeat_with(move || {
            last = base.update(&last.to_le_bytes()).finish();
            last
        })
        .take(points)
    }
}

/// An address as text, as nginx has it in `$remote_addr`.
pub(super) struct Text {
    bytes: [u8; 46],
    len: usize,
}

impl Text {
    pub(super) fn of(ip: IpAddr) -> Self {
        use std::io::Write;

        let mut bytes = [0; 46];
        let mut rest = &mut bytes[..];
        // An address has 45 characters at the most.
        let _ = write!(rest, "{ip}");
        let len = 46 - rest.len();
        Self { bytes, len }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::super::placement::tests::{names, placed};
    use super::*;

    #[test]
    fn names_are_taken_apart_as_nginx_does() {
        for (name, host, port) in [
            ("192.0.2.1:8080", "192.0.2.1", "8080"),
            ("192.0.2.1", "192.0.2.1", ""),
            ("tomcat-1", "tomcat-1", ""),
            ("[2001:db8::1]:80", "[2001:db8::1]", "80"),
            ("unix:/run/app.sock:1", "/run/app.sock:1", ""),
            ("8080", "8080", ""),
            ("app:", "app", ""),
        ] {
            let Name { host: is, port: at } = Name::new(name.as_bytes());
            assert_eq!((is, at), (host.as_bytes(), port.as_bytes()), "{name}");
        }
    }

    #[test]
    fn the_first_point_from_a_hash_is_found_wherever_it_is() {
        let ketama = Ketama::new(&placed(&names(7), &[1, 2, 3, 1, 1, 1, 1]));
        let edges = ketama
            .hashes
            .iter()
            .flat_map(|&hash| [hash.wrapping_sub(1), hash, hash.wrapping_add(1)]);
        for hash in edges.chain([0, u32::MAX]) {
            let expected = ketama
                .hashes
                .iter()
                .position(|&point| point >= hash)
                .unwrap_or(ketama.hashes.len());
            assert_eq!(ketama.first_from(hash), expected, "{hash}");
        }
    }

    #[test]
    fn a_key_beyond_the_last_point_belongs_to_the_first() {
        let ketama = Ketama::new(&placed(&names(3), &[1; 3]));
        let beyond = Key::Hash(u64::from(ketama.hashes[ketama.hashes.len() - 1]) + 1);
        assert_eq!(ketama.find(beyond, |_| true), Some(ketama.slots[0]));
        assert_eq!(Ketama::new(&[]).find(Key::Hash(1), |_| true), None);
    }

    #[test]
    fn a_backend_that_goes_takes_no_other_s_keys_along() {
        let members = placed(&names(5), &[1; 5]);
        let (all, rest) = (Ketama::new(&members), Ketama::new(&members[..4]));
        for n in 0..20_000_u64 {
            let key = Key::Hash(n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32);
            let home = all.find(key, |_| true).unwrap();
            if home != 4 {
                assert_eq!(rest.find(key, |_| true), Some(home));
            }
        }
    }

    #[test]
    fn more_points_than_fit_are_shared_out() {
        let ketama = Ketama::with_at_most(10_000, &placed(&names(3), &[100, 50, 1]));
        let points = |slot| ketama.slots.iter().filter(|&&other| other == slot).count();
        assert_eq!([points(0), points(1), points(2)], [33 * 160, 16 * 160, 160]);
    }

    #[test]
    fn addresses_are_written_as_nginx_writes_them() {
        for text in [
            "192.0.2.1",
            "2001:db8::1",
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ] {
            assert_eq!(Text::of(text.parse().unwrap()).as_bytes(), text.as_bytes());
        }
    }
}
