//! A request of any HTTP server, answered.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, Uri, Version, request};
use http_body::Body;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::answer::Reason;
use super::attempts::{Answered, Asker, Attempts};
use super::body::{ResponseBody, Stream};
use super::core::Proxy;
use super::counters::Counters;
use super::incoming::Incoming;
use super::local::Local;
use super::request::{Admitted, Sender, admit};
use super::response::{self, Accepted};
use super::source::Source;
use super::tunnel::{self, Backend, OpenTunnel};
use crate::forwarded::Hop;
use crate::h1::{self, Field};
use crate::limit::Verdict;
use crate::route::Facts;
use crate::runtime::clock;
use crate::runtime::timer::LazyTimer;

/// Any error of a body that this proxy didn't make.
pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Proxy {
    /// Answers `request`; never fails, because a failure is an answer too.
    pub(super) async fn handle<B>(
        self: &Arc<Self>,
        request: Request<B>,
        hop: Option<&Hop>,
    ) -> Response<ResponseBody>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        Counters::count(&self.counters.requests);
        let response = match self.forward(request, hop).await {
            Ok(response) => response,
            Err(reason) => {
                tracing::debug!(
                    status = reason.status().as_u16(),
                    reason = reason.as_str(),
                    "refused a request"
                );
                reason.answer()
            }
        };
        self.counters.response(response.status().as_u16());
        response
    }

    async fn forward<B>(
        self: &Arc<Self>,
        request: Request<B>,
        hop: Option<&Hop>,
    ) -> Result<Response<ResponseBody>, Reason>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let (mut parts, body) = request.into_parts();
        let (mut head, mut id) = (Vec::new(), String::new());
        let admitted = admit_parts(&parts, &body, self, hop, &mut head, &mut id)?;
        if let Some(local) = self.limit(&admitted).await.or_else(|| admitted.local.clone()) {
            let mut response = local.response();
            self.edit(&parts, &admitted, hop, &id, &mut response);
            return Ok(response);
        }
        let mut source: Box<dyn Source> = Box::new(Incoming::new(body, self.config.limits.body_bytes));
        let mut timer = LazyTimer::new(self.config.timeouts.shortest());
        let mut on_head =
            |head: h1::Response<'_>, accepted: &Accepted, _whole: bool| response_parts(head, accepted);
        let asker = Asker {
            source: &mut *source,
            timer: &mut timer,
            on_head: &mut on_head,
            trail: None,
        };
        let answered = Attempts::new(&admitted, &head, clock::now())
            .run(self, asker, Vec::new())
            .await?;
        let Answered {
            lease,
            accepted,
            made,
        } = answered;
        let mut response = made.ok_or(Reason::BadResponse)?;
        self.edit(&parts, &admitted, hop, &id, &mut response);
        if accepted.status == 101 {
            // Whoever serves this service has to support upgrades, or there is nothing to connect the backend with.
            let upgrade = parts.extensions.remove::<OnUpgrade>().ok_or(Reason::BadUpgrade)?;
            let (backend, open) = (Backend::new(lease), OpenTunnel::new(Arc::clone(self)));
            tokio::spawn(async move {
                if let Ok(client) = upgrade.await {
                    tunnel::run(TokioIo::new(client), &[], backend, open).await;
                }
            });
            return Ok(response.map(|()| ResponseBody::empty()));
        }
        let left = match accepted.body {
            h1::Body::Length(length) => Some(length),
            h1::Body::None => Some(0),
            h1::Body::Chunked | h1::Body::UntilClose => None,
        };
        if left == Some(0) && lease.exchange.has_whole_request() {
            lease.complete();
            return Ok(response.map(|()| ResponseBody::empty()));
        }
        *response.version_mut() = Version::HTTP_11;
        Ok(response.map(|()| {
            ResponseBody::upstream(Stream {
                lease,
                source,
                timer,
                left,
            })
        }))
    }
}

impl Proxy {
    /// Holds a request up, or has an answer for it, if its client asks for too much.
    pub(super) async fn limit(&self, request: &Admitted) -> Option<Local> {
        let (limit, client) = self.config.rate_limit.as_ref().zip(request.client)?;
        match limit.check(clock::now(), client.ip()) {
            Verdict::Pass => None,
            Verdict::Delay(delay) => {
                tokio::time::sleep(delay).await;
                None
            }
            Verdict::Refuse => Some(Local::status(limit.status())),
        }
    }

    /// Edits a response's fields as the route and the policy have it.
    fn edit<B>(
        &self,
        parts: &request::Parts,
        request: &Admitted,
        hop: Option<&Hop>,
        id: &str,
        response: &mut Response<B>,
    ) {
        let mut lines = Vec::new();
        self.config.forwarding.append_to_response("HTTP/1.1", &mut lines);
        let edits = self.response_edits(request);
        let status = Some(response.status().as_u16());
        let fields = response.headers_mut();
        let dropped = |name: &HeaderName| {
            self.config.forwarding.drops_from_response(name.as_str())
                || edits.is_some_and(|edits| edits.drops(name.as_str()))
        };
        let dropped: Vec<_> = fields.keys().filter(|name| dropped(name)).cloned().collect();
        for name in dropped {
            fields.remove(name);
        }
        if let Some(edits) = edits {
            let host = parts.uri.authority().map(http::uri::Authority::as_str);
            let host = host.or_else(|| parts.headers.get(http::header::HOST)?.to_str().ok());
            let target = target(&parts.uri);
            let facts = Facts {
                host: host.unwrap_or_default(),
                method: parts.method.as_str(),
                target: &target,
                scheme: hop.map_or("http", |hop| hop.scheme().as_str()),
                client: request.client,
                server: hop.and_then(Hop::server),
                request_id: id,
                fields: &parts.headers,
                status,
                ..Facts::default()
            };
            edits.append(&facts, &mut lines);
        }
        for (name, value) in crate::fields::lines(&lines) {
            if let (Ok(name), Ok(value)) = (
                HeaderName::from_bytes(name.as_bytes()),
                HeaderValue::from_bytes(value),
            ) {
                fields.append(name, value);
            }
        }
    }
}

