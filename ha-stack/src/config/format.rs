//! The formats that config files are written in.

/// A format of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Ours.
    Toml,
    /// keepalived.conf.
    Keepalived,
}

impl Format {
    /// How this format writes it.
    pub(crate) fn choose<T>(self, toml: T, keepalived: T) -> T {
        match self {
            Self::Toml => toml,
            Self::Keepalived => keepalived,
        }
    }
}
