//! What is remembered of a request until it is over: for the access log, and for edits of the response.

use std::time::Duration;

use super::answer::Reason;
use super::core::Proxy;
use super::request::Admitted;
use crate::forwarded::Hop;
use crate::h1;
use crate::log::{Attempt, Captured, Record};
use crate::route::Facts;
use crate::runtime::clock;

/// One request's story; its room is used again for the next.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// The request's head as it came, if something will be made of it later.
    head: Vec<u8>,
    pub(super) id: String,
    pub(super) started: Duration,
    /// The tries, as far as they are logged.
    pub(super) attempts: Vec<Attempt>,
    logged: bool,
    response_fields: Captured,
    status: u16,
    reason: Option<Reason>,
}

impl Journal {
    /// A request begins.
    pub(super) fn begin(&mut self, logged: bool) {
        self.head.clear();
        self.id.clear();
        self.attempts.clear();
        self.started = clock::now();
        self.logged = logged;
        self.status = 0;
        self.reason = None;
    }

    pub(super) const fn is_logged(&self) -> bool {
        self.logged
    }

    /// Remembers the head.
    pub(super) fn keep(&mut self, head: &[u8]) {
        self.head.extend_from_slice(head);
    }

    /// What the client is answered, and with which fields.
    pub(super) fn answered(&mut self, proxy: &Proxy, status: u16, fields: h1::Fields<'_>) {
        self.status = status;
        if let Some(log) = self.logged.then_some(()).and(proxy.config.access_log.as_ref()) {
            self.response_fields.take(log.format().response_fields(), fields);
        }
    }

    /// The proxy answers itself.
    pub(super) fn refused(&mut self, proxy: &Proxy, status: u16, reason: Option<Reason>) {
        self.answered(proxy, status, &[]);
        self.reason = reason;
    }

    /// Calls `then` with what variables in edits of the response are filled from.
    pub(super) fn with_facts<T>(
        &self,
        hop: &Hop,
        request: &Admitted,
        then: impl FnOnce(Facts<'_>) -> T,
    ) -> Option<T> {
        let parsed = h1::parse_request(&self.head, |head, _| {
            then(Facts {
                host: host(head),
                method: head.method,
                target: head.target,
                protocol: protocol(head.minor),
                scheme: hop.scheme().as_str(),
                client: request.client,
                server: hop.server(),
                request_id: &self.id,
                fields: &head.fields,
                ..Facts::default()
            })
        });
        parsed.ok().flatten()
    }

    /// The request is over: its line is written.
    pub(super) fn end(&self, proxy: &Proxy, hop: &Hop, request: Option<&Admitted>, sent: Sent) {
        if !self.logged {
            return;
        }
        let now = clock::now();
        let mut record = Record {
            client: request.map_or(hop.peer(), |request| request.client),
            peer: hop.peer(),
            server: hop.server(),
            scheme: hop.scheme().as_str(),
            connection_requests: sent.requests.into(),
            request_id: &self.id,
            request_length: self.head.len() as u64 + sent.request_body,
            status: self.status,
            bytes_sent: sent.bytes,
            body_bytes_sent: sent.body,
            completed: sent.completed,
            response_fields: &self.response_fields,
            duration: now.saturating_sub(self.started),
            attempts: &self.attempts,
            reason: self.reason.map_or("", Reason::as_str),
            ..Record::default()
        };
        let upstream = request
            .filter(|request| request.local.is_none())
            .map(|request| proxy.upstream_name(request.upstream));
        record.upstream = upstream.unwrap_or_default();
        let parsed = h1::parse_request(&self.head, |head, _| {
            let fields = &head.fields;
            let record = Record {
                method: head.method,
                target: head.target,
                protocol: protocol(head.minor),
                host: host(head),
                request_fields: fields,
                ..record
            };
            proxy.log(now, &record);
        });
        if !matches!(parsed, Ok(Some(()))) {
            let line = self.head.split(|&byte| byte == b'\r' || byte == b'\n').next();
            record.request_line = line;
            proxy.log(now, &record);
        }
    }
}

/// How much of a response has been sent.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sent {
    pub(super) bytes: u64,
    pub(super) body: u64,
    pub(super) completed: bool,
    /// How much of the request's body came.
    pub(super) request_body: u64,
    /// How many requests the connection has had.
    pub(super) requests: u32,
}

pub(super) const fn protocol(minor: u8) -> &'static str {
    if minor == 0 { "HTTP/1.0" } else { "HTTP/1.1" }
}

fn host<'a>(head: h1::Request<'a>) -> &'a str {
    let mut fields = head.fields.iter().zip(head.kinds);
    let host = fields.find(|(_, kind)| **kind == h1::Field::Host);
    host.and_then(|(field, _)| str::from_utf8(field.value).ok())
        .unwrap_or_default()
}
