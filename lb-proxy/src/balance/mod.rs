//! Which backend serves a request: pure, and the same few nanoseconds at any number of backends.
//!
//! An [`Upstream`] is shared by all threads. A worker takes a [`Reader`] and picks; the [`Pick`] counts as a
//! request under way until it is finished with an [`Outcome`], which feeds passive health. Every call that
//! depends on time takes `now`, the time since the driver's epoch; nothing here reads a clock.
//!
//! - **Order** ([`Strategy`]): by default weighted, and so even that no backend is ever a whole request away
//!   from its share, laid out as a table when the set of eligible backends changes. A pick is one atomic
//!   addition and one look-up, and the picks of all threads form one sequence.
//! - **Passive health**: nginx's [`max_fails`](BackendConfig::max_fails) and
//!   [`fail_timeout`](BackendConfig::fail_timeout), and the rules of [`Passive`]. A failed backend is skipped
//!   from the next pick on. When its ejection is over, the next request is its probe; until that succeeds
//!   there is one such request at a time. Times are exact where nginx counts in whole seconds.
//!   [`Passive::nginx`] leaves what nginx has.
//! - **What a failure is** an embedder can say: [`Classify`].
//! - **Spares** (nginx's `backup`) are used while no primary can take the request, and when nobody is up
//!   [everybody](UpstreamBuilder::panic) is.
//! - **Limits**: [`max_conns`](BackendConfig::max_conns) holds for all threads together, and a request may
//!   [wait](Upstream::wait) for a free slot.
//! - **Coming and going**: a backend [drains](BackendConfig::drain), keeps its sessions ([`Key::Sticky`]), and
//!   [starts slowly](BackendConfig::slow_start) after a failure.
//! - **Change** of weights, `down`, active checks and the whole set while requests run: [`Upstream::replace`]
//!   and the `set_…` calls.
//!
//! ```
//! use std::time::Duration;
//! use lb_proxy::balance::{BackendConfig, Tried, Upstream, UpstreamConfig};
//!
//! let backend = |id: &str| BackendConfig::new(id, "192.0.2.1:80".parse().unwrap());
//! let config = UpstreamConfig::builder("app").backends([backend("a").weight(5), backend("b"), backend("c")]).build()?;
//! let mut reader = Upstream::new(config).reader();
//! let now = Duration::ZERO;
//! let order: Vec<_> =
//!     (0..7).map(|_| reader.pick(now, &Tried::new()).expect("all are up").id().to_string()).collect();
//! assert_eq!(order.concat(), "abaaaca");
//! # Ok::<(), lb_proxy::balance::ConfigError>(())
//! ```

mod backend;
mod config;
mod control;
mod entry;
mod evidence;
mod outcome;
mod panic;
mod passive;
mod pick;
mod queue;
mod ramp;
mod slots;
mod snapshot;
mod status;
mod strategy;
mod upstream;

pub use backend::BackendState;
pub use config::{
    BackendConfig, BackendId, ConfigError, MAX_BACKENDS, UpstreamBuilder, UpstreamConfig, Weight,
};
pub use outcome::{Classify, FailOn, Outcome, Verdict};
pub use passive::Passive;
pub use pick::{Choice, Pick, Refusal};
pub use queue::{QueueConfig, Waiting};
pub use slots::Tried;
pub use status::{
    BackendStatus, Diff, QueueStatus, Reason, SlowStart, Transition, UnknownBackend, UpstreamStatus,
};
pub use strategy::{HashKind, Key, Strategy};
pub use upstream::{Reader, Upstream};
