//! A backend that records what it got and answers as it is told.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use super::PATIENCE;
use super::wire::{self, Request};

/// What the backend does with a connection after it answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Keep,
    Close,
}

/// A listening backend; each connection has a thread.
pub struct Backend {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    stop: AtomicBool,
    connections: AtomicUsize,
    requests: Mutex<Vec<Request>>,
    /// What no careful server would accept.
    malformed: Mutex<Vec<String>>,
}

impl Backend {
    /// Answers every request with 200 and `text`.
    pub fn text(text: &str) -> Self {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len());
        Self::bytes(answer)
    }

    /// Answers every request with these bytes and keeps the connection.
    pub fn bytes(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |_, stream| {
            let _ = stream.write_all(&answer);
            Next::Keep
        })
    }

    /// Has `answer` answer every request that was read whole.
    pub fn start(answer: impl Fn(&Request, &mut TcpStream) -> Next + Send + Sync + 'static) -> Self {
        Self::raw(move |_, mut reader, record| {
            let mut stream = reader.get_ref().try_clone().expect("a descriptor");
            loop {
                match wire::read_request(&mut reader) {
                    Ok(Some(request)) => {
                        record(Ok(request.clone()));
                        if answer(&request, &mut stream) == Next::Close {
                            return;
                        }
                    }
                    Ok(None) => return,
                    Err(error) => {
                        if error.kind() == std::io::ErrorKind::InvalidData {
                            record(Err(error.to_string()));
                        }
                        return;
                    }
                }
            }
        })
    }

    /// Has `serve` do what it likes with each connection.
    pub fn raw(
        serve: impl Fn(usize, BufReader<TcpStream>, &dyn Fn(Result<Request, String>)) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound");
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            connections: AtomicUsize::new(0),
            requests: Mutex::default(),
            malformed: Mutex::default(),
        });
        let (accepting, serve) = (Arc::clone(&shared), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.stop.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
                stream.set_nodelay(true).expect("no delay");
                let connection = accepting.connections.fetch_add(1, Ordering::SeqCst);
                let (shared, serve) = (Arc::clone(&accepting), Arc::clone(&serve));
                thread::spawn(move || {
                    serve(connection, BufReader::new(stream), &|request| match request {
                        Ok(request) => shared.requests.lock().expect("no panic").push(request),
                        Err(problem) => shared.malformed.lock().expect("no panic").push(problem),
                    });
                });
            }
        });
        Self { address, shared }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().expect("no panic").clone()
    }

    /// The one request that came.
    #[track_caller]
    pub fn request(&self) -> Request {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.into_iter().next().expect("one")
    }

    pub fn malformed(&self) -> Vec<String> {
        self.shared.malformed.lock().expect("no panic").clone()
    }

    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}
