//! All routes, and the look-up.

use std::collections::{BTreeMap, HashMap};

use super::action::{Action, Redirect};
use super::config::{PathMatch, RouteConfig, RouteError};
use super::edits::HeaderEdits;
use super::hosts::{Hosts, Pattern};
use super::path::{BadPath, Normal, encode};
use super::trie::{Entry, Trie};

/// All routes; see the [module](super).
#[derive(Clone, Debug)]
pub struct Routes {
    routes: Box<[Route]>,
    /// One for each pattern of hosts.
    tries: Box<[Trie]>,
    hosts: Hosts,
}

/// Why a request has no route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotFound {
    /// None of the routes fits; it is answered 404.
    #[error("no route fits")]
    NoRoute,
    /// The path can't be compared; it is answered 400.
    #[error(transparent)]
    BadPath(#[from] BadPath),
}

impl NotFound {
    /// The status to answer with: 404, or 400.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::NoRoute => 404,
            Self::BadPath(_) => 400,
        }
    }
}

impl Routes {
    /// Checks the routes and lays them out for the look-up. Their order does not matter.
    ///
    /// # Errors
    /// A route whose host, path or replacement isn't one, or two routes for the same; what is wrong comes with the
    /// index of the route.
    pub fn new(routes: impl IntoIterator<Item = RouteConfig>) -> Result<Self, RouteError> {
        let configs: Vec<RouteConfig> = routes.into_iter().collect();
        let mut by_host: BTreeMap<Pattern, HashMap<(&[u8], bool), usize>> = BTreeMap::new();
        for (index, config) in configs.iter().enumerate() {
            config.check_paths(index)?;
            let key = (
                config.path.as_str().as_bytes(),
                matches!(config.path, PathMatch::Exact(_)),
            );
            for pattern in config.patterns(index)? {
                let host = format!("{pattern}");
                let other = by_host.entry(pattern).or_default().insert(key, index);
                if let Some(first) = other {
                    return Err(RouteError::Duplicate {
                        first,
                        second: index,
                        host,
                        path: config.path.as_str().to_owned(),
                    });
                }
            }
        }
        let mut routes: Vec<Route> = configs
            .iter()
            .enumerate()
            .map(|(index, config)| Route::new(index, config))
            .collect();
        let (mut tries, mut hosts) = (Vec::new(), Hosts::default());
        for (pattern, mut paths) in by_host {
            add_slash_redirects(&configs, &mut paths, &mut routes);
            let entries = paths.into_iter().map(|((path, exact), route)| Entry {
                path,
                exact,
                route: number(route),
            });
            hosts.insert(pattern, number(tries.len()));
            tries.push(Trie::new(entries.collect()));
        }
        Ok(Self {
            routes: routes.into(),
            tries: tries.into(),
            hosts,
        })
    }

    /// The route for a path of a host.
    ///
    /// `host` is what the client asked for, in any case and with or without port; `path` the target in origin form,
    /// with or without its query.
    ///
    /// # Errors
    /// No route fits, or the path can't be normalised.
    #[inline]
    pub fn find(&self, host: &str, path: &str) -> Result<&Route, NotFound> {
        let trie = self.hosts.find(host).ok_or(NotFound::NoRoute)?;
        let path = Normal::of_target(path.as_bytes())?.path;
        let route = self.tries[trie as usize].find(&path).ok_or(NotFound::NoRoute)?;
        Ok(&self.routes[route as usize])
    }

    /// The place of one of these routes in [`as_slice`](Self::as_slice).
    #[cfg(feature = "proxy")]
    pub(crate) fn place(&self, route: &Route) -> usize {
        let offset = std::ptr::from_ref(route).addr() - self.routes.as_ptr().addr();
        offset / size_of::<Route>()
    }

    /// The routes in the order in which they were given, and behind them those that add a slash.
    #[must_use]
    pub fn as_slice(&self) -> &[Route] {
        &self.routes
    }
}

