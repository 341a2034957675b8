//! Sync groups: members are master together or not at all. Rows F6 and F7.

use std::net::IpAddr;
use std::time::Duration;

use proptest::prelude::*;
use vrrp_core::Output::{HandOverAddresses, ReleaseAddresses, Switchover};
use vrrp_core::{
    AddressList, Config, ConfigBuilder, Demotion, Fault, Output, Packet, Peer, Priority, Reason, State,
    SwitchoverEnd, SwitchoverError, SyncGroup, SyncGroupError, VirtualRouter, Vrid,
};

use crate::support::*;

/// Two virtual routers, 1 and 2, as one group.
#[derive(Clone, Debug)]
struct Pair {
    routers: [VirtualRouter; 2],
    group: SyncGroup,
    now: Duration,
}

fn addresses(member: usize) -> AddressList {
    AddressList::new(&[IpAddr::from([192, 0, 2, 101 + member as u8])]).unwrap()
}

fn member(member: usize, priority: u8) -> ConfigBuilder {
    Config::builder(Vrid::new(1 + member as u8).unwrap(), addresses(member))
        .version(vrrp_core::Version::V3)
        .priority(Priority::new(priority))
}

impl Pair {
    fn new(configs: [ConfigBuilder; 2]) -> Self {
        let group = SyncGroup::new([0, 1]).unwrap().tracking_weight(true);
        let mut routers = configs.map(|config| VirtualRouter::new(config.build().unwrap(), ip(OWN)));
        group.join(&mut routers[..]).unwrap();
        Self {
            routers,
            group,
            now: secs(1000),
        }
    }

    fn started(priority: u8) -> Self {
        let mut pair = Self::new([member(0, priority), member(1, priority)]);
        pair.feed(|routers, now| routers.iter_mut().for_each(|one| one.handle_startup(now)));
        pair
    }

    fn master(priority: u8) -> Self {
        let mut pair = Self::started(priority);
        pair.wait(pair.routers[0].master_down_interval());
        pair.timeout();
        assert_eq!(pair.states(), [State::Master; 2]);
        pair
    }

    /// Feeds facts, settles, and gives the outputs with the member that they are of.
    fn feed(&mut self, fact: impl FnOnce(&mut [VirtualRouter; 2], Duration)) -> Vec<(usize, Output)> {
        fact(&mut self.routers, self.now);
        self.group.settle(self.now, &mut self.routers[..]);
        let settled = self.routers.clone();
        self.group.settle(self.now, &mut self.routers[..]);
        assert_eq!(settled, self.routers, "once is enough");
        let mut outputs = Vec::new();
        for (index, router) in self.routers.iter_mut().enumerate() {
            while let Some(output) = router.poll_output() {
                outputs.push((index, output));
            }
        }
        outputs
    }

    fn timeout(&mut self) -> Vec<(usize, Output)> {
        self.feed(|routers, now| routers.iter_mut().for_each(|one| one.handle_timeout(now)))
    }

    fn hear(&mut self, which: usize, priority: u8) -> Vec<(usize, Output)> {
        let (octets, envelope) = Heard::new(member(which, 100), priority).wire();
        self.feed(|routers, now| {
            let packet = Packet::parse(&octets, &envelope).unwrap();
            routers[which].handle_advert(now, &packet).unwrap();
        })
    }

    fn set_priority(&mut self, which: usize, priority: u8) -> Vec<(usize, Output)> {
        let group = self.group.clone();
        self.feed(|routers, now| group.set_priority(now, &mut routers[..], which, Priority::new(priority)))
    }

    fn switch_over(&mut self) -> Vec<(usize, Output)> {
        let group = self.group.clone();
        self.feed(|routers, now| group.handle_switchover(now, &mut routers[..]).unwrap())
    }

    fn wait(&mut self, time: Duration) {
        self.now += time;
    }

    fn states(&self) -> [State; 2] {
        [self.routers[0].state(), self.routers[1].state()]
    }

    fn deadline(&self, which: usize) -> Duration {
        self.routers[which].poll_timeout().expect("a deadline") - self.now
    }
}

fn of(member: usize, outputs: impl IntoIterator<Item = Output>) -> Vec<(usize, Output)> {
    outputs.into_iter().map(|output| (member, output)).collect()
}

/// Row F7: MDT expiry while another member does not want to be master.
#[test]
fn a_member_whose_timer_fires_alone_stays_backup_and_its_timer_starts_anew() {
    let mut pair = Pair::started(100);
    pair.wait(secs(1));
    pair.hear(1, 200);
    pair.wait(us(2_609_375));
    assert_eq!(pair.timeout(), []);
    assert_eq!(pair.states(), [State::Backup; 2]);
    assert_eq!(pair.deadline(0), us(3_609_375));
}

