//! What comes, and what was done.

use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Duration;

use vrrp_core::Transition;
use vrrp_net::{DriverCounters, DriverEvent, LinkState, MacAddr, RouterCommand};

/// Something that comes at a time of the script.
#[derive(Clone, Debug)]
pub enum Fact {
    /// A packet from this address.
    Packet(IpAddr, Vec<u8>),
    /// The state of the interface.
    Link(LinkState),
    /// Somebody removed an address.
    Removed(IpAddr),
    /// Somebody removes so many routes.
    RoutesRemoved(usize),
    /// A host claims an address.
    Claim(IpAddr, MacAddr),
    /// Control code asks.
    Command(RouterCommand),
    /// The process stands still for so long.
    Pause(Duration),
    /// From here on reading a packet takes so long.
    ReadingTakes(Duration),
    /// The process stands still for so long while it reads.
    Stall(Duration),
    /// From here on renewing leases takes so long.
    RenewalTakes(Duration),
    /// Whether adverts can be sent.
    Sending(bool),
    /// What happens to addresses that are added or renewed.
    Addresses(Acceptance),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acceptance {
    #[default]
    Fine,
    Refused,
    Foreign,
    /// Those that are to be renewed have no turn.
    Left,
}

/// What the driver did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    Prepare(usize),
    /// VRID and priority.
    Advert(u8, u8),
    Acquire(Vec<IpAddr>),
    Renew(usize),
    Release(Vec<IpAddr>),
    Announce(Vec<IpAddr>, u8),
    AnnounceSource(IpAddr),
    /// How many routes were missing.
    AddRoutes(usize),
    Probe(IpAddr),
    /// An event told, of the router of this index.
    Transition(usize, Transition),
    Event(DriverEvent<Infallible>),
}

/// What remains when the driver has stopped.
pub struct Outcome {
    pub log: Vec<(Duration, Act)>,
    pub counters: DriverCounters,
}

impl Outcome {
    /// What was done up to a moment, and when, without events.
    pub fn acts(&self) -> Vec<(Duration, Act)> {
        let acts = self.log.iter();
        acts.filter(|(_, act)| !matches!(act, Act::Transition(..) | Act::Event(_)))
            .cloned()
            .collect()
    }

    pub fn transitions(&self) -> Vec<(Duration, Transition)> {
        let transition = |(at, act): &(Duration, Act)| match act {
            Act::Transition(_, transition) => Some((*at, *transition)),
            _ => None,
        };
        self.log.iter().filter_map(transition).collect()
    }

    pub fn times(&self, wanted: impl Fn(&Act) -> bool) -> Vec<Duration> {
        self.log
            .iter()
            .filter(|(_, act)| wanted(act))
            .map(|(at, _)| *at)
            .collect()
    }

    pub fn events(&self) -> Vec<&DriverEvent<Infallible>> {
        let event = |(_, act): &'_ (Duration, Act)| matches!(act, Act::Event(_));
        let events = self.log.iter().filter(|entry| event(entry));
        events
            .filter_map(|(_, act)| {
                if let Act::Event(event) = act {
                    Some(event)
                } else {
                    None
                }
            })
            .collect()
    }
}
