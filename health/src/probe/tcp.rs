//! A TCP connect.

use alloc::boxed::Box;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::io;

use tokio::net::TcpStream;

use super::{Probe, ProbeFuture, within};
use crate::{Failure, Outcome};

/// Succeeds when a TCP connection is made, and nothing is sent.
///
/// The connection is reset rather than closed, as HAProxy does it: closed ones stay in the kernel for a minute each
/// (TIME-WAIT), which adds up with many servers.
///
/// ```
/// use ha_health::probe::Tcp;
///
/// let probe = Tcp::new(([192, 168, 192, 20], 8080).into());
/// assert_eq!(probe.to_string(), "tcp 192.168.192.20:8080");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tcp {
    address: SocketAddr,
}

impl Tcp {
    /// Makes a probe of the port at `address`.
    pub const fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// Gives the address that it connects to.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Probe for Tcp {
    fn probe(&self, timeout: Duration) -> ProbeFuture<'_> {
        let connect = async {
            match connect(self.address).await {
                Ok(stream) => {
                    // At worst it is closed in the common way.
                    let _ = stream.set_zero_linger();
                    Outcome::success()
                }
                Err(failure) => failure.into(),
            }
        };
        Box::pin(within(timeout, connect))
    }
}

impl fmt::Display for Tcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tcp {}", self.address)
    }
}

/// Connects, and says in our words why not.
pub(super) async fn connect(address: SocketAddr) -> Result<TcpStream, Failure> {
    TcpStream::connect(address)
        .await
        .map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionRefused => Failure::Refused,
            _ => Failure::Connect {
                errno: error.raw_os_error().unwrap_or(0),
            },
        })
}
