//! Fields that are set, added and removed on the way.

use super::facts::{Facts, Variable, render};
use crate::fields::{is_token, is_value_byte, reserved};
use crate::template::{Template, TemplateError};

/// What a builder of [`HeaderEdits`] refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// Not a field's name.
    #[error("{name:?} is not a header name: write letters, digits and hyphens")]
    Name {
        /// What was given.
        name: String,
    },
    /// A field that says how the message is framed or where it goes, which is the proxy's part.
    #[error("the header {name} belongs to the proxy, which {instead}")]
    Reserved {
        /// The field.
        name: String,
        /// What sees to it.
        instead: &'static str,
    },
    /// A value with a line break or another control character.
    #[error("the value of the header {name} has a control character")]
    Value {
        /// The field.
        name: String,
    },
    /// A value with a variable that there isn't.
    #[error("the value of the header {name}: {error}")]
    Template {
        /// The field.
        name: String,
        /// What is wrong with it.
        #[source]
        error: TemplateError,
    },
    /// Set twice, or set and removed.
    #[error("the header {name} is set or removed twice")]
    Twice {
        /// The field.
        name: String,
    },
}

/// Fields to set, add and remove, in requests on their way to a backend or in responses to the client.
///
/// The driver drops the fields that [`drops`](Self::drops) says from what it forwards, and appends the lines of
/// [`append`](Self::append).
///
/// ```
/// use lb_proxy::route::{Facts, HeaderEdits};
///
/// let edits = HeaderEdits::builder()
///     .set("X-Real-IP", "$remote_addr")
///     .remove("Accept-Encoding")
///     .build()?;
/// assert!(edits.drops("x-real-ip") && edits.drops("accept-encoding") && !edits.drops("accept"));
///
/// let mut facts = Facts::default();
/// facts.client = Some("192.0.2.1:40000".parse()?);
/// let mut head = Vec::new();
/// edits.append(&facts, &mut head);
/// assert_eq!(head, b"X-Real-IP: 192.0.2.1\r\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderEdits {
    /// Bit n: a field is dropped whose name has n bytes, or n + 64, …: most fields end their look-up here.
    lengths: u64,
    dropped: Box<[Box<str>]>,
    lines: Box<[Line]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    /// `Name: `
    start: Box<[u8]>,
    value: Template<Variable>,
    on_success_only: bool,
}

impl HeaderEdits {
    /// Starts with none.
    pub fn builder() -> HeaderEditsBuilder {
        HeaderEditsBuilder {
            dropped: Vec::new(),
            lines: Vec::new(),
        }
    }

    /// Whether nothing is edited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.dropped.is_empty() && self.lines.is_empty()
    }

    /// Whether the fields of that name are not passed on, in any case.
    #[must_use]
    #[inline]
    pub fn drops(&self, name: &str) -> bool {
        self.lengths & length_bit(name) != 0
            && self
                .dropped
                .iter()
                .any(|dropped| dropped.eq_ignore_ascii_case(name))
    }

    /// Appends the lines of the fields that are set and added. A field whose value comes out empty is left out, as
    /// nginx does.
    pub fn append(&self, facts: &Facts<'_>, out: &mut Vec<u8>) {
        for line in &self.lines {
            if line.on_success_only && !facts.status.is_some_and(is_success) {
                continue;
            }
            let start = out.len();
            out.extend_from_slice(&line.start);
            let value = out.len();
            render(&line.value, facts, out);
            if out[value..].iter().all(|&byte| byte == b' ' || byte == b'\t') {
                out.truncate(start);
            } else {
                out.extend_from_slice(b"\r\n");
            }
        }
    }
}

/// The statuses for which nginx's `add_header` works without `always`.
const fn is_success(status: u16) -> bool {
    matches!(status, 200 | 201 | 204 | 206 | 301..=304 | 307 | 308)
}

const fn length_bit(name: &str) -> u64 {
    1 << (name.len() % 64)
}

/// Collects edits; mistakes are told by [`build`](Self::build).
#[derive(Clone, Debug)]
#[must_use = "edits do nothing until they are built"]
pub struct HeaderEditsBuilder {
    dropped: Vec<String>,
    lines: Vec<(String, String, bool)>,
}

impl HeaderEditsBuilder {
    /// Replaces all fields of that name by one; the value may hold [variables](super#variables). With an empty value
    /// it removes them, as nginx's `proxy_set_header` does.
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        self.dropped.push(name.clone());
        self.lines.push((name, value.into(), false));
        self
    }

    /// Adds a field beside those of the same name; the value may hold [variables](super#variables).
    pub fn add(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.lines.push((name.into(), value.into(), false));
        self
    }

    /// Adds a field to responses of the statuses 200, 201, 204, 206, 301 to 304, 307 and 308 only, as nginx's
    /// `add_header` does without `always`.
    pub fn add_on_success(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.lines.push((name.into(), value.into(), true));
        self
    }

    /// Removes all fields of that name.
    pub fn remove(mut self, name: impl Into<String>) -> Self {
        self.dropped.push(name.into());
        self
    }

    /// Checks all names and values.
    ///
    /// # Errors
    /// A name that isn't one, or that belongs to the proxy; a value with a control character or an unknown variable;
    /// a field that is set or removed twice.
    pub fn build(self) -> Result<HeaderEdits, EditError> {
        let mut lengths = 0;
        for (index, name) in self.dropped.iter().enumerate() {
            check_name(name)?;
            if self.dropped[..index]
                .iter()
                .any(|other| other.eq_ignore_ascii_case(name))
            {
                return Err(EditError::Twice { name: name.clone() });
            }
            lengths |= length_bit(name);
        }
        let lines = self.lines.into_iter().map(|(name, value, on_success_only)| {
            check_name(&name)?;
            let value = match value_template(&value) {
                Ok(value) => value,
                Err(ValueError::Control) => return Err(EditError::Value { name }),
                Err(ValueError::Template(error)) => return Err(EditError::Template { name, error }),
            };
            Ok(Line {
                start: format!("{name}: ").into_bytes().into(),
                value,
                on_success_only,
            })
        });
        Ok(HeaderEdits {
            lengths,
            lines: lines.collect::<Result<_, _>>()?,
            dropped: self.dropped.into_iter().map(String::into_boxed_str).collect(),
        })
    }
}

