//! Keys and their backends: exactly nginx's where it says so, and through all that backends go through.
//!
//! What nginx did was observed on nginx 1.22.1, one worker: four `server` lines 127.0.0.1:19100 to :19103 of
//! weights 5, 3, 2 and 1, called a to d here.

use std::net::IpAddr;
use std::time::Duration;

use lb_proxy::balance::{
    BackendConfig, HashKind, Key, Outcome, Reader, Strategy, Tried, Upstream, UpstreamConfig,
};
use proptest::prelude::*;

const NOW: Duration = Duration::from_secs(100);
const KETAMA: Strategy = Strategy::Hash(HashKind::Ketama);
const MODULO: Strategy = Strategy::Hash(HashKind::Modulo);
const MAGLEV: Strategy = Strategy::Hash(HashKind::Maglev);
const PLACING: [Strategy; 4] = [KETAMA, MODULO, MAGLEV, Strategy::IpHash];

#[test]
fn keys_go_where_nginx_s_consistent_hash_sends_them() {
    let upstream = upstream(KETAMA);
    assert_eq!(
        by_key(&upstream, 0),
        "acabcaaabddabcaacaabbaabcadaaccaaabaadabcaccbbaababb"
    );
    assert_eq!(
        without_a(&upstream, by_key),
        "bccbcbdcbddcbccdcbbbbccbcbdbcccbbcbcbdbbccccbbbbbdbb"
    );
}

#[test]
fn keys_go_where_nginx_s_plain_hash_sends_them() {
    let upstream = upstream(MODULO);
    assert_eq!(
        by_key(&upstream, 0),
        "aaccdbcbadacaadcdaaaacabaababaddbbbababacaaabbadacad"
    );
    assert_eq!(
        without_a(&upstream, by_key),
        "bbccdbcbbdbcbbdcdcdcbccbcdbcbcddbbbcbdbbcbbdbbddccbd"
    );
}

#[test]
fn clients_go_where_nginx_s_ip_hash_sends_them() {
    let upstream = upstream(Strategy::IpHash);
    assert_eq!(
        by_address(&upstream, 0),
        "bbbabccabbabcaaabbbddabbbccaabcbbaaabbbccabaaaccbbaa"
    );
    assert_eq!(
        without_a(&upstream, by_address),
        "bbbbbccbbbcbccbcbbbddbbbbccbbbcbbbdbbbbcccbdccccbbbb"
    );
}

#[test]
fn a_second_attempt_goes_where_nginx_s_goes() {
    for (strategy, by, expected) in [
        (
            KETAMA,
            by_key as By,
            "bccbcbdcbddcbccdcbbbbccbcbdbcccbbcbcbdbbccccbbbbbdbb",
        ),
        (
            MODULO,
            by_key,
            "bbccdbcbbdbcbbdcdcdcbccbcdbcbcddbbbcbdbbcbbdbbddccbd",
        ),
        (
            Strategy::IpHash,
            by_address,
            "bbbbbccbbbcbccbcbbbddbbbbccbbbcbbbdbbbbcccbdccccbbbb",
        ),
    ] {
        let upstream = upstream(strategy);
        let (first, second) = (by(&upstream, 0), by(&upstream, 1));
        for (at, first) in first.char_indices().filter(|&(_, first)| first == 'a') {
            assert_eq!(
                second[at..=at],
                expected[at..=at],
                "key {at} after {first}, {strategy:?}"
            );
        }
    }
}

#[test]
fn a_request_without_a_key_goes_by_weight() {
    for strategy in PLACING {
        let mut reader = upstream(strategy).reader();
        let mut counts = [0; 4];
        for key in [Key::None, Key::Bytes(b""), Key::Sticky(b"nobody")]
            .into_iter()
            .cycle()
            .take(33)
        {
            counts[usize::from(reader.pick_by(NOW, key, &Tried::new()).unwrap().slot())] += 1;
        }
        assert_eq!(counts, [15, 9, 6, 3], "{strategy:?}");
    }
}

