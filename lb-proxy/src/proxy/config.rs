//! What a proxy is told: where it listens, where it forwards to, and how long and how much it puts up with.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::host;
use super::policy::{ForwardedPolicy, HostPolicy};
use crate::balance::Upstream;
use crate::forwarded::{Forwarding, TrustedHops};
use crate::limit::{ConnectionLimit, RateLimit};
use crate::log::AccessLog;
use crate::route::{Action, Routes};
#[cfg(feature = "tls")]
use crate::tls::ServerTls;

/// How long the proxy waits for what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    pub(super) connect: Duration,
    pub(super) read: Duration,
    pub(super) send: Duration,
    pub(super) client_header: Duration,
    pub(super) client_body: Duration,
    pub(super) client_send: Duration,
    pub(super) keepalive: Duration,
    pub(super) upgrade: Duration,
}

impl Timeouts {
    /// The shortest of those that a client's connection and the exchanges on it have.
    pub(super) fn shortest(&self) -> Duration {
        let all = [
            self.read,
            self.send,
            self.client_header,
            self.client_body,
            self.client_send,
            self.keepalive,
        ];
        all.into_iter().min().expect("there are some")
    }
}

/// How much the proxy takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) head_bytes: usize,
    pub(super) body_bytes: u64,
    pub(super) body_rate: u32,
    pub(super) replay_bytes: usize,
    pub(super) connections: usize,
    pub(super) keepalive_requests: u32,
    pub(super) streams: u32,
    pub(super) backlog: u32,
}

/// When another backend is tried.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retry {
    pub(super) tries: u32,
    pub(super) timeout: Duration,
    pub(super) young: Duration,
    pub(super) percent: u32,
    pub(super) floor: u32,
}

/// Which upstream connections are kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keep {
    pub(super) idle: usize,
    pub(super) idle_timeout: Duration,
    pub(super) requests: u32,
}

/// A valid configuration of a proxy; made by [`ProxyConfig::builder`].
#[derive(Debug, Clone)]
pub struct ProxyConfig {
    pub(super) listen: Vec<SocketAddr>,
    /// TLS of the listener in the same place.
    #[cfg(feature = "tls")]
    pub(super) tls: Vec<Option<ServerTls>>,
    pub(super) receive_proxy_protocol: TrustedHops,
    /// Where requests go by default, and further ones that routes name by their place.
    pub(super) upstreams: Vec<Upstream>,
    pub(super) routes: Option<Arc<Routes>>,
    pub(super) workers: usize,
    pub(super) freebind: bool,
    pub(super) share_port: bool,
    pub(super) host: HostPolicy,
    pub(super) default_host: Option<String>,
    pub(super) fixed_host: Option<String>,
    pub(super) forwarding: Forwarding,
    pub(super) rate_limit: Option<Arc<RateLimit>>,
    pub(super) connection_limit: Option<Arc<ConnectionLimit>>,
    pub(super) access_log: Option<AccessLog>,
    wants_ids: bool,
    pub(super) websocket: bool,
    pub(super) http2: bool,
    pub(super) timeouts: Timeouts,
    pub(super) limits: Limits,
    pub(super) retry: Retry,
    pub(super) keep: Keep,
}

impl ProxyConfig {
    /// Starts a configuration that forwards to `upstream`, with the defaults that the builder's methods name.
    pub fn builder(upstream: Upstream) -> ProxyConfigBuilder {
        ProxyConfigBuilder::new(upstream)
    }

    /// Returns the addresses to listen on, as configured (a port 0 stays 0 here).
    #[must_use]
    pub fn listen(&self) -> &[SocketAddr] {
        &self.listen
    }

    /// Whether requests get an id: one is passed on, logged, or used by a route.
    pub(super) fn wants_ids(&self) -> bool {
        self.wants_ids
    }

    /// Returns the number of worker threads.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// Returns the upstream that requests are forwarded to unless a route says otherwise.
    #[must_use]
    pub fn upstream(&self) -> &Upstream {
        &self.upstreams[0]
    }

