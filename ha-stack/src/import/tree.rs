//! Statements and blocks of a keepalived.conf.

use super::lexer::{Token, Word};
use crate::config::{Diagnostic, Span};

/// Deepest nesting of blocks that is read. keepalived itself has four levels.
const MAX_DEPTH: usize = 16;

/// A line: a keyword, its words, and the block that follows it, if one does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) keyword: Word,
    pub(crate) words: Vec<Word>,
    pub(crate) block: Option<Block>,
}

/// What stands between two braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) statements: Vec<Statement>,
    /// The opening brace.
    pub(crate) open: Span,
}

impl Statement {
    /// From the keyword to the last word.
    pub(crate) fn span(&self) -> Span {
        let last = self.words.last().unwrap_or(&self.keyword);
        self.keyword.span.to(last.span)
    }
}

/// Puts tokens together. Braces that don't match are told; everything else is still read.
pub(crate) fn statements(tokens: Vec<Token>) -> (Vec<Statement>, Vec<Diagnostic>) {
    let mut builder = Builder {
        stack: Vec::new(),
        top: Vec::new(),
        line: Vec::new(),
        diagnostics: Vec::new(),
    };
    for token in tokens {
        match token {
            Token::Word(word) => builder.line.push(word),
            Token::Line => builder.end_line(),
            Token::Open(span) => builder.open(span),
            Token::Close(span) => builder.close(span),
        }
    }
    builder.finish()
}

struct Builder {
    stack: Vec<Frame>,
    top: Vec<Statement>,
    line: Vec<Word>,
    diagnostics: Vec<Diagnostic>,
}

struct Frame {
    /// The statement that the block belongs to; none for a brace that stood alone.
    head: Option<Statement>,
    open: Span,
    statements: Vec<Statement>,
}

impl Builder {
    fn statements(&mut self) -> &mut Vec<Statement> {
        match self.stack.last_mut() {
            Some(frame) => &mut frame.statements,
            None => &mut self.top,
        }
    }

    fn take_line(&mut self) -> Option<Statement> {
        let mut words = std::mem::take(&mut self.line).into_iter();
        let keyword = words.next()?;
        Some(Statement {
            keyword,
            words: words.collect(),
            block: None,
        })
    }

    fn end_line(&mut self) {
        if let Some(statement) = self.take_line() {
            self.statements().push(statement);
        }
    }

    fn open(&mut self, open: Span) {
        // The brace may stand on the next line, behind the statement that it belongs to.
        let mut head = self.take_line().or_else(|| {
            let statements = self.statements();
            match statements.last() {
                Some(last) if last.block.is_none() => statements.pop(),
                _ => None,
            }
        });
        if head.is_none() {
            self.diagnostics.push(
                Diagnostic::error("a block without a keyword")
                    .at(open)
                    .help("write the keyword of the block before the brace"),
            );
        }
        if self.stack.len() == MAX_DEPTH {
            self.diagnostics
                .push(Diagnostic::error(format!("blocks nested deeper than {MAX_DEPTH}")).at(open));
        }
        if self.stack.len() >= MAX_DEPTH {
            // Not kept: a tree as deep as a file is long could not even be dropped.
            head = None;
        }
        self.stack.push(Frame {
            head,
            open,
            statements: Vec::new(),
        });
    }

    fn close(&mut self, span: Span) {
        self.end_line();
        match self.stack.pop() {
            Some(frame) => self.attach(frame),
            None => self.diagnostics.push(
                Diagnostic::error("a closing brace without an opening one")
                    .at(span)
                    .help("remove it, or look for the `{` that is missing above"),
            ),
        }
    }

    fn attach(&mut self, frame: Frame) {
        if let Some(mut head) = frame.head {
            head.block = Some(Block {
                statements: frame.statements,
                open: frame.open,
            });
            self.statements().push(head);
        }
    }

    fn finish(mut self) -> (Vec<Statement>, Vec<Diagnostic>) {
        self.end_line();
        while let Some(frame) = self.stack.pop() {
            self.diagnostics.push(
                Diagnostic::error("a block is opened and never closed")
                    .at(frame.open)
                    .help("add the `}` that is missing"),
            );
            self.attach(frame);
        }
        (self.top, self.diagnostics)
    }
}

#[cfg(test)]
mod tests {
    use super::super::lexer::tokens;
    use super::*;
    use crate::config::Sources;

    #[test]
    fn a_brace_on_the_next_line_belongs_to_the_line_before() {
        let (statements, diagnostics) = read("vrrp_instance VI_1\n{\n state MASTER\n}\n");
        assert_eq!(diagnostics, [] as [&str; 0]);
        assert_eq!(statements.len(), 1);
        let block = statements[0].block.as_ref().unwrap();
        assert_eq!(block.statements[0].keyword.text, "state");
    }

    #[test]
    fn a_block_may_stand_on_one_line() {
        let (statements, diagnostics) = read("track_script { chk weight 2 }\n");
        assert_eq!(diagnostics, [] as [&str; 0]);
        let block = statements[0].block.as_ref().unwrap();
        assert_eq!(block.statements[0].words.len(), 2);
    }

    #[test]
    fn braces_that_do_not_match_are_told_and_the_rest_is_read() {
        let (statements, diagnostics) = read("}\na {\nb 1\n");
        assert_eq!(
            diagnostics,
            [
                "a closing brace without an opening one",
                "a block is opened and never closed"
            ]
        );
        assert_eq!(statements[0].block.as_ref().unwrap().statements.len(), 1);
    }

    fn read(text: &str) -> (Vec<Statement>, Vec<String>) {
        let file = Sources::default().add("f", text);
        let (statements, diagnostics) = statements(tokens(file, text).0);
        (
            statements,
            diagnostics.into_iter().map(|one| one.message).collect(),
        )
    }
}
