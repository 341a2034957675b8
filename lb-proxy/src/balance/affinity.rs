//! How clients come back to the backend that has their session: by a cookie of ours, or by the backend's own
//! session id.
//!
//! Pure, on bytes: a proxy asks [`Affinity::find`] for the route that a request names, picks with
//! [`Key::Sticky`](super::Key::Sticky), and lets [`Affinity::write_cookie`] add a field to the response's
//! head.

use std::sync::Arc;
use std::time::Duration;

/// How the requests of a session stay together.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Affinity {
    /// A cookie that is added to responses, and holds the backend's route (nginx: `sticky cookie`, HAProxy:
    /// `cookie … insert`).
    Cookie(AffinityCookie),
    /// The route that backends append to the session ids that they make, behind a dot (Tomcat: `jvmRoute`;
    /// nginx: `sticky route`).
    Session(SessionRoute),
}

impl Affinity {
    /// The route of the backend that has the request's session; `None` if it names none.
    ///
    /// `cookies` are the values of all `Cookie` fields, `path` the request target, with or without a query.
    /// Of several cookies of the name the first counts, and a cookie counts more than the path (as with
    /// Tomcat).
    pub fn find<'a>(&self, cookies: impl IntoIterator<Item = &'a [u8]>, path: &'a [u8]) -> Option<&'a [u8]> {
        match self {
            Self::Cookie(cookie) => find_cookie(cookies, &cookie.name),
            Self::Session(session) => {
                let id = find_cookie(cookies, &session.cookie);
                id.or_else(|| find_parameter(path, &session.parameter))
                    .and_then(route_of)
            }
        }
    }

    /// Appends the line `Set-Cookie: …` with which a client comes back to the backend of `route`, if `found`,
    /// what [`find`](Self::find) said of its request, is not that already; returns whether it did.
    ///
    /// Never for [`Session`](Self::Session): there the backend does it.
    pub fn write_cookie(&self, found: Option<&[u8]>, route: &str, head: &mut Vec<u8>) -> bool {
        let Self::Cookie(cookie) = self else { return false };
        if found == Some(route.as_bytes()) {
            return false;
        }
        head.extend_from_slice(b"Set-Cookie: ");
        head.extend_from_slice(cookie.name.as_bytes());
        head.push(b'=');
        head.extend_from_slice(route.as_bytes());
        head.extend_from_slice(cookie.attributes.as_bytes());
        head.extend_from_slice(b"\r\n");
        true
    }
}

/// The cookie that is added, valid by construction: made by [`AffinityCookie::builder`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AffinityCookie {
    name: Arc<str>,
    /// What follows the value: `; Path=/; HttpOnly`.
    attributes: Arc<str>,
}

