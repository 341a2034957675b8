//! What proxies tell each other of the client: `X-Forwarded-For`, `-Proto`, `-Host` and `-Port`, `Forwarded` (RFC
//! 7239), the request's id, `Via` and `Server`.
//!
//! Anybody can write these fields, so who wrote them decides what they are worth. The networks of the proxies in front
//! of this one are configured as [`TrustedHops`], none by default. If the peer is one of them, the addresses that it
//! tells are gone through from the nearest on, as nginx does with `real_ip_recursive`: the first that is not a trusted
//! hop is the client. Whatever stands beyond is hearsay, whoever wrote it.
//!
//! A driver does this for each request:
//!
//! 1. [`Forwarding::receive`]: who the client is.
//! 2. [`Forwarding::request_id`]: the id, from a trusted hop or made by [`RequestIds`].
//! 3. Write the head, without the fields that [`Forwarding::drops`] says and those that `Connection` names.
//! 4. [`Forwarding::append`]: the lines that tell the backend.
//!
//! Naming these fields in `Connection` changes nothing: they are read from all fields that came, and written after those
//! that it names are gone. Else a client behind a hop that passes `Connection` on could make this proxy forget what that
//! hop said of it, and pass for the hop.
//!
//! ```
//! use lb_proxy::forwarded::{Forwarding, Hop, Outgoing, RequestIds, Scheme};
//!
//! let forwarding = Forwarding::builder().trust("10.0.0.0/8".parse()?).request_id("X-Request-ID").build()?;
//! let mut ids = RequestIds::random(); // one a worker
//!
//! // Once a connection.
//! let hop = Hop::new(Some("10.0.0.1:40000".parse()?), Some("192.0.2.80:80".parse()?), Scheme::Http);
//! // Once a request.
//! let fields: &[(&str, &[u8])] = &[("X-Forwarded-For", b"6.6.6.6, 198.51.100.7"), ("X-Forwarded-Proto", b"https")];
//! let received = forwarding.receive(&hop, &fields);
//! assert_eq!(received.client().map(|client| client.ip()), Some("198.51.100.7".parse()?));
//! assert_eq!(received.scheme(), Scheme::Https);
//!
//! let id = forwarding.request_id(&received, &mut ids);
//! let mut head = Vec::new();
//! let outgoing = Outgoing { host: "example.com", protocol: "HTTP/1.1", request_id: id.as_str() };
//! forwarding.append(&hop, &received, &outgoing, &mut head);
//! let head = String::from_utf8(head)?;
//! assert!(head.starts_with("X-Forwarded-For: 6.6.6.6, 198.51.100.7, 10.0.0.1\r\nX-Forwarded-Proto: https\r\n"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod config;
mod hop;
mod network;
mod node;
mod received;
mod request_id;
mod write;

pub use config::{ClientSource, Forwarding, ForwardingBuilder, ForwardingError, Policy, ServerField};
pub use hop::{Hop, Scheme};
pub use network::{Network, NetworkError, TrustedHops};
pub use received::Received;
pub use request_id::{RequestId, RequestIds};
pub use write::Outgoing;
