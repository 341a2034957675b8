//! By which rule the next backend is found.
//!
//! A rule is laid out as a [`table::Table`] when the set of eligible backends changes, away from requests. A
//! pick then reads the table, takes no lock and allocates nothing.

mod by_weight;
mod chairman;
mod dice;
mod key;
mod ring;
mod sequence;
mod table;

pub(super) use dice::mix;
pub use key::Key;
pub(super) use ring::Member;
pub(super) use table::{Members, Table};

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
}
