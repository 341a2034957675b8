//! What an `[[upstream]]` says of the life of its backends: ejection, panic, limits, the queue.

use std::num::NonZeroU32;

use lb_proxy::balance::{BackendConfig, FailOn, Passive, QueueConfig, UpstreamBuilder};

use super::reader::Table;
use super::values;
use crate::config::Diagnostic;

/// What holds for all backends of an upstream.
pub(super) struct UpstreamLife {
    passive: Passive,
    panic: bool,
    queue: Option<QueueConfig>,
    fail_on: FailOn,
}

impl UpstreamLife {
    pub(super) fn read(table: &mut Table<'_, '_>) -> Self {
        Self {
            passive: read_passive(table),
            panic: table
                .optional("panic", values::boolean)
                .is_none_or(|one| one.value),
            queue: read_queue(table),
            fail_on: table
                .list("fail_statuses", |value| values::integer::<u16>(value, 100, 599))
                .into_iter()
                .fold(FailOn::errors(), |fail_on, status| fail_on.status(status.value)),
        }
    }

    pub(super) fn apply(&self, builder: UpstreamBuilder) -> UpstreamBuilder {
        let builder = builder.passive(self.passive.clone()).panic(self.panic);
        let builder = builder.fail_on(self.fail_on.clone());
        match self.queue {
            Some(queue) => builder.queue(queue),
            None => builder,
        }
    }
}

/// Adds what one `[[upstream.backend]]` says.
pub(super) fn read_backend(table: &mut Table<'_, '_>, mut backend: BackendConfig) -> BackendConfig {
    let max_conns = table.optional("max_conns", |value| {
        values::integer(value, 0, i64::from(u32::MAX))
    });
    if let Some(max_conns) = max_conns {
        backend = backend.max_conns(max_conns.value);
    }
    if let Some(slow_start) = table.optional("slow_start", values::duration) {
        backend = backend.slow_start(slow_start.value);
    }
    if let Some(drain) = table.optional("drain", values::boolean) {
        backend = backend.drain(drain.value);
    }
    backend
}

fn read_passive(table: &mut Table<'_, '_>) -> Passive {
    let mut passive = Passive::new();
    let count = |value: &_| values::integer::<u32>(value, 0, i64::from(u32::MAX));
    let percent = |value: &_| values::integer::<u8>(value, 0, 100);
    if let Some(failures) = table.optional("consecutive_fails", count) {
        passive = passive.consecutive(failures.value);
    }
    let ratio = table.optional("fail_ratio", percent);
    for key in ["fail_volume", "fail_window"] {
        needs(table, key, "fail_ratio", ratio.is_some());
    }
    if let Some(ratio) = ratio {
        passive = passive.ratio(ratio.value);
    }
    if let Some(volume) = table.optional("fail_volume", count) {
        passive = passive.min_volume(volume.value);
    }
    if let Some(window) = table.optional("fail_window", values::duration) {
        passive = passive.window(window.value);
    }
    if let Some(time) = table.optional("base_ejection", values::duration) {
        passive = passive.base_ejection(time.value);
    }
    if let Some(time) = table.optional("max_ejection", values::duration) {
        passive = passive.max_ejection(time.value);
    }
    if let Some(share) = table.optional("max_ejected_percent", percent) {
        passive = passive.max_ejected_percent(share.value);
    }
    if let Some(keep) = table.optional("keep_last", values::boolean) {
        passive = passive.keep_last(keep.value);
    }
    passive
}

fn read_queue(table: &mut Table<'_, '_>) -> Option<QueueConfig> {
    let length = table.optional("queue", |value| values::integer::<u32>(value, 0, 1_000_000));
    needs(table, "queue_timeout", "queue", length.is_some());
    let timeout = table.optional("queue_timeout", values::duration);
    let mut queue = QueueConfig::new(NonZeroU32::new(length?.value)?);
    if let Some(timeout) = timeout {
        queue = queue.timeout(timeout.value);
    }
    Some(queue)
}

