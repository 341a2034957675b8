//! nf_tables, spoken over netlink: no `nft` program is needed.
//!
//! What changes goes in a [`Batch`], which the kernel does whole or not at all.

mod attributes;
mod batch;
mod expressions;
mod message;
mod socket;
mod table;

pub(crate) use batch::Batch;
pub(crate) use expressions::{REGISTER, SMALL_REGISTER, base, cmp, meta, verdict};
pub(crate) use message::kind as msg;
pub(crate) use socket::Socket;
#[cfg(feature = "lab")]
pub(crate) use socket::is_missing;
