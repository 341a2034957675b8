//! Hardware addresses in text.

use vrrp_net::MacAddr;

/// Reads `02:00:00:00:00:01`; with `last` five octets will do (keepalived puts the VRID behind them).
pub(crate) fn parse_mac(text: &str, last: Option<u8>) -> Option<MacAddr> {
    let mut octets = [0; 6];
    let mut count = 0;
    for part in text.split(':') {
        if !(1..=2).contains(&part.len()) || !part.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        *octets.get_mut(count)? = u8::from_str_radix(part, 16).ok()?;
        count += 1;
    }
    if count == 5 {
        octets[5] = last?;
        count = 6;
    }
    (count == 6).then_some(MacAddr(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_octets_or_five_and_the_vrid_make_an_address() {
        let read = |text, last| parse_mac(text, last).map(|mac| mac.to_string());
        assert_eq!(read("02:0:0:0:0:1", None).as_deref(), Some("02:00:00:00:00:01"));
        assert_eq!(
            read("02:0:0:0:aa", Some(51)).as_deref(),
            Some("02:00:00:00:aa:33")
        );
        for text in [
            "",
            "02:00:00:00:00",
            "02:00:00:00:00:01:02",
            "02:00:00:00:00:+1",
            "02-00-00-00-00-01",
        ] {
            assert_eq!(read(text, None), None, "{text}");
        }
    }
}