/// Tells of a key that does nothing without another.
fn needs(table: &mut Table<'_, '_>, key: &str, other: &str, is_there: bool) {
    if let (Some(span), false) = (table.span_of(key), is_there) {
        table.tell(
            Diagnostic::error(format!("`{key}` without `{other}`"))
                .at(span)
                .help(format!("add `{other}`, or leave `{key}` out")),
        );
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lb_proxy::balance::{
        BackendConfig, BackendState, Key, Outcome, Pick, QueueConfig, Reader, Refusal, Tried, Upstream,
        UpstreamConfig,
    };

    use crate::config::draft::Draft;
    use crate::config::{Diagnostics, Sources};

    const NONE: Tried = Tried::new();

    #[test]
    fn without_a_word_the_defaults_of_lb_proxy_hold() {
        let backends = ["a", "b"].map(|id| BackendConfig::new(id, ADDRESS.parse().unwrap()));
        let expected = UpstreamConfig::builder("app").backends(backends).build();
        assert_eq!(config("", "", ""), expected.unwrap());
    }

    #[test]
    fn consecutive_fails_eject() {
        let (upstream, mut reader) = built("consecutive_fails = 2", "max_fails = 0", "max_fails = 0");
        fail(&mut reader, at(0), "a");
        assert_eq!(state(&upstream), BackendState::Up);
        fail(&mut reader, at(0), "a");
        assert_eq!(state(&upstream), BackendState::Failed);
    }

    #[test]
    fn a_fail_ratio_ejects_from_its_volume_on_within_its_window() {
        let settings = "fail_ratio = 50\nfail_volume = 3\nfail_window = \"4s\"";
        let (upstream, mut reader) = built(settings, "max_fails = 0", "max_fails = 0");
        for second in [0, 0, 4, 4] {
            fail(&mut reader, at(second), "a");
            assert_eq!(state(&upstream), BackendState::Up);
        }
        fail(&mut reader, at(4), "a");
        assert_eq!(state(&upstream), BackendState::Failed);
    }

    #[test]
    fn ejections_have_a_base_and_a_longest() {
        let settings = "base_ejection = \"2s\"\nmax_ejection = \"3s\"";
        let (upstream, mut reader) = built(settings, "", "");
        let until = || upstream.status().backends[0].ejected_until;
        fail(&mut reader, at(0), "a");
        assert_eq!(until(), Some(at(2)));
        fail(&mut reader, at(2), "a");
        assert_eq!(until(), Some(at(5)));
    }

    #[test]
    fn all_may_be_ejected_if_the_file_says_so() {
        let settings = "max_ejected_percent = 100\nkeep_last = false\npanic = false";
        let (_, mut reader) = built(settings, "", "");
        for id in ["a", "b"] {
            fail(&mut reader, at(0), id);
        }
        assert!(reader.pick(at(1), &NONE).is_none());
        for settings in [
            "max_ejected_percent = 50\nkeep_last = false",
            "max_ejected_percent = 100",
        ] {
            let (_, mut reader) = built(&format!("{settings}\npanic = false"), "", "");
            for id in ["a", "b"] {
                fail(&mut reader, at(0), id);
            }
            assert!(reader.pick(at(1), &NONE).is_some(), "{settings}");
        }
    }

    #[test]
    fn panic_uses_all_unless_it_is_turned_off() {
        for (settings, used) in [("", true), ("panic = true", true), ("panic = false", false)] {
            let (upstream, mut reader) = built(settings, "", "");
            for id in ["a", "b"] {
                upstream.set_check(at(0), &id.into(), false).unwrap();
            }
            assert_eq!(reader.pick(at(0), &NONE).is_some(), used, "{settings}");
        }
    }

    #[test]
    fn listed_statuses_fail() {
        let (upstream, mut reader) = built("fail_statuses = [500, 503]", "", "");
        take(&mut reader, at(0), "a").finish(at(0), Outcome::Status(502));
        assert_eq!(state(&upstream), BackendState::Up);
        take(&mut reader, at(0), "a").finish(at(0), Outcome::Status(503));
        assert_eq!(state(&upstream), BackendState::Failed);
    }

    #[test]
    fn limits_and_the_queue_hold() {
        let settings = "queue = 1\nqueue_timeout = \"3s\"";
        let (upstream, mut reader) = built(settings, "max_conns = 1", "max_conns = 1");
        let held = [(); 2].map(|()| reader.pick(at(0), &NONE).unwrap());
        let refusal = reader.pick_or_refusal(at(0), Key::None, &NONE);
        assert_eq!(refusal.unwrap_err(), Refusal::Full);
        let waiting = upstream.wait(at(0), &NONE).unwrap();
        assert_eq!(waiting.deadline(), at(3));
        assert_eq!(upstream.wait(at(0), &NONE).unwrap_err(), Refusal::Full);
        drop(held);
        assert_eq!(config("queue = 0", "", "").queue(), None);
        let queue = config("queue = 5", "", "").queue();
        assert_eq!(queue, Some(QueueConfig::new(5.try_into().unwrap())));
    }

    #[test]
    fn a_backend_starts_slowly_and_drains() {
        let (upstream, mut reader) = built("", "slow_start = \"30s\"", "");
        take(&mut reader, at(0), "a").finish(at(0), Outcome::Success);
        fail(&mut reader, at(0), "a");
        take(&mut reader, at(10), "a").finish(at(10), Outcome::Success);
        assert_eq!(upstream.status().backends[0].slow_start.unwrap().until, at(40));

        let (upstream, mut reader) = built("", "drain = true", "");
        assert_eq!(state(&upstream), BackendState::Drain);
        let stuck = reader.pick_by(at(0), Key::Sticky(b"a"), &NONE).unwrap();
        assert_eq!(stuck.id().as_str(), "a");
    }

    #[test]
    fn what_cannot_work_is_told_with_its_place() {
        for (settings, problem) in [
            ("fail_ratio = 101", "101 is out of range"),
            ("max_ejected_percent = 101", "101 is out of range"),
            ("fail_statuses = [50]", "50 is out of range"),
            ("fail_window = \"5s\"", "`fail_window` without `fail_ratio`"),
            ("fail_volume = 5", "`fail_volume` without `fail_ratio`"),
            ("queue_timeout = \"5s\"", "`queue_timeout` without `queue`"),
            (
                "fail_ratio = 5\nfail_window = \"0s\"",
                "the window of the ratio is 0",
            ),
        ] {
            let problems = read(&file(settings, "", "")).unwrap_err();
            let last_line = 2 + settings.lines().count();
            assert!(
                problems.contains(problem) && problems.contains(&format!(":{last_line}:")),
                "{settings}: {problems}"
            );
        }
    }

    const ADDRESS: &str = "192.0.2.1:80";

    fn file(settings: &str, a: &str, b: &str) -> String {
        let backend = |name, more| {
            format!("[[upstream.backend]]\nname = \"{name}\"\naddress = \"{ADDRESS}\"\n{more}\n")
        };
        format!(
            "[[upstream]]\nname = \"app\"\n{settings}\n{}{}",
            backend("a", a),
            backend("b", b)
        )
    }

    fn config(settings: &str, a: &str, b: &str) -> UpstreamConfig {
        read(&file(settings, a, b)).unwrap()
    }

    /// The upstream of a file, or what is wrong with it.
    fn read(text: &str) -> Result<UpstreamConfig, String> {
        let (mut sources, mut draft) = (Sources::default(), Draft::default());
        let mut diagnostics = Diagnostics::default();
        let file = sources.add("stack.toml", text);
        crate::config::toml::read(&sources, file, &mut draft, &mut diagnostics);
        match draft.upstreams.pop() {
            Some(upstream) if diagnostics.is_empty() => Ok(upstream.config),
            _ => Err(diagnostics.render(&sources, false)),
        }
    }

    fn built(settings: &str, a: &str, b: &str) -> (Upstream, Reader) {
        let upstream = Upstream::new(config(settings, a, b));
        let reader = upstream.reader();
        (upstream, reader)
    }

    const fn at(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    fn take(reader: &mut Reader, now: Duration, id: &str) -> Pick {
        (0..100)
            .map(|_| reader.pick(now, &NONE).unwrap())
            .find(|pick| pick.id().as_str() == id)
            .expect("it takes turns")
    }

    fn fail(reader: &mut Reader, now: Duration, id: &str) {
        take(reader, now, id).finish(now, Outcome::Failure);
    }

    fn state(upstream: &Upstream) -> BackendState {
        upstream.status().backends[0].state
    }
}
