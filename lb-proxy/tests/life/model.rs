//! Whatever happens in whatever order, what must always hold does.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use lb_proxy::balance::{
    BackendConfig, BackendState, BackendStatus, Key, Outcome, Passive, Pick, QueueConfig, Reader, Refusal,
    Strategy, Tried, Upstream, UpstreamConfig,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Strategy as Generate;

use crate::support::{backend, config, status};

const IDS: [&str; 5] = ["a", "b", "c", "d", "x"];

#[derive(Clone, Copy, Debug)]
enum Event {
    /// A request that is retried so many times while it holds what it has.
    Request {
        tries: usize,
    },
    Stick(usize),
    End(Outcome),
    Weight(usize, u16),
    Down(usize, bool),
    Drain(usize, bool),
    Check(usize, bool),
    Replace {
        limits: u32,
        spares: bool,
    },
    Pass(u64),
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_must_always_hold_does(
        panic in any::<bool>(),
        keep_last in any::<bool>(),
        percent in prop_oneof![Just(0_u8), Just(50), Just(100)],
        strategy in prop_oneof![Just(Strategy::Weighted), Just(Strategy::NginxWeighted), Just(Strategy::RoundRobin)],
        events in vec(event(), 1..120),
    ) {
        let passive = Passive::new()
            .keep_last(keep_last)
            .max_ejected_percent(percent)
            .consecutive(2)
            .ratio(60)
            .min_volume(5);
        let rules = Rules { panic, keep_last, percent, strategy, passive };
        let mut world = World::new(rules);
        for event in events {
            world.handle(event)?;
            world.check()?;
        }
        world.end()?;
    }
}

#[derive(Clone, Debug)]
struct Rules {
    panic: bool,
    keep_last: bool,
    percent: u8,
    strategy: Strategy,
    passive: Passive,
}

/// An upstream, the requests under way, and what the operator and the checks last said.
struct World {
    rules: Rules,
    upstream: Upstream,
    reader: Reader,
    now: Duration,
    held: VecDeque<Pick>,
    backends: Vec<Wish>,
}

#[derive(Clone, Copy)]
struct Wish {
    weight: u16,
    down: bool,
    drain: bool,
    passes: bool,
    max_conns: u32,
    spare: bool,
}

impl World {
    fn new(rules: Rules) -> Self {
        let wish = Wish {
            weight: 1,
            down: false,
            drain: false,
            passes: true,
            max_conns: 0,
            spare: false,
        };
        let backends = vec![wish; IDS.len()];
        let upstream = Upstream::new(settings(&rules, &backends));
        Self {
            reader: upstream.reader(),
            rules,
            upstream,
            now: Duration::from_secs(1),
            held: VecDeque::new(),
            backends,
        }
    }

    fn handle(&mut self, event: Event) -> Result<(), TestCaseError> {
        let id = |index: usize| IDS[index].into();
        match event {
            Event::Request { tries } => {
                let mut tried = Tried::new();
                for _ in 0..tries {
                    self.request(&mut tried)?;
                }
            }
            Event::Stick(index) => self.stick(index)?,
            Event::End(outcome) => {
                if let Some(pick) = self.held.pop_front() {
                    let change = pick.finish(self.now, outcome);
                    if change.is_some_and(|change| change.to == BackendState::Failed) {
                        self.check_ejection()?;
                    }
                }
            }
            Event::Weight(index, weight) => {
                self.backends[index].weight = weight;
                self.upstream.set_weight(self.now, &id(index), weight).unwrap();
            }
            Event::Down(index, down) => {
                self.backends[index].down = down;
                self.upstream.set_down(self.now, &id(index), down).unwrap();
            }
            Event::Drain(index, drain) => {
                self.backends[index].drain = drain;
                self.upstream.set_drain(self.now, &id(index), drain).unwrap();
            }
            Event::Check(index, passes) => {
                self.backends[index].passes = passes;
                self.upstream.set_check(self.now, &id(index), passes).unwrap();
            }
            Event::Replace { limits, spares } => {
                // Limits count from the start of a request, so they change only between requests.
                self.held.clear();
                for wish in &mut self.backends {
                    wish.max_conns = limits;
                }
                self.backends[4].spare = spares;
                self.upstream
                    .replace(self.now, settings(&self.rules, &self.backends));
            }
            Event::Pass(millis) => {
                self.now += Duration::from_millis(millis);
                self.upstream.handle_timeout(self.now);
            }
        }
        Ok(())
    }

