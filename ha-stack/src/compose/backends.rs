//! The backends of all upstreams: checks decide about them, and events tell how they are.

use std::collections::HashMap;
use std::sync::Arc;

use lb_proxy::balance::{BackendId, BackendState, Upstream, UpstreamStatus};
use tokio::sync::broadcast;

use super::event::Event;

/// A check that decides whether a backend gets requests.
#[derive(Debug)]
pub(super) struct BackendCheck {
    pub(super) check: usize,
    pub(super) upstream: usize,
    pub(super) backend: BackendId,
}

/// The upstreams, and the checks of their backends.
#[derive(Debug)]
pub(super) struct Backends {
    upstreams: Vec<Watched>,
    checks: Vec<BackendCheck>,
}

/// An upstream with what was last told of its backends.
#[derive(Debug)]
struct Watched {
    upstream: Upstream,
    states: HashMap<BackendId, BackendState>,
}

impl Backends {
    pub(super) fn new(upstreams: Vec<Upstream>, checks: Vec<BackendCheck>) -> Self {
        let watch = |upstream: Upstream| {
            let backends = upstream.status().backends;
            Watched {
                states: backends.into_iter().map(|one| (one.id, one.state)).collect(),
                upstream,
            }
        };
        Self {
            upstreams: upstreams.into_iter().map(watch).collect(),
            checks,
        }
    }

    /// Whether there is nothing to watch.
    pub(super) fn is_empty(&self) -> bool {
        self.upstreams.is_empty()
    }

    pub(super) fn status(&self) -> Vec<UpstreamStatus> {
        self.upstreams.iter().map(|one| one.upstream.status()).collect()
    }

    /// Lets a check decide about the backends that it is for.
    pub(super) fn apply_check(&self, check: usize, up: bool) {
        for one in self.checks.iter().filter(|one| one.check == check) {
            let upstream = &self.upstreams[one.upstream].upstream;
            // Unknown only if somebody has replaced the backends meanwhile.
            let _ = upstream.set_check(lb_proxy::proxy::now(), &one.backend, up);
        }
    }

    /// Requests take backends out and bring them back; that shows in their states alone.
    pub(super) fn watch(&mut self, events: &broadcast::Sender<Event>) {
        for Watched { upstream, states } in &mut self.upstreams {
            upstream.handle_timeout(lb_proxy::proxy::now());
            let status = upstream.status();
            for backend in status.backends {
                let from = states.insert(backend.id.clone(), backend.state);
                let Some(from) = from.filter(|from| *from != backend.state) else {
                    continue;
                };
                // Nobody may be listening.
                let _ = events.send(Event::Backend {
                    upstream: Arc::clone(&status.name),
                    backend: backend.id,
                    from,
                    to: backend.state,
                });
            }
        }
    }
}
