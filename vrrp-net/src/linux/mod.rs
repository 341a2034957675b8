//! The Linux kernel as a [`Network`](crate::Network).

mod accept;
mod address_message;
mod addresses;
mod announcing;
mod clock;
mod error;
mod filter;
mod frames;
mod ipv4;
mod ipv6;
mod lock;
mod mark;
mod monitor;
mod network;
mod open;
mod pace;
mod placing;
mod ready;
mod report;
mod reports;
mod requests;
mod routes;
mod routing;
mod rules;
mod siblings;
mod sockets;
mod suspect;
mod sysctl;
mod table;
mod turns;
mod vmac;
mod worker;

use crate::network::{LinkId, Renewal};
pub use error::OpenError;

use accept::AcceptFilter;
use addresses::Renewals;
use clock::Clock;
use frames::{ClaimSocket, FrameSocket};
use ipv6::Ipv6Socket;
use lock::Lock;
use monitor::{Monitor, Resync};
use pace::Pace;
use ready::Ready;
use requests::Requests;
use routing::Routes;
use siblings::Alive;
use sockets::Link;
use table::Table;
use vmac::Vmacs;
use worker::Worker;

/// The Linux kernel as the driver sees it, in the network namespace of the thread that opened it.
#[derive(Debug)]
pub struct LinuxNetwork {
    clock: Clock,
    requests: Requests,
    monitor: Monitor,
    resync: Resync,
    table: Table,
    worker: Worker,
    /// What the worker's batch is about.
    renewals: Option<Renewals>,
    /// How it went, until that is told.
    renewal: Option<Renewal>,
    routes: Routes,
    /// Open when there are addresses that packets are kept from.
    accept: Option<AcceptFilter>,
    links: Vec<Link>,
    /// Those that may have sockets: virtual MACs have none.
    listening: Vec<LinkId>,
    vmacs: Option<Vmacs>,
    /// Goes after what it answers for.
    alive: Alive,
    /// Kept for others to see.
    _locks: Vec<Lock>,
    frames: FrameSocket,
    arp_claims: ClaimSocket,
    ndp_claims: Option<Ipv6Socket>,
    /// Open where there is IPv6.
    serving: Option<Ready>,
    buffer: Box<[u8]>,
    pace: Pace,
    /// Which places may have something to read.
    ready: Vec<bool>,
    /// Which place is read next.
    cursor: usize,
    /// How often it has been read in this turn.
    reads: usize,
    /// Whether all sockets have been dry so far in this round.
    round_dry: bool,
    /// Whether all were in the last round, and nothing has been waited for since.
    dry: bool,
}
