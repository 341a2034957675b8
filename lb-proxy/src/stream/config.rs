//! What a server is told: where it listens, where it connects to, and how long it puts up with what.

use std::net::SocketAddr;
use std::time::Duration;

use crate::balance::Upstream;
use crate::forwarded::TrustedHops;
use crate::proxy_protocol::Version;
#[cfg(feature = "tls")]
use crate::tls::{ClientTls, ServerTls};

/// A valid configuration of a [`StreamServer`](super::StreamServer); made by [`StreamConfig::builder`].
#[derive(Debug, Clone)]
pub struct StreamConfig {
    pub(super) listen: Vec<SocketAddr>,
    pub(super) upstream: Upstream,
    pub(super) workers: usize,
    pub(super) backlog: u32,
    pub(super) max_connections: usize,
    pub(super) freebind: bool,
    pub(super) share_port: bool,
    pub(super) connect_timeout: Duration,
    pub(super) handshake_timeout: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) tries: u32,
    pub(super) tries_timeout: Duration,
    pub(super) receive_proxy_protocol: TrustedHops,
    pub(super) send_proxy_protocol: Option<Version>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<ServerTls>,
    #[cfg(feature = "tls")]
    pub(super) upstream_tls: Option<ClientTls>,
}

impl StreamConfig {
    /// Starts a configuration that connects to `upstream`, with the defaults that the builder's methods name.
    pub fn builder(upstream: Upstream) -> StreamConfigBuilder {
        StreamConfigBuilder {
            config: Self {
                listen: Vec::new(),
                upstream,
                workers: std::thread::available_parallelism().map_or(1, |n| n.get().min(MAX_WORKERS)),
                backlog: 1024,
                max_connections: 16_384,
                freebind: false,
                share_port: false,
                connect_timeout: Duration::from_secs(5),
                handshake_timeout: Duration::from_secs(10),
                idle_timeout: Duration::from_secs(600),
                tries: 3,
                tries_timeout: Duration::from_secs(30),
                receive_proxy_protocol: TrustedHops::default(),
                send_proxy_protocol: None,
                #[cfg(feature = "tls")]
                tls: None,
                #[cfg(feature = "tls")]
                upstream_tls: None,
            },
        }
    }

    /// Returns the addresses to listen on, as configured (a port 0 stays 0 here).
    #[must_use]
    pub fn listen(&self) -> &[SocketAddr] {
        &self.listen
    }

    /// Returns the number of worker threads.
    #[must_use]
    pub const fn workers(&self) -> usize {
        self.workers
    }

    /// Returns the upstream that connections go to.
    #[must_use]
    pub const fn upstream(&self) -> &Upstream {
        &self.upstream
    }
}

/// What [`StreamConfigBuilder::build`] refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is nothing to listen on.
    #[error("a stream server needs an address to listen on, such as 0.0.0.0:5432")]
    NoListen,
    /// The same address is listed twice.
    #[error("the stream server listens on {0} twice")]
    DuplicateListen(SocketAddr),
    /// A timeout of zero, or of more than a year.
    #[error("{name} must be longer than zero and not longer than a year, not {got:?}")]
    Timeout {
        /// The builder's method.
        name: &'static str,
        /// What was given.
        got: Duration,
    },
    /// A number outside its range.
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
}

/// Builds a [`StreamConfig`]; the defaults are given with each method.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct StreamConfigBuilder {
    config: StreamConfig,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)*) => {
        $($(#[$doc])*
        pub fn $name(mut self, $name: $type) -> Self {
            self.config.$name = $name;
            self
        })*
    };
}

