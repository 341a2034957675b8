//! HTTP/1 without IO: heads, framing and chunked coding (RFC 9112), as strict as a proxy has to be.
//!
//! What a proxy reads in one way and its backend in another is how requests are smuggled. So every message is read
//! by the narrowest grammar that real peers keep to, and is written anew: nothing goes on that was not understood.
//! Heads are split by `httparse`; everything that follows from the fields is decided here.

mod chunked;
mod field;
mod framing;
mod head;
mod list;
mod trailers;

pub(crate) use chunked::{Chunked, Step, push_size};
pub(crate) use field::Field;
pub(crate) use framing::{Body, FramingError, of_request, of_response};
pub(crate) use head::{Fields, HeadError, MAX_FIELDS, Request, Response, parse_request, parse_response};
pub(crate) use list::{elements, has_token};
pub(crate) use trailers::{may_trail, push_trailers};
