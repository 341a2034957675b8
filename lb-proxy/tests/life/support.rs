//! Upstreams and requests in a few words.

use std::time::Duration;

use lb_proxy::balance::{
    BackendConfig, BackendState, BackendStatus, Key, Outcome, Pick, Reader, Refusal, Transition, Tried,
    Upstream, UpstreamBuilder, UpstreamConfig,
};

pub(crate) fn upstream(config: UpstreamBuilder) -> (Upstream, Reader) {
    let upstream = Upstream::new(config.build().unwrap());
    let reader = upstream.reader();
    (upstream, reader)
}

pub(crate) fn config(backends: impl IntoIterator<Item = BackendConfig>) -> UpstreamBuilder {
    UpstreamConfig::builder("app").backends(backends)
}

pub(crate) fn backend(id: &str) -> BackendConfig {
    BackendConfig::new(id, ([192, 0, 2, 1], 80).into())
}

pub(crate) const fn at(second: u64) -> Duration {
    Duration::from_secs(second)
}

pub(crate) fn pick(reader: &mut Reader, now: Duration) -> Pick {
    reader.pick(now, &Tried::new()).expect("there is a backend")
}

pub(crate) fn try_pick(reader: &mut Reader, now: Duration) -> Result<Pick, Refusal> {
    reader.pick_or_refusal(now, Key::None, &Tried::new())
}

/// A request at the backend `id`, when it is its turn.
pub(crate) fn pick_id(reader: &mut Reader, now: Duration, id: &str) -> Pick {
    (0..200)
        .map(|_| pick(reader, now))
        .find(|pick| pick.id().as_str() == id)
        .expect("it takes turns")
}

pub(crate) fn fail(reader: &mut Reader, now: Duration, id: &str) -> Option<Transition> {
    pick_id(reader, now, id).finish(now, Outcome::Failure)
}

pub(crate) fn succeed(reader: &mut Reader, now: Duration, id: &str) -> Option<Transition> {
    pick_id(reader, now, id).finish(now, Outcome::Success)
}

/// Who gets the next `picks` requests, which are cancelled.
pub(crate) fn order(reader: &mut Reader, now: Duration, picks: usize) -> String {
    (0..picks).map(|_| pick(reader, now).id().to_string()).collect()
}

/// How many of the next `picks` requests the backend `id` gets.
pub(crate) fn share(reader: &mut Reader, now: Duration, picks: usize, id: &str) -> usize {
    (0..picks)
        .filter(|_| pick(reader, now).id().as_str() == id)
        .count()
}

pub(crate) fn status(upstream: &Upstream, id: &str) -> BackendStatus {
    let mut backends = upstream.status().backends.into_iter();
    backends.find(|one| one.id.as_str() == id).expect("it is there")
}

pub(crate) fn state(upstream: &Upstream, id: &str) -> BackendState {
    status(upstream, id).state
}
