//! The balancer.

use std::hint::black_box;
use std::time::Duration;

use lb_proxy::balance::{HashKind, Key, Outcome, Strategy, Tried, Upstream, UpstreamConfig};

use crate::{Case, upstreams};

const SIZES: [u16; 3] = [10, 1_000, 10_000];
const NOW: Duration = Duration::from_secs(1);

/// Sets up for so many backends, then does it so many times.
type Operation = fn(u16, u64);

pub(crate) fn cases() -> Vec<Case> {
    let operations: [(&str, Operation); 9] = [
        ("balance/pick", |backends, times| {
            pick(upstreams::weighted(backends), times);
        }),
        ("balance/pick-equal", |backends, times| {
            pick(upstreams::equal(backends), times);
        }),
        ("balance/pick-least-conn", |backends, times| {
            pick(upstreams::of(Strategy::LeastConn, backends), times);
        }),
        ("balance/pick-power-of-two", |backends, times| {
            pick(upstreams::of(Strategy::PowerOfTwo, backends), times);
        }),
        ("balance/pick-random", |backends, times| {
            pick(upstreams::of(Strategy::Random, backends), times);
        }),
        ("balance/pick-maglev", |backends, times| {
            pick_by_key(upstreams::of(Strategy::Hash(HashKind::Maglev), backends), times);
        }),
        ("balance/pick-ketama", |backends, times| {
            pick_by_key(upstreams::of(Strategy::Hash(HashKind::Ketama), backends), times);
        }),
        ("balance/pick-ip-hash", |backends, times| {
            pick_by_key(upstreams::of(Strategy::IpHash, backends), times);
        }),
        ("balance/request", |backends, times| {
            request(upstreams::weighted(backends), times);
        }),
    ];
    let mut cases = Vec::new();
    for (operation, run) in operations {
        for backends in SIZES {
            cases.push(Case {
                name: format!("{operation}/{backends}"),
                run: Box::new(move |times| run(backends, times)),
            });
        }
    }
    cases
}

/// The choice alone.
fn pick(config: UpstreamConfig, times: u64) {
    let mut reader = Upstream::new(config).reader();
    for _ in 0..times {
        let choice = reader.choose(black_box(NOW), &Tried::new());
        black_box(choice.map(|choice| choice.address().port()));
    }
}

/// The choice alone, for keys of eight octets.
fn pick_by_key(config: UpstreamConfig, times: u64) {
    let mut reader = Upstream::new(config).reader();
    for key in 0..times {
        let key = key.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_ne_bytes();
        let choice = reader.choose_by(black_box(NOW), Key::Bytes(black_box(&key)), &Tried::new());
        black_box(choice.map(|choice| choice.address().port()));
    }
}

/// The choice, counting the request as under way, and its end.
fn request(config: UpstreamConfig, times: u64) {
    let mut reader = Upstream::new(config).reader();
    for _ in 0..times {
        let pick = reader.pick(black_box(NOW), &Tried::new());
        black_box(pick.map(|pick| pick.finish(black_box(NOW), Outcome::Success)));
    }
}
