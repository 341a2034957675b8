//! What a route is made of, checked when [`Routes`](super::Routes) are built.

use super::action::Action;
use super::edits::HeaderEdits;
use super::hosts::{MAX_HOST, Pattern};

/// The longest path of a route, in bytes.
pub const MAX_PATH: usize = 1024;

/// Which paths a route is for; both are compared with the [normalised](super::normalise) path, bytes and case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMatch {
    /// This path and no other, as nginx's `location =`.
    Exact(String),
    /// All paths that begin with these bytes, as nginx's `location`.
    Prefix(String),
}

impl PathMatch {
    /// The path, or the beginning of paths.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let (Self::Exact(path) | Self::Prefix(path)) = self;
        path
    }
}

/// A route's settings; [`Routes::new`](super::Routes::new) checks them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a route does nothing until it is among `Routes`"]
pub struct RouteConfig {
    pub(super) hosts: Vec<String>,
    pub(super) path: PathMatch,
    pub(super) action: Action,
    pub(super) replace_prefix: Option<String>,
    pub(super) slash_redirect: bool,
    pub(super) request: HeaderEdits,
    pub(super) response: HeaderEdits,
}

impl RouteConfig {
    /// A route for paths that begin with `path`.
    pub fn prefix(path: impl Into<String>, action: Action) -> Self {
        Self::new(PathMatch::Prefix(path.into()), action)
    }

    /// A route for one path.
    pub fn exact(path: impl Into<String>, action: Action) -> Self {
        Self::new(PathMatch::Exact(path.into()), action)
    }

    /// A route for those paths of any host.
    pub fn new(path: PathMatch, action: Action) -> Self {
        Self {
            hosts: Vec::new(),
            path,
            action,
            replace_prefix: None,
            slash_redirect: true,
            request: HeaderEdits::default(),
            response: HeaderEdits::default(),
        }
    }

    /// Adds a host: `example.com`, `*.example.com`, `.example.com` for both, `www.*`, `[2001:db8::1]`, or `*` for
    /// those that no other pattern fits. Without any it is `*`.
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.hosts.push(host.into());
        self
    }

    /// Adds hosts.
    pub fn hosts<H: Into<String>>(mut self, hosts: impl IntoIterator<Item = H>) -> Self {
        self.hosts.extend(hosts.into_iter().map(Into::into));
        self
    }

    /// Forwards with `path` in place of the path, or prefix, that this route is for, as nginx's `proxy_pass` with a
    /// URI does: prefix `/app/` and `/` make `/app/x?y` into `/x?y`. Without it the target stays as it came.
    ///
    /// The rest of the path stays as the client wrote it. Only if there are dot segments or double slashes, or the prefix
    /// was written in another way, the normalised path is taken and encoded anew, as nginx does for all: else
    /// `/app/../app/../x` would lead out of `path`.
    pub fn replace_prefix(mut self, path: impl Into<String>) -> Self {
        self.replace_prefix = Some(path.into());
        self
    }

    /// Whether a request for this path without its last slash is redirected to it (301), if no route has that path,
    /// exact or as prefix: nginx does this for `location /app/` and `location = /app/` with a `proxy_pass`. On by
    /// default; it matters for paths with a last slash that are forwarded to an upstream.
    pub fn slash_redirect(mut self, on: bool) -> Self {
        self.slash_redirect = on;
        self
    }

    /// Sets what is edited in requests on their way to the backend. None by default.
    pub fn request_headers(mut self, edits: HeaderEdits) -> Self {
        self.request = edits;
        self
    }

    /// Sets what is edited in responses on their way to the client. None by default.
    pub fn response_headers(mut self, edits: HeaderEdits) -> Self {
        self.response = edits;
        self
    }

    /// The path, or prefix, that it is for.
    pub const fn path(&self) -> &PathMatch {
        &self.path
    }

    /// What it does.
    pub const fn action(&self) -> &Action {
        &self.action
    }

    pub(super) fn patterns(&self, index: usize) -> Result<Vec<Pattern>, RouteError> {
        if self.hosts.is_empty() {
            return Ok(vec![Pattern::Any]);
        }
        let mut patterns = Vec::new();
        for host in &self.hosts {
            patterns.extend(parse_host(host).ok_or_else(|| RouteError::Host {
                index,
                host: host.clone(),
            })?);
        }
        Ok(patterns)
    }

    pub(super) fn check_paths(&self, index: usize) -> Result<(), RouteError> {
        let path = self.path.as_str();
        let normal =
            super::normalise(encoded(path).as_bytes()).is_ok_and(|normal| *normal == *path.as_bytes());
        if !normal || path.len() > MAX_PATH {
            return Err(RouteError::Path {
                index,
                path: path.to_owned(),
            });
        }
        let Some(replacement) = &self.replace_prefix else {
            return Ok(());
        };
        if !matches!(self.action, Action::Upstream(_)) {
            return Err(RouteError::NothingToReplace { index });
        }
        let visible = replacement
            .bytes()
            .all(|byte| (b'!'..=b'~').contains(&byte) && !b"?#".contains(&byte));
        if !replacement.starts_with('/') || !visible || replacement.len() > MAX_PATH {
            return Err(RouteError::Replacement {
                index,
                path: replacement.clone(),
            });
        }
        Ok(())
    }
}

