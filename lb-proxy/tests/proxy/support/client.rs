//! A client that sends bytes and reads responses.

use std::io::{self, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::PATIENCE;
use super::wire::{self, Response};

/// One connection of a client.
pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the proxy accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_nodelay(true).expect("no delay");
        Self {
            stream: BufReader::new(stream),
        }
    }

    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the proxy takes the bytes");
    }

    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())
    }

    /// Sends `bytes` as they are and reads the response to a method other than HEAD.
    #[track_caller]
    pub fn ask(&mut self, bytes: impl AsRef<[u8]>) -> Response {
        self.send(bytes);
        self.response()
    }

    /// Sends a GET for `target`.
    #[track_caller]
    pub fn get(&mut self, target: &str) -> Response {
        self.ask(format!("GET {target} HTTP/1.1\r\nHost: example.com\r\n\r\n"))
    }

    #[track_caller]
    pub fn response(&mut self) -> Response {
        self.try_response("GET").expect("a well-formed response")
    }

    pub fn try_response(&mut self, method: &str) -> io::Result<Response> {
        wire::read_response(&mut self.stream, method)
    }

    /// Reads the next response to a method other than HEAD, be it interim or final.
    #[track_caller]
    pub fn any_response(&mut self) -> Response {
        wire::read_any_response(&mut self.stream, "GET").expect("a well-formed response")
    }

    /// Reads everything until the proxy closes.
    pub fn read_to_end(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).map(|_| rest)
    }

    /// Appends what comes until nothing does for the socket's read timeout; says whether the connection has ended.
    pub fn read_more(&mut self, received: &mut Vec<u8>) -> bool {
        match self.stream.read_to_end(received) {
            Ok(_) => true,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    /// Reads exactly `count` bytes.
    #[track_caller]
    pub fn read_bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).expect("so many bytes");
        bytes
    }

    /// Whether the proxy has closed its side and sent nothing more.
    #[track_caller]
    pub fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(0) => true,
            Ok(_) => panic!("a byte {byte:?} after the end"),
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    pub fn finish_sending(&mut self) {
        self.stream
            .get_mut()
            .shutdown(Shutdown::Write)
            .expect("connected");
    }

    pub fn socket(&self) -> &TcpStream {
        self.stream.get_ref()
    }
}
