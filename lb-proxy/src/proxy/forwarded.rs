//! `X-Forwarded-For`, `-Proto` and `-Host`: what the backend is told of the client.

use std::net::IpAddr;

use super::policy::ForwardedPolicy;
use super::request::push_field;
use crate::h1::{self, Field};

/// The client as the headers name it, made once a connection.
#[derive(Debug, Clone)]
pub(super) struct ClientName {
    address: String,
    scheme: &'static str,
}

impl ClientName {
    /// An IPv4 client of a dual-stack socket is named by its IPv4 address.
    pub(super) fn new(address: IpAddr, tls: bool) -> Self {
        Self {
            address: address.to_canonical().to_string(),
            scheme: if tls { "https" } else { "http" },
        }
    }
}

/// Writes the fields by `policy`; those that `is_named` in the client's `Connection` count for nothing.
pub(super) fn push(
    out: &mut Vec<u8>,
    head: h1::Request<'_>,
    policy: ForwardedPolicy,
    client: Option<&ClientName>,
    host: Option<&str>,
    is_named: impl Fn(&str) -> bool,
) {
    let (Some(client), ForwardedPolicy::Append | ForwardedPolicy::Replace) = (client, policy) else {
        return;
    };
    out.extend_from_slice(b"X-Forwarded-For: ");
    if policy == ForwardedPolicy::Append {
        for (field, kind) in head.fields.iter().zip(head.kinds) {
            // All lines are one list (RFC 9110 §5.3).
            if *kind == Field::XForwardedFor && !field.value.is_empty() && !is_named(field.name) {
                out.extend_from_slice(field.value);
                out.extend_from_slice(b", ");
            }
        }
    }
    out.extend_from_slice(client.address.as_bytes());
    out.extend_from_slice(b"\r\n");
    push_field(out, "X-Forwarded-Proto", client.scheme.as_bytes());
    if let Some(host) = host {
        push_field(out, "X-Forwarded-Host", host.as_bytes());
    }
}
