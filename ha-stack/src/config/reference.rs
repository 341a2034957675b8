//! The reference of what files may say, made of the tables that they are read by.

use std::fmt::Write as _;

use super::toml::{self, Entry};

const HEAD: &str = "\
# Configuration files

Every key of the native format, and every keyword of a keepalived.conf. This file is made of the tables that files are
read by (`UPDATE_REFERENCE=1 cargo test -p ha-stack --test reference`), and a test compares it with them.

A file whose name ends in `.toml` is native; any other is read as a keepalived.conf. Files given together make one
configuration. `ha-stack check FILE…` tells everything that is wrong with them, with line, column and what to write
instead.

## The native format

Times are strings with their unit: `us`, `ms`, `s`, `m`, `h`. An array of one value may be written as the value alone.
A key that is not known is an error.
";

const KEEPALIVED: &str = "
## keepalived.conf

Words and their meaning are those of keepalived.conf(5). Where this program does something else, a warning says so at the
line that it concerns. What is not supported is named in a warning with what follows from leaving it out; a word that
keepalived does not know either is an error. `include`, conditional lines and variables are refused.
";

/// Renders the reference in Markdown, as the file `CONFIG.md` holds it.
pub fn reference() -> String {
    let mut text = HEAD.to_owned();
    for section in toml::sections() {
        // Writing to a string can't fail.
        let _ = write!(text, "\n### `{}`\n\n{}\n", section.header, section.about);
        for (heading, entries) in &section.groups {
            table(&mut text, heading, entries);
        }
    }
    text.push_str(KEEPALIVED);
    #[cfg(feature = "import")]
    for block in crate::import::blocks() {
        let _ = write!(text, "\n### `{}`\n\n", block.name);
        if !block.read.is_empty() {
            let _ = writeln!(text, "Read: {}.", words(&block.read));
        }
        for (keywords, consequence) in &block.unsupported {
            let _ = writeln!(text, "\nNot supported: {}: {consequence}.", words(keywords));
        }
    }
    text
}

fn table(text: &mut String, heading: &str, entries: &[Entry]) {
    let heading = if heading.is_empty() { "Key" } else { heading };
    let _ = write!(text, "\n| {heading} | Values | |\n|---|---|---|\n");
    for entry in entries {
        let about = entry.about.replace('|', "\\|");
        let _ = writeln!(text, "| `{}` | {} | {about} |", entry.name, entry.values);
    }
}

#[cfg(feature = "import")]
fn words(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}
