//! Sets of virtual routers by facts, commands and time.

use std::time::Duration;

use vrrp_core::{
    AddressList, AdverInterval, Config, Fault, Output, Priority, State, SwitchoverEnd, SwitchoverError,
    SyncGroup, SyncGroupError, Version, VirtualRouter, Vrid,
};

use super::set::{GATHERED, TAKEOVERS};
use super::{Effect, RouterCommand, RouterSet, Routers};

#[test]
fn a_set_wakes_for_the_earliest_router_and_times_out_only_what_is_due() {
    let mut set = set(&[200, 100]);
    start(&mut set);
    let first = set.poll_timeout().unwrap();
    assert_eq!(Some(first), set.router(0).poll_timeout());
    set.handle_timeout(first);
    assert_eq!(set.router(0).state(), State::Master);
    assert_eq!(set.router(1).state(), State::Backup);
    assert!(matches!(
        set.poll_output(),
        Some(Effect::Router(0, Output::Advertise(_)))
    ));
}

#[test]
fn masters_advertise_between_the_takeovers_of_many_others() {
    let mut set = set(&[100; 2 * TAKEOVERS + 1]);
    start(&mut set);
    let first = set.poll_timeout().unwrap();
    assert!(advertised(&mut set, first).into_iter().eq(0..TAKEOVERS));
    assert_eq!(set.poll_timeout(), Some(first), "more are due");
    // The first takeovers took as long as an advertisement interval.
    let later = first + set.router(0).config().adver_interval().duration();
    assert!(advertised(&mut set, later).into_iter().eq(0..2 * TAKEOVERS));
    assert_eq!(advertised(&mut set, later), [2 * TAKEOVERS]);
}

#[test]
fn a_command_for_a_router_that_does_not_exist_is_ignored() {
    let mut set = set(&[100]);
    start(&mut set);
    let before = set.clone();
    set.handle_command(Duration::ZERO, RouterCommand::Shutdown { router: 1 });
    assert_eq!(set, before);
}

#[test]
fn a_command_reaches_its_router() {
    let mut set = set(&[100, 100]);
    start(&mut set);
    let priority = Priority::new(80);
    set.handle_command(Duration::ZERO, RouterCommand::Priority { router: 1, priority });
    assert_eq!(set.router(1).priority(), priority);
    let fault = Fault::Check;
    set.handle_command(Duration::ZERO, RouterCommand::Fault { router: 1, fault });
    assert_eq!(set.router(1).state(), State::Fault);
    set.handle_command(Duration::ZERO, RouterCommand::Recovery { router: 1, fault });
    assert_eq!(set.router(1).state(), State::Backup);
    set.handle_command(Duration::ZERO, RouterCommand::Shutdown { router: 1 });
    assert_eq!(set.router(1).state(), State::Initialize);
    assert_eq!(set.router(0).state(), State::Backup);
}

#[test]
fn masters_whose_adverts_are_due_soon_speak_together_from_then_on() {
    // Skew times 4 ms and 387 ms apart.
    let mut set = set(&[200, 199, 100]);
    start(&mut set);
    while set.routers().iter().any(|router| router.state() == State::Backup) {
        let at = set.poll_timeout().unwrap();
        set.handle_timeout(at);
        drain(&mut set);
    }
    let due = |set: &RouterSet, index: usize| set.router(index).advert_due().unwrap();
    let (first, last) = (due(&set, 0), due(&set, 2));
    assert!(first < due(&set, 1) && due(&set, 1) < last);
    assert_eq!(advertised(&mut set, first), [0, 1]);
    assert_eq!(due(&set, 1), due(&set, 0));
    assert_eq!(due(&set, 2), last, "too far off");
    assert_eq!(advertised(&mut set, last), [2]);
    let second = due(&set, 0);
    assert_eq!(advertised(&mut set, second), [0, 1]);
}

#[test]
fn a_master_of_another_interval_keeps_its_own() {
    let interval = |centis| AdverInterval::from_centis(centis).unwrap();
    let mut set = RouterSet::new(vec![
        router_every(1, interval(10)),
        router_every(2, interval(100)),
    ]);
    start(&mut set);
    expire(&mut set, Duration::from_secs(4));
    let slow = set.router(1).advert_due().unwrap();
    // The fast one speaks nine times until then, the last time within an eighth of the slow one's interval.
    while set.poll_timeout().unwrap() < slow {
        let at = set.poll_timeout().unwrap();
        assert_eq!(advertised(&mut set, at), [0]);
    }
    assert_eq!(set.router(1).advert_due(), Some(slow));
}

#[test]
fn no_more_are_gathered_than_a_receive_buffer_holds() {
    let mut set = set(&[100; 2 * GATHERED]);
    start(&mut set);
    expire(&mut set, Duration::from_secs(4));
    let due = set.poll_timeout().unwrap();
    set.router_mut(0)
        .handle_advert_early(due - Duration::from_millis(100));
    drain(&mut set);
    let others = advertised(&mut set, due);
    assert!(
        others.into_iter().eq(1..2 * GATHERED),
        "what is due is never kept back"
    );
    let along = advertised(&mut set, due + Duration::from_millis(900));
    assert!(along.into_iter().eq(0..GATHERED));
}