/// Row F7, and past it: the wish is remembered, so that the last timer moves the group.
#[test]
fn the_group_moves_when_the_last_timer_fires_and_waits_no_second_time() {
    let mut pair = Pair::started(100);
    pair.wait(secs(1));
    pair.hear(1, 200);
    pair.wait(us(2_609_375));
    pair.timeout();
    pair.wait(secs(1));
    let mut expected = of(0, takes_over(State::Backup, 100, Reason::MasterDown));
    expected.extend(of(1, takes_over(State::Backup, 100, Reason::MasterDown)));
    assert_eq!(pair.timeout(), expected);
}

#[test]
fn a_master_that_is_heard_after_all_ends_the_wish() {
    let mut pair = Pair::started(100);
    pair.wait(secs(1));
    pair.hear(1, 200);
    pair.wait(us(2_609_375));
    pair.timeout();
    pair.hear(0, 200);
    pair.wait(us(1_000_000));
    assert_eq!(pair.timeout(), [], "the second wants to, the first no longer");
    pair.wait(us(2_609_375));
    assert_eq!(pair.timeout().len(), 8, "now both do");
}

/// A lower master that is preempted goes on advertising until the group moves: that ends no wish.
#[test]
fn adverts_below_a_preempting_member_do_not_end_its_wish() {
    let mut pair = Pair::started(100);
    pair.hear(0, 90);
    pair.wait(secs(1));
    pair.hear(1, 200);
    pair.wait(us(2_609_375));
    pair.timeout();
    pair.hear(0, 90);
    pair.hear(1, 0);
    pair.hear(1, 90);
    pair.wait(us(609_375));
    let outputs = pair.timeout();
    assert!(outputs.contains(&(
        0,
        changes(State::Backup, State::Master, Reason::Preempted(peer(HIGHER, 90)))
    )));
    assert_eq!(pair.states(), [State::Master; 2]);
}

/// Row F6.
#[test]
fn the_fault_of_a_member_is_a_fault_of_all() {
    let mut pair = Pair::master(100);
    let outputs = pair.feed(|routers, now| routers[0].handle_fault(now, Fault::Link));
    let gives_up = |fault| {
        [
            sends(0),
            ReleaseAddresses,
            changes(State::Master, State::Fault, Reason::Fault(fault)),
        ]
    };
    let mut expected = of(0, gives_up(Fault::Link));
    expected.extend(of(1, gives_up(Fault::SyncGroup)));
    assert_eq!(outputs, expected);
    assert!(pair.routers[1].faults().contains(Fault::SyncGroup));
    assert!(!pair.routers[0].faults().contains(Fault::SyncGroup));
}

/// Row F6, in Backup.
#[test]
fn a_backup_group_fails_and_recovers_together() {
    let mut pair = Pair::started(100);
    pair.feed(|routers, now| routers[1].handle_fault(now, Fault::Check));
    assert_eq!(pair.states(), [State::Fault; 2]);
    pair.wait(secs(5));
    let outputs = pair.feed(|routers, now| routers[1].handle_recovery(now, Fault::Check));
    let recovers = changes(State::Fault, State::Backup, Reason::Recovered);
    assert_eq!(outputs, [(0, recovers), (1, recovers)]);
    assert_eq!(pair.deadline(0), us(3_609_375));
    assert_eq!(pair.deadline(1), us(3_609_375));
}

/// No state but Fault shows in between.
#[test]
fn while_one_of_two_faults_stands_nobody_recovers() {
    let mut pair = Pair::started(100);
    pair.feed(|routers, now| routers[0].handle_fault(now, Fault::Check));
    pair.feed(|routers, now| routers[1].handle_fault(now, Fault::Link));
    assert_eq!(
        pair.feed(|routers, now| routers[0].handle_recovery(now, Fault::Check)),
        []
    );
    assert_eq!(pair.states(), [State::Fault; 2]);
    pair.feed(|routers, now| routers[1].handle_recovery(now, Fault::Link));
    assert_eq!(pair.states(), [State::Backup; 2]);
}

#[test]
fn faults_before_the_start_are_shared_too() {
    let mut pair = Pair::new([member(0, 100), member(1, 100)]);
    pair.feed(|routers, now| {
        routers[1].handle_fault(now, Fault::Check);
        routers[0].handle_startup(now);
    });
    pair.feed(|routers, now| routers[1].handle_startup(now));
    assert_eq!(pair.states(), [State::Fault; 2]);
}