    /// One try of a request.
    fn request(&mut self, tried: &mut Tried) -> Result<(), TestCaseError> {
        let before = self.upstream.status();
        let fresh = |one: &&BackendStatus| !tried.contains(self.slot(one));
        let has_room = |one: &&BackendStatus| one.max_conns == 0 || one.active < u64::from(one.max_conns);
        let is_up = |one: &&BackendStatus| one.state == BackendState::Up;
        let (up, all) = (before.backends.iter().filter(is_up).count(), &before.backends);
        let usable = |one: &&BackendStatus| {
            if up > 0 {
                is_up(one)
            } else {
                self.rules.panic && self.is_wanted(one)
            }
        };
        let could: Vec<_> = all.iter().filter(usable).filter(fresh).collect();
        let has_one = could.iter().any(has_room);
        let picked = self.reader.clone().pick_or_refusal(self.now, Key::None, tried);
        match picked {
            Ok(pick) => {
                prop_assert!(!tried.contains(pick.slot()), "it was tried");
                let chosen = before.backends.iter().find(|one| one.id == *pick.id()).unwrap();
                prop_assert!(has_room(&chosen), "{chosen:?} is full");
                let is_probe = chosen.ejected_until.is_some_and(|until| self.now >= until)
                    && chosen.state == BackendState::Failed;
                prop_assert!(usable(&chosen) || is_probe, "{chosen:?} with {up} up");
                tried.insert(&pick);
                self.held.push_back(pick);
            }
            Err(refusal) => {
                prop_assert!(!has_one, "{refusal} for {before:?}");
                let expected = if could.is_empty() {
                    Refusal::NoBackend
                } else {
                    Refusal::Full
                };
                prop_assert_eq!(refusal, expected);
            }
        }
        Ok(())
    }

    /// A request of a session.
    fn stick(&mut self, index: usize) -> Result<(), TestCaseError> {
        let before = status(&self.upstream, IDS[index]);
        let key = Key::Sticky(IDS[index].as_bytes());
        let has_room = before.max_conns == 0 || before.active < u64::from(before.max_conns);
        let takes = matches!(before.state, BackendState::Up | BackendState::Drain);
        let Ok(pick) = self.reader.pick_or_refusal(self.now, key, &Tried::new()) else {
            prop_assert!(!takes || !has_room || before.ejected_until.is_some());
            return Ok(());
        };
        if takes && has_room && before.ejected_until.is_none() {
            prop_assert_eq!(pick.id().as_str(), IDS[index]);
        }
        if pick.id().as_str() == IDS[index] {
            prop_assert!(before.state != BackendState::Down);
        }
        self.held.push_back(pick);
        Ok(())
    }

    /// What holds when requests have just ejected a backend.
    fn check_ejection(&self) -> Result<(), TestCaseError> {
        let backends = self.upstream.status().backends;
        let count = |state, spare| {
            let of_group = backends.iter().filter(|one| one.spare == spare);
            of_group.filter(|one| one.state == state).count()
        };
        let up = [false, true].map(|spare| count(BackendState::Up, spare));
        prop_assert!(!self.rules.keep_last || up != [0, 0], "the last one was ejected");
        let ejected = [false, true].map(|spare| count(BackendState::Failed, spare));
        if up[1] == 0 && ejected[1] == 0 {
            let present = up[0] + ejected[0];
            // Others may have left the group since earlier ejections were allowed, by one an event.
            let allowed = (IDS.len() * usize::from(self.rules.percent)).div_ceil(100).max(1);
            prop_assert!(ejected[0] <= allowed, "{} of {present} are out", ejected[0]);
        }
        Ok(())
    }

