//! The PROXY protocol on bytes: the specification's examples, what others send, and everything that is not a header.

use lb_proxy::proxy_protocol::{
    Addresses, EncodeError, MAX_HEADER, MAX_V1_HEADER, ParseError, Ssl, Tlv, Version, encode_v1, encode_v2,
    parse,
};
use proptest::prelude::*;
use std::net::SocketAddr;

#[allow(unreachable_pub, reason = "a test has no outside")]
#[path = "../fuzz/src/proxy_protocol.rs"]
mod fuzz;

#[test]
fn corpus_of_the_fuzz_target_replays() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus/proxy_protocol");
    let mut replayed = 0;
    for entry in std::fs::read_dir(folder).expect("a corpus") {
        let path = entry.expect("an entry").path();
        // Shown when an assertion below fails.
        println!("{}", path.display());
        fuzz::run(&std::fs::read(&path).expect("a file"));
        replayed += 1;
    }
    assert!(replayed > 0, "no corpus in {folder}");
}

/// §2.1 of the specification: "a few examples", and the worst cases of each family.
#[test]
fn lines_of_the_specification() {
    for (line, addresses) in [
        (
            "PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
            tcp("255.255.255.255:65535", "255.255.255.255:65535"),
        ),
        (
            "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            tcp(
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
                "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
            ),
        ),
        ("PROXY UNKNOWN\r\n", Addresses::Unknown),
        (
            "PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
            Addresses::Unknown,
        ),
        (
            "PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n",
            tcp("192.168.0.1:56324", "192.168.0.11:443"),
        ),
        (
            "PROXY TCP6 2001:DB8::1 ::1 1 0\r\n",
            tcp("[2001:db8::1]:1", "[::1]:0"),
        ),
        (
            "PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n",
            tcp("[::ffff:192.0.2.1]:1", "[::1]:2"),
        ),
    ] {
        let received = [line.as_bytes(), b"GET / HTTP/1.1\r\n\r\n"].concat();
        let header = parse(&received).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        let header = header.expect("complete");
        assert_eq!(
            (header.version, header.addresses, header.len),
            (Version::V1, addresses, line.len())
        );
        assert_eq!(header.tlvs.count(), 0);
        for len in 0..line.len() {
            assert_eq!(parse(&received[..len]), Ok(None), "{line:?} cut at {len}");
        }
    }
}

#[test]
fn lines_that_the_specification_does_not_allow() {
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(MAX_V1_HEADER));
    for (line, error) in [
        ("PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n", "protocol"),
        ("PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", "protocol"),
        ("PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n", "protocol"),
        ("PROXY \r\n", "source address"),
        ("PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n", "protocol"),
        ("PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n", "source address"),
        ("PROXY TCP4\t1.2.3.4 1.2.3.4 1 2\r\n", "byte"),
        ("PROXY TCP4 ::1 ::1 1 2\r\n", "source address"),
        ("PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", "source address"),
        ("PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n", "source address"),
        ("PROXY TCP4 1.2.3.4 1.2.3 1 2\r\n", "destination address"),
        ("PROXY TCP4 1.2.3.4 256.2.3.4 1 2\r\n", "destination address"),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n", "source port"),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n", "source port"),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n", "source port"),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "destination port"),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 -2\r\n", "destination port"),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n", "end"),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", "end"),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", "byte"),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rX", "byte"),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\0\r\n", "byte"),
        (&long, "longer"),
    ] {
        let got = parse(line.as_bytes()).expect_err(line);
        assert!(got.to_string().contains(error), "{line:?}: {got}");
    }
}

#[test]
fn a_line_without_an_end_is_refused_at_107_bytes() {
    let line = format!("PROXY UNKNOWN {}", "x".repeat(200));
    assert_eq!(parse(&line.as_bytes()[..MAX_V1_HEADER - 1]), Ok(None));
    assert_eq!(
        parse(&line.as_bytes()[..MAX_V1_HEADER]),
        Err(ParseError::LineTooLong)
    );
    let fits = format!("PROXY UNKNOWN {}\r\n", "x".repeat(MAX_V1_HEADER - 16));
    assert_eq!(
        parse(fits.as_bytes()).expect("valid").expect("complete").len,
        MAX_V1_HEADER
    );
}