/// nginx's automatic redirect of `/app` to `/app/`: each as a route of its own, so the look-up knows nothing of it.
fn add_slash_redirects<'a>(
    configs: &'a [RouteConfig],
    paths: &mut HashMap<(&'a [u8], bool), usize>,
    routes: &mut Vec<Route>,
) {
    let wanting = paths.iter().filter_map(|(&(path, exact), &index)| {
        let config = &configs[index];
        let bare = path.strip_suffix(b"/").filter(|bare| !bare.is_empty())?;
        let taken = paths.contains_key(&(bare, true)) || paths.contains_key(&(bare, false));
        let wanted = config.slash_redirect && matches!(config.action, Action::Upstream(_));
        (wanted && !taken).then_some((bare, !exact, index))
    });
    let mut wanting: Vec<_> = wanting.collect();
    // Where an exact path and a prefix want the same, the exact one goes first, as in nginx.
    wanting.sort_unstable();
    wanting.dedup_by_key(|&mut (bare, ..)| bare);
    for (bare, _, index) in wanting {
        let config = &configs[index];
        let text = &config.path.as_str()[..bare.len()];
        let mut location = Vec::new();
        encode(bare, &mut location);
        let location = String::from_utf8(location).expect("encoded paths are ASCII");
        paths.insert((bare, true), routes.len());
        routes.push(Route {
            index,
            path: PathMatch::Exact(text.to_owned()),
            action: Action::Redirect(Redirect::to_slash(&location)),
            replace_prefix: None,
            request: HeaderEdits::default(),
            response: config.response.clone(),
        });
    }
}

/// A route of [`Routes`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    index: usize,
    path: PathMatch,
    action: Action,
    replace_prefix: Option<Box<str>>,
    request: HeaderEdits,
    response: HeaderEdits,
}

impl Route {
    fn new(index: usize, config: &RouteConfig) -> Self {
        Self {
            index,
            path: config.path.clone(),
            action: config.action.clone(),
            replace_prefix: config.replace_prefix.as_deref().map(Into::into),
            request: config.request.clone(),
            response: config.response.clone(),
        }
    }

    /// Its place in the list that [`Routes::new`] was given, for what the driver keeps beside it. A route that adds a
    /// slash has the index of the one whose slash it adds.
    #[must_use]
    pub const fn index(&self) -> usize {
        self.index
    }

    /// The path, or prefix, that it is for.
    #[must_use]
    pub const fn path(&self) -> &PathMatch {
        &self.path
    }

    /// What becomes of the request.
    #[must_use]
    pub const fn action(&self) -> &Action {
        &self.action
    }

    /// What is edited in the request on its way to the backend.
    #[must_use]
    pub const fn request_headers(&self) -> &HeaderEdits {
        &self.request
    }

    /// What is edited in the response on its way to the client.
    #[must_use]
    pub const fn response_headers(&self) -> &HeaderEdits {
        &self.response
    }

    /// Whether the backend gets another target than the client sent.
    #[must_use]
    pub const fn rewrites(&self) -> bool {
        self.replace_prefix.is_some()
    }

    /// Appends the target that the backend gets for `target`, which is in origin form and was found to be of this
    /// route: as it came, or with its prefix replaced.
    pub fn write_target(&self, target: &str, out: &mut Vec<u8>) {
        let Some(replacement) = &self.replace_prefix else {
            out.extend_from_slice(target.as_bytes());
            return;
        };
        let path = without_query(target);
        let query = &target[path.len()..];
        out.extend_from_slice(replacement.as_bytes());
        if let PathMatch::Prefix(prefix) = &self.path {
            match (Normal::of(path.as_bytes()), path.strip_prefix(&**prefix)) {
                (Ok(Normal { resolved: false, .. }), Some(rest)) => out.extend_from_slice(rest.as_bytes()),
                (Ok(normal), _) => encode(normal.path.get(prefix.len()..).unwrap_or_default(), out),
                // Not what was found to be of this route: nothing of it is passed on.
                (Err(_), _) => {}
            }
        }
        out.extend_from_slice(query.as_bytes());
    }
}

