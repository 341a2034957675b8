//! One stream's line in the access log.

use std::sync::Arc;
use std::time::Duration;

use h2::RecvStream;
use http::{HeaderMap, Method, Request, Response, Uri};

use super::stream::Shared;
use crate::log::{Captured, Record};
use crate::proxy::answer::Reason;
use crate::proxy::body::ResponseBody;
use crate::proxy::core::Proxy;
use crate::proxy::handle::Told;
use crate::runtime::clock;

/// What is remembered of a stream until it is over; its line is written when this is dropped, however that comes about.
pub(super) struct Story {
    proxy: Arc<Proxy>,
    shared: Arc<Shared>,
    started: Duration,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    /// How many requests the connection has had.
    requests: u64,
    response_fields: Captured,
    /// Nothing but this if the client left before there was a response.
    status: u16,
    told: Told,
    /// How much of the response's body was sent, and whether that was all of it.
    pub(super) sent: u64,
    pub(super) completed: bool,
}

impl Story {
    /// None if there is no access log.
    pub(super) fn begin(
        request: &Request<RecvStream>,
        proxy: &Arc<Proxy>,
        shared: &Arc<Shared>,
        requests: u64,
    ) -> Option<Self> {
        proxy.config.access_log.as_ref()?;
        Some(Self {
            proxy: Arc::clone(proxy),
            shared: Arc::clone(shared),
            started: clock::now(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            requests,
            response_fields: Captured::default(),
            status: Reason::ClientGone.status().as_u16(),
            told: Told::default(),
            sent: 0,
            completed: false,
        })
    }

    pub(super) fn answered(&mut self, response: &mut Response<ResponseBody>) {
        self.status = response.status().as_u16();
        self.told = response.extensions_mut().remove().unwrap_or_default();
        if let Some(log) = &self.proxy.config.access_log {
            let wanted = log.format().response_fields();
            self.response_fields.take(wanted, response.headers());
        }
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        let (proxy, hop) = (&self.proxy, &self.shared.hop);
        let now = clock::now();
        let host = self.uri.authority().map(http::uri::Authority::as_str);
        let host = host.or_else(|| self.headers.get(http::header::HOST)?.to_str().ok());
        let reason = self.told.reason.map_or("", Reason::as_str);
        let record = Record {
            client: self.told.client.or_else(|| hop.peer()),
            peer: hop.peer(),
            server: hop.server(),
            scheme: hop.scheme().as_str(),
            connection_requests: self.requests,
            method: self.method.as_str(),
            target: self.uri.path_and_query().map_or("", |target| target.as_str()),
            protocol: "HTTP/2.0",
            host: host.unwrap_or_default(),
            request_id: &self.told.id,
            request_fields: &self.headers,
            status: self.status,
            bytes_sent: self.sent,
            body_bytes_sent: self.sent,
            completed: self.completed,
            response_fields: &self.response_fields,
            duration: now.saturating_sub(self.started),
            upstream: self
                .told
                .upstream
                .map_or("", |upstream| proxy.upstream_name(upstream)),
            attempts: &self.told.attempts,
            reason,
            ..Record::default()
        };
        proxy.log(now, &record);
    }
}
