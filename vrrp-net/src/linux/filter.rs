//! Classic BPF: which packets a socket gets at all.

use socket2::SockFilter;

// linux/bpf_common.h
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_OCTET: u16 = 0x30;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_EQUAL_INDEX: u16 = 0x1d;
/// The accumulator, to the first word of memory.
const STORE: u16 = 0x02;
/// The index register, from the first word of memory.
const LOAD_INDEX_STORED: u16 = 0x61;
const RETURN: u16 = 0x06;
const WHOLE: u32 = u32::MAX;
/// Most protocols that are told apart.
const MAX_PROTOCOLS: usize = 64;

/// Packets whose octet at `offset` is `value`.
pub(super) fn octet_is(offset: usize, value: u8) -> [SockFilter; 4] {
    equals(LOAD_OCTET, offset, u32::from(value))
}

/// Packets whose two octets at `half`, in network order, are `value`, or whose four octets at `this` are those at `that`.
pub(super) fn half_is_or_words_equal(half: usize, value: u16, this: usize, that: usize) -> [SockFilter; 9] {
    // Offsets lie within a header.
    [
        SockFilter::new(LOAD_HALF, 0, 0, half as u32),
        SockFilter::new(JUMP_EQUAL, 6, 0, value.into()),
        SockFilter::new(LOAD_WORD, 0, 0, this as u32),
        SockFilter::new(STORE, 0, 0, 0),
        SockFilter::new(LOAD_WORD, 0, 0, that as u32),
        SockFilter::new(LOAD_INDEX_STORED, 0, 0, 0),
        SockFilter::new(JUMP_EQUAL_INDEX, 1, 0, 0),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, WHOLE),
    ]
}

/// Reports of rules that were removed, and of routes of these protocols that were.
pub(super) fn route_removals(protocols: &[u8]) -> Vec<SockFilter> {
    // linux/netlink.h, linux/rtnetlink.h: the type of a message, and the protocol of a route.
    const TYPE: usize = 4;
    const PROTOCOL: usize = 21;
    const NEW_ROUTE: u16 = 24;
    const DEL_ROUTE: u16 = 25;
    const NEW_RULE: u16 = 32;
    // The type is in the machine's order, and read in the network's.
    let kind = |kind: u16| u32::from(u16::from_be_bytes(kind.to_ne_bytes()));
    // Jumps count instructions ahead, in eight bits. What bears one beyond so many is not put back.
    let protocols = &protocols[..protocols.len().min(MAX_PROTOCOLS)];
    let ahead = protocols.len() as u8;
    let mut program = vec![
        SockFilter::new(LOAD_HALF, 0, 0, TYPE as u32),
        SockFilter::new(JUMP_EQUAL, ahead + 3, 0, kind(NEW_ROUTE)),
        SockFilter::new(JUMP_EQUAL, ahead + 2, 0, kind(NEW_RULE)),
        SockFilter::new(JUMP_EQUAL, 0, ahead + 2, kind(DEL_ROUTE)),
        SockFilter::new(LOAD_OCTET, 0, 0, PROTOCOL as u32),
    ];
    for (place, protocol) in (1..).zip(protocols) {
        program.push(SockFilter::new(
            JUMP_EQUAL,
            ahead - place + 1,
            0,
            u32::from(*protocol),
        ));
    }
    program.push(SockFilter::new(RETURN, 0, 0, 0));
    program.push(SockFilter::new(RETURN, 0, 0, WHOLE));
    program
}

/// No packet at all.
pub(super) fn nothing() -> [SockFilter; 1] {
    [SockFilter::new(RETURN, 0, 0, 0)]
}

fn equals(load: u16, offset: usize, value: u32) -> [SockFilter; 4] {
    [
        // An offset lies within a header.
        SockFilter::new(load, 0, 0, offset as u32),
        SockFilter::new(JUMP_EQUAL, 0, 1, value),
        SockFilter::new(RETURN, 0, 0, WHOLE),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}
