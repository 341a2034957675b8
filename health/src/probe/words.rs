//! Splits a command line into words, as a shell does before it expands anything.

use alloc::string::String;
use alloc::vec::Vec;

use super::ScriptError;

/// Splits at blanks; keeps what stands in `'…'` as it is, and what stands in `"…"` but for `\"` and `\\`; outside
/// of quotes a backslash protects the next character. Variables, wildcards, pipes and `;` mean nothing here.
///
/// # Errors
///
/// A quote that is not closed, or a backslash at the end, with its byte offset.
pub(super) fn split(line: &str) -> Result<Vec<String>, ScriptError> {
    let mut words = Vec::new();
    // `Some` inside of a word, which may be empty: `''`.
    let mut word: Option<String> = None;
    let mut chars = line.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        match char {
            ' ' | '\t' | '\n' | '\r' => words.extend(word.take()),
            '\'' | '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        None => return Err(ScriptError::OpenQuote { at }),
                        Some((_, next)) if next == char => break,
                        Some((_, '\\')) if char == '"' => {
                            match chars.next_if(|(_, c)| matches!(c, '"' | '\\')) {
                                Some((_, escaped)) => word.push(escaped),
                                None => word.push('\\'),
                            }
                        }
                        Some((_, next)) => word.push(next),
                    }
                }
            }
            '\\' => {
                let (_, next) = chars.next().ok_or(ScriptError::OpenEscape { at })?;
                word.get_or_insert_default().push(next);
            }
            _ => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_a_shell_splits_them() {
        let cases: [(&str, &[&str]); 9] = [
            ("/usr/bin/killall -0 nginx", &["/usr/bin/killall", "-0", "nginx"]),
            ("  a\t b\n", &["a", "b"]),
            ("a 'b  c' d", &["a", "b  c", "d"]),
            (r#"a "b \"c\" \\ \d" e"#, &["a", r#"b "c" \ \d"#, "e"]),
            (r"a\ b \\ c", &["a b", r"\", "c"]),
            ("a'b'\"c\"d", &["abcd"]),
            ("a '' b", &["a", "", "b"]),
            (r"'a\b'", &[r"a\b"]),
            ("é –x", &["é", "–x"]),
        ];
        for (line, words) in cases {
            assert_eq!(split(line).unwrap(), words, "{line}");
        }
        assert!(split(" \t").unwrap().is_empty());
    }

    #[test]
    fn what_is_left_open_is_refused_with_its_place() {
        assert_eq!(split("a 'b c"), Err(ScriptError::OpenQuote { at: 2 }));
        assert_eq!(split("a \"b\\\""), Err(ScriptError::OpenQuote { at: 2 }));
        assert_eq!(split("a b\\"), Err(ScriptError::OpenEscape { at: 3 }));
    }
}
