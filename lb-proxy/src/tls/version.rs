//! Which versions of TLS are spoken.

use rustls::SupportedProtocolVersion;

/// A version of TLS. Those before 1.2 are deprecated (RFC 8996) and not spoken at all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246), with the suites that have forward secrecy and authenticated encryption.
    #[default]
    V1_2,
    /// TLS 1.3 (RFC 8446).
    V1_3,
}

impl TlsVersion {
    /// This version and all later ones.
    pub(super) fn and_later(self) -> &'static [&'static SupportedProtocolVersion] {
        match self {
            Self::V1_2 => rustls::ALL_VERSIONS,
            Self::V1_3 => V1_3_ALONE,
        }
    }
}

static V1_3_ALONE: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
