//! Classic BPF: which packets a socket gets at all.

use socket2::SockFilter;

// linux/bpf_common.h
const LOAD_HALF: u16 = 0x28;
const LOAD_OCTET: u16 = 0x30;
const JUMP_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
const WHOLE: u32 = u32::MAX;

/// Packets whose octet at `offset` is `value`.
pub(super) fn octet_is(offset: usize, value: u8) -> [SockFilter; 4] {
    equals(LOAD_OCTET, offset, u32::from(value))
}

/// Packets whose two octets at `offset`, in network order, are `value`.
pub(super) fn half_is(offset: usize, value: u16) -> [SockFilter; 4] {
    equals(LOAD_HALF, offset, u32::from(value))
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
