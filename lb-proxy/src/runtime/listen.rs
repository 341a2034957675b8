//! Listening sockets: one a worker and address, all bound before anybody is served.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

/// Where a server listens, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listen<'a> {
    pub(crate) addresses: &'a [SocketAddr],
    pub(crate) workers: usize,
    pub(crate) backlog: u32,
    /// Bind addresses that no interface has, too.
    pub(crate) freebind: bool,
    /// Another process of the same user may listen on the same ports.
    pub(crate) share_port: bool,
}

/// Binds `workers` sockets to each of the addresses; the kernel spreads the connections over them (SO_REUSEPORT).
/// Returns them worker by worker.
///
/// A port 0 is resolved by the first worker's socket and shared by the others.
pub(crate) fn bind_all(listen: Listen<'_>) -> Result<Vec<Vec<TcpListener>>, (SocketAddr, io::Error)> {
    // All of them before any is bound: an address of ours may cover another of ours.
    for &address in listen
        .addresses
        .iter()
        .filter(|address| !listen.share_port && address.port() != 0)
    {
        probe(listen, address).map_err(|error| (address, error))?;
    }
    let mut workers: Vec<Vec<TcpListener>> = (0..listen.workers).map(|_| Vec::new()).collect();
    for &configured in listen.addresses {
        let mut address = configured;
        for worker in &mut workers {
            let listener = bind(listen, address).map_err(|error| (address, error))?;
            address = listener.local_addr().map_err(|error| (address, error))?;
            worker.push(listener);
        }
    }
    Ok(workers)
}

/// Fails if somebody listens on `address`. With SO_REUSEPORT alone a second process of the same user would bind too,
/// and take half of the first one's connections.
fn probe(listen: Listen<'_>, address: SocketAddr) -> io::Result<()> {
    let socket = socket(listen, address)?;
    socket.bind(&address.into())
}

fn bind(listen: Listen<'_>, address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(listen, address)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(listen.backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

fn socket(listen: Listen<'_>, address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // For the connections of an earlier run that are in TIME_WAIT; a listener in the way is still an error.
    socket.set_reuse_address(true)?;
    match address {
        SocketAddr::V4(_) if listen.freebind => socket.set_freebind_v4(true)?,
        SocketAddr::V4(_) => {}
        SocketAddr::V6(_) => {
            // `[::]` and `0.0.0.0` are two addresses here, as they are in a config.
            socket.set_only_v6(true)?;
            if listen.freebind {
                socket.set_freebind_v6(true)?;
            }
        }
    }
    Ok(socket)
}
