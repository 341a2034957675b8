//! Keys of the format, one line each: how they are written, what they do, and how they are read.
//!
//! The reference of the format is made of the same lines.

use super::reader::Table;

/// A key for people.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    /// What may stand there.
    pub(crate) values: &'static str,
    /// What it does, and its default.
    pub(crate) about: &'static str,
}

/// A key whose value is read into a `P`.
pub(super) struct Key<P> {
    pub(super) entry: Entry,
    pub(super) read: fn(&mut Table<'_, '_>, &'static str, &mut P),
}

impl Entry {
    pub(super) const fn new(name: &'static str, values: &'static str, about: &'static str) -> Self {
        Self { name, values, about }
    }
}

impl<P> Key<P> {
    pub(super) const fn new(
        name: &'static str,
        values: &'static str,
        about: &'static str,
        read: fn(&mut Table<'_, '_>, &'static str, &mut P),
    ) -> Self {
        Self {
            entry: Entry::new(name, values, about),
            read,
        }
    }
}

/// The entries of keys.
pub(super) fn entries<P>(keys: &'static [Key<P>]) -> impl Iterator<Item = Entry> + Clone {
    keys.iter().map(|key| key.entry)
}