impl AffinityCookie {
    /// A cookie called `name` for the whole site (`Path=/`), which ends with the client's session, and which
    /// scripts don't see (`HttpOnly`).
    pub fn builder(name: impl Into<Arc<str>>) -> AffinityCookieBuilder {
        AffinityCookieBuilder {
            name: name.into(),
            path: "/".into(),
            domain: None,
            max_age: None,
            secure: false,
            http_only: true,
            same_site: None,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Collects the attributes of an [`AffinityCookie`] (RFC 6265 §4.1).
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until they are built"]
pub struct AffinityCookieBuilder {
    name: Arc<str>,
    path: Arc<str>,
    domain: Option<Arc<str>>,
    max_age: Option<Duration>,
    secure: bool,
    http_only: bool,
    same_site: Option<SameSite>,
}

impl AffinityCookieBuilder {
    /// Sets below which path clients send it; default `/`.
    pub fn path(mut self, path: impl Into<Arc<str>>) -> Self {
        self.path = path.into();
        self
    }

    /// Sets to which domain and its subdomains clients send it; default the host alone.
    pub fn domain(mut self, domain: impl Into<Arc<str>>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Sets for how long clients keep it, from when they first got it, in whole seconds; default as long as
    /// they run.
    pub const fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// Sets whether clients send it over TLS alone; default no.
    pub const fn secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// Sets whether it is hidden from scripts; default yes.
    pub const fn http_only(mut self, http_only: bool) -> Self {
        self.http_only = http_only;
        self
    }

    /// Sets whether requests that other sites cause bring it; default as the client sees fit.
    pub const fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = Some(same_site);
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// The name is no token, or path or domain hold octets that would end the attribute; or the cookie is
    /// `SameSite=None` and not `Secure`, which browsers refuse.
    pub fn build(self) -> Result<AffinityCookie, AffinityError> {
        if !is_token(&self.name) {
            return Err(AffinityError::Name { name: self.name });
        }
        for value in [Some(&self.path), self.domain.as_ref()].into_iter().flatten() {
            if !value
                .bytes()
                .all(|byte| (b' '..=b'~').contains(&byte) && byte != b';')
            {
                return Err(AffinityError::Attribute {
                    value: Arc::clone(value),
                });
            }
        }
        if self.same_site == Some(SameSite::None) && !self.secure {
            return Err(AffinityError::InsecureSameSite);
        }
        let mut attributes = format!("; Path={}", self.path);
        if let Some(domain) = self.domain {
            attributes += &format!("; Domain={domain}");
        }
        if let Some(max_age) = self.max_age {
            attributes += &format!("; Max-Age={}", max_age.as_secs());
        }
        for (is_set, attribute) in [(self.secure, "; Secure"), (self.http_only, "; HttpOnly")] {
            attributes += if is_set { attribute } else { "" };
        }
        attributes += match self.same_site {
            None => "",
            Some(SameSite::Strict) => "; SameSite=Strict",
            Some(SameSite::Lax) => "; SameSite=Lax",
            Some(SameSite::None) => "; SameSite=None",
        };
        Ok(AffinityCookie {
            name: self.name,
            attributes: attributes.into(),
        })
    }
}

/// Which requests that other sites cause bring a cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SameSite {
    /// None.
    Strict,
    /// Those that lead the user there.
    Lax,
    /// All.
    None,
}

/// Where a session id with a route stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRoute {
    cookie: Arc<str>,
    parameter: Arc<str>,
}

impl SessionRoute {
    /// Tomcat's: in the cookie `JSESSIONID`, or in the path as `;jsessionid=`.
    #[must_use]
    pub fn tomcat() -> Self {
        Self {
            cookie: "JSESSIONID".into(),
            parameter: "jsessionid".into(),
        }
    }

    /// In the cookie `cookie`, or in the path as `;parameter=`.
    ///
    /// # Errors
    /// One of the names is no token.
    pub fn new(cookie: impl Into<Arc<str>>, parameter: impl Into<Arc<str>>) -> Result<Self, AffinityError> {
        let (cookie, parameter) = (cookie.into(), parameter.into());
        for name in [&cookie, &parameter] {
            if !is_token(name) {
                return Err(AffinityError::Name {
                    name: Arc::clone(name),
                });
            }
        }
        Ok(Self { cookie, parameter })
    }
}

/// Why sessions can't be kept together that way.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AffinityError {
    /// Not a name that a cookie can have (RFC 6265 §4.1.1).
    #[error("{name:?} is no name of a cookie: letters, digits and -_. are")]
    Name {
        /// The name.
        name: Arc<str>,
    },
    /// The attribute would end before its end.
    #[error("{value:?} can't stand in a cookie's path or domain: printable characters besides ; can")]
    Attribute {
        /// The path or domain.
        value: Arc<str>,
    },
    /// Browsers refuse such a cookie.
    #[error("a cookie with SameSite=None must be Secure too")]
    InsecureSameSite,
}

/// Whether a cookie can hold `route` as it is (RFC 6265: cookie-octets).
pub(super) fn can_hold(route: &str) -> bool {
    let is_octet = |byte| matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e);
    !route.is_empty() && route.bytes().all(is_octet)
}

fn is_token(name: &str) -> bool {
    let is_tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_tchar)
}

/// The value of the first cookie of that name that has one.
fn find_cookie<'a>(cookies: impl IntoIterator<Item = &'a [u8]>, name: &str) -> Option<&'a [u8]> {
    let pairs = cookies
        .into_iter()
        .flat_map(|field| field.split(|&byte| byte == b';'));
    let values = pairs.filter_map(|pair| {
        let pair = pair.trim_ascii();
        let value = pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(
            value
                .strip_prefix(b"\"")
                .and_then(|value| value.strip_suffix(b"\""))
                .unwrap_or(value),
        )
    });
    values.into_iter().find(|value| !value.is_empty())
}

/// The value of a path's first parameter of that name: up to the next parameter, segment or the query.
fn find_parameter<'a>(path: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let end = path.iter().position(|byte| matches!(byte, b'?' | b'#'));
    let parameters = path[..end.unwrap_or(path.len())]
        .split(|&byte| byte == b';')
        .skip(1);
    let mut values = parameters.filter_map(|parameter| {
        let value = parameter.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        value.split(|&byte| byte == b'/').next()
    });
    values.find(|value| !value.is_empty())
}