#[test]
fn keys_come_back_to_a_backend_that_comes_back() {
    for strategy in PLACING {
        let upstream = upstream(strategy);
        let before = by_key(&upstream, 0);
        upstream.set_check(NOW, &name(1).into(), false).unwrap();
        let meanwhile = by_key(&upstream, 0);
        for (home, now) in before.chars().zip(meanwhile.chars()) {
            assert!(now != 'b' && (home == now || home == 'b'), "{strategy:?}");
        }
        upstream.set_check(NOW, &name(1).into(), true).unwrap();
        assert_eq!(by_key(&upstream, 0), before, "{strategy:?}");
    }
}

#[test]
fn a_failed_backend_is_probed_by_its_own_keys_alone() {
    for strategy in PLACING {
        let upstream = upstream(strategy);
        let mut reader = upstream.reader();
        let [own, other] = ["a", "b"].map(|home| key_of(&mut reader, home));
        let pick = reader.pick_by(NOW, Key::Bytes(&own), &Tried::new()).unwrap();
        pick.finish(NOW, Outcome::Failure);
        let due = NOW + Duration::from_secs(60);
        let mut ask = |key: &[u8]| {
            letter(
                reader
                    .pick_by(due, Key::Bytes(key), &Tried::new())
                    .unwrap()
                    .slot(),
            )
        };
        assert_eq!(ask(&other), "b", "{strategy:?}");
        assert_eq!(ask(&own), "a", "{strategy:?}");
        assert_ne!(ask(&own), "a", "{strategy:?}");
    }
}

#[test]
fn few_of_maglev_s_keys_move_when_a_backend_is_added() {
    let set = |backends| config(MAGLEV, &vec![1; backends]);
    let upstream = Upstream::new(set(20));
    let mut reader = upstream.reader();
    let mut places = || -> Vec<u16> {
        let mut place = |key| reader.pick_by(NOW, Key::Hash(key), &Tried::new()).unwrap().slot();
        (0..20_000).map(&mut place).collect()
    };
    let before = places();
    upstream.replace(NOW, set(21));
    let after = places();
    let moved = before.iter().zip(&after).filter(|(a, b)| a != b).count();
    let to_new = after.iter().filter(|&&slot| slot == 20).count();
    assert!(to_new.abs_diff(952) < 150, "{to_new} of 20000 for 952");
    assert!(
        moved >= to_new && moved < 2 * 952,
        "{moved} of 20000 moved, {to_new} to the new one"
    );
}

#[test]
fn spares_take_keys_only_while_no_primary_can() {
    for strategy in PLACING {
        let backend = |n: u16| BackendConfig::new(name(n), address(n));
        let set = [backend(0), backend(1).spare(true), backend(2).spare(true)];
        let upstream = Upstream::new(
            UpstreamConfig::builder("app")
                .strategy(strategy)
                .backends(set)
                .build()
                .unwrap(),
        );
        assert_eq!(by_key(&upstream, 0), "a".repeat(52));
        upstream.set_down(NOW, &name(0).into(), true).unwrap();
        let spares = by_key(&upstream, 0);
        assert!(
            spares.contains('b') && spares.contains('c') && !spares.contains('a'),
            "{strategy:?}"
        );
        assert_eq!(by_key(&upstream, 0), spares);
    }
}

#[test]
fn weights_that_change_move_keys_and_shares() {
    for strategy in [KETAMA, MODULO, MAGLEV] {
        let upstream = upstream(strategy);
        upstream.set_weight(NOW, &name(3).into(), 9).unwrap();
        let mut reader = upstream.reader();
        let hits = (0..4_000_u32).filter(|key| {
            let bytes = key.to_be_bytes();
            reader
                .pick_by(NOW, Key::Bytes(&bytes), &Tried::new())
                .unwrap()
                .slot()
                == 3
        });
        let hits = hits.count(); // 9 of 19
        assert!(hits.abs_diff(1_895) < 300, "{hits}, {strategy:?}");
        upstream.set_weight(NOW, &name(3).into(), 0).unwrap();
        assert!(!by_key(&upstream, 0).contains('d'), "{strategy:?}");
    }
}

