//! Status over a Unix socket, for the owner of the process alone.
//!
//! The protocol is HTTP/1.1: `GET /v1/status` answers with the JSON object that [`Report`] is. So `curl
//! --unix-socket` and every HTTP client can ask.
//!
//! ```no_run
//! # async fn example(handle: &ha_stack::Handle) -> Result<(), Box<dyn std::error::Error>> {
//! use ha_stack::admin::{AdminSocket, fetch};
//!
//! let socket = AdminSocket::bind("/run/ha-stack/control.sock").await?;
//! tokio::spawn(socket.serve(handle.controller()));
//! let report = fetch("/run/ha-stack/control.sock").await?;
//! println!("{} knows {} virtual routers", report.node, report.vrrp.len());
//! # Ok(())
//! # }
//! ```

mod client;
mod report;
mod server;
mod socket;

pub use client::{FetchError, fetch};
pub use report::{BackendReport, CheckReport, Report, RouterReport, UpstreamReport};
pub use socket::{AdminSocket, SocketError};

/// Where the daemon listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/ha-stack/control.sock";

/// Path of the status.
const STATUS_PATH: &str = "/v1/status";
