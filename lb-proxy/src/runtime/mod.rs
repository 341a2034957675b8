//! What every server of this crate runs on: its clock, its listeners, its worker threads, one timer a connection, and
//! the drain.

pub(crate) mod clock;
#[cfg(feature = "proxy")]
pub(crate) mod drain;
pub(crate) mod listen;
pub(crate) mod proxy_header;
pub(crate) mod timer;
pub(crate) mod worker;
pub(crate) mod workers;
