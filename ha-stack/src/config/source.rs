//! The files that a configuration comes from, and places in them.

use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::path::Path;

/// Largest file that is read: 4 MiB. A configuration is a few kilobytes; what is larger was not meant.
pub const MAX_FILE: u64 = 4 << 20;

/// One file, whole in memory.
#[derive(Clone, Debug)]
struct Source {
    name: String,
    text: String,
}

/// Files by number, so that a [`Span`] is small and can be shown with its text.
#[derive(Clone, Debug, Default)]
pub struct Sources(Vec<Source>);

/// Number of a file in its [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(u32);

/// A piece of a file, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// Which file.
    pub file: FileId,
    /// First byte.
    pub start: usize,
    /// The byte after the last.
    pub end: usize,
}

/// A place for people: the file's name, line and column from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Name of the file as it was given.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Why a file can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The system says no.
    #[error("cannot read {file}: {error}")]
    Io {
        /// The file.
        file: String,
        /// The reason.
        error: std::io::Error,
    },
    /// Too large to be a configuration.
    #[error("{file} is larger than {MAX_FILE} bytes, which a configuration file may have")]
    TooLarge {
        /// The file.
        file: String,
    },
    /// Not text.
    #[error("{place} is not UTF-8: save the file as UTF-8")]
    NotUtf8 {
        /// Where it stops to be UTF-8.
        place: Place,
    },
}

impl Sources {
    /// Adds a text under a name.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> FileId {
        let id = FileId(u32::try_from(self.0.len()).unwrap_or(u32::MAX));
        self.0.push(Source {
            name: name.into(),
            text: text.into(),
        });
        id
    }

    /// Reads a file and adds it.
    ///
    /// # Errors
    /// When it can't be read, is larger than [`MAX_FILE`], or is not UTF-8.
    pub fn read(&mut self, path: &Path) -> Result<FileId, ReadError> {
        let file = path.display().to_string();
        let io = |error| ReadError::Io {
            file: file.clone(),
            error,
        };
        let mut octets = Vec::new();
        // A pipe has no size before it is read.
        let input = File::open(path).map_err(io)?;
        input.take(MAX_FILE + 1).read_to_end(&mut octets).map_err(io)?;
        if octets.len() as u64 > MAX_FILE {
            return Err(ReadError::TooLarge { file });
        }
        match String::from_utf8(octets) {
            Ok(text) => Ok(self.add(file, text)),
            Err(error) => {
                let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                let place = place(file, &String::from_utf8_lossy(valid));
                Err(ReadError::NotUtf8 { place })
            }
        }
    }

    /// Text of a file.
    pub fn text(&self, file: FileId) -> &str {
        &self.0[file.0 as usize].text
    }

    /// Name of a file.
    pub fn name(&self, file: FileId) -> &str {
        &self.0[file.0 as usize].name
    }

    /// Where a span begins, for people.
    pub fn place(&self, span: Span) -> Place {
        place(
            self.name(span.file).to_owned(),
            &self.text(span.file)[..span.start],
        )
    }
}

/// The place behind the beginning of a file.
fn place(file: String, before: &str) -> Place {
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    Place {
        file,
        line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
        column: before[line_start..].chars().count() + 1,
    }
}

impl FileId {
    /// A piece of this file.
    pub fn span(self, range: Range<usize>) -> Span {
        Span {
            file: self,
            start: range.start,
            end: range.end,
        }
    }
}

impl Span {
    /// From the first byte of this span to the last of `other`, in the same file.
    pub fn to(self, other: Self) -> Self {
        Self {
            end: other.end,
            ..self
        }
    }

    /// The bytes covered.
    pub fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

/// A value with the place that it comes from.
#[derive(Clone, Copy, Debug)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Puts value and place together.
    pub const fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}
