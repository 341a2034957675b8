//! Numbers as C reads them from a text.

/// Reads the number at the start of `text`, after white space: decimal, base 16 after `0x`, base 8 after `0`. It ends at
/// white space or with the text. `None` for what is no number, or none of 32 bits.
pub(super) fn parse(text: &[u8]) -> Option<i32> {
    let word = text
        .split(u8::is_ascii_whitespace)
        .find(|word| !word.is_empty())?;
    let word = core::str::from_utf8(word).ok()?;
    let (negative, digits) = match word.as_bytes().first()? {
        b'-' => (true, &word[1..]),
        b'+' => (false, &word[1..]),
        _ => (false, word),
    };
    let (digits, radix) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => (digits, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (&digits[1..], 8),
        None => (digits, 10),
    };
    // `from_str_radix` would take another sign.
    if !digits.starts_with(|digit: char| digit.is_digit(radix)) {
        return None;
    }
    let number = i64::from_str_radix(digits, radix).ok()?;
    i32::try_from(if negative { -number } else { number }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        let cases: [(&str, i32); 12] = [
            ("15", 15),
            ("15\n", 15),
            ("  \t-3\n", -3),
            ("+7", 7),
            ("0", 0),
            ("-0", 0),
            ("0x1f", 31),
            ("-0X10", -16),
            ("010", 8),
            ("5 # in maintenance", 5),
            ("2147483647", i32::MAX),
            ("-2147483648", i32::MIN),
        ];
        for (text, number) in cases {
            assert_eq!(parse(text.as_bytes()), Some(number), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_number_of_32_bits_is_none() {
        let cases = [
            "",
            " \n",
            "abc",
            "12abc",
            "-",
            "+",
            "--1",
            "-+1",
            "0x",
            "0x-1",
            "08",
            "1.5",
            "2147483648",
            "-2147483649",
            "99999999999999999999",
            "\u{663}",
        ];
        for text in cases {
            assert_eq!(parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(parse(b"\xff\xfe"), None);
    }
}
