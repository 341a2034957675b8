//! The recorded counts, and how far an operation may depart from them.

use std::collections::BTreeMap;
use std::{fmt, fs, io};

/// One line an operation: name, comma, instructions.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.csv");
const HEAD: &str = "operation,instructions";

/// Slack for another compiler's choices: 15 %, and a few instructions for the shortest.
fn limit(recorded: u64) -> u64 {
    recorded + (recorded * 15 / 100).max(3)
}

/// The recorded counts by name.
pub(crate) struct Limits(BTreeMap<String, u64>);

impl Limits {
    pub(crate) fn read() -> io::Result<Self> {
        let file = match fs::read_to_string(FILE) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let mut counts = BTreeMap::new();
        for line in file.lines().skip(1) {
            let entry = line
                .rsplit_once(',')
                .and_then(|(name, count)| Some((name, count.parse().ok()?)));
            let (name, count) = entry.ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{FILE}: `{line}` is not `operation,instructions`"),
                )
            })?;
            counts.insert(name.to_owned(), count);
        }
        Ok(Self(counts))
    }

    pub(crate) fn write(&self) -> io::Result<()> {
        let lines: Vec<String> = self
            .0
            .iter()
            .map(|(name, count)| format!("{name},{count}\n"))
            .collect();
        fs::write(FILE, format!("{HEAD}\n{}", lines.concat()))
    }

    pub(crate) fn recorded(&self, name: &str) -> Option<u64> {
        self.0.get(name).copied()
    }

    pub(crate) fn record(&mut self, name: &str, instructions: u64) {
        self.0.insert(name.to_owned(), instructions);
    }

    pub(crate) fn verdict(&self, name: &str, instructions: u64) -> Verdict {
        match self.recorded(name) {
            None => Verdict::NotRecorded,
            Some(recorded) if instructions > limit(recorded) => Verdict::Exceeded {
                limit: limit(recorded),
            },
            Some(recorded) if limit(instructions) < recorded => Verdict::Better,
            Some(_) => Verdict::Kept,
        }
    }
}

/// What a count says of the change under test.
pub(crate) enum Verdict {
    Kept,
    /// So much better that the record should follow.
    Better,
    NotRecorded,
    Exceeded {
        limit: u64,
    },
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept => f.write_str("ok"),
            Self::Better => f.write_str("ok, better: record it"),
            Self::NotRecorded => f.write_str("NOT RECORDED: run with --record"),
            Self::Exceeded { limit } => write!(f, "EXCEEDS the limit of {limit}"),
        }
    }
}