#[test]
fn a_member_that_is_superseded_takes_the_others_with_it() {
    let mut pair = Pair::master(100);
    let by: Peer = peer(HIGHER, 200);
    let mut expected = of(0, superseded(100, by));
    // Whoever has the first may not have the second: others need not wait for a master-down interval.
    expected.extend(of(
        1,
        [
            sends(0),
            HandOverAddresses,
            changes(State::Master, State::Backup, Reason::SyncGroup),
        ],
    ));
    assert_eq!(pair.hear(0, 200), expected);
    assert_eq!(pair.deadline(1), us(3_609_375));
    // The advert of the second is right behind.
    assert_eq!(pair.hear(1, 200), []);
}

#[test]
fn a_pause_of_one_is_a_pause_of_all_and_without_a_word() {
    let mut pair = Pair::master(100);
    pair.wait(secs(60));
    let outputs = pair.feed(|routers, now| routers[0].handle_pause(now));
    let silent = [
        ReleaseAddresses,
        changes(State::Master, State::Backup, Reason::Paused),
    ];
    let mut expected = of(0, silent);
    expected.extend(of(1, silent));
    assert_eq!(outputs, expected);
}

#[test]
fn a_shutdown_of_one_is_a_shutdown_of_all() {
    let mut pair = Pair::master(100);
    pair.feed(|routers, now| routers[1].handle_shutdown(now));
    assert_eq!(pair.states(), [State::Initialize; 2]);
    let mut pair = Pair::started(100);
    pair.feed(|routers, now| routers[1].handle_shutdown(now));
    pair.wait(secs(60));
    pair.timeout();
    assert_eq!(pair.states()[0], State::Backup, "and never alone");
}

#[test]
fn owners_are_master_at_once_when_the_last_has_started() {
    let mut pair = Pair::new([member(0, 255), member(1, 255)]);
    assert_eq!(
        pair.feed(|routers, now| routers[0].handle_startup(now)),
        [(0, changes(State::Initialize, State::Backup, Reason::Startup))]
    );
    let outputs = pair.feed(|routers, now| routers[1].handle_startup(now));
    assert_eq!(pair.states(), [State::Master; 2]);
    assert!(outputs.contains(&(0, sends(255))) && outputs.contains(&(1, sends(255))));
}

#[test]
fn a_change_of_priority_reaches_all_members_in_one_instant() {
    let mut pair = Pair::new([member(0, 100), member(1, 90)]);
    pair.feed(|routers, now| routers.iter_mut().for_each(|one| one.handle_startup(now)));
    pair.wait(secs(4));
    pair.timeout();
    let mut expected = of(0, [sends(0), sends(80)]);
    expected.extend(of(1, [sends(0), sends(70)]));
    assert_eq!(pair.set_priority(0, 80), expected);
    // The same again changes nothing, by whichever member.
    assert_eq!(pair.set_priority(1, 70), []);
}

#[test]
fn a_shift_stays_within_the_range_of_each() {
    let mut pair = Pair::new([member(0, 250), member(1, 10)]);
    let priorities = |pair: &Pair| pair.routers.each_ref().map(|router| router.priority().get());
    pair.set_priority(0, 200);
    assert_eq!(priorities(&pair), [200, 1]);
    pair.set_priority(1, 60);
    assert_eq!(priorities(&pair), [254, 60]);
}

/// keepalived without sync_group_tracking_weight.
#[test]
fn without_tracking_weight_priorities_stay() {
    let mut pair = Pair::master(100);
    pair.group = pair.group.clone().tracking_weight(false);
    assert_eq!(pair.set_priority(0, 80), []);
    assert_eq!(pair.routers[0].priority(), Priority::new(100));
}

#[test]
fn a_switchover_moves_all_and_holds_all() {
    let mut pair = Pair::master(100);
    assert_eq!(pair.switch_over(), [(0, sends(0)), (1, sends(0))]);
    let to = peer(HIGHER, 90);
    let hands_over = [
        HandOverAddresses,
        changes(State::Master, State::Backup, Reason::Yielded(to)),
        Switchover(SwitchoverEnd::Done(to)),
    ];
    let mut expected = of(0, hands_over);
    expected.extend(of(1, hands_over));
    assert_eq!(pair.hear(0, 90), expected);
    assert!(pair.routers.iter().all(VirtualRouter::is_held));
    let group = pair.group.clone();
    pair.feed(|routers, now| group.handle_resume(now, &mut routers[..]));
    assert!(!pair.routers.iter().any(VirtualRouter::is_held));
}

#[test]
fn a_switchover_that_one_member_can_not_make_is_made_by_none() {
    let mut pair = Pair::new([member(0, 254), member(1, 255)]);
    pair.feed(|routers, now| routers.iter_mut().for_each(|one| one.handle_startup(now)));
    pair.wait(secs(4));
    pair.timeout();
    let before = pair.routers.clone();
    let refused = pair.group.handle_switchover(pair.now, &mut pair.routers[..]);
    assert_eq!(refused, Err(SwitchoverError::Owner));
    assert_eq!(pair.routers, before);
}

