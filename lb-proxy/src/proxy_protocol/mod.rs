//! The PROXY protocol, versions 1 and 2: how a proxy tells the next hop whose connection it forwards.
//!
//! Pure: [`parse`] reads what has been received so far and says whether it is a header, [`encode_v1`] and [`encode_v2`]
//! append one to a buffer. After HAProxy's specification (`doc/proxy-protocol.txt`, 2020/03/05).
//!
//! A header says who somebody *claims* to be, so only that of a trusted peer may be believed, and a receiver must know
//! from the peer's address whether a header comes: whoever guessed from the bytes would believe any client.
//!
//! ```
//! use lb_proxy::proxy_protocol::{Addresses, encode_v1, parse};
//!
//! let mut received = Vec::new();
//! let addresses = Addresses::new("192.0.2.7:4711".parse()?, "198.51.100.1:443".parse()?);
//! encode_v1(&addresses, &mut received);
//! assert_eq!(received, b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n");
//!
//! assert_eq!(parse(&received[..20])?, None); // more is to come
//! received.extend_from_slice(b"GET / HTTP/1.1\r\n");
//! let header = parse(&received)?.expect("it is complete");
//! assert_eq!(header.addresses.source(), Some("192.0.2.7:4711".parse()?));
//! assert_eq!(&received[header.len..], b"GET / HTTP/1.1\r\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod addresses;
mod crc32c;
mod header;
mod tlv;
mod v1;
mod v2;

pub use addresses::Addresses;
pub use header::{Header, MAX_HEADER, ParseError, Version, parse};
pub use tlv::{Ssl, Tlv, Tlvs};
pub use v1::{MAX_V1_HEADER, encode_v1};
pub use v2::{EncodeError, encode_v2};