/// What a value can have wrong.
pub(super) enum ValueError {
    Control,
    Template(TemplateError),
}

/// A value that is fit for a field's line, without the white space around it.
pub(super) fn value_template(value: &str) -> Result<Template<Variable>, ValueError> {
    let template = Template::parse(value.trim_matches([' ', '\t']), Variable::named);
    let template = template.map_err(ValueError::Template)?;
    if !template.literals().flatten().all(|&byte| is_value_byte(byte)) {
        return Err(ValueError::Control);
    }
    Ok(template)
}

fn check_name(name: &str) -> Result<(), EditError> {
    if !is_token(name.as_bytes()) {
        return Err(EditError::Name {
            name: name.to_owned(),
        });
    }
    match reserved(name) {
        Some(instead) => Err(EditError::Reserved {
            name: name.to_owned(),
            instead,
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_replaces_and_add_adds() {
        let edits = HeaderEdits::builder()
            .set("X-A", "1")
            .add("X-B", "2")
            .add("X-B", "3")
            .remove("X-C");
        let edits = edits.build().unwrap();
        assert!(edits.drops("x-a") && !edits.drops("x-b") && edits.drops("X-c"));
        assert_eq!(lines(&edits, &Facts::default()), "X-A: 1\r\nX-B: 2\r\nX-B: 3\r\n");
    }

    #[test]
    fn names_of_any_length_are_dropped() {
        let long = "x".repeat(64 + 3);
        let edits = HeaderEdits::builder().remove(&*long).build().unwrap();
        assert!(edits.drops(&long.to_uppercase()));
        assert!(!edits.drops("xxx") && !edits.drops(""));
        assert!(!HeaderEdits::default().drops("") && HeaderEdits::default().is_empty());
    }

    #[test]
    fn empty_values_leave_the_field_out() {
        let edits = HeaderEdits::builder()
            .set("Accept-Encoding", "")
            .set("X-Id", " $request_id ")
            .build();
        let edits = edits.unwrap();
        assert_eq!(lines(&edits, &Facts::default()), "");
        assert!(edits.drops("accept-encoding"));
        let facts = Facts {
            request_id: "7",
            ..Facts::default()
        };
        assert_eq!(lines(&edits, &facts), "X-Id: 7\r\n");
    }

    #[test]
    fn on_success_is_as_nginx_without_always() {
        let edits = HeaderEdits::builder().add_on_success("X-A", "1").build().unwrap();
        for status in 100..=599 {
            let facts = Facts {
                status: Some(status),
                ..Facts::default()
            };
            let nginx = [200, 201, 204, 206, 301, 302, 303, 304, 307, 308].contains(&status);
            assert_eq!(!lines(&edits, &facts).is_empty(), nginx, "{status}");
        }
    }

    #[test]
    fn what_would_break_a_message_is_refused() {
        let builder = HeaderEdits::builder;
        for name in ["", "a b", "a:", "é", "a\r\n"] {
            assert!(
                matches!(builder().set(name, "1").build(), Err(EditError::Name { .. })),
                "{name:?}"
            );
            assert!(
                matches!(builder().remove(name).build(), Err(EditError::Name { .. })),
                "{name:?}"
            );
        }
        for name in [
            "Content-Length",
            "TRANSFER-ENCODING",
            "connection",
            "Host",
            "Upgrade",
            "te",
        ] {
            for edits in [builder().add(name, "1"), builder().remove(name)] {
                assert!(
                    matches!(edits.build(), Err(EditError::Reserved { .. })),
                    "{name:?}"
                );
            }
        }
        for value in ["a\r\nX: b", "a\0", "\x7f", "a\nb"] {
            assert!(
                matches!(builder().add("x", value).build(), Err(EditError::Value { .. })),
                "{value:?}"
            );
        }
        let unknown = builder().add("x", "$nope").build().unwrap_err();
        assert_eq!(
            unknown.to_string(),
            "the value of the header x: there is no variable $nope (at byte 0)"
        );
        for edits in [
            builder().set("a", "1").set("A", "2"),
            builder().set("a", "1").remove("A"),
        ] {
            assert!(matches!(edits.build(), Err(EditError::Twice { .. })));
        }
    }

    fn lines(edits: &HeaderEdits, facts: &Facts<'_>) -> String {
        let mut out = Vec::new();
        edits.append(facts, &mut out);
        String::from_utf8(out).unwrap()
    }
}
