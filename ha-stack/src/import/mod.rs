//! keepalived.conf: its VRRP part becomes virtual routers and checks, and the rest is named with what follows from
//! leaving it out.
//!
//! Words and their meaning are those of keepalived.conf(5) of version 2. Where keepalived and this program differ, a
//! warning says so at the line that it concerns.

mod arguments;
mod global;
mod group;
mod instance;
mod keywords;
mod lexer;
mod notify;
mod script;
mod tree;
mod unsupported;
mod user;
mod watch;

use crate::config::draft::Draft;
use crate::config::suggest::nearest;
use crate::config::{Diagnostic, Diagnostics, FileId, Sources};
use global::Globals;
use keywords::Grammar;
use tree::{Block, Statement};

/// Keywords at the top of a file that are read.
const TOP_LEVEL: [&str; 8] = [
    "global_defs",
    "vrrp_script",
    "vrrp_instance",
    "vrrp_sync_group",
    "vrrp_track_process",
    "track_process",
    "vrrp_track_file",
    "track_file",
];

/// Reads one file into the draft. Everything that is wrong is told.
pub(crate) fn read(sources: &Sources, file: FileId, draft: &mut Draft, diagnostics: &mut Diagnostics) {
    let (tokens, found) = lexer::tokens(file, sources.text(file));
    let lexed = found.is_empty();
    diagnostics.extend(found);
    let (statements, found) = tree::statements(tokens);
    let built = found.is_empty();
    diagnostics.extend(found);
    if !(lexed && built) {
        // Braces or quotes that don't match put lines where they don't belong: nothing is said about those.
        return;
    }
    refuse_preprocessing(&statements, diagnostics);
    // `global_defs` may stand behind what it concerns.
    let mut globals = Globals::new(file);
    for statement in statements.iter().filter(|one| one.keyword.text == "global_defs") {
        if let Some(block) = body(statement, diagnostics) {
            global::read(block, &mut globals, diagnostics);
        }
    }
    draft.thread.extend(globals.thread);
    let fifos = [&globals.fifo, &globals.vrrp_fifo];
    let fifos = fifos
        .into_iter()
        .filter_map(|fifo| fifo.build(&globals, diagnostics));
    draft.fifos.extend(fifos);
    draft.router_id = draft.router_id.take().or_else(|| globals.router_id.clone());
    for statement in &statements {
        match statement.keyword.text.as_str() {
            "global_defs" => {}
            "vrrp_script" => script::read(statement, &globals, draft, diagnostics),
            "vrrp_instance" => instance::read(statement, &globals, draft, diagnostics),
            "vrrp_track_process" | "track_process" => watch::read_process(statement, draft, diagnostics),
            "vrrp_track_file" | "track_file" => watch::read_file(statement, draft, diagnostics),
            "vrrp_sync_group" => group::read(statement, &globals, draft, diagnostics),
            keyword => other(keyword, statement, sources.name(file), diagnostics),
        }
    }
}

/// A block for people.
pub(crate) struct BlockReference {
    pub(crate) name: &'static str,
    pub(crate) read: Vec<&'static str>,
    /// Keywords that nothing is made of, with what follows.
    pub(crate) unsupported: Vec<(&'static [&'static str], &'static str)>,
}

/// All blocks with all of their keywords.
pub(crate) fn blocks() -> Vec<BlockReference> {
    fn block<R>(grammar: &Grammar<R>) -> BlockReference {
        BlockReference {
            name: grammar.block,
            read: grammar.names().collect(),
            unsupported: unsupported::all(grammar.unsupported),
        }
    }
    vec![
        BlockReference {
            name: "top of the file",
            read: TOP_LEVEL.to_vec(),
            unsupported: unsupported::all(unsupported::TOP_LEVEL),
        },
        BlockReference {
            read: global::names().collect(),
            ..block(&global::BLOCK)
        },
        block(&instance::BLOCK),
        block(&instance::authentication::BLOCK),
        block(&instance::authentication::HMAC_BLOCK),
        block(&group::BLOCK),
        block(&script::BLOCK),
        block(&watch::PROCESS),
        block(&watch::FILE),
    ]
}

/// The block of a statement that must have one.
fn body<'a>(statement: &'a Statement, diagnostics: &mut Diagnostics) -> Option<&'a Block> {
    if statement.block.is_none() {
        diagnostics.push(
            Diagnostic::error(format!("`{}` without a block", statement.keyword.text))
                .at(statement.span())
                .help("write `{` behind it, its settings, and `}`"),
        );
    }
    statement.block.as_ref()
}

/// Conditions, variables and includes change what a file says before it is read; guessing would be worse than saying no.
fn refuse_preprocessing(statements: &[Statement], diagnostics: &mut Diagnostics) {
    for statement in statements {
        let keyword = &statement.keyword;
        let refused = match keyword.text.as_str() {
            "include" => Some((
                "`include` is not followed",
                "give the other file on the command line, beside this one",
            )),
            text if text.starts_with('@') => {
                Some(("conditional lines are not read", "write a file for each node"))
            }
            text if text.starts_with('$') => Some((
                "variables are not replaced",
                "write the value where the variable stands",
            )),
            _ => None,
        };
        if let Some((message, help)) = refused {
            diagnostics.push(Diagnostic::error(message).at(statement.span()).help(help));
        }
        let variable = statement.words.iter().find(|word| is_variable(&word.text));
        if let (None, Some(word)) = (refused, variable) {
            diagnostics.push(
                Diagnostic::error("variables are not replaced")
                    .at(word.span)
                    .help("write the value where the variable stands"),
            );
        }
        if let Some(block) = &statement.block {
            refuse_preprocessing(&block.statements, diagnostics);
        }
    }
}

/// `$NAME` or `${NAME}`, alone. A command line may hold a `$` for its shell.
fn is_variable(word: &str) -> bool {
    let Some(name) = word.strip_prefix('$') else {
        return false;
    };
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn other(keyword: &str, statement: &Statement, file: &str, diagnostics: &mut Diagnostics) {
    if keyword == "include" || keyword.starts_with(['@', '$']) {
        return;
    }
    let at = statement.keyword.span;
    if let Some(consequence) = unsupported::find(unsupported::TOP_LEVEL, keyword) {
        diagnostics.push(unsupported::warning(keyword, consequence).at(at));
        return;
    }
    let diagnostic = Diagnostic::error(format!("unknown keyword `{keyword}`")).at(at);
    diagnostics.push(match nearest(keyword, TOP_LEVEL) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None if keyword.starts_with('[') => diagnostic.help(format!(
            "{file} is read as a keepalived.conf; give a TOML file a name that ends in .toml"
        )),
        None => diagnostic.help(format!("known keywords: {}", TOP_LEVEL.join(", "))),
    });
}
