//! Status and orders over a Unix socket, for the owner of the process alone.
//!
//! The protocol is HTTP/1.1, so `curl --unix-socket` and every HTTP client can ask:
//!
//! | request | does | answer |
//! |---|---|---|
//! | `GET /v1/status` | | the JSON object that [`Report`] is |
//! | `POST /v1/vrrp/NAME/switchover` | hands over; see [`Handle::switchover`](crate::Handle::switchover) | `{"master": "192.0.2.11"}`, the new master |
//! | `POST /v1/vrrp/NAME/resume` | ends the hold after that | `{}` |
//!
//! NAME is a virtual router or a sync group, percent-encoded. What can't be done is answered with a line of text, and
//! with 404 where there is nothing of that name, 409 where it is not possible now or nobody took over, and 503 where the
//! stack stops.
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
mod path;
mod report;
mod server;
mod socket;

pub use client::{FetchError, fetch, resume, switchover};
pub use report::{
    BackendCheckReport, BackendReport, CheckReport, Report, RouterReport, ThreadReport, UpstreamReport,
};
pub use socket::{AdminSocket, SocketError};

/// Where the daemon listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/run/ha-stack/control.sock";

/// Longest wait for a switchover: the longest skew time and interval, 256 s, and some.
const SWITCHOVER_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(300);
