//! Typed access to TOML tables that tells everything that is wrong, not just the first thing.

use ::toml::Spanned as TomlSpanned;
use ::toml::de::{DeTable, DeValue};

use crate::config::suggest::nearest;
use crate::config::{Diagnostic, Diagnostics, FileId, Span, Spanned};

/// Why a value is not what it must be: what is wrong, and what to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) message: String,
    pub(super) help: String,
}

impl Wrong {
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: help.into(),
        }
    }

    /// A value of another type.
    pub(super) fn kind(got: &DeValue<'_>, write: impl Into<String>) -> Self {
        Self::new(format!("a value of type {}", type_name(got)), write)
    }
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "string",
        DeValue::Integer(_) => "integer",
        DeValue::Float(_) => "float",
        DeValue::Boolean(_) => "boolean",
        DeValue::Datetime(_) => "date",
        DeValue::Array(_) => "array",
        DeValue::Table(_) => "table",
    }
}

/// A table whose keys are known.
pub(super) struct Table<'a, 'i> {
    table: &'a DeTable<'i>,
    file: FileId,
    /// Where the table begins, to say what it lacks.
    at: Span,
    diagnostics: &'a mut Diagnostics,
    /// Whether everything read so far was fine.
    sound: bool,
}

impl<'a, 'i> Table<'a, 'i> {
    /// Takes a table, and tells of keys that are not known.
    pub(super) fn new(
        table: &'a DeTable<'i>,
        file: FileId,
        at: Span,
        name: &str,
        keys: &[&str],
        diagnostics: &'a mut Diagnostics,
    ) -> Self {
        let mut this = Self {
            table,
            file,
            at,
            diagnostics,
            sound: true,
        };
        for (key, _) in table {
            let text: &str = key.get_ref();
            if keys.contains(&text) {
                continue;
            }
            let diagnostic =
                Diagnostic::error(format!("unknown key `{text}` in {name}")).at(file.span(key.span()));
            this.tell(match nearest(text, keys.iter().copied()) {
                Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                None => diagnostic.help(format!("known keys: {}", keys.join(", "))),
            });
        }
        this
    }

    /// Whether nothing was wrong so far.
    pub(super) fn is_sound(&self) -> bool {
        self.sound
    }

    /// Something in it, told elsewhere, was wrong.
    pub(super) fn spoil(&mut self) {
        self.sound = false;
    }

    /// Tells a finding.
    pub(super) fn tell(&mut self, diagnostic: Diagnostic) {
        self.sound &= diagnostic.severity != crate::config::Severity::Error;
        self.diagnostics.push(diagnostic);
    }

    /// Where the table begins.
    pub(super) fn at(&self) -> Span {
        self.at
    }

    /// Where the table's findings go.
    pub(super) fn diagnostics(&mut self) -> &mut Diagnostics {
        self.diagnostics
    }

    pub(super) fn file(&self) -> FileId {
        self.file
    }

    /// The value of a key as it stands.
    pub(super) fn raw(&self, key: &str) -> Option<&'a TomlSpanned<DeValue<'i>>> {
        self.table.get(key)
    }

    /// The place of a key's value.
    pub(super) fn span_of(&self, key: &str) -> Option<Span> {
        self.raw(key).map(|value| self.file.span(value.span()))
    }

    /// The value of a key, read by `read`.
    pub(super) fn optional<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&DeValue<'i>) -> Result<T, Wrong>,
    ) -> Option<Spanned<T>> {
        let value = self.raw(key)?;
        self.value(key, value, read)
    }

    /// Same, for a key that must be there. `example` is what to add where it isn't.
    pub(super) fn required<T>(
        &mut self,
        key: &str,
        example: &str,
        read: impl FnOnce(&DeValue<'i>) -> Result<T, Wrong>,
    ) -> Option<Spanned<T>> {
        if self.raw(key).is_none() {
            let missing = Diagnostic::error(format!("`{key}` is missing"))
                .at(self.at)
                .help(format!("add `{key} = {example}`"));
            self.tell(missing);
            return None;
        }
        self.optional(key, read)
    }

    /// The values of an array, or one value that stands for an array of one.
    pub(super) fn list<T>(
        &mut self,
        key: &str,
        read: impl Fn(&DeValue<'i>) -> Result<T, Wrong>,
    ) -> Vec<Spanned<T>> {
        let Some(value) = self.raw(key) else {
            return Vec::new();
        };
        match value.get_ref() {
            DeValue::Array(array) => array
                .iter()
                .filter_map(|value| self.value(key, value, &read))
                .collect(),
            _ => self.value(key, value, &read).into_iter().collect(),
        }
    }

    fn value<T>(
        &mut self,
        key: &str,
        value: &TomlSpanned<DeValue<'i>>,
        read: impl FnOnce(&DeValue<'i>) -> Result<T, Wrong>,
    ) -> Option<Spanned<T>> {
        let span = self.file.span(value.span());
        match read(value.get_ref()) {
            Ok(value) => Some(Spanned::new(value, span)),
            Err(wrong) => {
                let message = format!("`{key}`: {}", wrong.message);
                self.tell(Diagnostic::error(message).at(span).help(wrong.help));
                None
            }
        }
    }
}