proptest! {
    /// Whatever is out, a key finds a backend if there is one, the same each time, and its own if it can.
    #[test]
    fn a_key_always_finds_its_way(out in any::<[bool; 4]>(), key in any::<[u8; 6]>(), ip in any::<u32>()) {
        prop_assume!(out.contains(&false));
        for strategy in PLACING {
            let upstream = upstream(strategy);
            let mut reader = upstream.reader();
            let key = if strategy == Strategy::IpHash { Key::Ip(IpAddr::V4(ip.into())) } else { Key::Bytes(&key) };
            let home = reader.pick_by(NOW, key, &Tried::new()).unwrap().slot();
            for (n, _) in (0..).zip(out).filter(|&(_, out)| out) {
                upstream.set_check(NOW, &name(n).into(), false).unwrap();
            }
            let place = reader.pick_by(NOW, key, &Tried::new()).unwrap().slot();
            prop_assert!(!out[usize::from(place)]);
            prop_assert!(place == home || out[usize::from(home)]);
        }
    }
}

/// The backends of many keys or addresses, each after so many attempts elsewhere.
type By = fn(&Upstream, usize) -> String;

fn by_key(upstream: &Upstream, attempts: usize) -> String {
    let mut reader = upstream.reader();
    let keys = (0..48).map(|n| format!("k{n}"));
    let more = [
        "/index.html".into(),
        "user-4711".into(),
        "a".into(),
        "x".repeat(100),
    ];
    keys.chain(more)
        .map(|key| place(&mut reader, Key::Bytes(key.as_bytes()), attempts))
        .collect()
}

fn by_address(upstream: &Upstream, attempts: usize) -> String {
    let mut reader = upstream.reader();
    let one_net = [1, 2, 200].map(|n| format!("192.0.2.{n}"));
    let nets = (0..40).map(|n| format!("10.{}.{}.7", n * 37 % 256, n * 91 % 256));
    let v6 = (0..9).map(|n| format!("2001:db8::{:x}", n * 7_919));
    let addresses = one_net.into_iter().chain(nets).chain(v6);
    addresses
        .map(|ip| place(&mut reader, Key::Ip(ip.parse().unwrap()), attempts))
        .collect()
}

fn place(reader: &mut Reader, key: Key<'_>, attempts: usize) -> String {
    let mut tried = Tried::new();
    for _ in 0..attempts {
        tried.insert(&reader.pick_by(NOW, key, &tried).unwrap());
    }
    letter(reader.pick_by(NOW, key, &tried).unwrap().slot())
}

fn without_a(upstream: &Upstream, by: By) -> String {
    upstream.set_down(NOW, &name(0).into(), true).unwrap();
    by(upstream, 0)
}

fn key_of(reader: &mut Reader, home: &str) -> Vec<u8> {
    let mut keys = (0..1_000_u32).map(|n| n.to_be_bytes().to_vec());
    keys.find(|key| place(reader, Key::Bytes(key), 0) == home)
        .unwrap()
}

fn letter(slot: u16) -> String {
    char::from(b'a' + slot as u8).to_string()
}

fn upstream(strategy: Strategy) -> Upstream {
    Upstream::new(config(strategy, &[5, 3, 2, 1]))
}

fn config(strategy: Strategy, weights: &[u16]) -> UpstreamConfig {
    let backends = (0..)
        .zip(weights)
        .map(|(n, &weight)| BackendConfig::new(name(n), address(n)).weight(weight));
    UpstreamConfig::builder("app")
        .strategy(strategy)
        .backends(backends)
        .build()
        .unwrap()
}

fn name(n: u16) -> String {
    address(n).to_string()
}

fn address(n: u16) -> std::net::SocketAddr {
    ([127, 0, 0, 1], 19_100 + n).into()
}
