//! The native format.

mod check;
mod proxy;
mod reader;
mod values;
mod vrrp;

use ::toml::de::{DeTable, DeValue};

use super::draft::Draft;
use super::{Diagnostic, Diagnostics, FileId, Sources, Span};
use reader::Table;
#[cfg(feature = "import")]
pub(crate) use values::{interval_of, parse_duration, parse_net};

const SECTIONS: [&str; 5] = ["node", "check", "vrrp", "upstream", "proxy"];
const NODE_KEYS: [&str; 1] = ["name"];

/// Reads one file into the draft. Everything that is wrong is told.
pub(crate) fn read(sources: &Sources, file: FileId, draft: &mut Draft, diagnostics: &mut Diagnostics) {
    let text = sources.text(file);
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // What a parser makes of a broken document is not what was meant: nothing is said about its content.
        diagnostics.extend(errors.iter().map(|error| syntax_error(file, text, error)));
        return;
    }
    let root = document.get_ref();
    let start = file.span(0..0);
    Table::new(root, file, start, "the file", &SECTIONS, diagnostics);
    for (key, value) in root {
        let name: &str = key.get_ref();
        let at = file.span(key.span());
        match (name, value.get_ref()) {
            ("node", DeValue::Table(table)) => {
                let mut table = Table::new(table, file, at, "[node]", &NODE_KEYS, diagnostics);
                draft.node.extend(table.optional("name", values::name));
            }
            ("node", _) => diagnostics.push(section_error(at, "node", "[node]")),
            ("check" | "vrrp" | "upstream" | "proxy", DeValue::Array(array)) => {
                for element in array {
                    let at = file.span(element.span());
                    match element.get_ref() {
                        DeValue::Table(table) => section(name, table, file, at, draft, diagnostics),
                        _ => diagnostics.push(section_error(at, name, &format!("[[{name}]]"))),
                    }
                }
            }
            ("check" | "vrrp" | "upstream" | "proxy", _) => {
                diagnostics.push(section_error(at, name, &format!("[[{name}]]")));
            }
            _ => {}
        }
    }
}

fn section(
    name: &str,
    table: &DeTable<'_>,
    file: FileId,
    at: Span,
    draft: &mut Draft,
    diagnostics: &mut Diagnostics,
) {
    let defined = match name {
        "check" => {
            let check = check::read(table, file, at, diagnostics);
            check.map(|check| draft.checks.push(check))
        }
        "vrrp" => {
            let instance = vrrp::read(table, file, at, diagnostics);
            instance.map(|instance| draft.instances.push(instance))
        }
        "upstream" => {
            let upstream = proxy::read_upstream(table, file, at, diagnostics);
            upstream.map(|upstream| draft.upstreams.push(upstream))
        }
        _ => {
            let proxy = proxy::read_proxy(table, file, at, diagnostics);
            proxy.map(|proxy| draft.proxies.push(proxy))
        }
    };
    if defined.is_none() {
        let name = table.get("name").and_then(|name| name.get_ref().as_str());
        draft.broken.push(name.unwrap_or_default().to_owned());
    }
}

fn section_error(at: Span, name: &str, header: &str) -> Diagnostic {
    Diagnostic::error(format!("`{name}` is not a section"))
        .at(at)
        .help(format!(
            "write `{header}` on a line of its own, and its keys below"
        ))
}

fn syntax_error(file: FileId, text: &str, error: &::toml::de::Error) -> Diagnostic {
    let span = error.span().unwrap_or(text.len()..text.len());
    let message = error.message().replace('\n', ", ");
    Diagnostic::error(format!("not TOML: {message}")).at(file.span(span))
}
