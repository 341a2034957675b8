//! A proxy and a backend behind it, and the two things that can happen to a request between them: it passes, or it is
//! refused as every request must be refused.

use std::time::Duration;

use lb_proxy::proxy::{ProxyConfigBuilder, ServerHandle};

use super::wire::Request;
use super::{Backend, Client, Response, eventually, proxy_with};

/// A proxy with one backend that answers everything with `x`.
pub struct Gate {
    backend: Backend,
    proxy: ServerHandle,
}

impl Gate {
    pub fn new() -> Self {
        Self::with(|config| config)
    }

    /// As [`Gate::new`], with `change` to the proxy's settings.
    pub fn with(change: impl FnOnce(ProxyConfigBuilder) -> ProxyConfigBuilder) -> Self {
        let backend = Backend::text("x");
        let proxy = proxy_with(&[backend.address], change);
        Self { backend, proxy }
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.proxy.addresses()[0])
    }

    /// Sends `bytes`, with a well-formed request behind them, and checks all that holds for a refusal: one answer with
    /// one of `statuses` that says why, can be read while the client goes on sending, and closes the connection; and a
    /// backend that saw no request.
    #[track_caller]
    pub fn refuses(&self, bytes: impl AsRef<[u8]>, statuses: &[u16]) -> Response {
        let bytes = bytes.as_ref();
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(400)]).into_owned();
        let before = self.backend.requests().len();
        let mut client = self.connect();
        let _ = client.try_send([bytes, b"GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\n"].concat());
        let answer = match client.try_response("GET") {
            Ok(answer) => answer,
            Err(error) => panic!("no answer ({error}) to {shown:?}"),
        };
        assert!(
            statuses.contains(&answer.status),
            "{} to {shown:?}",
            answer.status
        );
        assert_eq!(answer.version, "HTTP/1.1", "{shown:?}");
        assert!(
            answer
                .header("connection")
                .is_some_and(|value| value.eq_ignore_ascii_case("close")),
            "{shown:?}"
        );
        assert!(answer.text().starts_with(&answer.status.to_string()), "{shown:?}");
        for _ in 0..3 {
            // A reset would make the second of these an error.
            std::thread::sleep(Duration::from_millis(2));
            if let Err(error) = client.try_send("GET / HTTP/1.1\r\nHost: a\r\n\r\n") {
                panic!("the proxy doesn't linger ({error}): {shown:?}");
            }
        }
        client.finish_sending();
        match client.read_to_end() {
            Ok(rest) => assert!(
                rest.is_empty(),
                "{:?} after the end: {shown:?}",
                String::from_utf8_lossy(&rest)
            ),
            Err(error) => panic!("no clean end ({error}): {shown:?}"),
        }
        assert_eq!(self.backend.requests().len(), before, "{shown:?}");
        assert_eq!(self.backend.malformed(), [""; 0], "{shown:?}");
        answer
    }

    /// Sends `bytes`, which are one request, and returns what the backend got of it.
    #[track_caller]
    pub fn passes(&self, bytes: impl AsRef<[u8]>) -> Request {
        let bytes = bytes.as_ref();
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(400)]).into_owned();
        let before = self.backend.requests().len();
        let mut client = self.connect();
        let _ = client.try_send(bytes);
        let method = if bytes.starts_with(b"HEAD") { "HEAD" } else { "GET" };
        match client.try_response(method) {
            Ok(answer) => assert_eq!(answer.status, 200, "{} to {shown:?}", answer.text()),
            Err(error) => panic!("no answer ({error}) to {shown:?}"),
        }
        assert_eq!(self.backend.malformed(), [""; 0], "{shown:?}");
        let requests = self.backend.requests();
        assert_eq!(requests.len(), before + 1, "{shown:?}");
        requests.into_iter().last().expect("one")
    }

    /// Checks that no connection is left once its client has gone, and that the backend was blamed for nothing.
    #[track_caller]
    pub fn settles(&self) {
        eventually("every client's connection is gone", || {
            self.proxy.status().counters.connections == 0
        });
        let backend = &self.proxy.config().upstream().status().backends[0];
        assert_eq!((backend.active, backend.failures), (0, 0), "the client's fault");
    }
}
