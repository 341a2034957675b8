//! The HMAC trailer: the draft's wire images, windows, replay, modes and rotation.

use std::net::IpAddr;
use std::time::Duration;

use vrrp_core::{
    AntiReplay, AuthenticationConfig, ChecksumForm, Config, ConfigBuilder, ConfigError, Discard, Envelope,
    GROUP_V4, HmacConfig, HmacError, HmacKey, HmacKeys, HmacMode, MessageError, NoHmac, Packet, ParseError,
    Priority, Sequence, State, VirtualRouter, Vrid,
};

use crate::fuzz::reference;
use crate::support::*;

const DRAFT: &str = include_str!("../data/auth_hmac_draft.txt");
/// When the draft's images were signed: 0x68000000 and a half.
const DRAFT_TIME: Duration = Duration::from_millis(0x6800_0000 * 1000 + 500);

const MODES: [HmacMode; 3] = [HmacMode::ReceiveOnly, HmacMode::Permissive, HmacMode::Enforce];

fn key(id: u8) -> HmacKey {
    let secret: Vec<u8> = (0..32).map(|octet| octet ^ (id - 1)).collect();
    HmacKey::new(id, &secret).unwrap()
}

fn hmac() -> HmacConfig {
    HmacConfig::new(key(1))
}

fn signed(config: HmacConfig) -> ConfigBuilder {
    v3(100).authentication(config.into())
}

/// A message of the draft with its envelope.
fn draft(name: &str) -> (Vec<u8>, Envelope) {
    let mut lines = DRAFT.lines().filter(|line| !line.starts_with('#'));
    let line = lines.find(|line| line.starts_with(name)).unwrap();
    let [_, source, destination, octets] = line.split('\t').collect::<Vec<_>>()[..] else {
        panic!("four fields in {line}");
    };
    let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let envelope = Envelope {
        source: ip(source),
        destination: ip(destination),
        hop_limit: 255,
    };
    (octets.as_bytes().chunks(2).map(octet).collect(), envelope)
}

/// A router that the message of the draft is for, just started, at the time of the draft.
fn receiver(name: &str, vrid: u8, config: HmacConfig) -> VirtualRouter {
    let (vip, own) = match name {
        "ipv4" => ("192.0.2.100", "198.51.100.20"),
        _ => ("fe80::100", "fe80::20"),
    };
    let addresses = vrrp_core::AddressList::new(&[ip(vip)]).unwrap();
    let mut builder = Config::builder(Vrid::new(vrid).unwrap(), addresses)
        .version(vrrp_core::Version::V3)
        .authentication(config.into());
    if name == "ipv6" {
        builder = builder.peers(&[ip("fe80::10"), ip("fe80::11")]);
    }
    let mut router = VirtualRouter::new(builder.build().unwrap(), ip(own));
    router.set_wall_clock(secs(1000), DRAFT_TIME);
    router.handle_startup(secs(1000));
    router
}

fn hears(router: &mut VirtualRouter, octets: &[u8], envelope: &Envelope) -> Result<(), Discard> {
    let packet = Packet::parse(octets, envelope).expect("well-formed");
    router.handle_advert(secs(1000), &packet)
}

#[test]
fn the_drafts_images_verify_by_time_and_by_growth() {
    for name in ["ipv4", "ipv6"] {
        for anti_replay in [AntiReplay::Time, AntiReplay::Monotonic] {
            let (octets, envelope) = draft(name);
            let mut router = receiver(name, 51, hmac().with_anti_replay(anti_replay));
            assert_eq!(hears(&mut router, &octets, &envelope), Ok(()), "{name}");
            assert_eq!(router.counters().adverts_received, 1);
            assert_eq!(router.counters().unauthenticated, 0);
        }
    }
}

