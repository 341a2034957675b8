//! The native format.

mod backend_life;
mod check;
mod group;
mod keys;
mod notify;
mod proxy;
mod reader;
mod thread;
mod upstream_check;
mod values;
mod vrrp;
mod watch;

use ::toml::de::{DeTable, DeValue};
use vrrp_net::DriverOptions;

use super::draft::Draft;
use super::{Diagnostic, Diagnostics, FileId, Sources, Span, Spanned};
pub(super) use keys::Entry;
use reader::Table;
#[cfg(feature = "import")]
pub(crate) use values::{interval_of, parse_duration, parse_net};
#[cfg(feature = "import")]
pub(crate) use vrrp::authentication::{ANTI_REPLAYS, HMAC_MODES};

const SECTIONS: &[Entry] = &[
    Entry::new("node", "table", "This host."),
    Entry::new(
        "vrrp_thread",
        "table",
        "The thread that sends and receives adverts.",
    ),
    Entry::new(
        "vrrp_defaults",
        "table",
        "What virtual routers of the same file say unless they say otherwise.",
    ),
    Entry::new("vrrp", "array of tables", "Virtual routers."),
    Entry::new(
        "sync_group",
        "array of tables",
        "Virtual routers that move together.",
    ),
    Entry::new(
        "notify_fifo",
        "array of tables",
        "FIFOs that are told of changes of state.",
    ),
    Entry::new(
        "check",
        "array of tables",
        "Checks that virtual routers and backends follow.",
    ),
    Entry::new("upstream", "array of tables", "Backends that share requests."),
    Entry::new("proxy", "array of tables", "What listens and forwards."),
];

const NODE_KEYS: &[Entry] = &[Entry::new(
    "name",
    "string",
    "Name of the host in logs and in the status. Default: the host's own.",
)];

/// A section for people.
pub(super) struct Section {
    pub(super) header: &'static str,
    pub(super) about: &'static str,
    /// Its keys, in groups with headings.
    pub(super) groups: Vec<(&'static str, Vec<Entry>)>,
}

/// All sections with all of their keys.
pub(super) fn sections() -> Vec<Section> {
    let one = |header, about, entries: &[Entry]| Section {
        header,
        about,
        groups: vec![("", entries.to_vec())],
    };
    let mut sections = vec![
        one("[node]", "This host.", NODE_KEYS),
        Section {
            header: "[vrrp_thread]",
            about: "The thread that sends and receives adverts.",
            groups: vec![("", keys::entries(thread::KEYS).collect())],
        },
        Section {
            header: "[vrrp_defaults]",
            about: "What each `[[vrrp]]` of the same file says unless it says otherwise. A default of version 2 is for IPv4 alone.",
            groups: vrrp::defaults::groups(),
        },
        Section {
            header: "[[vrrp]]",
            about: "A virtual router.",
            groups: vrrp::groups().to_vec(),
        },
    ];
    sections.extend(vrrp::tables());
    sections.push(Section {
        header: "[[sync_group]]",
        about: "Virtual routers that are master together or not at all.",
        groups: group::groups().to_vec(),
    });
    sections.push(Section {
        header: "[[notify_fifo]]",
        about: "A FIFO that is told of each change of state, in keepalived's lines.",
        groups: vec![("", notify::fifo_entries())],
    });
    sections.extend([
        Section {
            header: "[[check]]",
            about: "A check that virtual routers and backends follow.",
            groups: check::groups().to_vec(),
        },
        one(
            "[[upstream]]",
            "Backends that share requests.",
            proxy::UPSTREAM_KEYS,
        ),
        one("[[upstream.backend]]", "A backend.", proxy::BACKEND_KEYS),
        one(
            "[upstream.check]",
            "How all backends of the upstream are asked whether they are well, each by a check of its own.",
            upstream_check::KEYS,
        ),
        one("[[proxy]]", "What listens and forwards.", proxy::PROXY_KEYS),
    ]);
    sections
}

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
    Table::new(root, file, start, "the file", SECTIONS, diagnostics);
    // They may stand behind what they concern.
    let defaults = vrrp_defaults(root, file, diagnostics);
    for (key, value) in root {
        let name: &str = key.get_ref();
        let at = file.span(key.span());
        match (name, value.get_ref()) {
            ("node", DeValue::Table(table)) => {
                let mut table = Table::new(table, file, at, "[node]", NODE_KEYS, diagnostics);
                draft.node.extend(table.optional("name", values::name));
            }
            ("vrrp_thread", DeValue::Table(table)) => {
                let known: Vec<Entry> = keys::entries(thread::KEYS).collect();
                let mut table = Table::new(table, file, at, "[vrrp_thread]", &known, diagnostics);
                let mut options = DriverOptions::default();
                table.read(thread::KEYS, &mut options);
                draft.thread.push(Spanned::new(options, at));
            }
            ("vrrp_defaults", DeValue::Table(_)) => {}
            ("node" | "vrrp_thread" | "vrrp_defaults", _) => {
                diagnostics.push(section_error(at, name, &format!("[{name}]")));
            }
            (
                "check" | "vrrp" | "sync_group" | "notify_fifo" | "upstream" | "proxy",
                DeValue::Array(array),
            ) => {
                for element in array {
                    let at = file.span(element.span());
                    match element.get_ref() {
                        DeValue::Table(table) => {
                            let tables = (table, defaults);
                            section(name, tables, file, at, draft, diagnostics);
                        }
                        _ => diagnostics.push(section_error(at, name, &format!("[[{name}]]"))),
                    }
                }
            }
            ("check" | "vrrp" | "sync_group" | "notify_fifo" | "upstream" | "proxy", _) => {
                diagnostics.push(section_error(at, name, &format!("[[{name}]]")));
            }
            _ => {}
        }
    }
}

/// The table of defaults, if it can be used.
fn vrrp_defaults<'a, 'i>(
    root: &'a DeTable<'i>,
    file: FileId,
    diagnostics: &mut Diagnostics,
) -> Option<&'a DeTable<'i>> {
    let value = root.get("vrrp_defaults")?;
    let table = value.get_ref().as_table()?;
    let at = file.span(value.span());
    vrrp::defaults::check(table, file, at, diagnostics).then_some(table)
}

/// Reads one of several. With its table come the defaults of virtual routers.
fn section(
    name: &str,
    (table, defaults): (&DeTable<'_>, Option<&DeTable<'_>>),
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
            let instance = vrrp::read(table, defaults, file, at, &mut draft.mentioned, diagnostics);
            instance.map(|instances| draft.instances.extend(instances))
        }
        "sync_group" => {
            let group = group::read(table, file, at, &mut draft.mentioned, diagnostics);
            group.map(|group| draft.groups.push(group))
        }
        "notify_fifo" => {
            let fifo = notify::read_fifo(table, file, at, diagnostics);
            fifo.map(|fifo| draft.fifos.push(fifo))
        }
        "upstream" => {
            let upstream = proxy::read_upstream(table, file, at, &mut draft.mentioned, diagnostics);
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
