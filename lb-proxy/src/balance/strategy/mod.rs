//! By which rule the next backend is found.
//!
//! A rule is laid out as a [`table::Table`] when the set of eligible backends changes, away from requests. A
//! pick then reads the table, takes no lock and allocates nothing.

mod by_weight;
mod chairman;
mod crc32;
mod dice;
mod ip_hash;
mod ketama;
mod key;
mod latency;
mod least;
mod maglev;
mod modulo;
mod placement;
mod random;
mod ring;
mod sequence;
mod table;
mod two;

pub(super) use dice::{Dice, mix};
pub use key::Key;
pub(super) use latency::Latency;
pub(super) use placement::Placed;
pub(super) use ring::Member;
pub(super) use table::{Asked, Members, Table};

/// By which rule an upstream's next backend is found.
///
/// Whatever the rule, a request never gets a backend that it has tried, nor one that is out, and spares get
/// requests only while no primary can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// By weight, and as evenly as can be: at every moment each backend is less than one request away from
    /// its exact share.
    ///
    /// Backends of equal weight take turns, and their weights take turns by Tijdeman's chairman assignment
    /// (R. Tijdeman, *The chairman assignment problem*, 1980). nginx's own order lets a backend run 1.6
    /// requests ahead.
    #[default]
    Weighted,
    /// nginx's smooth weighted round robin, the same sequence pick by pick: weights 5, 1, 1 give aabacaa.
    ///
    /// nginx also lowers a backend's *effective* weight for some picks after each failure; here weights are
    /// what the operator set, and a failed backend leaves the schedule until it has answered again.
    NginxWeighted,
    /// One after the other, in the operator's order. Weights do not count, except that weight 0 takes no
    /// turn.
    RoundRobin,
    /// Fewest requests under way beside the weight, as nginx's `least_conn`; among equals as
    /// [`Weighted`](Self::Weighted).
    ///
    /// Who has its turn and nothing to do is taken at once. Of up to 32 backends all are compared, of more 16
    /// that are drawn by weight, so that a pick never costs more than that.
    LeastConn,
    /// The better one of two that are drawn by weight: by its latency, a moving average that a slow answer
    /// raises at once and that halves in 8.6 s, times the requests that it would have.
    ///
    /// A backend that has not answered yet gets one request first. Latency is from the pick to its
    /// [finish](super::Pick::finish); one that fails counts as twice the average.
    PowerOfTwo,
    /// By lot, by weight (nginx's `random`).
    Random,
    /// By the request's [`Key`]; without one as [`Weighted`](Self::Weighted).
    ///
    /// A key keeps its place while its backend is out, and goes elsewhere meanwhile; so nothing moves but the
    /// keys of who cannot take them. The backend that is due for a probe after a failure gets it from its own
    /// keys. Shares while starting slowly do not count.
    Hash(HashKind),
    /// By the client's address, [`Key::Ip`], exactly as nginx's `ip_hash`: of IPv4 the first three octets, of
    /// IPv6 all.
    ///
    /// A backend that is `down` keeps its place, as with nginx; one of weight 0 has none.
    IpHash,
}

/// How keys are placed on backends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HashKind {
    /// Maglev's table with XXH3: shares within 1 % of the weights, a look-up in a few nanoseconds, and few
    /// keys move when backends come or go. Every host places keys alike.
    #[default]
    Maglev,
    /// nginx's `hash … consistent`, exactly: 160 points of CRC-32 per weight on a circle.
    ///
    /// A backend's [`BackendId`](super::BackendId) takes the place of its name in nginx's `server` line, port
    /// included if there is one. Exact up to a sum of weights of 62,500.
    Ketama,
    /// nginx's `hash`, exactly: CRC-32 modulo the sum of weights. Most keys move when backends come or go.
    Modulo,
}

impl Strategy {
    /// Whether it goes by how long requests take.
    pub(super) const fn measures_latency(self) -> bool {
        matches!(self, Self::PowerOfTwo)
    }

    /// Whether it places keys, on backends that may or may not be able to take requests.
    pub(super) const fn places_keys(self) -> bool {
        matches!(self, Self::Hash(_) | Self::IpHash)
    }
}
