//! `notify_master` and its like, in instances and in sync groups, and the FIFOs of `global_defs`.

use ha_health::probe::{Script, User};
use nix::unistd::Uid;

use super::global::Globals;
use super::lexer::Word;
use super::tree::Statement;
use super::user::UserName;
use crate::config::notify::{NotifyParts, script_of};
use crate::config::{Diagnostic, Diagnostics, Spanned};
use crate::{Notify, NotifyFifo};

/// User that keepalived runs scripts as when it is told of none and this one exists.
const DEFAULT_USER: &str = "keepalived_script";

/// What holds for all scripts of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct ScriptDefaults {
    /// `script_user`.
    pub(super) user: Option<Spanned<UserName>>,
    /// `enable_script_security`.
    pub(super) secure: bool,
}

impl ScriptDefaults {
    /// Lets a script run as this user, or else as all do.
    pub(super) fn apply(
        &self,
        script: Script,
        user: Option<&Spanned<UserName>>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Script> {
        let script = script.secure(self.secure);
        match user.or(self.user.as_ref()) {
            Some(user) => Some(script.user(user.value.find(user.span, diagnostics)?)),
            // Who isn't root can't be anybody else.
            None if Uid::effective().is_root() => {
                let user = User::named(DEFAULT_USER, None).ok();
                Some(user.into_iter().fold(script, Script::user))
            }
            None => Some(script),
        }
    }
}

/// Reads `notify_master "/path …" [user [[:]group]]`.
pub(super) fn read(
    statement: &Statement,
    set: fn(Notify, Script) -> Notify,
    defaults: &ScriptDefaults,
    to: &mut NotifyParts,
    diagnostics: &mut Diagnostics,
) {
    let Some((script, draft, user)) = command(statement, diagnostics) else {
        return;
    };
    if let Some(script) = defaults.apply(script, user.as_ref(), diagnostics) {
        to.add(set, script, draft);
    }
}

type Command = (
    Script,
    crate::config::draft::ScriptDraft,
    Option<Spanned<UserName>>,
);

/// A command line in one word, and the names behind it.
fn command(statement: &Statement, diagnostics: &mut Diagnostics) -> Option<Command> {
    let Some((line, names)) = statement.words.split_first() else {
        statement.argument("\"/path/to/program\"", diagnostics);
        return None;
    };
    let (script, draft) = script_of(Spanned::new(line.text.clone(), line.span), diagnostics)?;
    Some((script, draft, UserName::of_words(names)))
}

/// `notify_fifo` and `vrrp_notify_fifo`, each with its reader.
#[derive(Clone, Debug, Default)]
pub(super) struct FifoParts {
    path: Option<Spanned<String>>,
    owner: Option<Spanned<UserName>>,
    script: Option<Statement>,
}

impl FifoParts {
    /// `notify_fifo /path [user [group]]`
    pub(super) fn read_path(&mut self, statement: &Statement, diagnostics: &mut Diagnostics) {
        let Some((path, names)) = statement.words.split_first() else {
            statement.argument("/run/keepalived.fifo", diagnostics);
            return;
        };
        self.path = Some(Spanned::new(path.text.clone(), path.span));
        self.owner = UserName::of_words(names);
    }

    /// `notify_fifo_script "/path …" [user [[:]group]]`
    pub(super) fn read_script(&mut self, statement: &Statement) {
        self.script = Some(statement.clone());
    }

    /// The FIFO, if there is one.
    pub(super) fn build(
        &self,
        globals: &Globals,
        diagnostics: &mut Diagnostics,
    ) -> Option<Spanned<NotifyFifo>> {
        let Some(path) = &self.path else {
            if let Some(script) = &self.script {
                let fifo = script.keyword.text.trim_end_matches("_script");
                diagnostics.push(
                    Diagnostic::error(format!("`{}` without a FIFO", script.keyword.text))
                        .at(script.keyword.span)
                        .help(format!("add `{fifo} /run/keepalived.fifo`")),
                );
            }
            return None;
        };
        let mut fifo = NotifyFifo::new(path.value.clone());
        if let Some(owner) = &self.owner {
            fifo = fifo.owner(owner.value.find(owner.span, diagnostics)?);
        }
        if let Some(statement) = &self.script {
            let (script, _, user) = command(statement, diagnostics)?;
            fifo = fifo.script(globals.scripts.apply(script, user.as_ref(), diagnostics)?);
        }
        Some(Spanned::new(fifo, path.span))
    }
}

/// The names of a block, one a line or several.
pub(super) fn names<'a>(lines: impl Iterator<Item = &'a Statement>) -> Vec<Spanned<String>> {
    let words = lines.flat_map(|line| std::iter::once(&line.keyword).chain(&line.words));
    words
        .map(|word: &Word| Spanned::new(word.text.clone(), word.span))
        .collect()
}