#[test]
fn the_drafts_images_are_what_we_send() {
    for (name, form) in [
        ("ipv4", ChecksumForm::MessageOnly),
        ("ipv6", ChecksumForm::PseudoHeader),
    ] {
        let (expected, envelope) = draft(name);
        let router = receiver(name, 51, hmac());
        let key = key(1);
        let advert = router.advert(Priority::new(200));
        let advert = advert
            .with_hmac(&key, Sequence::from_bits(0x6800_0000_8000_0000))
            .unwrap();
        let mut octets = Vec::new();
        advert
            .emit(envelope.source, envelope.destination, form, &mut octets)
            .unwrap();
        assert_eq!(octets, expected, "{name}");
        assert_eq!(advert.wire_len(), expected.len());
    }
}

/// One octet flipped each, the checksum put right where it would hide what the MAC says.
#[test]
fn every_change_to_the_drafts_images_is_refused_for_its_reason() {
    for name in ["ipv4", "ipv6"] {
        let (octets, envelope) = draft(name);
        let trailer = octets.len() - 28;
        for (at, expected) in [
            (2, Discard::Mac),
            (5, Discard::Mac),
            (trailer - 1, Discard::Mac),
            (trailer + 1, Discard::UnknownKey { got: 0 }),
            (trailer + 7, Discard::Mac),
            (trailer + 9, Discard::Mac),
            (trailer + 11, Discard::Mac),
            (trailer + 12, Discard::Mac),
            (trailer + 27, Discard::Mac),
        ] {
            let mut changed = octets.clone();
            changed[at] ^= 1;
            reference::seal(&mut changed, &envelope, name == "ipv6");
            let mut router = receiver(name, 51, hmac().with_anti_replay(AntiReplay::Monotonic));
            let before = router.clone();
            assert_eq!(
                hears(&mut router, &changed, &envelope),
                Err(expected),
                "{name}, octet {at}"
            );
            assert_eq!(router.take_counters().discards.total(), 1);
            assert_eq!(router, before, "{expected} touched the router");
        }
    }
}

#[test]
fn a_trailer_of_another_type_or_with_reserved_bits_is_malformed() {
    for (at, kind, reserved) in [(0, 0, 0), (2, 1, 0x100), (3, 1, 1)] {
        let (mut octets, envelope) = draft("ipv4");
        let trailer = octets.len() - 28;
        octets[trailer + at] ^= 1;
        assert_eq!(
            Packet::parse(&octets, &envelope),
            Err(ParseError::Message(MessageError::Trailer { kind, reserved }))
        );
    }
}

/// The kernel may fill the checksum in after the sender has signed.
#[test]
fn the_mac_leaves_the_checksum_out() {
    let (mut octets, envelope) = draft("ipv4");
    reference::seal(&mut octets, &envelope, true);
    let mut router = receiver("ipv4", 51, hmac());
    assert_eq!(hears(&mut router, &octets, &envelope), Ok(()));
    assert_eq!(router.counters().checksum_message_only, 0);
}

#[test]
fn the_mac_binds_the_source_and_the_vrid() {
    let (octets, envelope) = draft("ipv6");
    let other_source = Envelope {
        source: ip("fe80::11"),
        ..envelope
    };
    let mut moved = octets.clone();
    reference::seal(&mut moved, &other_source, true);
    let mut router = receiver("ipv6", 51, hmac());
    assert_eq!(hears(&mut router, &moved, &other_source), Err(Discard::Mac));

    let mut other_vrid = octets;
    other_vrid[1] = 52;
    reference::seal(&mut other_vrid, &envelope, true);
    let mut router = receiver("ipv6", 52, hmac());
    assert_eq!(hears(&mut router, &other_vrid, &envelope), Err(Discard::Mac));
}

/// Two routers with clocks of their own, and the wire between them.
struct Pair {
    us: VirtualRouter,
    peer: VirtualRouter,
    now: Duration,
    /// The peer's clock.
    peer_time: Duration,
}

/// Our clock at time 0 of a pair.
const OUR_TIME: Duration = Duration::from_secs(1_767_225_600);

