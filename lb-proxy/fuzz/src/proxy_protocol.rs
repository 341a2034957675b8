//! Any bytes as the beginning of a connection: what is a header is one whatever follows, and survives a round trip.

use lb_proxy::proxy_protocol::{Version, encode_v1, encode_v2, parse};

pub fn run(received: &[u8]) {
    let Ok(Some(header)) = parse(received) else {
        return;
    };
    assert!(header.len <= received.len());
    assert_eq!(parse(&received[..header.len]), Ok(Some(header)));
    assert_eq!(parse(&received[..header.len - 1]), Ok(None));

    let tlvs: Vec<_> = header.tlvs.collect();
    let mut written = Vec::new();
    match header.version {
        Version::V1 => encode_v1(&header.addresses, &mut written),
        // With a checksum it may be longer than a header can be.
        Version::V2 if encode_v2(&header.addresses, &tlvs, &mut written).is_err() => return,
        Version::V2 => {}
    }
    let again = parse(&written).expect("valid").expect("complete");
    assert_eq!((again.addresses, again.len), (header.addresses, written.len()));
}
