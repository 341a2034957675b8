//! Copies of request heads, in case a request has to be sent again.

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};

use super::upload::RequestBody;

/// A copy of a request's head. hyper consumes the head it sends, so the copy has to be made before.
#[derive(Debug, Default)]
pub(super) struct Head {
    method: Method,
    uri: Uri,
    fields: Vec<(HeaderName, HeaderValue)>,
}

impl Head {
    pub(super) fn copy_of(&mut self, request: &Request<RequestBody>) {
        self.method.clone_from(request.method());
        self.uri.clone_from(request.uri());
        self.fields.extend(
            request
                .headers()
                .iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
    }

    /// Makes a request of it again, with an empty body.
    pub(super) fn into_request(self) -> Request<RequestBody> {
        let mut request = Request::new(RequestBody::empty());
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.version_mut() = Version::HTTP_11;
        let mut headers = HeaderMap::with_capacity(self.fields.len());
        for (name, value) in self.fields {
            headers.append(name, value);
        }
        *request.headers_mut() = headers;
        request
    }
}

/// Heads that are no longer needed: their memory is, by the next request.
#[derive(Debug, Default)]
pub(super) struct Spares(Vec<Head>);

/// More are under way at once only in bursts.
const MAX_SPARES: usize = 64;

impl Spares {
    pub(super) fn take(&mut self) -> Head {
        self.0.pop().unwrap_or_default()
    }

    pub(super) fn put(&mut self, mut head: Head) {
        if self.0.len() < MAX_SPARES {
            head.fields.clear();
            head.uri = Uri::default();
            self.0.push(head);
        }
    }
}
