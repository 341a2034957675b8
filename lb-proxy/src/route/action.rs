//! What becomes of a request.

use std::sync::Arc;

use super::edits::{ValueError, value_template};
use super::facts::{Facts, Variable, render};
use crate::template::{Template, TemplateError};

/// The largest body of a fixed response, in bytes.
pub const MAX_BODY: usize = 1 << 20;

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is forwarded to an upstream: this one in the driver's list.
    Upstream(usize),
    /// The client is sent elsewhere.
    Redirect(Redirect),
    /// The proxy answers itself.
    Respond(Respond),
}

impl Action {
    /// Sends the client to `location`, which may hold [variables](super#variables): `https://$host$request_uri`.
    ///
    /// # Errors
    /// A status that isn't 301, 302, 303, 307 or 308; an empty location, or one with a control character or an unknown
    /// variable.
    pub fn redirect(status: u16, location: &str) -> Result<Self, ActionError> {
        if !matches!(status, 301 | 302 | 303 | 307 | 308) {
            return Err(ActionError::RedirectStatus { got: status });
        }
        let location = value_template(location).map_err(|error| match error {
            ValueError::Control => ActionError::Location,
            ValueError::Template(error) => ActionError::Template(error),
        })?;
        if location.parts().is_empty() {
            return Err(ActionError::Location);
        }
        Ok(Self::Redirect(Redirect { status, location }))
    }

    /// Answers with `body`; `content_type` may be empty.
    ///
    /// # Errors
    /// A status outside 200..=599, a body with a status that has none (204, 205, 304) or one above [`MAX_BODY`], or a
    /// content type with a control character.
    pub fn respond(
        status: u16,
        content_type: impl Into<String>,
        body: impl Into<Vec<u8>>,
    ) -> Result<Self, ActionError> {
        let (content_type, body) = (content_type.into(), body.into());
        if !(200..=599).contains(&status) {
            return Err(ActionError::Status { got: status });
        }
        if !body.is_empty() && matches!(status, 204 | 205 | 304) {
            return Err(ActionError::Body { status });
        }
        if body.len() > MAX_BODY {
            return Err(ActionError::BodyTooLong { got: body.len() });
        }
        if !content_type.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err(ActionError::ContentType);
        }
        Ok(Self::Respond(Respond {
            status,
            content_type: content_type.into(),
            body: body.into(),
        }))
    }
}

/// Why an action can't be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ActionError {
    /// A redirect with a status that isn't one of a redirect.
    #[error("a redirect has the status 301, 302, 303, 307 or 308, not {got}")]
    RedirectStatus {
        /// What was given.
        got: u16,
    },
    /// A location that is empty or has a control character.
    #[error("a redirect's location is a URL or path without control characters, and not empty")]
    Location,
    /// A location with a variable that there isn't.
    #[error("a redirect's location: {0}")]
    Template(#[source] TemplateError),
    /// A status that can't end an exchange.
    #[error("a response has a status from 200 to 599, not {got}")]
    Status {
        /// What was given.
        got: u16,
    },
    /// A body where none may be.
    #[error("a response of status {status} has no body")]
    Body {
        /// The status.
        status: u16,
    },
    /// A body above [`MAX_BODY`].
    #[error("a fixed response has at most {MAX_BODY} bytes, not {got}: let a backend serve files")]
    BodyTooLong {
        /// Its length.
        got: usize,
    },
    /// A content type that is none.
    #[error("a content type is visible ASCII, as text/html")]
    ContentType,
}

/// A redirect; made by [`Action::redirect`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    status: u16,
    location: Template<Variable>,
}

impl Redirect {
    /// A redirect to the same target with a slash behind its path.
    pub(super) fn to_slash(path: &str) -> Self {
        // Relative to the target, so that scheme, host and port stay what the client sees. The path is a configured one:
        // it may have a `$`, but never begins with `//`.
        let text = format!("{}/$is_args$args", path.replace('$', "$$"));
        let location = Template::parse(&text, Variable::named).expect("all of these variables exist");
        Self {
            status: 301,
            location,
        }
    }

    /// The status: 301, 302, 303, 307 or 308.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Appends the value of `Location`, without control characters.
    pub fn write_location(&self, facts: &Facts<'_>, out: &mut Vec<u8>) {
        render(&self.location, facts, out);
    }
}

/// A response that the proxy gives itself; made by [`Action::respond`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Respond {
    status: u16,
    content_type: Box<str>,
    body: Arc<[u8]>,
}

impl Respond {
    /// The status, 200 to 599.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The value of `Content-Type`; empty if there is to be none.
    #[must_use]
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// The body; empty with a status that has none.
    #[must_use]
    pub const fn body(&self) -> &Arc<[u8]> {
        &self.body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_keeps_what_its_variables_name() {
        let Action::Redirect(redirect) = Action::redirect(308, "https://$host$request_uri").unwrap() else {
            panic!("a redirect");
        };
        let mut facts = Facts::default();
        (facts.host, facts.target) = ("example.com:80", "/a?b");
        let mut out = Vec::new();
        redirect.write_location(&facts, &mut out);
        assert_eq!((redirect.status(), &*out), (308, &b"https://example.com/a?b"[..]));
    }

    #[test]
    fn actions_that_cannot_be_are_refused() {
        assert_eq!(
            Action::redirect(300, "/"),
            Err(ActionError::RedirectStatus { got: 300 })
        );
        assert_eq!(Action::redirect(301, ""), Err(ActionError::Location));
        assert_eq!(Action::redirect(301, "/a\nb"), Err(ActionError::Location));
        assert!(matches!(
            Action::redirect(301, "$x"),
            Err(ActionError::Template(_))
        ));
        assert_eq!(
            Action::respond(199, "", ""),
            Err(ActionError::Status { got: 199 })
        );
        assert_eq!(
            Action::respond(600, "", ""),
            Err(ActionError::Status { got: 600 })
        );
        assert_eq!(
            Action::respond(204, "", "x"),
            Err(ActionError::Body { status: 204 })
        );
        assert_eq!(Action::respond(200, "a\r\nb", ""), Err(ActionError::ContentType));
        let long = vec![0; MAX_BODY + 1];
        assert_eq!(
            Action::respond(200, "", long),
            Err(ActionError::BodyTooLong { got: MAX_BODY + 1 })
        );
        assert!(Action::respond(200, "text/html; charset=utf-8", vec![0; MAX_BODY]).is_ok());
    }
}
