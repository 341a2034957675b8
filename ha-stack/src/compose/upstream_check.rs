//! How the backends of an upstream are asked whether they are well.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ha_health::probe::{HttpBuilder, HttpError, Probe, Tcp};
use ha_health::{CheckConfig, CheckConfigBuilder};
use lb_proxy::balance::BackendId;

/// How all backends of an upstream are asked, each by a check of its own.
///
/// A backend whose check is down gets no requests. Before the first result it does, unless it is
/// [mandatory](lb_proxy::balance::BackendConfig::mandatory) that its check has passed. A request that fails has the check
/// of its backend ask at once. Backends that are added while the stack runs are asked too, within a second.
///
/// ```
/// use ha_health::probe::Http;
/// use ha_stack::UpstreamCheck;
///
/// let asks = Http::builder(([127, 0, 0, 1], 1).into()).path("/health").expect_body("ready");
/// let check = UpstreamCheck::http(UpstreamCheck::times("app").rise(1).build()?, asks)?.port(9000);
/// assert_eq!(check.config().fall().get(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// With a probe of one's own:
///
/// ```
/// use ha_health::probe::{Probe, ProbeFuture, Tcp};
/// use ha_stack::UpstreamCheck;
///
/// struct Replica(Tcp);
///
/// impl Probe for Replica {
///     fn probe(&self, timeout: std::time::Duration) -> ProbeFuture<'_> {
///         // … asks for its lag, too.
///         self.0.probe(timeout)
///     }
/// }
///
/// let check = UpstreamCheck::new(UpstreamCheck::times("db").build()?, |_id, address| Replica(Tcp::new(address)));
/// # Ok::<(), ha_health::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct UpstreamCheck {
    config: CheckConfig,
    probe: MakeProbe,
    port: Option<u16>,
}

type MakeProbe = Arc<dyn Fn(&BackendId, SocketAddr) -> Arc<dyn Probe> + Send + Sync>;

impl UpstreamCheck {
    /// Asks each backend with the probe that `probe` makes for it, given its id and address.
    pub fn new<P: Probe + 'static>(
        config: CheckConfig,
        probe: impl Fn(&BackendId, SocketAddr) -> P + Send + Sync + 'static,
    ) -> Self {
        Self {
            config,
            probe: Arc::new(move |id, address| Arc::new(probe(id, address))),
            port: None,
        }
    }

    /// Asks whether each backend takes a connection.
    pub fn tcp(config: CheckConfig) -> Self {
        Self::new(config, |_, address| Tcp::new(address))
    }

    /// Asks each backend by this request, whatever its address is.
    ///
    /// # Errors
    /// The request can't be made.
    pub fn http(config: CheckConfig, request: HttpBuilder) -> Result<Self, HttpError> {
        request.clone().build()?;
        Ok(Self::new(config, move |_, address| {
            let request = request.clone().address(address).build();
            request.expect("with one address it could be made, and any address makes a host")
        }))
    }

    /// Asks another port than that of the backend.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// Begins a config with what is good for backends: each 2 s (±20 %) for up to 1 s, each 500 ms while changing, up after 2
    /// successes and down after 3 failures. The first result counts at once. `name` appears nowhere but in the config.
    pub fn times(name: impl Into<Box<str>>) -> CheckConfigBuilder {
        CheckConfig::builder(name)
            .interval(Duration::from_secs(2))
            .fast_interval(Duration::from_millis(500))
            .timeout(Duration::from_secs(1))
            .rise(2)
            .fall(3)
            .jitter_percent(20)
    }

    /// Its times and thresholds.
    pub fn config(&self) -> &CheckConfig {
        &self.config
    }

    /// The probe of a backend.
    pub(super) fn probe(&self, id: &BackendId, mut address: SocketAddr) -> Arc<dyn Probe> {
        address.set_port(self.port.unwrap_or(address.port()));
        (self.probe)(id, address)
    }
}

impl fmt::Debug for UpstreamCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamCheck")
            .field("config", &self.config)
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}