/// Signature, PROXY, TCP over IPv4, 12 bytes, as §2.2 lays them out.
const V4: &str = "0d0a0d0a000d0a515549540a 21 11 000c c0a80001 c0a8000b dc04 01bb";
const V6: &str = "0d0a0d0a000d0a515549540a 21 21 0024 20010db8000000000000000000000001 \
    00000000000000000000000000000001 dc04 01bb";

#[test]
fn binary_headers_as_the_specification_lays_them_out() {
    let unix = format!("0d0a0d0a000d0a515549540a 21 31 00d8 {}", "2f".repeat(216));
    for (header, addresses) in [
        (V4, tcp("192.168.0.1:56324", "192.168.0.11:443")),
        (V6, tcp("[2001:db8::1]:56324", "[::1]:443")),
        // What HAProxy sends with `check-send-proxy`, and the same with the IPv4 block left in.
        ("0d0a0d0a000d0a515549540a 20 00 0000", Addresses::Local),
        (
            "0d0a0d0a000d0a515549540a 20 11 000c 7f000001 7f000001 0001 0002",
            Addresses::Local,
        ),
        // §2.2: a LOCAL header's family and what follows are to be skipped, whatever they are.
        ("0d0a0d0a000d0a515549540a 20 ff 0003 ffffff", Addresses::Local),
        ("0d0a0d0a000d0a515549540a 21 00 0003 ffffff", Addresses::Unknown),
        (&unix, Addresses::Unknown),
        // Datagrams are not what a TCP connection carries.
        (
            "0d0a0d0a000d0a515549540a 21 12 000c 7f000001 7f000001 0001 0002",
            Addresses::Unknown,
        ),
    ] {
        let mut received = hex(header);
        let len = received.len();
        received.extend_from_slice(b"\x16\x03\x01");
        let parsed = parse(&received).unwrap_or_else(|error| panic!("{header}: {error}"));
        let parsed = parsed.expect("complete");
        assert_eq!(
            (parsed.version, parsed.addresses, parsed.len),
            (Version::V2, addresses, len)
        );
        assert_eq!(parsed.tlvs.count(), 0);
        for cut in 0..len {
            assert_eq!(parse(&received[..cut]), Ok(None), "{header} cut at {cut}");
        }
    }
}

#[test]
fn binary_headers_that_are_refused() {
    for (header, error) in [
        ("0d0a0d0a000d0a515549540a 11 11 000c", ParseError::Version(1)),
        ("0d0a0d0a000d0a515549540a 31 11 000c", ParseError::Version(3)),
        ("0d0a0d0a000d0a515549540a 22 11 000c", ParseError::Command(2)),
        ("0d0a0d0a000d0a515549540a 21 41 000c", ParseError::Family(0x41)),
        ("0d0a0d0a000d0a515549540a 21 13 000c", ParseError::Family(0x13)),
        (
            "0d0a0d0a000d0a515549540a 21 11 000b",
            ParseError::TooShort { need: 12, got: 11 },
        ),
        (
            "0d0a0d0a000d0a515549540a 21 21 000c",
            ParseError::TooShort { need: 36, got: 12 },
        ),
        ("0d0a0d0a000d0a515549540a 21 11 ffff", ParseError::TooLong(65_551)),
        (
            "0d0a0d0a000d0a515549540a 21 11 0ff1",
            ParseError::TooLong(MAX_HEADER + 1),
        ),
        // A TLV that ends beyond the header, and one whose length is cut.
        (
            "0d0a0d0a000d0a515549540a 21 11 0010 7f000001 7f000001 0001 0002 01 0002 68",
            ParseError::Tlv { at: 28 },
        ),
        (
            "0d0a0d0a000d0a515549540a 21 11 000e 7f000001 7f000001 0001 0002 04 00",
            ParseError::Tlv { at: 28 },
        ),
        // A checksum of three bytes.
        (
            "0d0a0d0a000d0a515549540a 21 11 0012 7f000001 7f000001 0001 0002 03 0003 000000",
            ParseError::Tlv { at: 28 },
        ),
        ("0d0a0d0a000d0a515549540b", ParseError::NoHeader),
        ("0d0a0d0b", ParseError::NoHeader),
    ] {
        assert_eq!(parse(&hex(header)), Err(error), "{header}");
    }
}

