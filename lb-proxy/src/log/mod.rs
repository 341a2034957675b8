//! The access log: a line for each request, as nginx writes them, that never holds up a request.
//!
//! A [`Format`] turns a [`Record`] into a line; it is pure and can be used alone. [`AccessLog`] writes the lines: each
//! worker has a [`Buffer`] of its own, and one thread writes full buffers to a file, to standard output or to a writer
//! of the embedder. If that thread can't keep up, because the disk is slow or nobody reads the pipe, lines are dropped
//! and counted; requests go on.
//!
//! ```
//! use std::time::Duration;
//! use lb_proxy::log::{AccessLog, AccessLogConfig, Format, Record, Target};
//!
//! let log = AccessLog::start(AccessLogConfig::new(Target::Writer(Box::new(std::io::sink())), Format::combined()))?;
//! let mut buffer = log.buffer(); // one a worker
//!
//! let mut record = Record::default();
//! record.method = "GET";
//! record.target = "/";
//! record.protocol = "HTTP/1.1";
//! record.status = 200;
//! buffer.write(Duration::from_secs(1), &record);
//!
//! // The worker's timer: at `poll_timeout` at the latest.
//! buffer.handle_timeout(Duration::from_secs(2));
//! log.flush(); // not on a worker: it waits for the disk
//! assert_eq!(log.counts().lines, 1);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # Variables
//!
//! Formats have nginx's variables, with nginx's meanings and forms. What has no value is written as `-`, or as nothing
//! in JSON; several attempts at backends are separated by `, `.
//!
//! | variable | value |
//! |---|---|
//! | `$remote_addr`, `$remote_port` | the client's address (behind trusted hops, the one they tell), and its port |
//! | `$realip_remote_addr`, `$realip_remote_port` | the peer's |
//! | `$remote_user` | the user of Basic authentication |
//! | `$time_local`, `$time_iso8601`, `$msec` | when the request ended |
//! | `$request` | the whole request line |
//! | `$request_method`, `$request_uri`, `$uri`, `$args`, `$query_string`, `$server_protocol` | its parts; `$uri` is normalised and without query |
//! | `$arg_NAME`, `$cookie_NAME` | a parameter of the query, a cookie |
//! | `$host`, `$scheme`, `$request_id` | what was asked for, over what, under which id |
//! | `$request_length`, `$request_time` | bytes that came, and seconds from the first byte to the last |
//! | `$request_completion` | `OK` if the response was sent to its end |
//! | `$status`, `$bytes_sent`, `$body_bytes_sent` | the response |
//! | `$http_NAME`, `$sent_http_NAME` | fields of the request and of the response, with `_` for `-` |
//! | `$server_addr`, `$server_port`, `$connection`, `$connection_requests` | the connection, its number, and its requests so far |
//! | `$ssl_protocol`, `$ssl_cipher`, `$ssl_server_name` | TLS |
//! | `$upstream_addr`, `$upstream_status`, `$upstream_connect_time`, `$upstream_header_time`, `$upstream_response_time`, `$upstream_bytes_sent`, `$upstream_bytes_received` | each attempt |
//! | `$upstream_name`, `$reason` | not nginx's: the upstream, and why the proxy answered itself or an attempt failed |
//! | `$pipe`, `$gzip_ratio` | `.` and `-`, so that formats of nginx can be taken over |
//!
//! # Time
//!
//! Times are in UTC, or at a fixed offset ([`AccessLogConfig::utc_offset`]). There is no local time with its
//! changes of daylight saving: in autumn the lines of one hour would be mistaken for those of another, and two nodes
//! of a pair must agree without reading the same zone files.

mod access;
mod buffer;
mod captured;
mod clock;
mod escape;
mod format;
mod record;
mod variable;
mod writer;

pub use access::{AccessLog, AccessLogConfig, LogCounts, Target};
pub use buffer::Buffer;
pub use captured::Captured;
pub use clock::{Clock, OffsetError, Stamp, UtcOffset};
pub use escape::Escape;
pub use format::{Format, FormatError};
pub use record::{Attempt, Record, Tls};