impl Pair {
    fn new(ours: HmacConfig, theirs: HmacConfig) -> Self {
        let router = |config, source| {
            let mut router = VirtualRouter::new(signed(config).build().unwrap(), ip(source));
            router.handle_startup(Duration::ZERO);
            while router.poll_output().is_some() {}
            router
        };
        Self {
            us: router(ours, OWN),
            peer: router(theirs, HIGHER),
            now: Duration::ZERO,
            peer_time: OUR_TIME,
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
        self.peer_time += time;
    }

    /// The peer's next advert.
    fn says(&mut self) -> Vec<u8> {
        self.peer.set_wall_clock(self.now, self.peer_time);
        emitted(&mut self.peer, self.now)
    }

    fn hear(&mut self, octets: &[u8]) -> Result<(), Discard> {
        self.us.set_wall_clock(self.now, OUR_TIME + self.now);
        heard_from(&mut self.us, HIGHER, self.now, octets)
    }

    /// The peer advertises, and we hear it.
    fn exchange(&mut self) -> Result<(), Discard> {
        let octets = self.says();
        self.hear(&octets)
    }
}

fn emitted(router: &mut VirtualRouter, now: Duration) -> Vec<u8> {
    let source = router.source();
    let mut octets = Vec::new();
    router
        .next_advert(now, Priority::new(200))
        .emit(source, GROUP_V4.into(), ChecksumForm::PseudoHeader, &mut octets)
        .unwrap();
    octets
}

fn heard_from(router: &mut VirtualRouter, source: &str, now: Duration, octets: &[u8]) -> Result<(), Discard> {
    let envelope = Envelope {
        source: ip(source),
        destination: GROUP_V4.into(),
        hop_limit: 255,
    };
    router.handle_advert(now, &Packet::parse(octets, &envelope).unwrap())
}

fn sequence(octets: &[u8]) -> Sequence {
    let envelope = Envelope {
        source: ip(HIGHER),
        destination: GROUP_V4.into(),
        hop_limit: 255,
    };
    let packet = Packet::parse(octets, &envelope).unwrap();
    packet.trailer().expect("signed").sequence()
}

#[test]
fn a_clock_within_the_window_is_believed_and_one_beyond_is_told() {
    for (ahead, accepted) in [
        (0, true),
        (5, true),
        (-5, true),
        (6, false),
        (-6, false),
        (86_400, false),
    ] {
        let mut pair = Pair::new(hmac(), hmac());
        let seconds = OUR_TIME.as_secs().checked_add_signed(ahead).unwrap();
        pair.peer_time = Duration::from_secs(seconds);
        let expected = if accepted {
            Ok(())
        } else {
            Err(Discard::Window {
                ahead_secs: ahead as i32,
                window_secs: 5,
            })
        };
        assert_eq!(pair.exchange(), expected, "{ahead} s");
        assert_eq!(pair.us.counters().discards.window, u64::from(!accepted));
    }
    let discard = Discard::Window {
        ahead_secs: -90,
        window_secs: 5,
    };
    assert!(discard.to_string().contains("-90 s"), "{discard}");
}

#[test]
fn the_window_is_three_intervals_and_at_least_five_seconds() {
    for (centis_of_interval, window) in [(1, 5), (100, 5), (166, 5), (167, 6), (250, 8), (4095, 123)] {
        assert_eq!(hmac().window(centis(centis_of_interval)), secs(window));
    }
    let set = hmac().with_window(secs(300)).unwrap();
    assert_eq!(set.window(centis(100)), secs(300));
    for wrong in [secs(0), secs(301), ms(1500)] {
        assert_eq!(hmac().with_window(wrong), Err(HmacError::Window { got: wrong }));
    }
}

#[test]
fn by_growth_the_time_does_not_matter_and_a_capture_does() {
    let config = hmac().with_anti_replay(AntiReplay::Monotonic);
    let mut pair = Pair::new(config.clone(), config);
    pair.peer_time = secs(1);
    let old = pair.says();
    assert_eq!(pair.hear(&old), Ok(()));
    pair.wait(secs(1));
    assert_eq!(pair.exchange(), Ok(()));
    assert_eq!(pair.hear(&old), Err(Discard::Replay));
    pair.wait(secs(100_000));
    assert_eq!(pair.hear(&old), Err(Discard::Replay));
}

#[test]
fn a_replayed_advert_is_refused_and_another_sender_is_not_confused_with_it() {
    let mut pair = Pair::new(hmac(), hmac());
    let first = pair.says();
    assert_eq!(pair.hear(&first), Ok(()));
    assert_eq!(pair.hear(&first), Err(Discard::Replay));
    pair.wait(secs(1));
    assert_eq!(pair.exchange(), Ok(()));
    assert_eq!(pair.hear(&first), Err(Discard::Replay));
    assert_eq!(pair.us.counters().discards.replay, 2);

    // A third router whose clock is two seconds behind.
    let mut third = VirtualRouter::new(signed(hmac()).build().unwrap(), ip(LOWER));
    third.set_wall_clock(pair.now, OUR_TIME - secs(1));
    let octets = emitted(&mut third, pair.now);
    assert_eq!(heard_from(&mut pair.us, LOWER, pair.now, &octets), Ok(()));
}

/// What was refused for any reason must not keep out what follows.
#[test]
fn only_what_was_accepted_raises_the_mark() {
    let ours = signed(hmac()).address_mismatch(vrrp_core::AddressMismatch::Discard);
    let mut pair = Pair::new(hmac(), hmac());
    pair.us = VirtualRouter::new(ours.build().unwrap(), ip(OWN));
    pair.us.handle_startup(pair.now);
    let earlier = pair.says();

    // Signed by somebody without the key, and later.
    let mut forger = Pair::new(hmac(), HmacConfig::new(HmacKey::new(1, &[7; 32]).unwrap()));
    forger.peer_time += secs(3);
    let forged = forger.says();
    assert_eq!(pair.hear(&forged), Err(Discard::Mac));

    // Signed with the key, later, and refused for its addresses.
    let addresses = vrrp_core::AddressList::new(&[ip("192.0.2.77")]).unwrap();
    let other = Config::builder(Vrid::new(51).unwrap(), addresses)
        .version(vrrp_core::Version::V3)
        .authentication(hmac().into());
    let mut other = VirtualRouter::new(other.build().unwrap(), ip(HIGHER));
    other.set_wall_clock(pair.now, OUR_TIME + secs(4));
    let mismatched = emitted(&mut other, pair.now);
    assert_eq!(pair.hear(&mismatched), Err(Discard::Addresses));

    assert_eq!(pair.hear(&earlier), Ok(()));
}

/// Its adverts of the future would else stay the mark that all later ones are measured by.
#[test]
fn a_sender_whose_clock_was_set_back_is_heard_again() {
    let wide = hmac().with_window(secs(60)).unwrap();
    let mut pair = Pair::new(wide.clone(), wide);
    pair.peer_time += secs(50);
    assert_eq!(pair.exchange(), Ok(()));
    // Set right: within the window the sender goes on counting from where it was.
    pair.peer_time -= secs(50);
    pair.wait(secs(1));
    assert_eq!(pair.exchange(), Ok(()));
    // A sender that starts anew is refused while its old adverts would still be believed …
    pair.peer = VirtualRouter::new(pair.peer.config().clone(), ip(HIGHER));
    assert_eq!(pair.exchange(), Err(Discard::Replay));
    // … and no longer.
    pair.wait(secs(50));
    assert_eq!(pair.exchange(), Ok(()));
}

/// Both clocks were an hour fast, and are set right: the mark of the future keeps nobody out.
#[test]
fn a_mark_beyond_the_window_is_forgotten_by_time_and_kept_by_growth() {
    let hour = secs(3600);
    for (anti_replay, expected) in [
        (AntiReplay::Time, Ok(())),
        (AntiReplay::Monotonic, Err(Discard::Replay)),
    ] {
        let config = hmac().with_anti_replay(anti_replay);
        let mut pair = Pair::new(config.clone(), config.clone());
        pair.peer_time += hour;
        let octets = pair.says();
        pair.us.set_wall_clock(pair.now, OUR_TIME + hour);
        assert_eq!(heard_from(&mut pair.us, HIGHER, pair.now, &octets), Ok(()));
        pair.peer_time -= hour;
        // Started anew: the old one would go on counting, by growth.
        let mut peer = Pair::new(config.clone(), config).peer;
        peer.set_wall_clock(pair.now, pair.peer_time);
        let octets = emitted(&mut peer, pair.now);
        assert_eq!(pair.hear(&octets), expected, "{anti_replay:?}");
    }
}

#[test]
fn sequences_grow_within_one_moment_and_when_the_clock_is_set_back() {
    for anti_replay in [AntiReplay::Time, AntiReplay::Monotonic] {
        let config = hmac().with_anti_replay(anti_replay);
        let mut pair = Pair::new(config.clone(), config);
        let first = sequence(&pair.says());
        assert_eq!(first.seconds(), 1_767_225_600);
        assert_eq!((first.fraction(), first.counter()), (0, 0));
        let second = sequence(&pair.says());
        assert_eq!(second.bits(), first.bits() + 1);
        pair.peer_time -= secs(5);
        assert_eq!(sequence(&pair.says()).bits(), first.bits() + 2);
        // Beyond the window nobody would believe it: by time it starts from the clock.
        pair.peer_time -= secs(1);
        let third = sequence(&pair.says());
        match anti_replay {
            AntiReplay::Time => assert_eq!(third.seconds(), 1_767_225_594),
            AntiReplay::Monotonic => assert_eq!(third.bits(), first.bits() + 3),
        }
        pair.wait(ms(6500));
        let fourth = sequence(&pair.says());
        assert!(fourth.follows(third));
        assert_eq!((fourth.seconds(), fourth.fraction()), (1_767_225_600, 0x8000));
    }
}

/// RFC 1982: seconds wrap in 2106.
#[test]
fn sequences_are_ordered_around_the_wrap() {
    let (last, first) = (Sequence::from_bits(u64::MAX), Sequence::from_bits(0));
    assert!(first.follows(last));
    assert!(!last.follows(first));
    assert!(!first.follows(first));
    let config = hmac();
    let mut pair = Pair::new(config.clone(), config);
    pair.peer_time = Duration::from_secs(u64::from(u32::MAX));
    let before = pair.says();
    pair.wait(secs(1));
    let after = pair.says();
    assert!(sequence(&after).follows(sequence(&before)));
    assert_eq!(sequence(&after).seconds(), 0);
}

#[test]
fn each_mode_signs_and_believes_as_it_says() {
    for mode in MODES {
        let with = |mode| hmac().with_mode(mode);
        let mut pair = Pair::new(with(mode), with(mode));
        let octets = pair.says();
        let signs = octets.len() == 12 + 28;
        assert_eq!(signs, mode != HmacMode::ReceiveOnly, "{mode:?}");

        // Signed.
        let mut pair = Pair::new(with(mode), with(HmacMode::Enforce));
        assert_eq!(pair.exchange(), Ok(()), "{mode:?}");
        assert_eq!(pair.us.counters().unauthenticated, 0);

        // Not signed.
        let mut pair = Pair::new(with(mode), with(HmacMode::ReceiveOnly));
        let result = pair.exchange();
        if mode == HmacMode::Enforce {
            assert_eq!(result, Err(Discard::Unauthenticated));
            assert_eq!(pair.us.counters().discards.unauthenticated, 1);
        } else {
            assert_eq!(result, Ok(()), "{mode:?}");
            assert_eq!(pair.us.counters().unauthenticated, 1);
        }

        // Signed with another key of the same number: no mode believes that.
        let forger = HmacConfig::new(HmacKey::new(1, &[7; 32]).unwrap());
        let mut pair = Pair::new(with(mode), forger);
        assert_eq!(pair.exchange(), Err(Discard::Mac), "{mode:?}");
    }
}

/// A network moves to authentication one node at a time, and back.
#[test]
fn neighbouring_modes_hear_each_other() {
    for (ours, theirs) in MODES.iter().zip(&MODES[1..]) {
        for (ours, theirs) in [(ours, theirs), (theirs, ours)] {
            let mut pair = Pair::new(hmac().with_mode(*ours), hmac().with_mode(*theirs));
            assert_eq!(pair.exchange(), Ok(()), "{ours:?} hears {theirs:?}");
        }
    }
    // The first step: peers that know nothing of it yet.
    let mut bench = Bench::started(signed(hmac().with_mode(HmacMode::ReceiveOnly)));
    assert_eq!(bench.receive(&Heard::new(v3(100), 200)), Ok(()));
    let mut plain = Bench::started(v3(100));
    let mut pair = Pair::new(hmac(), hmac().with_mode(HmacMode::ReceiveOnly));
    assert_eq!(
        heard_from(&mut plain.router, HIGHER, plain.now, &pair.says()),
        Ok(())
    );
}

#[test]
fn a_router_without_keys_refuses_what_is_signed() {
    let mut pair = Pair::new(hmac(), hmac());
    let octets = pair.says();
    let mut plain = Bench::started(v3(100));
    assert_eq!(
        heard_from(&mut plain.router, HIGHER, plain.now, &octets),
        Err(Discard::Authentication)
    );
}

/// Each node accepts the new key, then signs with it, then drops the old one; nobody is ever unheard.
#[test]
fn keys_are_rotated_without_an_advert_lost() {
    let both = |active| hmac().with_keys(HmacKeys::new([key(1), key(2)], active).unwrap());
    let steps = [hmac(), both(1), both(2), HmacConfig::new(key(2))];
    let mut pair = Pair::new(steps[0].clone(), steps[0].clone());
    for next in &steps[1..] {
        for ours_first in [true, false] {
            let router = if ours_first { &mut pair.us } else { &mut pair.peer };
            router.set_hmac(next.clone()).unwrap();
            pair.wait(secs(1));
            assert_eq!(pair.exchange(), Ok(()), "{next:?}");
            assert_eq!(pair.us.state(), State::Backup);
            assert_eq!(pair.us.poll_output(), None);
        }
    }
    assert_eq!(pair.us.counters().discards.total(), 0);

    // What was dropped is unknown.
    pair.peer.set_hmac(hmac()).unwrap();
    assert_eq!(pair.exchange(), Err(Discard::UnknownKey { got: 1 }));
    // And what was heard under the old key is not heard again under the new one.
    let old = {
        pair.peer.set_hmac(both(2)).unwrap();
        pair.says()
    };
    assert_eq!(pair.hear(&old), Ok(()));
    pair.us.set_hmac(both(2)).unwrap();
    assert_eq!(pair.hear(&old), Err(Discard::Replay));
}

#[test]
fn a_router_that_was_not_configured_with_it_takes_no_keys() {
    let mut bench = Bench::started(v3(100));
    let before = bench.router.clone();
    assert_eq!(bench.router.set_hmac(hmac()), Err(NoHmac));
    assert_eq!(bench.router, before);
}

#[test]
fn without_a_clock_nothing_is_believed_by_time() {
    let mut pair = Pair::new(hmac(), hmac());
    let octets = pair.says();
    let ahead_secs = 1_767_225_600;
    assert_eq!(
        heard_from(&mut pair.us, HIGHER, pair.now, &octets),
        Err(Discard::Window {
            ahead_secs,
            window_secs: 5
        })
    );
}

/// The clock is told with the time of the router, and runs with it.
#[test]
fn the_clock_runs_on_between_two_readings() {
    let mut pair = Pair::new(hmac(), hmac());
    pair.us.set_wall_clock(Duration::ZERO, OUR_TIME);
    pair.wait(secs(3600));
    let octets = pair.says();
    assert_eq!(heard_from(&mut pair.us, HIGHER, pair.now, &octets), Ok(()));
}

/// More senders than are remembered: the ones heard last are.
#[test]
fn marks_are_bounded() {
    let mut pair = Pair::new(hmac(), hmac());
    pair.us.set_wall_clock(pair.now, OUR_TIME);
    let mut captures = Vec::new();
    for host in 100..117 {
        let source = IpAddr::from([192, 0, 2, host]);
        let mut sender = VirtualRouter::new(signed(hmac()).build().unwrap(), source);
        sender.set_wall_clock(pair.now, OUR_TIME);
        let octets = emitted(&mut sender, pair.now);
        let source = source.to_string();
        assert_eq!(heard_from(&mut pair.us, &source, pair.now, &octets), Ok(()));
        captures.push((source, octets));
    }
    let again = |us: &mut VirtualRouter, (source, octets): &(String, Vec<u8>)| {
        heard_from(us, source, Duration::ZERO, octets)
    };
    for capture in &captures[1..] {
        assert_eq!(again(&mut pair.us, capture), Err(Discard::Replay));
    }
    // Seventeen holders of the key on one VRID: the first has been forgotten.
    assert_eq!(again(&mut pair.us, &captures[0]), Ok(()));
}

#[test]
fn keys_and_settings_that_can_not_be_meant_are_refused() {
    for len in [0, 1, 8, 31, 65] {
        assert_eq!(
            HmacKey::new(3, &vec![1; len]),
            Err(HmacError::KeyLength { id: 3, got: len })
        );
    }
    assert!(HmacKey::new(3, &[1; 64]).is_ok());
    assert_eq!(HmacKey::new(3, &[0; 32]), Err(HmacError::KeyZero { id: 3 }));
    assert_eq!(HmacKeys::new([], 1), Err(HmacError::NoKeys));
    assert_eq!(
        HmacKeys::new([key(1), key(2)], 3),
        Err(HmacError::UnknownActive { id: 3 })
    );
    assert_eq!(
        HmacKeys::new([key(1), key(1)], 1),
        Err(HmacError::DuplicateKey { id: 1 })
    );
    let keys = HmacKeys::new([key(1), key(2)], 2).unwrap();
    assert_eq!(keys.active(), 2);
    assert_eq!(keys.ids().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(
        v2(100).authentication(hmac().into()).build().unwrap_err(),
        ConfigError::HmacInV2
    );
    assert_eq!(
        v3(100)
            .authentication(AuthenticationConfig::ah("1111").unwrap())
            .build()
            .unwrap_err(),
        ConfigError::AuthenticationInV3
    );
}

#[test]
fn no_secret_shows() {
    let secret = *b"0123456789abcdef0123456789abcdef";
    let key = HmacKey::new(9, &secret).unwrap();
    let config = signed(HmacConfig::new(key.clone())).build().unwrap();
    let router = VirtualRouter::new(config.clone(), ip(OWN));
    let advert = router.advert(Priority::new(100));
    let advert = advert.with_hmac(&key, Sequence::from_bits(1)).unwrap();
    for shown in [
        format!("{key:?}"),
        format!("{config:?}"),
        format!("{router:?}"),
        format!("{advert:?}"),
        format!("{:?}", AuthenticationConfig::ah("0123").unwrap()),
        format!("{:?}", vrrp_core::AhKey::new("0123").unwrap()),
    ] {
        // As text, as octets in decimal and in hex.
        for forbidden in ["0123", "48, 49, 50", "30313233"] {
            assert!(!shown.contains(forbidden), "{shown}");
        }
    }
    assert!(format!("{key:?}").contains("id: 9"));
}
