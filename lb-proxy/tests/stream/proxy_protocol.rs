//! The PROXY protocol, in and out.

use std::net::SocketAddr;
use std::time::Duration;

use lb_proxy::balance::BackendConfig;
use lb_proxy::forwarded::{Network, TrustedHops};
use lb_proxy::proxy_protocol::{Addresses, Version, encode_v1, encode_v2, parse};
use lb_proxy::stream::{StreamConfigBuilder, StreamHandle};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Backend, builder, client, counted, ended, passes, spawn, upstream, within};

#[tokio::test]
async fn backends_are_told_who_the_client_is() {
    for version in [Version::V1, Version::V2] {
        let (server, backend) = start(|builder| builder.send_proxy_protocol(Some(version))).await;
        let mut client = client(&server).await;
        let mut served = backend.accept().await;
        let (told, addresses) = header(&mut served).await;
        assert_eq!(told, version);
        let (source, destination) = (client.local_addr().unwrap(), server.addresses()[0]);
        assert_eq!(addresses, Addresses::new(source, destination));
        passes(&mut client, &mut served, b"hello").await;
        passes(&mut served, &mut client, b"hello").await;
    }
}

#[tokio::test]
async fn a_trusted_peers_header_is_passed_on_in_the_other_version() {
    let (server, backend) = start(|builder| {
        builder
            .receive_proxy_protocol(loopback())
            .send_proxy_protocol(Some(Version::V1))
    })
    .await;
    let addresses = Addresses::new(address("[2001:db8::7]:4711"), address("[2001:db8::1]:443"));
    let mut bytes = Vec::new();
    encode_v2(&addresses, &[], &mut bytes).unwrap();
    bytes.extend_from_slice(b"and at once the first words");
    let mut client = client(&server).await;
    within(client.write_all(&bytes)).await.unwrap();
    let mut served = backend.accept().await;
    assert_eq!(header(&mut served).await, (Version::V1, addresses));
    let mut words = [0; 27];
    within(served.read_exact(&mut words)).await.unwrap();
    assert_eq!(&words, b"and at once the first words");
    passes(&mut served, &mut client, b"hello").await;
}

#[tokio::test]
async fn a_header_may_come_byte_by_byte() {
    let (server, backend) = start(|builder| {
        builder
            .receive_proxy_protocol(loopback())
            .send_proxy_protocol(Some(Version::V2))
    })
    .await;
    let addresses = Addresses::new(address("192.0.2.7:4711"), address("198.51.100.1:443"));
    let mut bytes = Vec::new();
    encode_v1(&addresses, &mut bytes);
    let mut client = client(&server).await;
    client.set_nodelay(true).unwrap();
    for byte in bytes {
        within(client.write_all(&[byte])).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let mut served = backend.accept().await;
    assert_eq!(header(&mut served).await, (Version::V2, addresses));
    passes(&mut client, &mut served, b"hello").await;
}

#[tokio::test]
async fn a_health_check_of_the_peer_counts_as_the_peers_own_connection() {
    let (server, backend) = start(|builder| {
        builder
            .receive_proxy_protocol(loopback())
            .send_proxy_protocol(Some(Version::V2))
    })
    .await;
    for own in [Addresses::Local, Addresses::Unknown] {
        let mut bytes = Vec::new();
        encode_v2(&own, &[], &mut bytes).unwrap();
        let mut client = client(&server).await;
        within(client.write_all(&bytes)).await.unwrap();
        let mut served = backend.accept().await;
        let (_, addresses) = header(&mut served).await;
        assert_eq!(addresses.source(), Some(client.local_addr().unwrap()));
    }
}

#[tokio::test]
async fn a_trusted_peer_without_a_header_is_not_served() {
    let (server, backend) = start(|builder| builder.receive_proxy_protocol(loopback())).await;
    let mut client = client(&server).await;
    within(client.write_all(b"GET / HTTP/1.1\r\n")).await.unwrap();
    let mut buffer = [0; 1];
    let read = within(client.read(&mut buffer)).await;
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    let counters = counted(&server, |counters| counters.connections == 0).await;
    assert_eq!((counters.bad_headers, counters.connects), (1, 0));
    let none = tokio::time::timeout(Duration::from_millis(200), backend.accept()).await;
    assert!(none.is_err(), "no backend hears of it");
}

#[tokio::test]
async fn a_header_that_does_not_come_is_not_waited_for_for_ever() {
    let (server, _backend) = start(|builder| {
        builder
            .receive_proxy_protocol(loopback())
            .handshake_timeout(Duration::from_millis(300))
    })
    .await;
    let mut silent = client(&server).await;
    let mut half = client(&server).await;
    within(half.write_all(b"PROXY TCP4 192")).await.unwrap();
    ended(&mut silent).await;
    ended(&mut half).await;
    // And one that goes before it is complete.
    drop(client(&server).await);
    counted(&server, |counters| counters.bad_headers == 3).await;
}

/// Whoever is not trusted has no header: what looks like one is theirs, and is passed on behind the true one.
#[tokio::test]
async fn a_header_of_somebody_else_is_data() {
    let elsewhere: TrustedHops = ["192.0.2.0/24".parse::<Network>().unwrap()].into_iter().collect();
    let (server, backend) = start(|builder| {
        builder
            .receive_proxy_protocol(elsewhere)
            .send_proxy_protocol(Some(Version::V1))
    })
    .await;
    let mut client = client(&server).await;
    let lie = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n";
    within(client.write_all(lie)).await.unwrap();
    let mut served = backend.accept().await;
    let (_, addresses) = header(&mut served).await;
    assert_eq!(addresses.source(), Some(client.local_addr().unwrap()));
    let mut data = [0; 44];
    within(served.read_exact(&mut data)).await.unwrap();
    assert_eq!(&data, lie);
}

async fn start(set: impl FnOnce(StreamConfigBuilder) -> StreamConfigBuilder) -> (StreamHandle, Backend) {
    let backend = Backend::new().await;
    let upstream = upstream([BackendConfig::new("a", backend.address)]);
    (spawn(set(builder(&upstream))), backend)
}

fn loopback() -> TrustedHops {
    ["127.0.0.0/8".parse::<Network>().unwrap()].into_iter().collect()
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// Reads a header byte by byte, so that nothing behind it is taken.
pub(crate) async fn header(stream: &mut TcpStream) -> (Version, Addresses) {
    let mut received = Vec::new();
    loop {
        received.push(within(stream.read_u8()).await.expect("a header"));
        if let Some(header) = parse(&received).expect("a header") {
            return (header.version, header.addresses);
        }
    }
}