    /// Returns all upstreams, in the order in which routes count them.
    #[must_use]
    pub fn upstreams(&self) -> &[Upstream] {
        &self.upstreams
    }
}

/// What [`ProxyConfigBuilder::build`] refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The same address is listed twice.
    #[error("the proxy listens on {0} twice")]
    DuplicateListen(SocketAddr),
    /// A number of workers outside 1..=256.
    #[error("a proxy has 1 to 256 workers, not {0}")]
    Workers(usize),
    /// A timeout of zero.
    #[error("{0} must be longer than zero")]
    ZeroTimeout(&'static str),
    /// A timeout of more than a year.
    #[error("{0} must not be longer than a year")]
    LongTimeout(&'static str),
    /// A limit outside its range.
    #[error("{name} must be between {min} and {max}, not {got}")]
    OutOfRange {
        /// The builder's method.
        name: &'static str,
        /// What was given.
        got: u64,
        /// The least allowed.
        min: u64,
        /// The greatest allowed.
        max: u64,
    },
    /// A route to an upstream that there isn't.
    #[error(
        "route {route} (counted from 0) goes to upstream {upstream}, and there are {count}, counted from 0"
    )]
    NoSuchUpstream {
        /// Its place in the list of routes.
        route: usize,
        /// The upstream that it names.
        upstream: usize,
        /// How many upstreams there are.
        count: usize,
    },
    /// A host that isn't `host` or `host:port` as RFC 3986 §3.2 has it.
    #[error("{name} must be a host or host:port, not {got:?}")]
    Host {
        /// The builder's method.
        name: &'static str,
        /// What was given.
        got: String,
    },
}

/// Builds a [`ProxyConfig`]; the names follow nginx's directives, the defaults are given with each method.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct ProxyConfigBuilder {
    config: ProxyConfig,
    default_host: Option<String>,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty => $($field:ident).+;)*) => {
        $($(#[$doc])*
        pub fn $name(mut self, $name: $type) -> Self {
            self.config.$($field).+ = $name;
            self
        })*
    };
}

impl ProxyConfigBuilder {
    fn new(upstream: Upstream) -> Self {
        let config = ProxyConfig {
            listen: Vec::new(),
            #[cfg(feature = "tls")]
            tls: Vec::new(),
            receive_proxy_protocol: TrustedHops::default(),
            upstreams: vec![upstream],
            routes: None,
            workers: std::thread::available_parallelism().map_or(1, |n| n.get().min(MAX_WORKERS)),
            freebind: false,
            share_port: false,
            host: HostPolicy::Preserve,
            default_host: None,
            fixed_host: None,
            forwarding: Forwarding::default(),
            rate_limit: None,
            connection_limit: None,
            access_log: None,
            wants_ids: false,
            websocket: true,
            http2: true,
            timeouts: Timeouts {
                connect: Duration::from_secs(5),
                read: Duration::from_secs(60),
                send: Duration::from_secs(60),
                client_header: Duration::from_secs(60),
                client_body: Duration::from_secs(60),
                client_send: Duration::from_secs(60),
                keepalive: Duration::from_secs(75),
                upgrade: Duration::from_secs(3600),
            },
            limits: Limits {
                head_bytes: 32 * 1024,
                body_bytes: 1024 * 1024,
                body_rate: 240,
                replay_bytes: 64 * 1024,
                connections: 16_384,
                keepalive_requests: 1000,
                streams: 128,
                backlog: 1024,
            },
            retry: Retry {
                tries: 3,
                timeout: Duration::from_secs(30),
                young: Duration::from_secs(1),
                percent: 20,
                floor: 10,
            },
            keep: Keep {
                idle: 64,
                idle_timeout: Duration::from_secs(60),
                requests: 1000,
            },
        };
        Self {
            config,
            default_host: None,
        }
    }

