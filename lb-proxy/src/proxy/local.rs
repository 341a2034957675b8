//! Answers that a route or a limit has in place of a backend's.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode};

use super::body::ResponseBody;
use super::request::push_field;
use super::response::{push_connection, push_status};
use crate::fields;
use crate::route::{Facts, Redirect, Respond};

/// An answer that no backend gives.
#[derive(Debug, Clone)]
pub(super) struct Local {
    pub(super) status: u16,
    /// Its fields as lines, but for length, date and connection.
    pub(super) fields: Vec<u8>,
    pub(super) body: Arc<[u8]>,
}

impl Local {
    pub(super) fn redirect(redirect: &Redirect, facts: &Facts<'_>) -> Self {
        let mut fields = b"Location: ".to_vec();
        redirect.write_location(facts, &mut fields);
        fields.extend_from_slice(b"\r\n");
        Self {
            status: redirect.status(),
            fields,
            body: Arc::from([]),
        }
    }

    pub(super) fn respond(respond: &Respond) -> Self {
        let mut fields = Vec::new();
        if !respond.content_type().is_empty() {
            push_field(&mut fields, "Content-Type", respond.content_type().as_bytes());
        }
        Self {
            status: respond.status(),
            fields,
            body: Arc::clone(respond.body()),
        }
    }

    /// Nothing but a status, and its name as text.
    pub(super) fn status(status: u16) -> Self {
        let mut fields = Vec::new();
        push_field(&mut fields, "Content-Type", b"text/plain; charset=utf-8");
        Self {
            status,
            fields,
            body: format!("{status} {}\n", phrase(status)).into_bytes().into(),
        }
    }

    /// The answer for a program that serves it.
    pub(super) fn response(&self) -> Response<ResponseBody> {
        let mut response = Response::new(ResponseBody::text(Bytes::copy_from_slice(&self.body)));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in fields::lines(&self.fields) {
            if let (Ok(name), Ok(value)) = (
                HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_bytes(value),
            ) {
                response.headers_mut().append(name, value);
            }
        }
        response
    }

    /// Writes the answer as an HTTP/1.`minor` client gets it, with `edits` as further lines; without its body if the
    /// request was a HEAD.
    pub(super) fn push(
        &self,
        out: &mut Vec<u8>,
        minor: u8,
        is_head: bool,
        close: bool,
        date: &[u8],
        edits: &[u8],
    ) {
        push_status(out, self.status, phrase(self.status));
        out.extend_from_slice(&self.fields);
        // RFC 9110 §8.6: a 204 and a 304 of ours have none.
        let bodiless = matches!(self.status, 204 | 304);
        if !bodiless {
            push_field(out, "Content-Length", self.body.len().to_string().as_bytes());
        }
        push_field(out, "Date", date);
        out.extend_from_slice(edits);
        push_connection(out, minor, close);
        out.extend_from_slice(b"\r\n");
        if !is_head && !bodiless {
            out.extend_from_slice(&self.body);
        }
    }
}

fn phrase(status: u16) -> &'static str {
    StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or_default()
}