#[test]
fn what_is_something_else_is_refused_with_its_first_wrong_byte() {
    for other in [
        "GET / HTTP/1.1\r\n",
        "POST / HTTP/1.1",
        "\x16\x03\x01",
        "PRI * HTTP/2.0\r\n",
        "PROXIES",
        " ",
        "\r\nX",
    ] {
        assert_eq!(parse(other.as_bytes()), Err(ParseError::NoHeader), "{other:?}");
    }
    assert_eq!(parse(b""), Ok(None));
}

#[test]
fn tlvs_are_told_and_padding_is_not() {
    let tlvs = [
        Tlv::Alpn(b"h2"),
        Tlv::Authority(b"example.com"),
        Tlv::Other {
            kind: 4,
            value: b"padding",
        },
        Tlv::UniqueId(b"42"),
        Tlv::NetworkNamespace(b"blue"),
        Tlv::Other {
            kind: 0xea,
            value: b"\x01vpce-1",
        },
        Tlv::Ssl(Ssl {
            tls: true,
            certificate: true,
            session_certificate: true,
            verified: true,
            version: b"TLSv1.3",
            common_name: b"client",
            ..Ssl::default()
        }),
    ];
    let mut bytes = Vec::new();
    encode_v2(&tcp("192.0.2.1:1", "192.0.2.2:2"), &tlvs, &mut bytes).expect("fits");
    let header = parse(&bytes).expect("valid").expect("complete");
    let want: Vec<_> = tlvs
        .iter()
        .copied()
        .enumerate()
        .filter(|(at, _)| *at != 2)
        .map(|(_, tlv)| tlv)
        .collect();
    assert_eq!(header.tlvs.collect::<Vec<_>>(), want);
    assert_eq!(header.tlvs.authority(), Some(&b"example.com"[..]));
    let ssl = header.tlvs.ssl().expect("told");
    assert_eq!(
        (ssl.version, ssl.common_name, ssl.cipher),
        (&b"TLSv1.3"[..], &b"client"[..], &b""[..])
    );
    assert!(ssl.verified);
}

/// `SSL` as HAProxy writes it with `proxy-v2-ssl-cn`: flags, the result, then TLVs in the TLV.
#[test]
fn a_certificate_that_was_not_verified_is_not_called_so() {
    let header = |flags: &str, result: &str| {
        hex(&format!(
            "0d0a0d0a000d0a515549540a 21 11 001f 7f000001 7f000001 0001 0002 20 0010 {flags} {result} 21 0003 312e33 22 0002 636e"
        ))
    };
    let verified = |bytes: &[u8]| {
        let ssl = parse(bytes)
            .expect("valid")
            .expect("complete")
            .tlvs
            .ssl()
            .expect("told");
        assert_eq!((ssl.version, ssl.common_name), (&b"1.3"[..], &b"cn"[..]));
        ssl.verified
    };
    assert!(verified(&header("07", "00000000")));
    assert!(!verified(&header("07", "00000012")), "its verification failed");
    assert!(!verified(&header("01", "00000000")), "there was none");
}

#[test]
fn one_flipped_bit_is_found_by_the_checksum() {
    let mut bytes = Vec::new();
    encode_v2(
        &tcp("192.0.2.1:1", "192.0.2.2:2"),
        &[Tlv::Authority(b"a.example")],
        &mut bytes,
    )
    .expect("fits");
    for at in 16..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 0x10;
        // A flip in a TLV's kind or length may also make it one of another kind, or break the structure.
        let parsed = parse(&flipped);
        let checksum_itself = at >= bytes.len() - 7 && at < bytes.len() - 4;
        assert!(parsed.is_err() || checksum_itself, "byte {at}: {parsed:?}");
    }
}

