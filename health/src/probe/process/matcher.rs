//! Which processes are meant.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use std::fs::File;
use std::io::Read as _;

use super::ParamMatch;

/// The kernel keeps so many bytes of a process's name (TASK_COMM_LEN without its NUL).
const COMM: usize = 15;
/// Command lines are read up to here.
const MAX_COMMAND_LINE: u64 = 64 * 1024;

/// Knows processes by their name, or by their command line.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Matcher {
    name: String,
    params: Vec<String>,
    param_match: ParamMatch,
    by_command: bool,
}

impl Matcher {
    pub(super) fn new(
        name: String,
        params: Vec<String>,
        param_match: Option<ParamMatch>,
        full_command: bool,
    ) -> Self {
        let default = if params.is_empty() {
            ParamMatch::Any
        } else {
            ParamMatch::Exact
        };
        let param_match = param_match.unwrap_or(default);
        Self {
            by_command: full_command || param_match != ParamMatch::Any,
            name,
            params,
            param_match,
        }
    }

    /// Says whether a process is meant, as far as it still runs.
    pub(super) fn matches(&self, pid: i32) -> bool {
        if self.by_command {
            let mut line = Vec::new();
            read(&alloc::format!("/proc/{pid}/cmdline"), &mut line) && self.matches_command(&line)
        } else {
            let mut name = Vec::new();
            read(&alloc::format!("/proc/{pid}/comm"), &mut name) && self.matches_name(&name)
        }
    }

    /// `name` as in `/proc/PID/comm`, with its newline.
    fn matches_name(&self, name: &[u8]) -> bool {
        let wanted = self.name.as_bytes();
        name.strip_suffix(b"\n").unwrap_or(name) == &wanted[..wanted.len().min(COMM)]
    }

    /// `line` as in `/proc/PID/cmdline`: words that end with a NUL each. A process that writes over its command line
    /// leaves more of them at the end. Kernel threads and zombies have none.
    fn matches_command(&self, line: &[u8]) -> bool {
        let end = line
            .iter()
            .rposition(|&byte| byte != 0)
            .map_or(0, |last| last + 1);
        let mut words = line[..end].split(|&byte| byte == 0);
        if words.next() != Some(self.name.as_bytes()) {
            return false;
        }
        let params: Vec<&[u8]> = words.collect();
        let wanted: Vec<&[u8]> = self.params.iter().map(String::as_bytes).collect();
        match (self.param_match, wanted.split_last()) {
            (ParamMatch::Any, _) => true,
            (ParamMatch::Partial, Some(_)) => params.starts_with(&wanted),
            (ParamMatch::Initial, Some((last, before))) => {
                params.len() == wanted.len()
                    && params.starts_with(before)
                    && params.last().is_some_and(|param| param.starts_with(last))
            }
            (ParamMatch::Exact, _) | (_, None) => params == wanted,
        }
    }
}

fn read(path: &str, to: &mut Vec<u8>) -> bool {
    File::open(path)
        .and_then(|file| file.take(MAX_COMMAND_LINE).read_to_end(to))
        .is_ok()
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.params.iter().try_for_each(|param| write!(f, " {param}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_must_be_the_same_as_far_as_the_kernel_keeps_it() {
        let plain = matcher("ssh", &[], None);
        assert!(plain.matches_name(b"ssh\n"));
        assert!(!plain.matches_name(b"sshd\n") && !plain.matches_name(b"\n"));
        let long = matcher("haproxy-systemd-wrapper", &[], None);
        assert!(long.matches_name(b"haproxy-systemd\n"));
        assert!(!long.matches_name(b"haproxy\n"));
    }

    #[test]
    fn without_parameters_the_name_decides_and_with_them_the_command() {
        assert!(!matcher("a", &[], None).by_command);
        assert!(matcher("a", &["b"], None).by_command);
        assert!(matcher("a", &[], Some(ParamMatch::Exact)).by_command);
        assert!(Matcher::new("a".into(), Vec::new(), None, true).by_command);
    }

    #[test]
    fn parameters_match_as_asked() {
        use ParamMatch::{Any, Exact, Initial, Partial};
        let lines: [&[u8]; 6] = [
            b"a\0",
            b"a\0-x\0",
            b"a\0-x\0-y\0",
            b"a\0-x\0-yz\0",
            b"a\0-xy\0",
            b"b\0-x\0",
        ];
        let cases: [(&[&str], ParamMatch, [bool; 6]); 9] = [
            (&[], Any, [true, true, true, true, true, false]),
            (&[], Exact, [true, false, false, false, false, false]),
            (&[], Partial, [true, false, false, false, false, false]),
            (&[], Initial, [true, false, false, false, false, false]),
            (&["-x"], Any, [true, true, true, true, true, false]),
            (&["-x"], Exact, [false, true, false, false, false, false]),
            (&["-x"], Partial, [false, true, true, true, false, false]),
            (&["-x"], Initial, [false, true, false, false, true, false]),
            (&["-x", "-y"], Initial, [false, false, true, true, false, false]),
        ];
        for (params, how, expected) in cases {
            let matcher = matcher("a", params, Some(how));
            let found = lines.map(|line| matcher.matches_command(line));
            assert_eq!(found, expected, "{params:?} {how:?}");
        }
    }

    #[test]
    fn a_command_line_may_be_written_over_and_may_be_empty() {
        let title = matcher("nginx: master process nginx", &[], Some(ParamMatch::Any));
        assert!(!title.matches_name(b"nginx\n"));
        assert!(title.matches_command(b"nginx: master process nginx\0\0\0\0"));
        assert!(!title.matches_command(b"") && !title.matches_command(b"\0\0"));
    }

    fn matcher(name: &str, params: &[&str], how: Option<ParamMatch>) -> Matcher {
        let params = params.iter().map(|param| String::from(*param)).collect();
        Matcher::new(name.into(), params, how, false)
    }
}
