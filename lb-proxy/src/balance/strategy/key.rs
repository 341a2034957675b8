//! What of a request decides where it goes.

use std::net::IpAddr;

/// What a request has that may decide where it goes, beside the [strategy](super::Strategy).
///
/// A strategy that places requests by key goes by the strategy [`Weighted`](super::Strategy::Weighted) if
/// there is none; the others look at [`Sticky`](Self::Sticky) alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Key<'a> {
    /// Nothing.
    #[default]
    None,
    /// A hash that the caller made.
    Hash(u64),
    /// Bytes of the request: its path, a header, a cookie. Empty bytes are no key (nginx does the same).
    Bytes(&'a [u8]),
    /// The client's address.
    Ip(IpAddr),
    /// The [route](crate::balance::BackendConfig::with_route) of the backend that has the client's session.
    ///
    /// It gets the request if it can, even if it takes no new sessions (weight 0 or `drain`); otherwise the
    /// request is one without a key.
    Sticky(&'a [u8]),
}

impl<'a> Key<'a> {
    /// This key, unless it is none in substance.
    #[inline]
    pub(in crate::balance) const fn or_none(self) -> Self {
        match self {
            Self::Bytes([]) => Self::None,
            key => key,
        }
    }
}
