//! Listening sockets: one a worker and address, all bound before anybody is served.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use super::config::ProxyConfig;

/// Binds `workers` sockets to each of the config's addresses; the kernel spreads the connections over them
/// (SO_REUSEPORT). Returns them worker by worker.
///
/// A port 0 is resolved by the first worker's socket and shared by the others.
pub(super) fn bind_all(config: &ProxyConfig) -> Result<Vec<Vec<TcpListener>>, (SocketAddr, io::Error)> {
    // All of them before any is bound: an address of ours may cover another of ours.
    for &address in config
        .listen
        .iter()
        .filter(|address| !config.share_port && address.port() != 0)
    {
        probe(config, address).map_err(|error| (address, error))?;
    }
    let mut workers: Vec<Vec<TcpListener>> = (0..config.workers).map(|_| Vec::new()).collect();
    for &configured in &config.listen {
        let mut address = configured;
        for worker in &mut workers {
            let listener = bind(config, address).map_err(|error| (address, error))?;
            address = listener.local_addr().map_err(|error| (address, error))?;
            worker.push(listener);
        }
    }
    Ok(workers)
}

/// Fails if somebody listens on `address`. With SO_REUSEPORT alone a second process of the same user would bind too,
/// and take half of the first one's connections.
fn probe(config: &ProxyConfig, address: SocketAddr) -> io::Result<()> {
    let socket = socket(config, address)?;
    socket.bind(&address.into())
}

fn bind(config: &ProxyConfig, address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket(config, address)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(config.limits.backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

fn socket(config: &ProxyConfig, address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    // For the connections of an earlier run that are in TIME_WAIT; a listener in the way is still an error.
    socket.set_reuse_address(true)?;
    match address {
        SocketAddr::V4(_) if config.freebind => socket.set_freebind_v4(true)?,
        SocketAddr::V4(_) => {}
        SocketAddr::V6(_) => {
            // `[::]` and `0.0.0.0` are two addresses here, as they are in a config.
            socket.set_only_v6(true)?;
            if config.freebind {
                socket.set_freebind_v6(true)?;
            }
        }
    }
    Ok(socket)
}
