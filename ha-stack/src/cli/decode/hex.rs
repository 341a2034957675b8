//! Lines of hex.

/// Longest packet on a line: an IPv6 packet of the largest size behind an Ethernet header with two tags.
pub(super) const MAX_OCTETS: usize = 65_535 + 40 + 22;

/// Why a line is not a packet in hex.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HexError {
    #[error("`{got}` at column {column} is not a hexadecimal digit")]
    Digit { got: char, column: usize },
    #[error("an odd number of hexadecimal digits, {got}")]
    Odd { got: usize },
    #[error("more than {MAX_OCTETS} octets")]
    TooLong,
}

/// Reads a line; `None` when it is empty or holds nothing but a comment. Blanks and colons between octets are allowed,
/// and `#` begins a comment.
pub(super) fn line(line: &str) -> Option<Result<Vec<u8>, HexError>> {
    let line = line.split('#').next().unwrap_or_default();
    if line.trim().is_empty() {
        return None;
    }
    Some(octets(line))
}

fn octets(line: &str) -> Result<Vec<u8>, HexError> {
    let mut digits = Vec::with_capacity(line.len());
    for (column, got) in line.chars().enumerate() {
        match got.to_digit(16) {
            Some(digit) => digits.push(digit as u8),
            None if got.is_whitespace() || got == ':' => {}
            None => {
                return Err(HexError::Digit {
                    got,
                    column: column + 1,
                });
            }
        }
    }
    if digits.len() % 2 != 0 {
        return Err(HexError::Odd { got: digits.len() });
    }
    if digits.len() / 2 > MAX_OCTETS {
        return Err(HexError::TooLong);
    }
    Ok(digits
        .chunks_exact(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_empty_lines_are_no_packets() {
        assert_eq!(line(""), None);
        assert_eq!(line("  \t"), None);
        assert_eq!(line("# 4500"), None);
        assert_eq!(line("45 00:0a  # comment"), Some(Ok(vec![0x45, 0, 0x0a])));
    }

    #[test]
    fn a_bad_digit_is_told_with_its_column() {
        assert_eq!(line("45é0"), Some(Err(HexError::Digit { got: 'é', column: 3 })));
        assert_eq!(line("456"), Some(Err(HexError::Odd { got: 3 })));
    }
}