    /// Adds an address to listen on. Without any it is `0.0.0.0:80`; port 0 takes a free one.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.config.listen.push(address);
        #[cfg(feature = "tls")]
        self.config.tls.push(None);
        self
    }

    /// Adds an address to listen on for TLS (nginx: `listen … ssl`). HTTP/2 is spoken with clients that agree to it by
    /// ALPN, so `tls` should offer `h2` and `http/1.1`. A handshake may take as long as a request's head.
    #[cfg(feature = "tls")]
    pub fn listen_tls(mut self, address: SocketAddr, tls: ServerTls) -> Self {
        self.config.listen.push(address);
        self.config.tls.push(Some(tls));
        self
    }

    /// Sets from whom connections must begin with a header of the PROXY protocol, version 1 or 2 (nginx: `listen …
    /// proxy_protocol`). The client is who the header says, for logs, limits and backends; without a good header the
    /// connection is closed. Default nobody; for all others the header is a malformed request.
    pub fn receive_proxy_protocol(mut self, from: TrustedHops) -> Self {
        self.config.receive_proxy_protocol = from;
        self
    }

    /// Adds an upstream that [`routes`](Self::routes) can name: the first one added is `Action::Upstream(1)`.
    pub fn upstream(mut self, upstream: Upstream) -> Self {
        self.config.upstreams.push(upstream);
        self
    }

    /// Sets which request goes where. Default: all go to the first upstream.
    pub fn routes(mut self, routes: Routes) -> Self {
        self.config.routes = Some(Arc::new(routes));
        self
    }

    /// Sets what happens to `X-Forwarded-*`, and leaves the rest of [`forwarding`](Self::forwarding) at its defaults.
    pub fn forwarded(mut self, policy: ForwardedPolicy) -> Self {
        self.config.forwarding = policy.into();
        self
    }

    /// Limits the requests a second of each client address (nginx: `limit_req`). Default: no limit.
    pub fn rate_limit(mut self, limit: impl Into<Arc<RateLimit>>) -> Self {
        self.config.rate_limit = Some(limit.into());
        self
    }

    /// Limits the connections of each client address; one too many is answered and closed at its first request
    /// (nginx: `limit_conn`). Default: no limit.
    pub fn connection_limit(mut self, limit: impl Into<Arc<ConnectionLimit>>) -> Self {
        self.config.connection_limit = Some(limit.into());
        self
    }

    /// Logs each request. Default: none is.
    pub fn access_log(mut self, log: AccessLog) -> Self {
        self.config.access_log = Some(log);
        self
    }

    /// Sets the `Host` that an HTTP/1.0 request without one is given. Default none: such a request is refused.
    pub fn default_host(mut self, host: impl Into<String>) -> Self {
        self.default_host = Some(host.into());
        self
    }

    setters! {
        /// Sets the number of worker threads, each with its own runtime, listeners and upstream connections
        /// (nginx: `worker_processes`). Default: one a core.
        workers: usize => workers;
        /// Allows binding an address that no interface has (IP_FREEBIND), so that the proxy of a backup node can
        /// listen on a virtual IP before it owns it. Default no.
        freebind: bool => freebind;
        /// Lets another process of the same user listen on the same port, for an upgrade without a gap. Default
        /// no: a port that is taken is an error.
        share_port: bool => share_port;
        /// Sets the `Host` that backends see. Default [`HostPolicy::Preserve`].
        host: HostPolicy => host;
        /// Sets what backends are told of the client, whom to believe about it, the request's id, `Via` and `Server`.
        /// Default: `X-Forwarded-*` with the peer appended, and nobody is believed.
        forwarding: Forwarding => forwarding;
        /// Allows upgrades to WebSocket (no other protocol is ever upgraded to). Default yes.
        websocket: bool => websocket;
        /// Speaks HTTP/2 with clients that begin with its preface, "prior knowledge" (RFC 9113 §3.3). Default yes;
        /// without it they are answered 505.
        http2: bool => http2;
        /// Sets how many requests a client may have under way at once on an HTTP/2 connection, 1 to 1000 (nginx:
        /// `http2_max_concurrent_streams`). Default 128.
        max_streams: u32 => limits.streams;
        /// Sets how long a connect to a backend may take (nginx: `proxy_connect_timeout`). Default 5 s; nginx's
        /// 60 s lets one dead host hold every tenth request for a minute.
        connect_timeout: Duration => timeouts.connect;
        /// Sets how long a backend may stay silent: before its response head, and between two reads of the body
        /// (nginx: `proxy_read_timeout`). Default 60 s.
        read_timeout: Duration => timeouts.read;
        /// Sets how long a backend may take no byte of the request (nginx: `proxy_send_timeout`). Default 60 s.
        send_timeout: Duration => timeouts.send;
        /// Sets how long a client may take for the whole request head, from its first byte (nginx:
        /// `client_header_timeout`). Default 60 s.
        client_header_timeout: Duration => timeouts.client_header;
        /// Sets how long a client may stay silent between two reads of its body (nginx: `client_body_timeout`).
        /// Default 60 s.
        client_body_timeout: Duration => timeouts.client_body;
        /// Sets how fast a body has to come: it is waited for no longer than
        /// [`client_body_timeout`](Self::client_body_timeout) in all, and a second more for each so many bytes that have come
        /// (Apache: `RequestReadTimeout` with `MinRate`). A byte now and then would hold a connection, and one to a backend,
        /// for ever. It doesn't apply once the backend answers. Default 240 bytes a second; 0 is any.
        client_body_rate: u32 => limits.body_rate;
        /// Sets how long a client may take no byte of the response (nginx: `send_timeout`). Default 60 s.
        client_send_timeout: Duration => timeouts.client_send;
        /// Sets how long a client's connection may idle between requests (nginx: `keepalive_timeout`). Default 75 s.
        keepalive_timeout: Duration => timeouts.keepalive;
        /// Sets how long an upgraded connection may be silent in both directions. Default 1 h.
        upgrade_timeout: Duration => timeouts.upgrade;
        /// Sets the greatest request head in bytes, request line included, 1 KiB to 64 KiB. Default 32 KiB.
        max_head: usize => limits.head_bytes;
        /// Sets the greatest request body in bytes (nginx: `client_max_body_size`). Default 1 MiB; more is
        /// answered 413.
        max_body: u64 => limits.body_bytes;
        /// Sets how much of an idempotent request's body is kept so that it can be sent to a second backend.
        /// Default 64 KiB; a longer one is sent once.
        replay_buffer: usize => limits.replay_bytes;
        /// Sets the greatest number of client connections of a worker, 1 to 1,000,000 (nginx:
        /// `worker_connections`). Default 16,384; beyond it new ones wait in the listen queue.
        max_connections: usize => limits.connections;
        /// Sets how many requests a client connection may carry (nginx: `keepalive_requests`). Default 1000.
        keepalive_requests: u32 => limits.keepalive_requests;
        /// Sets the length of the listen queue. Default 1024.
        backlog: u32 => limits.backlog;
        /// Sets how many backends a request may be sent to, the first included, 1 to 64 (nginx:
        /// `proxy_next_upstream_tries`). Default 3.
        retry_tries: u32 => retry.tries;
        /// Sets the time after which no further backend is tried, from the start of the request (nginx:
        /// `proxy_next_upstream_timeout`). Default 30 s.
        retry_timeout: Duration => retry.timeout;
        /// Sets how many requests in a hundred may be sent again although a backend may have seen them, 0 to 100, beside
        /// [`retry_floor`](Self::retry_floor). Default 20. A request of which nothing was sent may always go elsewhere.
        retry_percent: u32 => retry.percent;
        /// Sets how many requests a second a worker may send again whatever the share is, 0 to 1,000,000. Default 10;
        /// what isn't used is kept for ten seconds.
        retry_floor: u32 => retry.floor;
        /// Sets how many idle connections to a backend a worker keeps, 0 to 65,536 (nginx: `keepalive`). Default 64.
        upstream_keepalive: usize => keep.idle;
        /// Sets how long an upstream connection may idle (nginx: `keepalive_timeout` of an upstream). Default 60 s.
        upstream_keepalive_timeout: Duration => keep.idle_timeout;
        /// Sets how many requests an upstream connection may carry (nginx: `keepalive_requests` of an upstream).
        /// Default 1000.
        upstream_keepalive_requests: u32 => keep.requests;
    }

    /// Checks everything.
    ///
    /// # Errors
    ///
    /// The first of the values that can't work, as a [`ConfigError`].
    pub fn build(mut self) -> Result<ProxyConfig, ConfigError> {
        let config = &mut self.config;
        if config.listen.is_empty() {
            config.listen.push(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 80)));
            #[cfg(feature = "tls")]
            config.tls.push(None);
        }
        for (i, address) in config.listen.iter().enumerate() {
            if address.port() != 0 && config.listen[..i].contains(address) {
                return Err(ConfigError::DuplicateListen(*address));
            }
        }
        if !(1..=MAX_WORKERS).contains(&config.workers) {
            return Err(ConfigError::Workers(config.workers));
        }
        check_timeouts(config)?;
        check_limits(config)?;
        check_routes(config)?;
        config.wants_ids =
            config.forwarding.has_request_id() || config.routes.is_some() || config.access_log.is_some();
        if let HostPolicy::Fixed(fixed) = &config.host {
            config.fixed_host = Some(host_value("host", fixed)?);
        }
        if let Some(default) = &self.default_host {
            config.default_host = Some(host_value("default_host", default)?);
        }
        Ok(self.config)
    }
}

