//! What a connection of the load goes over: TCP, or TLS on it.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use ha_benches::testbed::Result;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustls::ClientConnection;
use rustls::pki_types::ServerName;

use crate::certificate::NAME;

/// One direction and the other of a connection, without waiting.
pub(super) struct Transport {
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
}

impl Transport {
    /// Over a stream that doesn't block.
    pub(super) fn new(stream: TcpStream, tls: Option<&Arc<rustls::ClientConfig>>) -> Result<Self> {
        let tls = match tls {
            None => None,
            Some(config) => {
                let name = ServerName::try_from(NAME)?;
                Some(Box::new(ClientConnection::new(Arc::clone(config), name)?))
            }
        };
        Ok(Self { stream, tls })
    }

    pub(super) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Whether what came may be waiting here, where `epoll` does not see it: [`read`](Self::read) until it would block.
    pub(super) fn holds_back(&self) -> bool {
        self.tls.is_some()
    }

    /// Sends all, since it is short; with TLS also what the handshake has to say.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(tls) = &mut self.tls else {
            let sent = send(&self.stream, bytes, SendFlags::NOSIGNAL)?;
            return all(sent == bytes.len());
        };
        // Before the handshake is over, it waits in there.
        tls.writer().write_all(bytes)?;
        flush(tls, &self.stream)
    }

    /// Reads some bytes; 0 at the end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return Ok(recv(&self.stream, buffer, RecvFlags::empty())?.1);
        };
        read_tls(tls, &self.stream, buffer)
    }

    /// Reads some bytes that nobody wants to see. Without TLS the kernel throws them away, and leaves `buffer` alone.
    pub(super) fn discard(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return Ok(recv(&self.stream, buffer, RecvFlags::TRUNC)?.1);
        };
        read_tls(tls, &self.stream, buffer)
    }
}

fn read_tls(tls: &mut ClientConnection, mut stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match tls.reader().read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            // Without a close_notify; the length of an answer tells whether it is whole.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
            other => return other,
        }
        if tls.read_tls(&mut stream)? > 0 {
            tls.process_new_packets().map_err(io::Error::other)?;
            flush(tls, stream)?;
        } else if tls.process_new_packets().is_err() || tls.is_handshaking() {
            return Ok(0);
        }
    }
}

fn flush(tls: &mut ClientConnection, mut stream: &TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        let sent = tls.write_tls(&mut stream)?;
        all(sent > 0)?;
    }
    Ok(())
}

fn all(sent: bool) -> io::Result<()> {
    if sent {
        Ok(())
    } else {
        Err(io::Error::other("a request is not taken at once"))
    }
}
