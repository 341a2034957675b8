//! Which request goes where: by host and path, as nginx's `server_name` and `location` without regular expressions.
//!
//! [`Routes`] holds everything and is immutable: it is built once, shared, and replaced as a whole. A look-up costs
//! some tens of nanoseconds at any number of routes and allocates nothing, unless the path needs normalising.
//!
//! **Hosts** come first. Of all patterns that fit, one is chosen: the exact name, else the longest `*.example.com`,
//! else the longest `www.*`, else the routes without a host. `.example.com` stands for `example.com` and
//! `*.example.com`. Only the routes of the chosen pattern are looked at then: as in nginx, a host with routes of its
//! own does not fall back to the others' when none of its paths fits.
//!
//! **Paths** next: an exact one, else the longest prefix. A prefix is one of bytes, as nginx's: `/app` fits
//! `/apple`; write `/app/` for the folder. They are compared with a *normalised copy* of the path ([`normalise`]):
//! `%`-encoded bytes decoded, dot segments resolved, slashes merged. What is forwarded stays as the client wrote it,
//! unless the route replaces the prefix ([`RouteConfig::replace_prefix`], nginx's `proxy_pass` with a URI).
//!
//! ```
//! use lb_proxy::route::{Action, RouteConfig, Routes};
//!
//! let routes = Routes::new([
//!     RouteConfig::prefix("/", Action::Upstream(0)).host("example.com"),
//!     RouteConfig::prefix("/api/", Action::Upstream(1)).host("example.com").replace_prefix("/v1/"),
//!     RouteConfig::prefix("/", Action::redirect(301, "https://example.com$request_uri")?).host("*.example.com"),
//!     RouteConfig::prefix("/", Action::respond(404, "text/plain", "no such host\n")?),
//! ])?;
//! let route = routes.find("Example.com:80", "/static/../api/users?id=7")?;
//! assert_eq!(route.action(), &Action::Upstream(1));
//!
//! let mut head = b"GET ".to_vec();
//! route.write_target("/api/users?id=7", &mut head);
//! assert_eq!(head, b"GET /v1/users?id=7");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Variables
//!
//! Values of [`HeaderEdits`] and a redirect's location may hold these, with nginx's meanings; what is unknown is empty.
//!
//! | variable | value |
//! |---|---|
//! | `$host` | the host that was asked for, in lower case, without port |
//! | `$http_NAME` | the request's first field of that name, with `_` for `-`: `$http_user_agent`, `$http_host` |
//! | `$proxy_add_x_forwarded_for` | `X-Forwarded-For` with `$remote_addr` added |
//! | `$remote_addr`, `$remote_port` | the client's address (behind trusted hops, the one they tell), and its port |
//! | `$request_id` | the request's id |
//! | `$request_method`, `$request_uri` | method, and target with its query as the client wrote it |
//! | `$args`, `$query_string`, `$is_args` | what follows the `?`; a `?` if there is one |
//! | `$scheme`, `$server_protocol` | `http` or `https`; `HTTP/1.1` |
//! | `$server_addr`, `$server_port` | the address and port that the client came to |
//! | `$status` | the response's status |
//! | `$upstream_addr` | the backend's address and port |

mod action;
mod config;
mod edits;
mod facts;
mod hosts;
mod path;
mod routes;
mod trie;

pub use action::{Action, ActionError, MAX_BODY, Redirect, Respond};
pub use config::{MAX_PATH, PathMatch, RouteConfig, RouteError};
pub use edits::{EditError, HeaderEdits, HeaderEditsBuilder};
pub use facts::Facts;
pub use path::{BadPath, normalise};
pub use routes::{NotFound, Route, Routes};