/// What follows the first dot of a session id. Ids have none of their own; routes may.
fn route_of(id: &[u8]) -> Option<&[u8]> {
    let dot = id.iter().position(|&byte| byte == b'.')?;
    Some(&id[dot + 1..]).filter(|route| !route.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cookie_of_that_name_is_found_among_others() {
        let affinity = cookie("srv");
        for (cookies, found) in [
            (&["srv=a"][..], Some("a")),
            (&["x=1; srv=tomcat-1; y=2"], Some("tomcat-1")),
            (&["x=1;srv=b"], Some("b")),
            (&["x=1", "y=2; srv=c"], Some("c")),
            (&["srv=\"quoted\""], Some("quoted")),
            (&["srv=; srv=d"], Some("d")),
            (&["srv=first; srv=second"], Some("first")),
            (&["xsrv=a; srvx=b; SRV=c; srv"], None),
            (&["x=srv=a"], None),
            (&[""], None),
            (&[], None),
        ] {
            let fields = cookies.iter().map(|field| field.as_bytes());
            assert_eq!(
                affinity.find(fields, b"/").map(text),
                found.map(Into::into),
                "{cookies:?}"
            );
        }
    }

    #[test]
    fn tomcat_s_route_is_found_in_cookie_and_path() {
        let affinity = Affinity::Session(SessionRoute::tomcat());
        for (cookie, path, found) in [
            ("JSESSIONID=2F6A1B.tomcat1", "/", Some("tomcat1")),
            ("a=b; JSESSIONID=2F6A1B.10.0.0.1:80", "/", Some("10.0.0.1:80")),
            ("", "/app;jsessionid=2F6A1B.t2", Some("t2")),
            ("", "/app;v=1;jsessionid=2F6A1B.t2;w=2", Some("t2")),
            (
                "",
                "/app;jsessionid=2F6A1B.t2/more?a=;jsessionid=3.t3",
                Some("t2"),
            ),
            ("", "/app;jsessionid=2F6A1B.t2?q=1", Some("t2")),
            ("JSESSIONID=1.cookie", "/app;jsessionid=2.path", Some("cookie")),
            ("JSESSIONID=2F6A1B", "/", None),
            ("JSESSIONID=2F6A1B.", "/", None),
            ("jsessionid=1.t", "/app;JSESSIONID=1.t", None),
            ("", "/app?x=;jsessionid=1.t", None),
            ("", "jsessionid=1.t", None),
            ("", "/app;jsessionid=", None),
        ] {
            let found_here = affinity.find([cookie.as_bytes()], path.as_bytes());
            assert_eq!(found_here.map(text), found.map(Into::into), "{cookie} {path}");
        }
    }

    #[test]
    fn a_cookie_is_written_with_its_attributes() {
        let plain = cookie("srv");
        assert_eq!(
            written(&plain, None, "a"),
            "Set-Cookie: srv=a; Path=/; HttpOnly\r\n"
        );
        let full = AffinityCookie::builder("srv")
            .path("/app")
            .domain("example.com")
            .max_age(Duration::from_secs(3_600))
            .secure(true)
            .http_only(false)
            .same_site(SameSite::None)
            .build()
            .unwrap();
        assert_eq!(
            written(&Affinity::Cookie(full), None, "a"),
            "Set-Cookie: srv=a; Path=/app; Domain=example.com; Max-Age=3600; Secure; SameSite=None\r\n"
        );
    }

    #[test]
    fn a_client_that_has_the_right_cookie_gets_none() {
        let affinity = cookie("srv");
        assert_eq!(written(&affinity, Some(b"a"), "a"), "");
        assert_ne!(written(&affinity, Some(b"b"), "a"), "");
        assert_eq!(written(&Affinity::Session(SessionRoute::tomcat()), None, "a"), "");
    }

    #[test]
    fn what_would_break_the_field_is_refused() {
        for name in ["", "a b", "a;b", "a=b", "a\r\nb", "ä"] {
            assert!(
                matches!(
                    AffinityCookie::builder(name).build(),
                    Err(AffinityError::Name { .. })
                ),
                "{name:?}"
            );
            assert!(SessionRoute::new("ok", name).is_err() && SessionRoute::new(name, "ok").is_err());
        }
        let with_path = AffinityCookie::builder("srv").path("/\r\nX: y");
        assert!(matches!(with_path.build(), Err(AffinityError::Attribute { .. })));
        let with_domain = AffinityCookie::builder("srv").domain("a; Secure");
        assert!(matches!(
            with_domain.build(),
            Err(AffinityError::Attribute { .. })
        ));
        let insecure = AffinityCookie::builder("srv").same_site(SameSite::None);
        assert_eq!(insecure.build(), Err(AffinityError::InsecureSameSite));
        assert!(can_hold("10.0.0.1:8080") && can_hold("tomcat-1"));
        for route in ["", "a b", "a;b", "a,b", "a\"b", "a\\b", "ä", "a\r"] {
            assert!(!can_hold(route), "{route:?}");
        }
    }

    fn cookie(name: &str) -> Affinity {
        Affinity::Cookie(AffinityCookie::builder(name).build().unwrap())
    }

    fn written(affinity: &Affinity, found: Option<&[u8]>, route: &str) -> String {
        let mut head = Vec::new();
        let wrote = affinity.write_cookie(found, route, &mut head);
        assert_eq!(wrote, !head.is_empty());
        String::from_utf8(head).unwrap()
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8(bytes.to_vec()).unwrap()
    }
}
