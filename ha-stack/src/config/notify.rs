//! Scripts that are told of changes of state, as both formats of file write them.

use ha_health::probe::{Script, ScriptError};

use super::draft::{ScriptDraft, ScriptUse};
use super::{Diagnostic, Diagnostics, Spanned};
use crate::Notify;

/// What a file says of notifications.
#[derive(Clone, Debug, Default)]
pub(crate) struct NotifyParts {
    pub(crate) notify: Notify,
    /// The command lines, to look into.
    pub(crate) scripts: Vec<ScriptDraft>,
}

impl NotifyParts {
    /// Adds a script for what `set` sets it for.
    pub(crate) fn add(&mut self, set: fn(Notify, Script) -> Notify, script: Script, draft: ScriptDraft) {
        self.notify = set(std::mem::take(&mut self.notify), script);
        self.scripts.push(draft);
    }
}

/// A command line of words, with its place for later findings.
pub(crate) fn script_of(
    line: Spanned<String>,
    diagnostics: &mut Diagnostics,
) -> Option<(Script, ScriptDraft)> {
    match Script::from_words(&line.value) {
        Ok(script) => {
            let draft = ScriptDraft {
                line: line.value,
                at: line.span,
                shell: false,
                used: ScriptUse::Notify,
            };
            Some((script, draft))
        }
        Err(error) => {
            let help = match error {
                ScriptError::Empty => "write the path of a program",
                _ => "close it; a line with pipes or variables belongs in a script of its own",
            };
            diagnostics.push(Diagnostic::error(error.to_string()).at(line.span).help(help));
            None
        }
    }
}
