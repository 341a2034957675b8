//! The proxy: a request from its first byte to the last of its answer, on both of its sides.
//!
//! Client, proxy and backend are threads of one process, and the next request comes when the answer is there, so that all
//! of it happens in one order. What the kernel does is not counted; client and backend do as little as they can, and are.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use lb_proxy::balance::{BackendConfig, Upstream, UpstreamConfig};
use lb_proxy::proxy::{ProxyConfig, Server};

use crate::Case;

const GET: &[u8] = b"GET /items/17?page=2 HTTP/1.1\r\n\
    Host: shop.example\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: text/html,application/xhtml+xml\r\n\
    Accept-Language: en\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Cookie: JSESSIONID=4F2A1C77D2B34E1A9A0C.node1\r\n\
    \r\n";

pub(crate) fn cases() -> Vec<Case> {
    let post = [
        b"POST /items HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 1024\r\n\r\n".as_slice(),
        &body(1024),
    ]
    .concat();
    vec![
        case("proxy/get/100B", GET.to_vec(), answer(100)),
        case("proxy/get/64KiB", GET.to_vec(), answer(64 << 10)),
        case("proxy/get-chunked/1KiB", GET.to_vec(), chunked(1024)),
        case("proxy/post/1KiB", post, answer(100)),
    ]
}

fn answer(length: usize) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {length}\r\nCache-Control: no-cache\r\n\r\n"
    );
    [head.into_bytes(), body(length)].concat()
}

/// Ends as nothing else does.
fn body(length: usize) -> Vec<u8> {
    let mut body = vec![b'x'; length];
    body[length - 1] = b'y';
    body
}

/// In four chunks that come at once.
fn chunked(length: usize) -> Vec<u8> {
    let mut answer =
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..4 {
        answer.extend(format!("{:x}\r\n", length / 4).into_bytes());
        answer.extend(vec![b'x'; length / 4]);
        answer.extend(b"\r\n");
    }
    answer.extend(b"0\r\n\r\n");
    answer
}

fn case(name: &str, request: Vec<u8>, answer: Vec<u8>) -> Case {
    Case {
        name: name.to_owned(),
        run: Box::new(move |times| run(&request, &answer, times).expect("loopback works")),
    }
}

fn run(request: &[u8], answer: &[u8], times: u64) -> io::Result<()> {
    let backend = backend(end(request), answer.to_vec())?;
    let upstream = UpstreamConfig::builder("app").backend(BackendConfig::new("one", backend));
    let upstream = Upstream::new(upstream.build().expect("valid"));
    let config = ProxyConfig::builder(upstream)
        .listen((Ipv4Addr::LOCALHOST, 0).into())
        .workers(1)
        .keepalive_requests(u32::MAX)
        .upstream_keepalive_requests(u32::MAX)
        .build()
        .expect("valid");
    let proxy = Server::spawn(config).map_err(io::Error::other)?;
    let mut client = TcpStream::connect(proxy.addresses()[0])?;
    client.set_nodelay(true)?;
    client.write_all(request)?;
    let length = whole(&mut client, answer)?;
    let mut buffer = vec![0; length];
    for _ in 1..times {
        client.write_all(request)?;
        client.read_exact(&mut buffer)?;
    }
    Ok(())
}

/// The first answer, which ends with what the backend's does; all others have its length.
fn whole(client: &mut TcpStream, answer: &[u8]) -> io::Result<usize> {
    let end = end(answer);
    let mut got = Vec::new();
    let mut buffer = [0; 4096];
    while !got.ends_with(&end) {
        match client.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => got.extend_from_slice(&buffer[..read]),
        }
    }
    Ok(got.len())
}

/// The last bytes of a message, which the proxy leaves as they are.
fn end(message: &[u8]) -> [u8; 4] {
    *message.last_chunk().expect("longer than that")
}

/// Says the same to every request, one after the other, once the end of the request has come.
fn backend(end: [u8; 4], answer: Vec<u8>) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || -> io::Result<()> {
        loop {
            let (mut stream, _) = listener.accept()?;
            stream.set_nodelay(true)?;
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            loop {
                let read = stream.read(&mut buffer)?;
                if read == 0 {
                    break;
                }
                request.extend_from_slice(&buffer[..read]);
                if request.ends_with(&end) {
                    stream.write_all(&answer)?;
                    request.clear();
                }
            }
        }
    });
    Ok(address)
}
