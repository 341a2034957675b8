//! Routes and routing rules in the words of `ip route` and `ip rule`, which both formats of file share.

mod names;
mod phrase;
mod route;
mod rule;

pub(crate) use phrase::Phrase;
pub(crate) use route::route;
pub(crate) use rule::rule;