/// A configured path is written decoded, so its `%` is one.
fn encoded(path: &str) -> String {
    path.replace('%', "%25")
}

/// A host as it is written in a config; `.example.com` makes two patterns.
fn parse_host(host: &str) -> Option<Vec<Pattern>> {
    let host = host.to_ascii_lowercase();
    if host == "*" {
        return Some(vec![Pattern::Any]);
    }
    if host.starts_with('[') {
        let address = host.strip_prefix('[')?.strip_suffix(']')?;
        return address
            .parse::<std::net::Ipv6Addr>()
            .is_ok()
            .then(|| vec![Pattern::Exact(host)]);
    }
    let (name, patterns) = if let Some(name) = host.strip_prefix("*.") {
        (name, vec![Pattern::Leading(name.to_owned())])
    } else if let Some(name) = host.strip_prefix('.') {
        (
            name,
            vec![Pattern::Exact(name.to_owned()), Pattern::Leading(name.to_owned())],
        )
    } else if let Some(name) = host.strip_suffix(".*") {
        (name, vec![Pattern::Trailing(name.to_owned())])
    } else {
        (&*host, vec![Pattern::Exact(host.clone())])
    };
    let valid = name.len() <= MAX_HOST
        && name.split('.').all(|label| !label.is_empty())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    valid.then_some(patterns)
}

/// What [`Routes::new`](super::Routes::new) refuses. An `index` counts the routes from 0, in the order given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// Not a host or a pattern of hosts.
    #[error(
        "route {index}: {host:?} is not a host: write example.com, *.example.com, .example.com, www.* or \
         [2001:db8::1], without port"
    )]
    Host {
        /// The route.
        index: usize,
        /// What was given.
        host: String,
    },
    /// Not a path that a normalised path can equal or begin with.
    #[error(
        "route {index}: {path:?} is not a path: it begins with a slash, has no dot segments and double slashes, is \
         written decoded and has at most {MAX_PATH} bytes"
    )]
    Path {
        /// The route.
        index: usize,
        /// What was given.
        path: String,
    },
    /// Not a path to forward with.
    #[error(
        "route {index}: {path:?} can't replace the prefix: it begins with a slash, has no white space, `?` and `#`, \
         and at most {MAX_PATH} bytes"
    )]
    Replacement {
        /// The route.
        index: usize,
        /// What was given.
        path: String,
    },
    /// A prefix is replaced in what is not forwarded.
    #[error("route {index} replaces a prefix but forwards to no upstream: use a variable in its location")]
    NothingToReplace {
        /// The route.
        index: usize,
    },
    /// Two routes for the same.
    #[error("routes {first} and {second} are both for {path:?} of {host}")]
    Duplicate {
        /// The first route.
        first: usize,
        /// The second one.
        second: usize,
        /// The pattern of hosts.
        host: String,
        /// The path or prefix.
        path: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_as_nginx_reads_them() {
        let exact = |name: &str| Pattern::Exact(name.to_owned());
        let leading = |name: &str| Pattern::Leading(name.to_owned());
        assert_eq!(parse_host("Example.COM"), Some(vec![exact("example.com")]));
        assert_eq!(parse_host("*.example.com"), Some(vec![leading("example.com")]));
        assert_eq!(parse_host(".a.b"), Some(vec![exact("a.b"), leading("a.b")]));
        assert_eq!(
            parse_host("www.*"),
            Some(vec![Pattern::Trailing("www".to_owned())])
        );
        assert_eq!(parse_host("[::1]"), Some(vec![exact("[::1]")]));
        assert_eq!(parse_host("_"), Some(vec![exact("_")]));
        assert_eq!(parse_host("*"), Some(vec![Pattern::Any]));
        for host in [
            "", ".", "a..b", "a:80", "*.", ".*", "a.*.b", "*a.b", "a b", "[::1", "[a]", "*.a.*", "~a", "a.",
        ] {
            assert_eq!(parse_host(host), None, "{host}");
        }
    }
}
