//! What every server of this crate runs on: its clock, its listeners, one timer a connection, and the drain.

pub(crate) mod clock;
pub(crate) mod drain;
pub(crate) mod listen;
pub(crate) mod timer;