/// The peer's group moves when the timers of all its members have fired, so no member may speak before.
#[test]
fn offers_of_members_with_different_intervals_last_as_long() {
    let config = |which| member(which, 100).announce_delay(ms(0));
    let mut pair = Pair::new([config(0), config(1).adver_interval(centis(300))]);
    pair.feed(|routers, now| routers.iter_mut().for_each(|one| one.handle_startup(now)));
    pair.wait(secs(60));
    pair.timeout();
    assert_eq!(pair.states(), [State::Master; 2]);
    pair.switch_over();
    assert!(pair.deadline(0) >= us(5_988_281) && pair.deadline(1) >= us(5_988_281));
}

#[test]
fn a_group_that_yielded_does_not_preempt_until_its_priority_rises() {
    let config = |which| member(which, 100).demotion(Demotion::Yield);
    let mut pair = Pair::new([config(0), config(1)]);
    pair.feed(|routers, now| routers.iter_mut().for_each(|one| one.handle_startup(now)));
    pair.wait(secs(4));
    pair.timeout();
    assert_eq!(pair.set_priority(0, 80), [(0, sends(0)), (1, sends(0))]);
    pair.hear(0, 50);
    assert_eq!(pair.states(), [State::Backup; 2]);
    for which in [0, 1] {
        pair.wait(secs(1));
        pair.hear(which, 50);
        assert_eq!(pair.deadline(which), pair.routers[which].master_down_interval());
    }
}

#[test]
fn what_is_no_group_is_refused() {
    assert_eq!(SyncGroup::new([]), Err(SyncGroupError::Empty));
    assert_eq!(
        SyncGroup::new([1, 2, 1]),
        Err(SyncGroupError::Twice { member: 1 })
    );
    let pair = Pair::started(100);
    let mut routers = pair.routers.clone();
    assert_eq!(
        SyncGroup::new([1]).unwrap().join(&mut routers[..]),
        Err(SyncGroupError::InTwoGroups { member: 1 })
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is fed to whichever member: after settling all are master or none is, outputs are those of states, an
    /// owner yields to owners alone, and a held group takes over by its timers alone.
    #[test]
    fn members_are_master_together_whatever_comes(
        owner in prop::bool::weighted(0.2),
        steps in prop::collection::vec((0..11_u8, 0..2_usize, any::<u8>()), 0..60),
    ) {
        let priority = if owner { 255 } else { 100 };
        let mut pair = Pair::new([member(0, priority), member(1, priority)]);
        let mut holds = [false; 2];
        for (fact, which, value) in steps {
            let before = pair.clone();
            let outputs = match fact {
                0 => pair.feed(|routers, now| routers[which].handle_startup(now)),
                1 => pair.feed(|routers, now| routers[which].handle_shutdown(now)),
                2 if pair.states()[which] == State::Backup || pair.states()[which] == State::Master => pair.hear(which, value),
                3 => pair.feed(|routers, now| routers[which].handle_fault(now, Fault::Check)),
                4 => pair.feed(|routers, now| routers[which].handle_recovery(now, Fault::Check)),
                5 => pair.feed(|routers, now| routers[which].handle_pause(now)),
                6 => pair.set_priority(which, value),
                7 => {
                    let group = pair.group.clone();
                    pair.feed(|routers, now| { let _ = group.handle_switchover(now, &mut routers[..]); })
                }
                8 => {
                    let group = pair.group.clone();
                    pair.feed(|routers, now| group.handle_resume(now, &mut routers[..]))
                }
                9 => {
                    pair.wait(ms(u64::from(value) * 10));
                    Vec::new()
                }
                _ => {
                    if let Some(at) = pair.routers[which].poll_timeout() {
                        pair.now = pair.now.max(at);
                    }
                    pair.timeout()
                }
            };
            for (which, output) in &outputs {
                match output {
                    Output::AcquireAddresses => prop_assert!(!std::mem::replace(&mut holds[*which], true)),
                    ReleaseAddresses | HandOverAddresses => {
                        prop_assert!(std::mem::replace(&mut holds[*which], false));
                    }
                    Output::AnnounceAddresses(_) => prop_assert!(holds[*which]),
                    Output::Transition(change) if before.routers[*which].is_held() && change.to == State::Master => {
                        prop_assert!(
                            matches!(change.reason, Reason::MasterDown | Reason::MasterStopped),
                            "held, and {}", change.reason
                        );
                    }
                    _ => {}
                }
            }
            let masters = pair.states().map(|state| state == State::Master);
            prop_assert_eq!(masters[0], masters[1]);
            prop_assert_eq!(holds, masters);
            let heard = fact == 2 && before.states() == [State::Master; 2] && pair.states() != before.states();
            prop_assert!(!heard || !owner || value == 255, "an owner yields to owners alone");
        }
    }
}
