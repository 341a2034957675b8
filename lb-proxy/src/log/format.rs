//! Lines as the operator wants them.

use super::clock::Stamp;
use super::escape::Escape;
use super::record::Record;
use super::variable::Variable;
use crate::template::{Part, Template, TemplateError};

/// How a line of the log looks (nginx: `log_format`), taken apart once.
///
/// ```
/// use std::time::Duration;
/// use lb_proxy::log::{Clock, Escape, Format, Record, UtcOffset};
///
/// let format = Format::parse("$time_iso8601 $status \"$request_uri\"", Escape::Default)?;
/// let mut record = Record::default();
/// record.target = "/\"";
/// record.status = 400;
/// let mut line = Vec::new();
/// format.write(Clock::new(UtcOffset::UTC).at(Duration::from_secs(1_795_551_186)), &record, &mut line);
/// assert_eq!(line, b"2026-11-24T20:13:06+00:00 400 \"/\\x22\"\n");
/// # Ok::<(), lb_proxy::log::FormatError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    template: Template<Variable>,
    escape: Escape,
    request_fields: Box<[Box<str>]>,
    response_fields: Box<[Box<str>]>,
}

/// What [`Format::parse`] refuses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FormatError {
    /// Not a text with variables.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// A control character besides a tab: each line of a log is one request.
    #[error("a log format has no line breaks and other control characters")]
    Control,
}

const COMMON: &str = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent"#;
const COMBINED: &str = concat!(
    r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "#,
    r#""$http_referer" "$http_user_agent""#
);
const JSON: &str = concat!(
    r#"{"time":"$time_iso8601","msec":$msec,"request_id":"$request_id","remote_addr":"$remote_addr","#,
    r#""remote_user":"$remote_user","scheme":"$scheme","host":"$host","method":"$request_method","#,
    r#""uri":"$request_uri","protocol":"$server_protocol","status":$status,"request_length":$request_length,"#,
    r#""bytes_sent":$bytes_sent,"body_bytes_sent":$body_bytes_sent,"request_time":$request_time,"#,
    r#""upstream":"$upstream_name","upstream_addr":"$upstream_addr","upstream_status":"$upstream_status","#,
    r#""upstream_connect_time":"$upstream_connect_time","upstream_header_time":"$upstream_header_time","#,
    r#""upstream_response_time":"$upstream_response_time","reason":"$reason","referer":"$http_referer","#,
    r#""user_agent":"$http_user_agent"}"#
);

impl Format {
    /// The Common Log Format of NCSA: `combined` without its last two fields.
    #[must_use]
    pub fn common() -> Self {
        Self::built_in(COMMON, Escape::Default)
    }

    /// nginx's and Apache's `combined`.
    #[must_use]
    pub fn combined() -> Self {
        Self::built_in(COMBINED, Escape::Default)
    }

    /// A JSON object a line, with nginx's names for most of its members. What concerns attempts at backends is text,
    /// since there may be several.
    #[must_use]
    pub fn json() -> Self {
        Self::built_in(JSON, Escape::Json)
    }

    /// A format of one's own, with the [variables](super#variables) of the module.
    ///
    /// # Errors
    /// A variable that there isn't, with its place, or a control character besides a tab.
    pub fn parse(text: &str, escape: Escape) -> Result<Self, FormatError> {
        let template = Template::parse(text, Variable::named)?;
        if template
            .literals()
            .flatten()
            .any(|&byte| byte != b'\t' && byte.is_ascii_control())
        {
            return Err(FormatError::Control);
        }
        Ok(Self {
            request_fields: names(template.variables().filter_map(Variable::request_field)),
            response_fields: names(template.variables().filter_map(Variable::response_field)),
            template,
            escape,
        })
    }

    fn built_in(text: &str, escape: Escape) -> Self {
        Self::parse(text, escape).expect("the built-in formats have only variables that there are")
    }

    /// The fields of a request that it needs: to be kept until the request is over, see [`Captured`](super::Captured).
    #[must_use]
    pub fn request_fields(&self) -> &[Box<str>] {
        &self.request_fields
    }

    /// The fields of a response that it needs.
    #[must_use]
    pub fn response_fields(&self) -> &[Box<str>] {
        &self.response_fields
    }

    /// Appends the line, with its end. Whatever is in the record, it is one line, without control characters.
    pub fn write(&self, stamp: &Stamp, record: &Record<'_>, out: &mut Vec<u8>) {
        for part in self.template.parts() {
            match part {
                Part::Literal(literal) => out.extend_from_slice(literal),
                Part::Variable(variable) => variable.push(stamp, record, self.escape, out),
            }
        }
        out.push(b'\n');
    }
}

/// Each name once.
fn names<'a>(names: impl Iterator<Item = &'a str>) -> Box<[Box<str>]> {
    let mut names: Vec<Box<str>> = names.map(Into::into).collect();
    names.sort_unstable();
    names.dedup();
    names.into()
}
