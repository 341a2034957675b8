//! How we recognise the addresses that we added.

/// IFA_PROTO of our addresses: VRRP's protocol number. `ip address show` prints it as `proto 112`.
pub(super) const MARK: u8 = vrrp_core::PROTOCOL;

/// Kernels before don't keep IFA_PROTO; there a finite lifetime has to do.
pub(super) const PROTO_SUPPORTED_SINCE: (u32, u32) = (5, 18);