fn without_query(target: &str) -> &str {
    let end = target.bytes().position(|byte| byte == b'?');
    &target[..end.unwrap_or(target.len())]
}

fn number(length: usize) -> u32 {
    u32::try_from(length).expect("a config of routes is far below 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::super::Facts;
    use super::*;

    #[test]
    fn the_host_is_decided_before_the_path() {
        let routes = Routes::new([
            RouteConfig::prefix("/", up(0)),
            RouteConfig::prefix("/a/", up(1)).host("a.example"),
            RouteConfig::prefix("/a/b", up(2)).hosts(["b.example", "*.b.example"]),
            RouteConfig::exact("/a/b/c", up(3)).host(".b.example"),
        ])
        .unwrap();
        for (host, path, found) in [
            ("a.example", "/a/x", Ok(1)),
            ("a.example", "/b", Err(NotFound::NoRoute)),
            ("b.example", "/a/bc?/a/b/c", Ok(2)),
            ("b.example", "/a/b/c?x", Ok(3)),
            ("x.b.example:80", "/a/b/c", Ok(3)),
            ("c.example", "/a/b/c", Ok(0)),
            ("c.example", "/../b", Err(NotFound::BadPath(BadPath::AboveRoot))),
            ("a.example", "/x/%2e./a/", Ok(1)),
            ("a.example", "*", Err(NotFound::BadPath(BadPath::NoSlash))),
        ] {
            assert_eq!(routes.find(host, path).map(Route::index), found, "{host} {path}");
        }
    }

    #[test]
    fn what_is_forwarded_stays_as_it_came() {
        let routes = Routes::new([RouteConfig::prefix("/", up(0))]).unwrap();
        for target in ["/a//b/../%2e%2e/c?d=/../", "/%41?", "//a"] {
            let route = routes.find("a", target).unwrap();
            assert_eq!(written(route, target), target);
            assert!(!route.rewrites());
        }
    }

    #[test]
    fn a_prefix_is_replaced_as_by_proxy_pass_with_a_uri() {
        let routes = Routes::new([
            RouteConfig::prefix("/app/", up(0)).replace_prefix("/"),
            RouteConfig::prefix("/b", up(1)).replace_prefix("/x"),
            RouteConfig::exact("/e", up(2)).replace_prefix("/exact/"),
            RouteConfig::prefix("/a b/", up(3)).replace_prefix("/ab/"),
        ])
        .unwrap();
        for (target, forwarded) in [
            ("/app/", "/"),
            ("/app/x?y=/app/", "/x?y=/app/"),
            ("/app/x%2Fy%20z;p?", "/x%2Fy%20z;p?"),
            ("/app//x", "/x"),
            ("/b", "/x"),
            ("/bc/d", "/xc/d"),
            ("/e?f", "/exact/?f"),
            // Not written as the prefix is, or with dot segments: the normalised path counts.
            ("/%61pp/x%2Fy z", "/x/y%20z"),
            ("/app/../app/../app/x", "/x"),
            ("/app/a/%2e%2e/x%20", "/x%20"),
            ("//app/x", "/x"),
            ("/a%20b/%3f?g", "/ab/%3F?g"),
        ] {
            let route = routes.find("a", target).unwrap();
            assert_eq!(written(route, target), forwarded, "{target}");
        }
    }

    #[test]
    fn no_target_leads_out_of_the_replacement() {
        let routes = Routes::new([RouteConfig::prefix("/app/", up(0)).replace_prefix("/inner/")]).unwrap();
        for target in [
            "/app/../app/../app/x",
            "/app/%2e%2e/app/..%2fapp/x",
            "/app//../app/x",
            "/app/a/../../app/x",
        ] {
            let forwarded = written(routes.find("a", target).unwrap(), target);
            let seen = super::super::normalise(forwarded.as_bytes()).unwrap();
            assert!(seen.starts_with(b"/inner/"), "{target} became {forwarded}");
        }
    }

    #[test]
    fn the_missing_slash_is_added_as_nginx_does() {
        let routes = Routes::new([
            RouteConfig::prefix("/", up(0)),
            RouteConfig::prefix("/app/", up(1)),
            RouteConfig::prefix("/b/", up(2)),
            RouteConfig::prefix("/b", up(3)),
            RouteConfig::prefix("/c/", up(4)),
            RouteConfig::exact("/c", up(5)),
            RouteConfig::prefix("/d/", up(6)).slash_redirect(false),
            RouteConfig::prefix("/e $/", up(7)),
            RouteConfig::exact("/f/", up(8)),
            RouteConfig::prefix("/f/", up(9)).slash_redirect(false),
        ])
        .unwrap();
        let facts = Facts {
            target: "/app?x=1",
            ..Facts::default()
        };
        for (path, location) in [
            ("/app?x=1", "/app/?x=1"),
            ("/e%20$", "/e%20$/?x=1"),
            ("/f", "/f/?x=1"),
        ] {
            let Action::Redirect(redirect) = routes.find("a", path).unwrap().action() else {
                panic!("{path} is redirected");
            };
            let mut out = Vec::new();
            redirect.write_location(&facts, &mut out);
            assert_eq!(
                (redirect.status(), String::from_utf8(out).unwrap()),
                (301, location.to_owned())
            );
        }
        for (path, upstream) in [
            ("/app/", 1),
            ("/appx", 0),
            ("/b", 3),
            ("/c", 5),
            ("/d", 0),
            ("/f/", 8),
            ("/", 0),
        ] {
            assert_eq!(routes.find("a", path).unwrap().action(), &up(upstream), "{path}");
        }
    }

    #[test]
    fn what_can_never_fit_or_fits_twice_is_refused() {
        for path in ["", "a", "/a//b", "/./a", "/a/..", "/a/../b", "*"] {
            let error = Routes::new([RouteConfig::prefix(path, up(0))]).unwrap_err();
            assert!(
                matches!(error, RouteError::Path { index: 0, .. }),
                "{path}: {error}"
            );
        }
        for path in ["/a?b", "/%", "/a%20", "/caf\u{e9}"] {
            assert!(Routes::new([RouteConfig::exact(path, up(0))]).is_ok(), "{path}");
        }
        for path in ["", "a", "/a?b", "/a b", "/a#", "/\n", "http://a/"] {
            let error = Routes::new([RouteConfig::prefix("/", up(0)).replace_prefix(path)]).unwrap_err();
            assert!(matches!(error, RouteError::Replacement { .. }), "{path}: {error}");
        }
        let answered = Action::respond(200, "", "").unwrap();
        assert_eq!(
            Routes::new([RouteConfig::prefix("/", answered).replace_prefix("/")]).unwrap_err(),
            RouteError::NothingToReplace { index: 0 }
        );
        let twice = Routes::new([
            RouteConfig::prefix("/a", up(0)).host(".example"),
            RouteConfig::exact("/a", up(0)).host("*.example"),
            RouteConfig::prefix("/a", up(1)).host("*.EXAMPLE"),
        ]);
        assert_eq!(
            twice.unwrap_err().to_string(),
            "routes 0 and 2 are both for \"/a\" of *.example"
        );
        let host = Routes::new([RouteConfig::prefix("/", up(0)).host("a:80")]).unwrap_err();
        assert!(host.to_string().contains("without port"));
    }

    fn up(upstream: usize) -> Action {
        Action::Upstream(upstream)
    }

    fn written(route: &Route, target: &str) -> String {
        let mut out = Vec::new();
        route.write_target(target, &mut out);
        String::from_utf8(out).unwrap()
    }
}
