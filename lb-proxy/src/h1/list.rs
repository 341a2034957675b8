//! Fields whose value is a list (RFC 9110 §5.6.1).

/// Iterates over the elements between commas, without the white space around them; empty ones are left out.
pub(crate) fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&byte| byte == b',')
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// Whether `list` has the element `token`, in any case.
pub(crate) fn has_token(list: &[u8], token: &[u8]) -> bool {
    elements(list).any(|element| element.eq_ignore_ascii_case(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_trimmed_and_empty_ones_left_out() {
        let found: Vec<_> = elements(b" a ,, b;q=1\t,c").collect();
        assert_eq!(found, [&b"a"[..], b"b;q=1", b"c"]);
        assert!(has_token(b"x, Upgrade", b"upgrade") && !has_token(b"upgrades", b"upgrade"));
    }
}
