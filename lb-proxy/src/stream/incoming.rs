//! What comes before a client's bytes: the PROXY header of whoever stands before us, and TLS.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::config::StreamConfig;
use super::counters::Counters;
use super::transport::Transport;
use crate::proxy_protocol::{Addresses, EncodeError, Version, encode_v1, encode_v2};
#[cfg(feature = "tls")]
use crate::proxy_protocol::{Ssl, Tlv};
use crate::runtime::proxy_header::{HeaderError, read_header};
#[cfg(feature = "tls")]
use crate::tls::ClientCertificate;

/// Why a client was not let in.
#[derive(Debug, thiserror::Error)]
pub(super) enum IncomingError {
    #[error("{0}")]
    Header(#[from] HeaderError),
    #[error("the PROXY header took too long")]
    HeaderTimeout,
    #[cfg(feature = "tls")]
    #[error("the TLS handshake failed: {0}")]
    Handshake(io::Error),
    #[cfg(feature = "tls")]
    #[error("the TLS handshake took too long")]
    HandshakeTimeout,
    #[error("{0}")]
    Socket(#[from] io::Error),
}

/// Who the client is, as far as backends are told.
pub(super) struct Client {
    pub(super) source: SocketAddr,
    destination: SocketAddr,
    #[cfg(feature = "tls")]
    tls: Option<ClientTlsFacts>,
}

#[cfg(feature = "tls")]
struct ClientTlsFacts {
    server_name: Option<String>,
    alpn: Vec<u8>,
    version: &'static [u8],
    certificate: Option<ClientCertificate>,
}

/// Takes a connection in: the client, and the transport that its bytes come over.
pub(super) async fn receive(
    config: &StreamConfig,
    counters: &Counters,
    mut stream: TcpStream,
    peer: SocketAddr,
) -> Result<(Client, Transport), IncomingError> {
    let (mut source, mut destination) = (peer, stream.local_addr()?);
    if config.receive_proxy_protocol.contains(peer.ip()) {
        let header = match timeout(config.handshake_timeout, read_header(&mut stream)).await {
            Ok(header) => header.map_err(IncomingError::from),
            Err(_) => Err(IncomingError::HeaderTimeout),
        };
        let addresses = header.inspect_err(|_| Counters::count(&counters.bad_headers))?;
        if let Addresses::Tcp {
            source: client,
            destination: listener,
        } = addresses
        {
            (source, destination) = (client, listener);
        }
    }
    #[cfg(feature = "tls")]
    if let Some(tls) = &config.tls {
        // In a box of its own, as the stream is: connections without TLS need not have room for it.
        let handshake = Box::pin(timeout(config.handshake_timeout, tls.accept(stream))).await;
        let stream = match handshake {
            Ok(stream) => stream.map_err(IncomingError::Handshake),
            Err(_) => Err(IncomingError::HandshakeTimeout),
        };
        let stream = stream.inspect_err(|_| Counters::count(&counters.bad_handshakes))?;
        let client = Client {
            source,
            destination,
            tls: Some(ClientTlsFacts::of(stream.get_ref().1)),
        };
        return Ok((client, Transport::ServerTls(Box::new(stream))));
    }
    let client = Client {
        source,
        destination,
        #[cfg(feature = "tls")]
        tls: None,
    };
    Ok((client, Transport::Plain(stream)))
}

impl Client {
    /// The name that the client asked for by SNI.
    #[cfg(feature = "tls")]
    pub(super) fn server_name(&self) -> Option<&str> {
        self.tls.as_ref()?.server_name.as_deref()
    }

    /// The header that tells a backend of this client.
    pub(super) fn header(&self, version: Version) -> Result<Vec<u8>, EncodeError> {
        let addresses = Addresses::new(self.source, self.destination);
        let mut header = Vec::with_capacity(128);
        match version {
            Version::V1 => encode_v1(&addresses, &mut header),
            Version::V2 => self.encode_v2(&addresses, &mut header)?,
        }
        Ok(header)
    }

    #[cfg(not(feature = "tls"))]
    fn encode_v2(&self, addresses: &Addresses, header: &mut Vec<u8>) -> Result<(), EncodeError> {
        encode_v2(addresses, &[], header)
    }

    #[cfg(feature = "tls")]
    fn encode_v2(&self, addresses: &Addresses, header: &mut Vec<u8>) -> Result<(), EncodeError> {
        let Some(tls) = &self.tls else {
            return encode_v2(addresses, &[], header);
        };
        let mut tlvs = Vec::with_capacity(3);
        if !tls.alpn.is_empty() {
            tlvs.push(Tlv::Alpn(&tls.alpn));
        }
        if let Some(name) = &tls.server_name {
            tlvs.push(Tlv::Authority(name.as_bytes()));
        }
        let common_name = tls.certificate.as_ref().and_then(ClientCertificate::common_name);
        let shown = tls.certificate.is_some();
        tlvs.push(Tlv::Ssl(Ssl {
            tls: true,
            certificate: shown,
            session_certificate: shown,
            // A handshake with a certificate that isn't good does not complete.
            verified: true,
            version: tls.version,
            common_name: common_name.unwrap_or_default().as_bytes(),
            ..Ssl::default()
        }));
        encode_v2(addresses, &tlvs, header)
    }
}

#[cfg(feature = "tls")]
impl ClientTlsFacts {
    fn of(connection: &rustls::ServerConnection) -> Self {
        Self {
            server_name: connection.server_name().map(ToOwned::to_owned),
            alpn: connection
                .alpn_protocol()
                .map(ToOwned::to_owned)
                .unwrap_or_default(),
            version: match connection.protocol_version() {
                Some(rustls::ProtocolVersion::TLSv1_2) => b"TLSv1.2",
                _ => b"TLSv1.3",
            },
            certificate: ClientCertificate::of(connection),
        }
    }
}