    /// What holds at every moment.
    fn check(&self) -> Result<(), TestCaseError> {
        let status = self.upstream.status();
        let up = |spare: bool| {
            let of_group = status.backends.iter().filter(|one| one.spare == spare);
            of_group.filter(|one| one.state == BackendState::Up).count()
        };
        for (one, wish) in status.backends.iter().zip(&self.backends) {
            let held = self.held.iter().filter(|pick| *pick.id() == one.id).count();
            prop_assert_eq!(one.active, held as u64);
            prop_assert!(one.max_conns == 0 || one.active <= u64::from(one.max_conns));
            prop_assert_eq!(one.requests >= one.failures + one.cancelled + one.active, true);
            let expected = match one.state {
                BackendState::Down => wish.down,
                BackendState::Unhealthy => !wish.down && !wish.passes,
                BackendState::Drain => !wish.down && wish.passes && (wish.drain || wish.weight == 0),
                _ => !wish.down && wish.passes && !wish.drain && wish.weight > 0,
            };
            prop_assert!(expected, "{one:?}");
            prop_assert_eq!(
                one.state == BackendState::Failed,
                expected && one.ejected_until.is_some() && self.is_wanted(one) && wish.passes
            );
            prop_assert!(one.slow_start.is_none() || one.state == BackendState::Up);
        }
        let any_up = up(false) + up(true) > 0;
        let usable = status.backends.iter().any(|one| self.is_wanted(one));
        prop_assert_eq!(
            status.panic_since.is_some(),
            self.rules.panic && !any_up && usable,
            "{:?}",
            status
        );
        Ok(())
    }

    /// With all requests ended, every slot is free.
    fn end(mut self) -> Result<(), TestCaseError> {
        self.held.clear();
        for one in self.upstream.status().backends {
            prop_assert_eq!(one.active, 0);
            if one.max_conns == 0 {
                continue;
            }
            let id = one.id.as_str().to_owned();
            for other in IDS {
                self.upstream
                    .set_down(self.now, &other.into(), other != id)
                    .unwrap();
            }
            self.upstream.set_drain(self.now, &one.id, false).unwrap();
            self.upstream.set_weight(self.now, &one.id, 1).unwrap();
            self.upstream.set_check(self.now, &one.id, false).unwrap();
            self.upstream.set_check(self.now, &one.id, true).unwrap();
            let picks: Vec<_> = (0..=one.max_conns)
                .map_while(|_| self.reader.pick(self.now, &Tried::new()))
                .collect();
            prop_assert_eq!(picks.len(), one.max_conns as usize, "slots of {}", id);
        }
        Ok(())
    }

    fn is_wanted(&self, one: &BackendStatus) -> bool {
        let index = IDS.iter().position(|id| *id == one.id.as_str()).unwrap();
        let wish = self.backends[index];
        !wish.down && !wish.drain && wish.weight > 0
    }

    /// Slots are given in the operator's order, and no backend ever goes.
    fn slot(&self, one: &BackendStatus) -> u16 {
        let index = IDS.iter().position(|id| *id == one.id.as_str()).unwrap();
        u16::try_from(index).unwrap()
    }
}

fn settings(rules: &Rules, wishes: &[Wish]) -> UpstreamConfig {
    let backends = IDS.iter().zip(wishes).map(|(id, wish)| -> BackendConfig {
        backend(id)
            .weight(wish.weight)
            .down(wish.down)
            .drain(wish.drain)
            .max_conns(wish.max_conns)
            .spare(wish.spare)
            .slow_start(Duration::from_secs(5))
    });
    config(backends)
        .strategy(rules.strategy)
        .panic(rules.panic)
        .passive(rules.passive.clone())
        .queue(QueueConfig::new(NonZeroU32::MIN))
        .build()
        .unwrap()
}

fn event() -> impl Generate<Value = Event> {
    let index = 0..IDS.len();
    let outcome = prop_oneof![
        3 => Just(Outcome::Success),
        3 => Just(Outcome::Failure),
        1 => Just(Outcome::Cancelled),
    ];
    prop_oneof![
        12 => (1..=6_usize).prop_map(|tries| Event::Request { tries }),
        2 => index.clone().prop_map(Event::Stick),
        14 => outcome.prop_map(Event::End),
        1 => (index.clone(), 0..4_u16).prop_map(|(index, weight)| Event::Weight(index, weight)),
        1 => (index.clone(), any::<bool>()).prop_map(|(index, down)| Event::Down(index, down)),
        1 => (index.clone(), any::<bool>()).prop_map(|(index, drain)| Event::Drain(index, drain)),
        2 => (index, any::<bool>()).prop_map(|(index, passes)| Event::Check(index, passes)),
        1 => (0..3_u32, any::<bool>()).prop_map(|(limits, spares)| Event::Replace { limits, spares }),
        4 => (1..15_000_u64).prop_map(Event::Pass),
    ]
}