const MAX_WORKERS: usize = 256;
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

fn check_timeouts(config: &ProxyConfig) -> Result<(), ConfigError> {
    let t = &config.timeouts;
    let all = [
        ("connect_timeout", t.connect),
        ("read_timeout", t.read),
        ("send_timeout", t.send),
        ("client_header_timeout", t.client_header),
        ("client_body_timeout", t.client_body),
        ("client_send_timeout", t.client_send),
        ("keepalive_timeout", t.keepalive),
        ("upgrade_timeout", t.upgrade),
        ("retry_timeout", config.retry.timeout),
        ("upstream_keepalive_timeout", config.keep.idle_timeout),
    ];
    for (name, timeout) in all {
        if timeout.is_zero() {
            return Err(ConfigError::ZeroTimeout(name));
        }
        if timeout > YEAR {
            return Err(ConfigError::LongTimeout(name));
        }
    }
    Ok(())
}

fn check_limits(config: &ProxyConfig) -> Result<(), ConfigError> {
    let all = [
        ("max_head", config.limits.head_bytes as u64, 1024, 64 * 1024),
        (
            "replay_buffer",
            config.limits.replay_bytes as u64,
            0,
            16 * 1024 * 1024,
        ),
        ("max_connections", config.limits.connections as u64, 1, 1_000_000),
        (
            "keepalive_requests",
            config.limits.keepalive_requests.into(),
            1,
            u32::MAX.into(),
        ),
        ("max_streams", config.limits.streams.into(), 1, 1000),
        ("backlog", config.limits.backlog.into(), 1, 65_535),
        ("retry_tries", config.retry.tries.into(), 1, 64),
        ("retry_percent", config.retry.percent.into(), 0, 100),
        ("retry_floor", config.retry.floor.into(), 0, 1_000_000),
        ("upstream_keepalive", config.keep.idle as u64, 0, 65_536),
        (
            "upstream_keepalive_requests",
            config.keep.requests.into(),
            1,
            u32::MAX.into(),
        ),
    ];
    match all.iter().find(|(_, got, min, max)| !(min..=max).contains(&got)) {
        Some(&(name, got, min, max)) => Err(ConfigError::OutOfRange { name, got, min, max }),
        None => Ok(()),
    }
}

