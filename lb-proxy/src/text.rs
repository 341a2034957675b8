//! Numbers and addresses as text, without the detour over `fmt`.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};

/// Appends `number` in decimal.
pub(crate) fn push_decimal(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends `number` in decimal, with zeros in front of it up to `width` digits, 9 at most.
pub(crate) fn push_padded(out: &mut Vec<u8>, mut number: u32, width: usize) {
    let mut digits = [b'0'; 9];
    for digit in digits[..width].iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&digits[..width]);
}

/// Appends an address, IPv6 in RFC 5952's form and without brackets.
pub(crate) fn push_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            let [first, rest @ ..] = address.octets();
            push_decimal(out, first.into());
            for octet in rest {
                out.push(b'.');
                push_decimal(out, octet.into());
            }
        }
        // Writing to a vector can't fail.
        IpAddr::V6(address) => _ = write!(out, "{address}"),
    }
}

/// Appends an address and its port, IPv6 in brackets.
pub(crate) fn push_socket(out: &mut Vec<u8>, address: SocketAddr) {
    if address.is_ipv6() {
        out.push(b'[');
        push_address(out, address.ip());
        out.push(b']');
    } else {
        push_address(out, address.ip());
    }
    out.push(b':');
    push_decimal(out, address.port().into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_fmt_writes_them() {
        for number in [0, 1, 9, 10, 99, 100, 12_345, u64::from(u32::MAX), u64::MAX] {
            let mut out = Vec::new();
            push_decimal(&mut out, number);
            assert_eq!(out, number.to_string().into_bytes());
        }
        let mut out = Vec::new();
        push_padded(&mut out, 7, 3);
        push_padded(&mut out, 1234, 4);
        assert_eq!(out, b"0071234");
    }

    #[test]
    fn addresses_read_as_fmt_writes_them() {
        for text in ["0.0.0.0", "192.0.2.255", "2001:db8::1", "::", "::ffff:1.2.3.4"] {
            let mut out = Vec::new();
            push_address(&mut out, text.parse().unwrap());
            assert_eq!(out, text.as_bytes());
        }
    }
}
