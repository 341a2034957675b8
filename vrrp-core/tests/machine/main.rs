//! The virtual router against the state tables of RFC 9568 §6.4 and RFC 3768 §6.4, clause by clause.
//!
//! A test's comment cites the clause, and the row of the table of events and states that it stands for: I for
//! Initialize, B for Backup, M for Master, F for Fault and for sync groups.

mod ah;
mod backup;
mod config;
mod corpus;
mod counters;
mod damping;
mod demotion;
mod discard;
mod fault;
mod hmac;
mod initialize;
mod master;
mod pause;
mod preempt_delay;
mod properties;
mod rivals;
mod settings;
mod support;
mod switchover;
mod sync_group;
mod timers;
mod unicast;

/// What the fuzz target does, to replay its corpus.
#[path = "../../fuzz/src/lib.rs"]
#[allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "a library of its own where cargo-fuzz builds it"
)]
mod fuzz;
