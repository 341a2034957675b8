//! Typed access to TOML tables that tells everything that is wrong, not just the first thing.

use ::toml::Spanned as TomlSpanned;
use ::toml::de::{DeTable, DeValue};

use super::keys::{Entry, Key, entries};
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
    /// Has the keys that the table does not have.
    defaults: Option<&'a DeTable<'i>>,
    file: FileId,
    /// Where the table begins, to say what it lacks.
    at: Span,
    diagnostics: &'a mut Diagnostics,
    /// Errors that were told before.
    errors_before: usize,
}

impl<'a, 'i> Table<'a, 'i> {
    /// Takes a table, and tells of keys that are not known.
    pub(super) fn new(
        table: &'a DeTable<'i>,
        file: FileId,
        at: Span,
        name: &str,
        known: &[Entry],
        diagnostics: &'a mut Diagnostics,
    ) -> Self {
        let errors_before = diagnostics.errors();
        for (key, _) in table {
            let text: &str = key.get_ref();
            let names = known.iter().map(|entry| entry.name);
            if names.clone().any(|name| name == text) {
                continue;
            }
            let diagnostic =
                Diagnostic::error(format!("unknown key `{text}` in {name}")).at(file.span(key.span()));
            diagnostics.push(match nearest(text, names.clone()) {
                Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                None => {
                    let names: Vec<&str> = names.collect();
                    diagnostic.help(format!("known keys: {}", names.join(", ")))
                }
            });
        }
        Self {
            table,
            defaults: None,
            file,
            at,
            diagnostics,
            errors_before,
        }
    }

    /// Looks for what it does not have in another table of the same file.
    pub(super) fn or(self, defaults: Option<&'a DeTable<'i>>) -> Self {
        Self { defaults, ..self }
    }

    /// Whether nothing was wrong so far, in it or below.
    pub(super) fn is_sound(&self) -> bool {
        self.diagnostics.errors() == self.errors_before
    }

    /// Tells a finding.
    pub(super) fn tell(&mut self, diagnostic: Diagnostic) {
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
        let default = || self.defaults.and_then(|defaults| defaults.get(key));
        self.table.get(key).or_else(default)
    }

    /// The place of a key's value.
    pub(super) fn span_of(&self, key: &str) -> Option<Span> {
        self.raw(key).map(|value| self.file.span(value.span()))
    }

    /// Reads all of its keys.
    pub(super) fn read<P>(&mut self, keys: &[Key<P>], to: &mut P) {
        for key in keys {
            (key.read)(self, key.entry.name, to);
        }
    }

    /// Reads those of its keys that are there, and `known`: none is required.
    pub(super) fn read_given<P>(&mut self, keys: &[Key<P>], known: &[Entry], to: &mut P) {
        for key in keys {
            let name = key.entry.name;
            if self.raw(name).is_some() && known.iter().any(|entry| entry.name == name) {
                (key.read)(self, name, to);
            }
        }
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
        let mut values = Vec::new();
        self.each(key, |this, value| values.extend(this.value(key, value, &read)));
        values
    }

    /// Goes through the values of an array, or the one that stands for an array of one.
    pub(super) fn each(&mut self, key: &str, mut read: impl FnMut(&mut Self, &'a TomlSpanned<DeValue<'i>>)) {
        let Some(value) = self.raw(key) else {
            return;
        };
        match value.get_ref() {
            DeValue::Array(array) => array.iter().for_each(|value| read(self, value)),
            _ => read(self, value),
        }
    }

    /// Reads a value that is a table of its own, with these keys. `None` when it is none, or something in it is wrong.
    pub(super) fn within<P, T>(
        &mut self,
        key: &str,
        value: &TomlSpanned<DeValue<'i>>,
        keys: &'static [Key<P>],
        read: impl FnOnce(&mut Table<'_, 'i>) -> T,
    ) -> Option<Spanned<T>> {
        let at = self.file.span(value.span());
        let known: Vec<Entry> = entries(keys).collect();
        let Some(table) = value.get_ref().as_table() else {
            let names: Vec<&str> = known.iter().map(|entry| entry.name).collect();
            let wrong = Wrong::kind(value.get_ref(), format!("write a table of: {}", names.join(", ")));
            self.tell_wrong(key, at, wrong);
            return None;
        };
        let name = format!("`{key}`");
        let mut table = Table::new(table, self.file, at, &name, &known, self.diagnostics);
        let read = read(&mut table);
        table.is_sound().then_some(Spanned::new(read, at))
    }

    /// A value below a key, read by `read`.
    pub(super) fn value<T>(
        &mut self,
        key: &str,
        value: &TomlSpanned<DeValue<'i>>,
        read: impl FnOnce(&DeValue<'i>) -> Result<T, Wrong>,
    ) -> Option<Spanned<T>> {
        let span = self.file.span(value.span());
        match read(value.get_ref()) {
            Ok(value) => Some(Spanned::new(value, span)),
            Err(wrong) => {
                self.tell_wrong(key, span, wrong);
                None
            }
        }
    }

    fn tell_wrong(&mut self, key: &str, at: Span, wrong: Wrong) {
        let message = format!("`{key}`: {}", wrong.message);
        self.tell(Diagnostic::error(message).at(at).help(wrong.help));
    }
}
