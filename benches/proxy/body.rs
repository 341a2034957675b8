//! What is asked for.

use std::fmt;

/// A resource of the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Body {
    /// As people and options say it.
    pub(crate) name: &'static str,
    pub(crate) bytes: usize,
}

/// All of them: the answers of an API, a page, a script, a picture.
pub(crate) const BODIES: [Body; 4] = [
    Body::new("100B", 100),
    Body::new("10KiB", 10 << 10),
    Body::new("64KiB", 64 << 10),
    Body::new("1MiB", 1 << 20),
];

impl Body {
    const fn new(name: &'static str, bytes: usize) -> Self {
        Self { name, bytes }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        BODIES.into_iter().find(|body| body.name == name)
    }

    pub(crate) fn path(self) -> String {
        format!("/{}", self.name)
    }

    /// Letters in lines, no two lines alike.
    pub(crate) fn content(self) -> Vec<u8> {
        let lines = (0_u32..).flat_map(|n| format!("{n:09}\n").into_bytes());
        lines.take(self.bytes).collect()
    }
}

impl fmt::Display for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
