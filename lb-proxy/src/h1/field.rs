//! The fields that mean something to a proxy, told apart by name.

/// What a field is, as far as a proxy cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Field {
    /// Anything else: passed on as it is.
    Other,
    Connection,
    ContentLength,
    Cookie,
    Date,
    Expect,
    Forwarded,
    Host,
    Http2Settings,
    KeepAlive,
    /// Not hop-by-hop, but CGI programs take it for the variable `HTTP_PROXY`.
    Proxy,
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyConnection,
    Server,
    Te,
    Trailer,
    TransferEncoding,
    Upgrade,
    Via,
    XForwardedFor,
    XForwardedHost,
    XForwardedPort,
    XForwardedProto,
    XRequestId,
}

impl Field {
    /// Tells what the field called `name` is, in any case of its letters.
    pub(crate) fn of(name: &str) -> Self {
        let is = |known: &str, field| {
            if name.eq_ignore_ascii_case(known) {
                field
            } else {
                Self::Other
            }
        };
        // By length, then by one letter: most names are settled by the first.
        let name = name.as_bytes();
        let letter = |at: usize| name[at] | 0x20;
        match name.len() {
            2 => is("te", Self::Te),
            3 => is("via", Self::Via),
            4 if letter(0) == b'h' => is("host", Self::Host),
            4 => is("date", Self::Date),
            5 => is("proxy", Self::Proxy),
            6 => match letter(0) {
                b'c' => is("cookie", Self::Cookie),
                b's' => is("server", Self::Server),
                _ => is("expect", Self::Expect),
            },
            7 if letter(0) == b'u' => is("upgrade", Self::Upgrade),
            7 => is("trailer", Self::Trailer),
            9 => is("forwarded", Self::Forwarded),
            10 if letter(0) == b'k' => is("keep-alive", Self::KeepAlive),
            10 => is("connection", Self::Connection),
            12 => is("x-request-id", Self::XRequestId),
            14 if letter(0) == b'h' => is("http2-settings", Self::Http2Settings),
            14 => is("content-length", Self::ContentLength),
            15 => is("x-forwarded-for", Self::XForwardedFor),
            16 => match (letter(0), letter(12)) {
                (b'p', _) => is("proxy-connection", Self::ProxyConnection),
                (_, b'h') => is("x-forwarded-host", Self::XForwardedHost),
                _ => is("x-forwarded-port", Self::XForwardedPort),
            },
            17 if letter(0) == b't' => is("transfer-encoding", Self::TransferEncoding),
            17 => is("x-forwarded-proto", Self::XForwardedProto),
            18 => is("proxy-authenticate", Self::ProxyAuthenticate),
            19 => is("proxy-authorization", Self::ProxyAuthorization),
            _ => Self::Other,
        }
    }

    /// Whether the field concerns one connection alone and ends here, in both directions (RFC 9110 §7.6.1).
    pub(crate) const fn is_hop_by_hop(self) -> bool {
        matches!(
            self,
            Self::Connection
                | Self::Http2Settings
                | Self::KeepAlive
                | Self::Proxy
                | Self::ProxyAuthenticate
                | Self::ProxyAuthorization
                | Self::ProxyConnection
                | Self::Te
                | Self::TransferEncoding
                | Self::Upgrade
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [(&str, Field); 24] = [
        ("Connection", Field::Connection),
        ("Content-Length", Field::ContentLength),
        ("Cookie", Field::Cookie),
        ("Date", Field::Date),
        ("Expect", Field::Expect),
        ("Forwarded", Field::Forwarded),
        ("Host", Field::Host),
        ("HTTP2-Settings", Field::Http2Settings),
        ("Keep-Alive", Field::KeepAlive),
        ("Proxy", Field::Proxy),
        ("Proxy-Authenticate", Field::ProxyAuthenticate),
        ("Proxy-Authorization", Field::ProxyAuthorization),
        ("Proxy-Connection", Field::ProxyConnection),
        ("Server", Field::Server),
        ("TE", Field::Te),
        ("Trailer", Field::Trailer),
        ("Transfer-Encoding", Field::TransferEncoding),
        ("Upgrade", Field::Upgrade),
        ("Via", Field::Via),
        ("X-Forwarded-For", Field::XForwardedFor),
        ("X-Forwarded-Host", Field::XForwardedHost),
        ("X-Forwarded-Port", Field::XForwardedPort),
        ("X-Forwarded-Proto", Field::XForwardedProto),
        ("X-Request-Id", Field::XRequestId),
    ];

    #[test]
    fn each_known_name_is_known_in_any_case() {
        for (name, field) in ALL {
            assert_eq!(Field::of(name), field, "{name}");
            assert_eq!(Field::of(&name.to_lowercase()), field, "{name}");
            assert_eq!(Field::of(&name.to_uppercase()), field, "{name}");
        }
    }

    #[test]
    fn a_name_that_is_nearly_a_known_one_is_another() {
        for (name, _) in ALL {
            for at in 0..name.len() {
                let mut other = name.to_owned().into_bytes();
                other[at] = b'!';
                assert_eq!(
                    Field::of(std::str::from_utf8(&other).unwrap()),
                    Field::Other,
                    "{other:?}"
                );
            }
            assert_eq!(Field::of(&format!("{name}x")), Field::Other);
            assert_eq!(Field::of(&format!("x{name}")), Field::Other);
        }
        assert_eq!(Field::of(""), Field::Other);
    }
}