fn check_routes(config: &ProxyConfig) -> Result<(), ConfigError> {
    let count = config.upstreams.len();
    let routes = config.routes.iter().flat_map(|routes| routes.as_slice());
    for route in routes {
        match route.action() {
            Action::Upstream(upstream) if *upstream >= count => {
                return Err(ConfigError::NoSuchUpstream {
                    route: route.index(),
                    upstream: *upstream,
                    count,
                });
            }
            Action::Upstream(_) | Action::Redirect(_) | Action::Respond(_) => {}
        }
    }
    Ok(())
}

fn host_value(name: &'static str, text: &str) -> Result<String, ConfigError> {
    if host::is_valid(text.as_bytes()) {
        return Ok(text.to_owned());
    }
    Err(ConfigError::Host {
        name,
        got: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::{BackendConfig, UpstreamConfig};

    #[test]
    fn defaults_are_valid() {
        let config = builder().build().expect("valid");
        assert_eq!(config.listen(), ["0.0.0.0:80".parse().expect("an address")]);
        assert!((1..=MAX_WORKERS).contains(&config.workers()));
        assert_eq!(config.upstream().status().backends.len(), 1);
    }

    #[test]
    fn an_address_twice_is_refused_and_port_0_is_not() {
        let address = |text: &str| text.parse().expect("an address");
        let twice = builder()
            .listen(address("[::1]:80"))
            .listen(address("[::1]:80"))
            .build();
        assert_eq!(
            twice.expect_err("twice"),
            ConfigError::DuplicateListen(address("[::1]:80"))
        );
        assert!(
            builder()
                .listen(address("[::1]:80"))
                .listen(address("127.0.0.1:80"))
                .build()
                .is_ok()
        );
        assert!(
            builder()
                .listen(address("[::1]:0"))
                .listen(address("[::1]:0"))
                .build()
                .is_ok()
        );
    }

    #[test]
    fn numbers_out_of_range_are_named() {
        assert_eq!(
            builder().workers(0).build().expect_err("none"),
            ConfigError::Workers(0)
        );
        assert_eq!(
            builder().workers(257).build().expect_err("too many"),
            ConfigError::Workers(257)
        );
        let error = builder().retry_tries(0).build().expect_err("none");
        assert_eq!(error.to_string(), "retry_tries must be between 1 and 64, not 0");
        assert!(builder().max_head(1023).build().is_err() && builder().max_head(65_537).build().is_err());
        assert!(builder().max_connections(0).build().is_err());
        assert!(builder().max_streams(0).build().is_err() && builder().max_streams(1001).build().is_err());
        assert!(
            builder()
                .upstream_keepalive(0)
                .replay_buffer(0)
                .max_body(0)
                .build()
                .is_ok()
        );
    }

    #[test]
    fn a_timeout_out_of_range_is_named() {
        let zero: fn(_) -> _ = ConfigError::ZeroTimeout;
        let long: fn(_) -> _ = ConfigError::LongTimeout;
        let over = YEAR + Duration::from_nanos(1);
        for (got, error) in [(Duration::ZERO, zero), (over, long), (Duration::MAX, long)] {
            for (config, name) in [
                (builder().connect_timeout(got), "connect_timeout"),
                (builder().read_timeout(got), "read_timeout"),
                (builder().send_timeout(got), "send_timeout"),
                (builder().client_header_timeout(got), "client_header_timeout"),
                (builder().client_body_timeout(got), "client_body_timeout"),
                (builder().client_send_timeout(got), "client_send_timeout"),
                (builder().keepalive_timeout(got), "keepalive_timeout"),
                (builder().upgrade_timeout(got), "upgrade_timeout"),
                (builder().retry_timeout(got), "retry_timeout"),
                (
                    builder().upstream_keepalive_timeout(got),
                    "upstream_keepalive_timeout",
                ),
            ] {
                assert_eq!(config.build().expect_err("out of range"), error(name));
            }
        }
    }

    fn builder() -> ProxyConfigBuilder {
        let backend = BackendConfig::new("a", "192.0.2.1:80".parse().expect("an address"));
        let upstream = UpstreamConfig::builder("app")
            .backend(backend)
            .build()
            .expect("valid");
        ProxyConfig::builder(Upstream::new(upstream))
    }
}
