//! A proxy as a file writes it, before its upstream is known.

use std::net::SocketAddr;
use std::time::Duration;

use lb_proxy::balance::Upstream;
use lb_proxy::proxy::{ConfigError, ForwardedPolicy, HostPolicy, ProxyConfig};

use super::Spanned;

/// A proxy and the name of the upstream that it forwards to.
pub(crate) struct ProxyDraft {
    pub(crate) name: Spanned<String>,
    /// Whether the file gives the name; it is that of the upstream otherwise.
    pub(crate) named: bool,
    pub(crate) listen: Vec<Spanned<SocketAddr>>,
    /// The only upstream that there is, when left out.
    pub(crate) upstream: Option<Spanned<String>>,
    pub(crate) settings: ProxySettings,
}

/// What a file says of a proxy; `None` leaves lb-proxy's default.
#[derive(Clone, Debug, Default)]
pub(crate) struct ProxySettings {
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) workers: Option<usize>,
    pub(crate) freebind: Option<bool>,
    pub(crate) host: Option<HostPolicy>,
    pub(crate) forwarded: Option<ForwardedPolicy>,
    pub(crate) websocket: Option<bool>,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) read_timeout: Option<Duration>,
    pub(crate) send_timeout: Option<Duration>,
    pub(crate) keepalive_timeout: Option<Duration>,
    pub(crate) max_body: Option<u64>,
    pub(crate) retry_tries: Option<u32>,
    pub(crate) upstream_keepalive: Option<usize>,
}

impl ProxySettings {
    /// Makes the configuration of a proxy that forwards to `upstream`.
    ///
    /// # Errors
    /// When a value is out of range.
    pub(crate) fn build(&self, upstream: Upstream) -> Result<ProxyConfig, ConfigError> {
        let mut builder = ProxyConfig::builder(upstream);
        for address in &self.listen {
            builder = builder.listen(*address);
        }
        macro_rules! set {
            ($($name:ident)*) => {
                $(if let Some(value) = self.$name.clone() {
                    builder = builder.$name(value);
                })*
            };
        }
        set!(workers freebind host forwarded websocket connect_timeout read_timeout send_timeout);
        set!(keepalive_timeout max_body retry_tries upstream_keepalive);
        builder.build()
    }

    /// Takes back what an error is about; says whether there was something to take.
    pub(crate) fn leave_out(&mut self, error: &ConfigError) -> bool {
        match error {
            ConfigError::DuplicateListen(address) => {
                let last = self.listen.iter().rposition(|one| one == address);
                last.map(|index| self.listen.remove(index)).is_some()
            }
            ConfigError::ZeroTimeout(name)
            | ConfigError::LongTimeout(name)
            | ConfigError::OutOfRange { name, .. } => match *name {
                "connect_timeout" => self.connect_timeout.take().is_some(),
                "read_timeout" => self.read_timeout.take().is_some(),
                "send_timeout" => self.send_timeout.take().is_some(),
                "keepalive_timeout" => self.keepalive_timeout.take().is_some(),
                "retry_tries" => self.retry_tries.take().is_some(),
                "upstream_keepalive" => self.upstream_keepalive.take().is_some(),
                _ => false,
            },
            ConfigError::Host { .. } => self.host.take().is_some(),
            _ => false,
        }
    }
}