#[test]
fn mixed_families_are_written_as_one() {
    let mixed = Addresses::new(address("192.0.2.1:1"), address("[2001:db8::1]:2"));
    assert_eq!(mixed, tcp("[::ffff:192.0.2.1]:1", "[2001:db8::1]:2"));
    let by_hand = tcp("192.0.2.1:1", "[2001:db8::1]:2");
    let mut bytes = Vec::new();
    encode_v1(&by_hand, &mut bytes);
    assert_eq!(bytes, b"PROXY TCP6 ::ffff:192.0.2.1 2001:db8::1 1 2\r\n");
    bytes.clear();
    encode_v2(&by_hand, &[], &mut bytes).expect("fits");
    assert_eq!(parse(&bytes).expect("valid").expect("complete").addresses, mixed);
}

#[test]
fn a_header_that_is_too_long_is_not_written() {
    let value = vec![b'x'; MAX_HEADER];
    let mut bytes = vec![0xa5];
    for value in [&value[..], &[0; 70_000]] {
        let error = encode_v2(&Addresses::Local, &[Tlv::UniqueId(value)], &mut bytes).expect_err("too long");
        assert_eq!(error, EncodeError::TooLong(16 + 3 + value.len() + 7));
        assert_eq!(bytes, [0xa5]);
    }
    let fits = &value[..MAX_HEADER - 16 - 3 - 7];
    encode_v2(&Addresses::Local, &[Tlv::UniqueId(fits)], &mut bytes).expect("fits");
    let header = parse(&bytes[1..]).expect("valid").expect("complete");
    assert_eq!((header.len, header.addresses), (MAX_HEADER, Addresses::Local));
}

proptest! {
    #[test]
    fn what_is_encoded_is_parsed(
        source in any::<SocketAddr>(),
        destination in any::<SocketAddr>(),
        values in proptest::collection::vec((0xe0u8..=0xef, proptest::collection::vec(any::<u8>(), 0..100)), 0..5),
        payload in proptest::collection::vec(any::<u8>(), 0..20),
    ) {
        let addresses = Addresses::new(source, destination);
        let tlvs: Vec<_> = values.iter().map(|(kind, value)| Tlv::Other { kind: *kind, value }).collect();
        let (mut v1, mut v2) = (Vec::new(), Vec::new());
        encode_v1(&addresses, &mut v1);
        encode_v2(&addresses, &tlvs, &mut v2).expect("fits");
        prop_assert!(v1.len() <= MAX_V1_HEADER);
        for mut bytes in [v1, v2] {
            let len = bytes.len();
            for cut in 0..len {
                prop_assert_eq!(parse(&bytes[..cut]), Ok(None));
            }
            bytes.extend_from_slice(&payload);
            let header = parse(&bytes).expect("valid").expect("complete");
            prop_assert_eq!((header.addresses, header.len), (addresses, len));
            if header.version == Version::V2 {
                prop_assert_eq!(header.tlvs.collect::<Vec<_>>(), tlvs.clone());
            }
        }
    }

    #[test]
    fn junk_after_either_beginning_never_panics(
        text in any::<bool>(),
        junk in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let beginning: &[u8] = if text { b"PROXY " } else { b"\r\n\r\n\0\r\nQUIT\n\x21" };
        let received = [beginning, &junk].concat();
        if let Ok(Some(header)) = parse(&received) {
            prop_assert!(header.len <= received.len());
            prop_assert!(header.tlvs.count() <= received.len());
        }
    }

    /// Whatever comes, more of it never turns a refusal into a header or a header into another.
    #[test]
    fn a_verdict_stays(received in proptest::collection::vec(prop_oneof![Just(b'P'), Just(b'R'), Just(b' '), Just(b'\r'), Just(b'\n'), any::<u8>()], 0..64)) {
        let mut verdict = Ok(None);
        for len in 0..=received.len() {
            let next = parse(&received[..len]);
            if verdict != Ok(None) {
                prop_assert_eq!(next, verdict);
            }
            verdict = next;
        }
    }
}

fn tcp(source: &str, destination: &str) -> Addresses {
    Addresses::Tcp {
        source: address(source),
        destination: address(destination),
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hex");
    digits.chunks(2).map(byte).collect()
}
