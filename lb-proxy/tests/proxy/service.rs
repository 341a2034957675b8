//! The proxy as a service in somebody else's server.

use std::net::SocketAddr;

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use lb_proxy::proxy::{ClientAddr, ProxyConfig, ProxyService};
use tower::ServiceExt;

use crate::support::{Backend, dead_address, upstream};

fn service(address: SocketAddr) -> ProxyService {
    ProxyService::new(
        ProxyConfig::builder(upstream(&[address], |backend| backend))
            .build()
            .expect("valid"),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_serves_any_body_type_on_a_multi_threaded_runtime() {
    let backend = Backend::text("hello");
    let service = service(backend.address);
    let tasks: Vec<_> = (0..20_u8)
        .map(|n| {
            let service = service.clone();
            tokio::spawn(async move {
                let body = Full::new(bytes::Bytes::from(vec![n; 10]));
                let request = Request::post("/").header("host", "a").body(body).unwrap();
                let response = service.oneshot(request).await.unwrap();
                response.into_body().collect().await.unwrap().to_bytes()
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), "hello");
    }
    assert_eq!(backend.requests().len(), 20);
    assert!(backend.requests().iter().all(|request| request.body.len() == 10));
}

#[tokio::test]
async fn the_clients_address_comes_from_an_extension() {
    let backend = Backend::text("x");
    let service = service(backend.address);
    let client = ClientAddr("[2001:db8::1]:1234".parse().unwrap());
    let request = Request::get("/")
        .header("host", "a")
        .body(Empty::<bytes::Bytes>::new())
        .unwrap();
    service.clone().oneshot(request.clone()).await.unwrap();
    let mut request = request;
    request.extensions_mut().insert(client);
    service.oneshot(request).await.unwrap();
    let seen: Vec<_> = backend
        .requests()
        .iter()
        .map(|r| r.header("x-forwarded-for").map(String::from))
        .collect();
    assert_eq!(seen, [None, Some("2001:db8::1".to_owned())]);
}

#[tokio::test]
async fn failures_are_answers() {
    let (address, _socket) = dead_address();
    let request = Request::get("/")
        .header("host", "a")
        .body(Empty::<bytes::Bytes>::new())
        .unwrap();
    let response = service(address).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_GATEWAY);
    let text = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(text, "502 Bad Gateway: could not connect to the upstream\n");
}
