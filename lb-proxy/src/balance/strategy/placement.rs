//! Where keys belong, whoever can take requests at the moment.

use super::ip_hash::IpHash;
use super::ketama::Ketama;
use super::maglev::Maglev;
use super::modulo::Modulo;
use super::ring::Member;
use super::{HashKind, Key, Strategy};
use crate::balance::BackendId;

/// A backend that keys are placed on, whether it can take requests or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::balance) struct Placed {
    /// With the weight as set, above 0: what comes and goes with a backend's life moves no keys.
    pub(in crate::balance) member: Member,
    pub(in crate::balance) id: BackendId,
}

/// The places of all keys among a set of backends, in the operator's order.
#[derive(Debug)]
pub(super) struct Placement {
    strategy: Strategy,
    places: Places,
    placed: Box<[Placed]>,
}

#[derive(Debug)]
enum Places {
    Maglev(Maglev),
    Ketama(Ketama),
    Modulo(Modulo),
    Ip(IpHash),
}

impl Placement {
    /// By `kind`, or by addresses alone if there is none.
    pub(super) fn new(strategy: Strategy, kind: Option<HashKind>, placed: Vec<Placed>) -> Self {
        let places = match kind {
            Some(HashKind::Maglev) => Places::Maglev(Maglev::new(&placed)),
            Some(HashKind::Ketama) => Places::Ketama(Ketama::new(&placed)),
            Some(HashKind::Modulo) => Places::Modulo(Modulo::new(&placed)),
            None => Places::Ip(IpHash::new(&placed)),
        };
        Self {
            strategy,
            places,
            placed: placed.into_boxed_slice(),
        }
    }

    /// Whether that is what it was made for.
    pub(super) fn is_for(&self, strategy: Strategy, placed: &[Placed]) -> bool {
        self.strategy == strategy && *self.placed == *placed
    }

    /// The slot of the backend that `key` belongs to, or of the next after it that is `fit`; `None` if that
    /// takes too long to find, for the schedule to say. `tried` is how many backends the request has been to.
    pub(super) fn find(&self, key: Key<'_>, tried: usize, fit: impl Fn(u16) -> bool) -> Option<u16> {
        match &self.places {
            Places::Maglev(maglev) => maglev.find(key, fit),
            Places::Ketama(ketama) => ketama.find(key, fit),
            Places::Modulo(modulo) => modulo.find(key, tried, fit),
            Places::Ip(ip_hash) => ip_hash.find(key, tried, fit),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Names of backends: 10.0.0.1:8080 and so on.
    pub(in super::super) fn names(backends: usize) -> Vec<String> {
        (1..=backends)
            .map(|n| format!("10.0.{}.{}:8080", n / 256, n % 256))
            .collect()
    }

    pub(in super::super) fn placed(names: &[String], weights: &[u32]) -> Vec<Placed> {
        (0..)
            .zip(names.iter().zip(weights))
            .map(|(slot, (name, &weight))| Placed {
                member: Member { slot, weight },
                id: name.as_str().into(),
            })
            .collect()
    }
}
