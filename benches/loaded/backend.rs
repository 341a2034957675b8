//! A backend that costs as little as can be: one answer to whatever comes, a thread a connection.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};

use vrrp_net::lab::Host;

/// Where it listens, on the node's own host.
pub(crate) const ADDRESS: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8080));
/// What every answer ends with.
pub(crate) const BODY: &[u8] = b"ok\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n";

/// Starts it; it goes on until this process ends.
pub(crate) fn start(host: &Host) -> io::Result<()> {
    let listener = host.run(|| TcpListener::bind(ADDRESS))?;
    host.spawn_thread(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || serve(stream));
        }
    })?;
    Ok(())
}

/// The proxy sends a request without a body only after the answer to the one before, so that an empty line ends each.
fn serve(mut stream: TcpStream) -> io::Result<()> {
    let mut request = Vec::new();
    let mut buffer = [0; 2048];
    loop {
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        request.extend_from_slice(&buffer[..read]);
        if request.ends_with(b"\r\n\r\n") {
            stream.write_all(ANSWER)?;
            request.clear();
        }
    }
}