/// Admits a request whose head another server has read. Its framing is the body's, whatever its fields say.
fn admit_parts<B: Body>(
    parts: &request::Parts,
    body: &B,
    proxy: &Proxy,
    hop: Option<&Hop>,
    out: &mut Vec<u8>,
    id: &mut String,
) -> Result<Admitted, Reason> {
    let length = if body.is_end_stream() {
        Some(0)
    } else {
        body.size_hint().exact()
    };
    let digits = length.map(|length| length.to_string());
    let target = target(&parts.uri);
    let http2 = parts.version == Version::HTTP_2;
    let authority = parts
        .uri
        .authority()
        .filter(|_| http2)
        .map(http::uri::Authority::as_str);
    let mut fields = Vec::with_capacity(parts.headers.len() + 2);
    for (name, value) in &parts.headers {
        fields.push(httparse::Header {
            name: name.as_str(),
            value: value.as_bytes(),
        });
    }
    let mut kinds: Vec<_> = fields.iter().map(|field| Field::of(field.name)).collect();
    check_framing(&fields, &kinds, length)?;
    if let Some(authority) = authority {
        // RFC 9113 §8.3.1: `:authority` is what HTTP/1.1 has as `Host`; two that differ are two requests.
        if fields
            .iter()
            .zip(&kinds)
            .any(|(field, kind)| *kind == Field::Host && field.value != authority.as_bytes())
        {
            return Err(Reason::BadHost);
        }
    }
    let mut at = 0;
    fields.retain(|_| {
        at += 1;
        let framing = matches!(kinds[at - 1], Field::ContentLength | Field::TransferEncoding);
        !(framing || (authority.is_some() && kinds[at - 1] == Field::Host))
    });
    if let Some(authority) = authority {
        fields.push(httparse::Header {
            name: "host",
            value: authority.as_bytes(),
        });
    }
    match &digits {
        Some(digits) if digits != "0" || parts.headers.contains_key(http::header::CONTENT_LENGTH) => {
            fields.push(httparse::Header {
                name: "content-length",
                value: digits.as_bytes(),
            });
        }
        Some(_) => {}
        None => fields.push(httparse::Header {
            name: "transfer-encoding",
            value: b"chunked",
        }),
    }
    kinds.clear();
    kinds.extend(fields.iter().map(|field| Field::of(field.name)));
    let head = h1::Request {
        method: parts.method.as_str(),
        target: &target,
        minor: u8::from(parts.version != Version::HTTP_10),
        fields: &fields,
        kinds: &kinds,
    };
    // A server may have decoded chunks of HTTP/1.0 too, as RFC 9112 allows; to the backend they are HTTP/1.1's.
    let head = if length.is_none() {
        h1::Request { minor: 1, ..head }
    } else {
        head
    };
    let protocol = match parts.version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/1.1",
    };
    admit(head, proxy, Sender { hop, protocol }, out, id)
}

/// What the server that read the head should have refused, and may not have.
fn check_framing(fields: h1::Fields<'_>, kinds: &[Field], length: Option<u64>) -> Result<(), Reason> {
    match h1::of_request(1, fields, kinds) {
        Ok(h1::Body::Length(declared))
            if declared != 0 && length.is_some_and(|length| length != declared) =>
        {
            Err(Reason::BadFraming)
        }
        Ok(_) => Ok(()),
        Err(h1::FramingError::Coding) => Err(Reason::Coding),
        Err(_) => Err(Reason::BadFraming),
    }
}

/// The target as HTTP/1 has it. What HTTP/2 splits into pseudo-fields is put together again as origin-form.
fn target(uri: &Uri) -> String {
    match (uri.scheme(), uri.authority(), uri.path_and_query()) {
        (Some(_), Some(_), _) => uri.to_string(),
        (_, Some(authority), None) => authority.to_string(),
        (_, _, Some(path)) => path.to_string(),
        (_, None, None) => "/".to_owned(),
    }
}

/// A response's head without what is hop-by-hop.
fn response_parts(head: h1::Response<'_>, accepted: &Accepted) -> Option<Response<()>> {
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(accepted.status).ok()?;
    for (field, _) in response::passing(head, accepted) {
        let name = HeaderName::from_bytes(field.name.as_bytes()).ok()?;
        response
            .headers_mut()
            .append(name, HeaderValue::from_bytes(field.value).ok()?);
    }
    if accepted.status == 101 {
        let headers = response.headers_mut();
        headers.insert(http::header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(http::header::UPGRADE, HeaderValue::from_static("websocket"));
    }
    Some(response)
}
