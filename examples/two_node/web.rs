//! A web server that says on which port it listens, as the tutorial's two Tomcats do.

use std::convert::Infallible;
use std::io;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use vrrp_net::lab::Host;

use super::topology::Web;

/// A web server that runs until it is dropped: then its port is closed, and its connections are cut.
pub(crate) struct Server {
    _stop: oneshot::Sender<()>,
}

impl Server {
    pub(crate) fn start(host: &Host, web: Web) -> io::Result<Self> {
        let listener = host.run(|| std::net::TcpListener::bind(web.socket()))?;
        listener.set_nonblocking(true)?;
        let (stop, stopped) = oneshot::channel();
        host.spawn_thread(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(serve(listener, web.port, stopped));
            }
        })?;
        Ok(Self { _stop: stop })
    }
}

async fn serve(listener: std::net::TcpListener, port: u16, mut stopped: oneshot::Receiver<()>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // The sender is dropped, never used; dropping the set cuts the connections.
            _ = &mut stopped => return,
            Ok((stream, _)) = listener.accept() => {
                let service = service_fn(move |request| async move { Ok::<_, Infallible>(answer(port, &request)) });
                let connection = hyper::server::conn::http1::Builder::new();
                connections.spawn(async move {
                    // A client that goes away is no error of ours.
                    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

fn answer(port: u16, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    if request.uri().path() == "/weight" {
        *response.body_mut() = format!("<h1>port:{port}</h1>\n").into();
    } else {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}
