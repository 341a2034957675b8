//! Words of a keepalived.conf with their places.
//!
//! The grammar is keepalived's (keepalived.conf(5), "CONFIGURATION FILE"): words between blanks, `"…"` around words with
//! blanks, `{` and `}` for blocks, `!` and `#` to the end of the line for comments. A line is a statement, and a brace
//! ends one.

use crate::config::{Diagnostic, FileId, Span};

/// A word, quotes removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    pub(crate) text: String,
    pub(crate) span: Span,
}

/// What a file is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Word(Word),
    Open(Span),
    Close(Span),
    /// End of a line on which something stood.
    Line,
}

/// Cuts a text into tokens. A quote that is never closed is told, and ends with its line.
pub(crate) fn tokens(file: FileId, text: &str) -> (Vec<Token>, Vec<Diagnostic>) {
    let mut lexer = Lexer {
        file,
        text,
        at: 0,
        tokens: Vec::new(),
        diagnostics: Vec::new(),
    };
    lexer.run();
    (lexer.tokens, lexer.diagnostics)
}

struct Lexer<'a> {
    file: FileId,
    text: &'a str,
    at: usize,
    tokens: Vec<Token>,
    diagnostics: Vec<Diagnostic>,
}

impl Lexer<'_> {
    fn run(&mut self) {
        // A byte order mark is not a word.
        if self.text.starts_with('\u{feff}') {
            self.at = '\u{feff}'.len_utf8();
        }
        while let Some(next) = self.peek() {
            match next {
                '\n' => {
                    self.at += 1;
                    self.end_line();
                }
                '!' | '#' => self.skip_comment(),
                '{' => {
                    let span = self.one();
                    self.tokens.push(Token::Open(span));
                }
                '}' => {
                    let span = self.one();
                    self.tokens.push(Token::Close(span));
                }
                '"' | '\'' => self.quoted(next),
                next if next.is_whitespace() => self.at += next.len_utf8(),
                _ => self.word(),
            }
        }
        self.end_line();
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn one(&mut self) -> Span {
        self.at += 1;
        self.file.span(self.at - 1..self.at)
    }

    fn end_line(&mut self) {
        if !matches!(self.tokens.last(), None | Some(Token::Line)) {
            self.tokens.push(Token::Line);
        }
    }

    fn skip_comment(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.find('\n').unwrap_or(rest.len());
    }

    fn quoted(&mut self, quote: char) {
        let start = self.at;
        let inner = start + 1;
        let rest = &self.text[inner..];
        let line = rest.find('\n').unwrap_or(rest.len());
        let (len, closed) = match rest[..line].find(quote) {
            Some(len) => (len, 1),
            None => {
                let span = self.file.span(start..inner + line);
                self.diagnostics.push(
                    Diagnostic::error("a quote is opened and not closed on its line")
                        .at(span)
                        .help(format!("add a closing {quote}")),
                );
                (rest[..line].trim_end().len(), 0)
            }
        };
        self.at = inner + len + closed;
        self.tokens.push(Token::Word(Word {
            text: rest[..len].to_owned(),
            span: self.file.span(start..self.at),
        }));
    }

    fn word(&mut self) {
        let start = self.at;
        let rest = &self.text[start..];
        let len = rest
            .find(|c: char| c.is_whitespace() || matches!(c, '{' | '}' | '"' | '!' | '#'))
            .unwrap_or(rest.len());
        self.at = start + len;
        self.tokens.push(Token::Word(Word {
            text: rest[..len].to_owned(),
            span: self.file.span(start..self.at),
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    #[test]
    fn comments_of_both_kinds_end_with_their_line() {
        assert_eq!(
            words("! one\nstate MASTER ## 主节点\n# three\n"),
            ["state", "MASTER", "\n"]
        );
    }

    #[test]
    fn a_hash_ends_a_word_as_in_keepalived() {
        assert_eq!(words("priority 100#x\n"), ["priority", "100", "\n"]);
    }

    #[test]
    fn braces_stand_for_themselves_without_blanks() {
        assert_eq!(words("a{b}"), ["a", "{", "b", "}", "\n"]);
    }

    #[test]
    fn quotes_keep_blanks_comments_and_braces() {
        assert_eq!(words("script \"a b # {c}\"\n"), ["script", "a b # {c}", "\n"]);
        assert_eq!(words("script 'a \"b\"'\n"), ["script", "a \"b\"", "\n"]);
    }

    #[test]
    fn an_open_quote_is_told_and_ends_with_its_line() {
        let file = Sources::default().add("f", "");
        let (tokens, diagnostics) = tokens(file, "script \"a b\nnext\n");
        assert_eq!(diagnostics.len(), 1);
        assert_eq!(tokens.len(), 5);
    }

    #[test]
    fn a_byte_order_mark_and_carriage_returns_are_blank() {
        assert_eq!(words("\u{feff}a\r\nb\r\n"), ["a", "\n", "b", "\n"]);
    }

    #[test]
    fn columns_count_characters_and_not_bytes() {
        let mut sources = Sources::default();
        let text = "## 虚拟\n\t\"拟\" x\n";
        let file = sources.add("f", text);
        let (tokens, _) = tokens(file, text);
        let Token::Word(word) = &tokens[1] else {
            panic!("{tokens:?}")
        };
        assert_eq!(sources.place(word.span).to_string(), "f:2:6");
    }

    fn words(text: &str) -> Vec<String> {
        let file = Sources::default().add("f", "");
        let (tokens, diagnostics) = tokens(file, text);
        assert_eq!(diagnostics, []);
        let word = |token| match token {
            Token::Word(word) => word.text,
            Token::Open(_) => "{".to_owned(),
            Token::Close(_) => "}".to_owned(),
            Token::Line => "\n".to_owned(),
        };
        tokens.into_iter().map(word).collect()
    }
}