#[test]
fn commands_for_a_member_move_its_whole_group() {
    let mut set = grouped();
    expire(&mut set, Duration::from_secs(4));
    assert_eq!(states(&set), [State::Master, State::Master, State::Master]);
    let now = Duration::from_secs(5);
    let priority = Priority::new(90);
    set.handle_command(now, RouterCommand::Priority { router: 1, priority });
    let adverts: Vec<_> = drain(&mut set)
        .into_iter()
        .filter(|(_, output)| matches!(output, Output::Advertise(_)))
        .map(|(index, _)| index)
        .collect();
    assert_eq!(adverts, [0, 0, 1, 1]);
    set.handle_command(now, RouterCommand::Switchover { router: 0 });
    let stops = drain(&mut set);
    let stop = Output::Advertise(Priority::STOP);
    assert_eq!(stops, [(0, stop), (1, stop)]);
    let fault = Fault::Check;
    set.handle_command(now, RouterCommand::Fault { router: 1, fault });
    assert_eq!(states(&set), [State::Fault, State::Fault, State::Master]);
    set.handle_command(now, RouterCommand::Recovery { router: 1, fault });
    assert_eq!(states(&set), [State::Backup, State::Backup, State::Master]);
    set.handle_command(now, RouterCommand::Shutdown { router: 0 });
    expire(&mut set, Duration::from_secs(60));
    assert_eq!(set.router(1).state(), State::Backup, "never alone");
}

#[test]
fn facts_fed_to_a_member_reach_the_others_when_the_set_settles() {
    let mut set = grouped();
    let now = Duration::from_secs(4);
    expire(&mut set, now);
    set.router_mut(1).handle_pause(now);
    assert_eq!(set.router(0).state(), State::Master);
    set.settle(now);
    assert_eq!(states(&set), [State::Backup, State::Backup, State::Master]);
    let outputs = drain(&mut set);
    assert!(outputs.contains(&(0, Output::ReleaseAddresses)));
}

#[test]
fn a_switchover_that_does_not_begin_is_told() {
    let mut set = set(&[100]);
    start(&mut set);
    set.handle_command(Duration::ZERO, RouterCommand::Switchover { router: 0 });
    let error = SwitchoverError::NotMaster { state: State::Backup };
    let told = Output::Switchover(SwitchoverEnd::Refused(error));
    assert_eq!(drain(&mut set), [(0, told)]);
}

#[test]
fn groups_of_what_is_not_there_are_refused() {
    let routers = || set(&[100, 100]).routers().to_vec();
    let group = |members: &[usize]| SyncGroup::new(members.iter().copied()).unwrap();
    let with = |groups| RouterSet::with_groups(routers(), groups).map(|_| ());
    assert_eq!(
        with(vec![group(&[0, 2])]),
        Err(SyncGroupError::Unknown { member: 2 })
    );
    assert_eq!(
        with(vec![group(&[0, 1]), group(&[1])]),
        Err(SyncGroupError::InTwoGroups { member: 1 })
    );
    assert_eq!(with(vec![group(&[0]), group(&[1])]), Ok(()));
}

/// The first two of three are a group.
fn grouped() -> RouterSet {
    let group = SyncGroup::new([0, 1]).unwrap().tracking_weight(true);
    let routers = set(&[100, 100, 100]).routers().to_vec();
    let mut set = RouterSet::with_groups(routers, vec![group]).unwrap();
    start(&mut set);
    set
}

/// Who advertises at this moment.
fn advertised(set: &mut RouterSet, now: Duration) -> Vec<usize> {
    set.handle_timeout(now);
    let adverts = drain(set).into_iter();
    adverts
        .filter_map(|(index, output)| matches!(output, Output::Advertise(_)).then_some(index))
        .collect()
}

/// Everything that is due, as a driver does it.
fn expire(set: &mut RouterSet, now: Duration) {
    while set.poll_timeout().is_some_and(|at| at <= now) {
        set.handle_timeout(now);
        drain(set);
    }
}

fn states(set: &RouterSet) -> Vec<State> {
    set.routers().iter().map(VirtualRouter::state).collect()
}

fn drain(set: &mut RouterSet) -> Vec<(usize, Output)> {
    let next = || match set.poll_output()? {
        Effect::Router(index, output) => Some((index, output)),
        Effect::Event(never) => match never {},
    };
    std::iter::from_fn(next).collect()
}

fn set(priorities: &[u8]) -> RouterSet {
    let router = |(index, priority): (usize, &u8)| {
        let addresses = AddressList::new(&["192.0.2.100".parse().unwrap()]).unwrap();
        let vrid = Vrid::new(index as u8 + 1).unwrap();
        let config = Config::builder(vrid, addresses).priority(Priority::new(*priority));
        VirtualRouter::new(config.build().unwrap(), "192.0.2.10".parse().unwrap())
    };
    RouterSet::new(priorities.iter().enumerate().map(router).collect())
}

fn router_every(vrid: u8, interval: AdverInterval) -> VirtualRouter {
    let addresses = AddressList::new(&["192.0.2.100".parse().unwrap()]).unwrap();
    let config = Config::builder(Vrid::new(vrid).unwrap(), addresses)
        .version(Version::V3)
        .adver_interval(interval);
    VirtualRouter::new(config.build().unwrap(), "192.0.2.10".parse().unwrap())
}

fn start(set: &mut RouterSet) {
    for index in 0..set.len() {
        set.router_mut(index).handle_startup(Duration::ZERO);
    }
    while set.poll_output().is_some() {}
}
