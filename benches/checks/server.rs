//! All backends in one: a server that answers each request, and counts what it was asked.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use ha_benches::testbed::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";

/// Ends with the process.
pub(crate) struct Server {
    port: u16,
    asked: Arc<AtomicU64>,
}

impl Server {
    pub(crate) fn start() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let listener = runtime.block_on(async {
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))?;
            socket.listen(4096)
        })?;
        let port = listener.local_addr()?.port();
        let asked = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&asked);
        thread::spawn(move || runtime.block_on(accept(listener, counted)));
        Ok(Self { port, asked })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Connections without a request, and requests.
    pub(crate) fn asked(&self) -> &AtomicU64 {
        &self.asked
    }
}

async fn accept(listener: TcpListener, asked: Arc<AtomicU64>) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&asked)));
        }
    }
}

async fn serve(mut stream: TcpStream, asked: Arc<AtomicU64>) {
    let mut requests = 0;
    let mut request = Vec::with_capacity(256);
    while let Ok(1..) = stream.read_buf(&mut request).await {
        if request.ends_with(b"\r\n\r\n") {
            let closes = request
                .windows(17)
                .any(|part| part.eq_ignore_ascii_case(b"connection: close"))
                || request.windows(8).any(|part| part == b"HTTP/1.0");
            request.clear();
            requests += 1;
            asked.fetch_add(1, Ordering::Relaxed);
            if stream.write_all(ANSWER).await.is_err() || closes {
                break;
            }
        }
    }
    if requests == 0 {
        asked.fetch_add(1, Ordering::Relaxed);
    }
}