impl StreamConfigBuilder {
    /// Adds an address to listen on; port 0 takes a free one. At least one is needed.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.config.listen.push(address);
        self
    }

    setters! {
        /// Sets the number of worker threads, 1 to 256, each with its own runtime and listeners (nginx:
        /// `worker_processes`). Default: one a core.
        workers: usize;
        /// Sets the length of the listen queue, 1 to 65,535. Default 1024.
        backlog: u32;
        /// Sets the greatest number of client connections of a worker, 1 to 1,000,000 (nginx:
        /// `worker_connections`). Default 16,384; beyond it new ones wait in the listen queue.
        max_connections: usize;
        /// Allows binding an address that no interface has (IP_FREEBIND), so that a backup node can listen on a
        /// virtual IP before it owns it. Default no.
        freebind: bool;
        /// Lets another process of the same user listen on the same port, for an upgrade without a gap. Default
        /// no: a port that is taken is an error.
        share_port: bool;
        /// Sets how long connecting to a backend may take, TLS included (nginx: `proxy_connect_timeout`). Default
        /// 5 s; nginx's 60 s lets one dead host hold every tenth client for a minute.
        connect_timeout: Duration;
        /// Sets how long a client may take for its PROXY header and its TLS handshake, each (nginx:
        /// `proxy_protocol_timeout`, `ssl_handshake_timeout`). Default 10 s.
        handshake_timeout: Duration;
        /// Sets for how long nothing may move in either direction before the connection is closed (nginx:
        /// `proxy_timeout`). Default 10 min.
        idle_timeout: Duration;
        /// Sets how many backends a client may be connected to in turn until one takes the connection, 1 to 64
        /// (nginx: `proxy_next_upstream_tries`). Default 3.
        tries: u32;
        /// Sets the time after which no further backend is tried (nginx: `proxy_next_upstream_timeout`). Default 30 s.
        tries_timeout: Duration;
        /// Sets whose connections begin with a header of the PROXY protocol (nginx: `listen … proxy_protocol` with
        /// `set_real_ip_from`). Default nobody's.
        ///
        /// From these peers a header is required, of either version; others' connections have none, and what they
        /// send is passed on as it is.
        receive_proxy_protocol: TrustedHops;
        /// Sets the version of the header of the PROXY protocol that backends are sent first (nginx:
        /// `proxy_protocol on`). Default none.
        send_proxy_protocol: Option<Version>;
    }

    /// Ends clients' TLS here (nginx: `listen … ssl`). Default none: what they send is passed on as it is.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: ServerTls) -> Self {
        self.config.tls = Some(tls);
        self
    }

    /// Speaks TLS to backends (nginx: `proxy_ssl on`). Default none.
    ///
    /// With [`ServerNamePolicy::RequestHost`](crate::tls::ServerNamePolicy::RequestHost) the name is the one that the
    /// client asked for by SNI.
    #[cfg(feature = "tls")]
    pub fn upstream_tls(mut self, tls: ClientTls) -> Self {
        self.config.upstream_tls = Some(tls);
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    ///
    /// The first of the values that can't work, as a [`ConfigError`].
    pub fn build(self) -> Result<StreamConfig, ConfigError> {
        let config = self.config;
        if config.listen.is_empty() {
            return Err(ConfigError::NoListen);
        }
        for (i, address) in config.listen.iter().enumerate() {
            if address.port() != 0 && config.listen[..i].contains(address) {
                return Err(ConfigError::DuplicateListen(*address));
            }
        }
        for (name, got) in [
            ("connect_timeout", config.connect_timeout),
            ("handshake_timeout", config.handshake_timeout),
            ("idle_timeout", config.idle_timeout),
            ("tries_timeout", config.tries_timeout),
        ] {
            if got.is_zero() || got > YEAR {
                return Err(ConfigError::Timeout { name, got });
            }
        }
        for (name, got, max) in [
            ("workers", config.workers as u64, MAX_WORKERS as u64),
            ("backlog", config.backlog.into(), 65_535),
            ("max_connections", config.max_connections as u64, 1_000_000),
            ("tries", config.tries.into(), 64),
        ] {
            let min = 1;
            if !(min..=max).contains(&got) {
                return Err(ConfigError::OutOfRange { name, got, min, max });
            }
        }
        Ok(config)
    }
}

const MAX_WORKERS: usize = 256;
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balance::{BackendConfig, UpstreamConfig};

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        let address: SocketAddr = "127.0.0.1:5432".parse().unwrap();
        assert!(builder().listen(address).build().is_ok());
        assert_eq!(builder().build().unwrap_err(), ConfigError::NoListen);
        assert_eq!(
            builder().listen(address).listen(address).build().unwrap_err(),
            ConfigError::DuplicateListen(address)
        );
        let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
        assert!(builder().listen(free).listen(free).build().is_ok());
        for got in [Duration::ZERO, Duration::MAX] {
            for (builder, name) in [
                (builder().connect_timeout(got), "connect_timeout"),
                (builder().handshake_timeout(got), "handshake_timeout"),
                (builder().idle_timeout(got), "idle_timeout"),
                (builder().tries_timeout(got), "tries_timeout"),
            ] {
                let error = builder.listen(address).build().unwrap_err();
                assert_eq!(error, ConfigError::Timeout { name, got });
            }
        }
        for (builder, said) in [
            (builder().workers(0), "workers must be between 1 and 256, not 0"),
            (
                builder().workers(257),
                "workers must be between 1 and 256, not 257",
            ),
            (builder().backlog(0), "backlog must be between 1 and 65535, not 0"),
            (
                builder().max_connections(0),
                "max_connections must be between 1 and 1000000, not 0",
            ),
            (builder().tries(65), "tries must be between 1 and 64, not 65"),
        ] {
            assert_eq!(builder.listen(address).build().unwrap_err().to_string(), said);
        }
    }

    fn builder() -> StreamConfigBuilder {
        let backend = BackendConfig::new("a", "192.0.2.1:5432".parse().unwrap());
        let config = UpstreamConfig::builder("app").backend(backend).build().unwrap();
        StreamConfig::builder(Upstream::new(config))
    }
}
