//! What backends are told of the host that the client asked for, and of the client.

use crate::forwarded::{Forwarding, Policy};

/// The `Host` that a backend sees (nginx: `proxy_set_header Host`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum HostPolicy {
    /// The client's own, as nginx's `$http_host`. The default.
    #[default]
    Preserve,
    /// The backend's address and port, as nginx's `$proxy_host`.
    Upstream,
    /// Always this one.
    Fixed(String),
}

impl From<ForwardedPolicy> for Forwarding {
    fn from(policy: ForwardedPolicy) -> Self {
        let policy = match policy {
            ForwardedPolicy::Append => Policy::Append,
            ForwardedPolicy::Replace => Policy::Replace,
            ForwardedPolicy::Remove => Policy::Remove,
        };
        let built = Self::builder().x_forwarded(policy).build();
        built.expect("nothing but a policy is set")
    }
}

/// What happens to `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`.
///
/// Whichever it is, it applies after the headers that the client named in `Connection` are gone, so a client can't
/// make the proxy drop what it adds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ForwardedPolicy {
    /// The client's address is appended to the `X-Forwarded-For` that came (nginx's `$proxy_add_x_forwarded_for`),
    /// so the last element is trustworthy and the others are hearsay; the other two are replaced. The default.
    #[default]
    Append,
    /// All three say what this proxy saw, and nothing else: for a proxy that clients reach directly.
    Replace,
    /// All three are removed, and none is added.
    Remove,
}
