//! Benches against peers, in one run; see `README.md` for the commands.

pub mod testbed;
