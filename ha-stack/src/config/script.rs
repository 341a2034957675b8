//! What a check's script is likely to get wrong, from its command line and its file.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::draft::{ScriptDraft, ScriptUse};
use super::{Diagnostic, Diagnostics, FileId, Sources};

/// Largest script that is looked into. What is larger is a program.
const MAX_SCRIPT: u64 = 1 << 20;
/// Findings of one kind in one script; more say nothing new.
const MAX_FINDINGS: usize = 5;

/// Hyphens, dashes and minus signs that a word processor or a web page makes of `-`.
const DASHES: [char; 11] = [
    '\u{2010}', '\u{2011}', '\u{2012}', '\u{2013}', '\u{2014}', '\u{2015}', '\u{2212}', '\u{fe58}',
    '\u{fe63}', '\u{ff0d}', '\u{00ad}',
];

/// Looks into the script of a check.
pub(super) fn lint(script: &ScriptDraft, sources: &mut Sources, diagnostics: &mut Diagnostics) {
    let file = script.at.file;
    let written = &sources.text(file)[script.at.range()];
    let offset = script.at.start;
    let in_line: Vec<_> = dashes(written).map(|(at, dash)| (offset + at, dash)).collect();
    for (at, dash) in in_line {
        diagnostics.push(dash_found(file, at, dash));
    }
    if script.shell {
        return;
    }
    let Some(program) = script
        .line
        .split_whitespace()
        .next()
        .filter(|word| word.starts_with('/'))
    else {
        return;
    };
    let path = Path::new(program.trim_matches(['"', '\'']));
    match text_of(path) {
        Ok(Some(text)) => lint_text(script, path, &text, sources, diagnostics),
        Ok(None) => {}
        Err(reason) => {
            diagnostics.push(
                Diagnostic::warning(format!("{} {reason}", path.display()))
                    .at(script.at)
                    .help(match script.used {
                        ScriptUse::Check => {
                            "what can't be executed counts as failed (keepalived counts it as success)"
                        }
                        ScriptUse::Notify => "nobody is told then of a change of state",
                    }),
            );
            // Files are often checked on another machine, with the script beside them.
            let beside = Path::new(sources.name(file)).parent().zip(path.file_name());
            let beside = beside.map(|(folder, name)| folder.join(name));
            if let Some((path, text)) = beside.and_then(|path| Some((path.clone(), read_script(&path)?))) {
                lint_text(script, &path, &text, sources, diagnostics);
            }
        }
    }
}

/// The text of a script; `None` for what is no text or can't be read by us, and why it can't be executed.
fn text_of(path: &Path) -> Result<Option<String>, &'static str> {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err("does not exist here"),
        Err(_) => return Ok(None),
    };
    if !metadata.is_file() {
        return Err("is not a file");
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err("is not executable");
    }
    Ok(read_script(path))
}

/// The text of a file that begins with `#!`.
fn read_script(path: &Path) -> Option<String> {
    // Opening a pipe would wait for its other end.
    if !std::fs::metadata(path).ok()?.is_file() {
        return None;
    }
    let mut octets = Vec::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(MAX_SCRIPT + 1).read_to_end(&mut octets).ok()?;
    if octets.len() as u64 > MAX_SCRIPT || !octets.starts_with(b"#!") {
        return None;
    }
    String::from_utf8(octets).ok()
}

fn lint_text(
    script: &ScriptDraft,
    path: &Path,
    text: &str,
    sources: &mut Sources,
    diagnostics: &mut Diagnostics,
) {
    let file = sources.add(path.display().to_string(), text);
    let code = || lines(text).filter(|(_, line)| !line.trim_start().starts_with('#'));
    let found = code().flat_map(|(start, line)| dashes(line).map(move |(at, dash)| (start + at, dash)));
    for (at, dash) in found.take(MAX_FINDINGS) {
        diagnostics.push(dash_found(file, at, dash).also(script.at, runs_it(script)));
    }
    if script.used == ScriptUse::Notify {
        return;
    }
    let killers = code().filter_map(|(start, line)| Some((start, kills_keepalived(line)?)));
    for (start, range) in killers.take(MAX_FINDINGS) {
        let span = file.span(start + range.start..start + range.end);
        diagnostics.push(
            Diagnostic::warning("the script ends keepalived, which is not what runs here")
                .at(span)
                .also(script.at, runs_it(script))
                .help("let the script exit with 1 instead, and track it: with weight 0 a failure is a fault, and a peer takes over"),
        );
    }
}

fn runs_it(script: &ScriptDraft) -> &'static str {
    match script.used {
        ScriptUse::Check => "this check runs it",
        ScriptUse::Notify => "this runs it",
    }
}

fn dash_found(file: FileId, at: usize, dash: char) -> Diagnostic {
    Diagnostic::warning(format!(
        "U+{:04X} `{dash}` begins an option, and is not the hyphen `-`",
        u32::from(dash)
    ))
    .at(file.span(at..at + dash.len_utf8()))
    .help("write `-`: the command takes the word for a name, and its answer is not the one that was meant")
}

/// Dashes at the start of a word that goes on like an option.
fn dashes(line: &str) -> impl Iterator<Item = (usize, char)> + '_ {
    line.char_indices().filter(move |(at, c)| {
        let before = line[..*at].chars().next_back();
        let after = line[at + c.len_utf8()..].chars().next();
        DASHES.contains(c)
            && before.is_none_or(|c| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '('))
            && after.is_some_and(|c| c.is_ascii_alphanumeric() || c == '-' || DASHES.contains(&c))
    })
}

/// `killall keepalived`, `pkill keepalived`, `systemctl stop keepalived`, `service keepalived stop`.
fn kills_keepalived(line: &str) -> Option<std::ops::Range<usize>> {
    let verb = [
        "killall",
        "pkill",
        "systemctl stop",
        "systemctl restart",
        "service keepalived stop",
    ]
    .iter()
    .find_map(|verb| line.find(verb))?;
    let end = line[verb..].find("keepalived")? + "keepalived".len();
    Some(verb..verb + end)
}

/// Lines with the byte at which each begins.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 0;
    text.split_inclusive('\n').map(move |line| {
        let at = start;
        start += line.len();
        (at, line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_that_begin_an_option_are_found() {
        let found = |line: &str| dashes(line).map(|(_, dash)| dash).collect::<Vec<_>>();
        assert_eq!(found("ps -C nginx –no-header"), ['–']);
        assert_eq!(found("ps ——no-header"), ['—']);
        assert_eq!(found("yum install –y x"), ['–']);
        assert_eq!(found("ps -C nginx --no-header"), []);
        assert_eq!(found("echo a – b"), []);
        assert_eq!(found("echo 2–3"), []);
    }

    #[test]
    fn ends_of_keepalived_are_found() {
        assert_eq!(kills_keepalived(" killall keepalived"), Some(1..19));
        assert_eq!(kills_keepalived("service keepalived stop"), Some(0..18));
        assert_eq!(kills_keepalived("killall -0 nginx"), None);
    }
}
