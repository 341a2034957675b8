//! What version 2 tells besides addresses (§2.2).

/// A kind and a length.
pub(super) const HEAD: usize = 3;

const ALPN: u8 = 0x01;
const AUTHORITY: u8 = 0x02;
pub(super) const CRC32C: u8 = 0x03;
const UNIQUE_ID: u8 = 0x05;
const SSL: u8 = 0x20;
const SSL_VERSION: u8 = 0x21;
const SSL_COMMON_NAME: u8 = 0x22;
const SSL_CIPHER: u8 = 0x23;
const SSL_SIGNATURE: u8 = 0x24;
const SSL_KEY: u8 = 0x25;
const NETNS: u8 = 0x30;

/// One of the additional facts of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tlv<'a> {
    /// The protocol that was agreed upon by ALPN, such as `h2`.
    Alpn(&'a [u8]),
    /// The host that the client asked for, mostly by SNI.
    Authority(&'a [u8]),
    /// The connection's id, at most 128 bytes that mean something to the sender alone.
    UniqueId(&'a [u8]),
    /// The client's TLS.
    Ssl(Ssl<'a>),
    /// The name of the network namespace.
    NetworkNamespace(&'a [u8]),
    /// Of another kind; those of vendors are 0xe0 to 0xef.
    Other {
        /// Its kind.
        kind: u8,
        /// Its value.
        value: &'a [u8],
    },
}

/// What a header tells about the client's TLS; what it leaves out is empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ssl<'a> {
    /// The client connected over TLS.
    pub tls: bool,
    /// It gave a certificate on this connection.
    pub certificate: bool,
    /// It gave one on this connection or on the one whose session this resumed.
    pub session_certificate: bool,
    /// It gave one, and that was verified.
    pub verified: bool,
    /// The version, such as `TLSv1.3`.
    pub version: &'a [u8],
    /// The common name of the client certificate's subject.
    pub common_name: &'a [u8],
    /// The cipher suite.
    pub cipher: &'a [u8],
    /// How the sender's own certificate is signed, such as `SHA256`.
    pub signature_algorithm: &'a [u8],
    /// The key of the sender's own certificate, such as `RSA2048`.
    pub key_algorithm: &'a [u8],
}

impl<'a> Ssl<'a> {
    /// Flags, the result of the verification (0 if there was a certificate and it was good), TLVs. `None` if it is
    /// too short or its TLVs don't fit.
    fn parse(value: &'a [u8]) -> Option<Self> {
        let (&[flags, v0, v1, v2, v3], mut rest) = value.split_first_chunk()?;
        let mut ssl = Self {
            tls: flags & 1 != 0,
            certificate: flags & 2 != 0,
            session_certificate: flags & 4 != 0,
            ..Self::default()
        };
        ssl.verified = flags & 6 != 0 && [v0, v1, v2, v3] == [0; 4];
        while !rest.is_empty() {
            let (kind, value, after) = split(rest)?;
            match kind {
                SSL_VERSION => ssl.version = value,
                SSL_COMMON_NAME => ssl.common_name = value,
                SSL_CIPHER => ssl.cipher = value,
                SSL_SIGNATURE => ssl.signature_algorithm = value,
                SSL_KEY => ssl.key_algorithm = value,
                _ => {}
            }
            rest = after;
        }
        Some(ssl)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(
            u8::from(self.tls) | u8::from(self.certificate) << 1 | u8::from(self.session_certificate) << 2,
        );
        out.extend(u32::from(!self.verified).to_be_bytes());
        for (kind, value) in [
            (SSL_VERSION, self.version),
            (SSL_COMMON_NAME, self.common_name),
            (SSL_CIPHER, self.cipher),
            (SSL_SIGNATURE, self.signature_algorithm),
            (SSL_KEY, self.key_algorithm),
        ] {
            if !value.is_empty() {
                put(kind, out, |out| out.extend_from_slice(value));
            }
        }
    }
}

impl<'a> Tlv<'a> {
    fn new(kind: u8, value: &'a [u8]) -> Self {
        match kind {
            ALPN => Self::Alpn(value),
            AUTHORITY => Self::Authority(value),
            UNIQUE_ID => Self::UniqueId(value),
            NETNS => Self::NetworkNamespace(value),
            SSL => Ssl::parse(value).map_or(Self::Other { kind, value }, Self::Ssl),
            _ => Self::Other { kind, value },
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let (kind, value) = match *self {
            Self::Alpn(value) => (ALPN, value),
            Self::Authority(value) => (AUTHORITY, value),
            Self::UniqueId(value) => (UNIQUE_ID, value),
            Self::NetworkNamespace(value) => (NETNS, value),
            Self::Other { kind, value } => (kind, value),
            Self::Ssl(ssl) => return put(SSL, out, |out| ssl.encode(out)),
        };
        put(kind, out, |out| out.extend_from_slice(value));
    }
}

/// Appends a TLV whose value `value` writes. The length of one that is far too long is wrong, and so is the whole
/// header, which is refused for its own length.
fn put(kind: u8, out: &mut Vec<u8>, value: impl FnOnce(&mut Vec<u8>)) {
    out.extend([kind, 0, 0]);
    let start = out.len();
    value(out);
    let len = u16::try_from(out.len() - start).unwrap_or(u16::MAX);
    out[start - 2..start].copy_from_slice(&len.to_be_bytes());
}

/// The first TLV's kind and value, and what follows; `None` if it reaches beyond the end.
pub(super) fn split(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[kind, high, low], rest) = bytes.split_first_chunk()?;
    let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
    Some((kind, value, rest))
}

/// The TLVs of a header in its order, those of no meaning (padding, the checksum) left out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Tlvs<'a>(&'a [u8]);

const NOOP: u8 = 0x04;

impl<'a> Tlvs<'a> {
    pub(super) const EMPTY: Tlvs<'static> = Tlvs(&[]);

    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// The client's TLS, if the sender tells about it.
    #[must_use]
    pub fn ssl(self) -> Option<Ssl<'a>> {
        self.into_iter().find_map(|tlv| match tlv {
            Tlv::Ssl(ssl) => Some(ssl),
            _ => None,
        })
    }

    /// The host that the client asked for, if the sender tells it.
    #[must_use]
    pub fn authority(self) -> Option<&'a [u8]> {
        self.into_iter().find_map(|tlv| match tlv {
            Tlv::Authority(authority) => Some(authority),
            _ => None,
        })
    }
}

impl<'a> Iterator for Tlvs<'a> {
    type Item = Tlv<'a>;

    fn next(&mut self) -> Option<Tlv<'a>> {
        loop {
            let (kind, value, rest) = split(self.0)?;
            self.0 = rest;
            if kind != CRC32C && kind != NOOP {
                return Some(Tlv::new(kind, value));
            }
        }
    }
}

impl std::fmt::Debug for Tlvs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(*self).finish()
    }
}
