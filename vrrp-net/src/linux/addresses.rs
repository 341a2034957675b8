//! Virtual addresses on interfaces: added with a lease, renewed, removed, and never confused with somebody else's.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use nix::libc;
use rtnetlink::packet_core::{NLM_F_EXCL, NLM_F_REPLACE};

use super::address_message::{addition, kernel_prefix, removal};
use super::mark::MARK;
use super::requests::Requests;
use super::table::Table;
use super::worker::Request;
use crate::network::{AddressError, LinkId, Placement, Renewal};

/// What to do about an address that is wanted.
enum Plan {
    /// It isn't there.
    Add(u32),
    /// It is there and ours.
    Renew(u32),
    /// It is there, and its owner's.
    Keep,
}

/// Checks that each address can be had, before anything is started.
pub(super) fn check(table: &Table, placements: &[&Placement]) -> Result<(), AddressError> {
    for placement in placements {
        let leftover = |entry| table.is_leftover(entry);
        let foreign = table
            .find(placement.link, placement.address())
            .is_some_and(|entry| !leftover(entry));
        if foreign && !placement.owner {
            return Err(foreign_error(table, placement));
        }
        secure_prefix(table, placement)?;
    }
    Ok(())
}

/// Removes what an earlier run has left on our interfaces: our addresses, and anything with our mark and no lifetime.
///
/// What has our mark and a lifetime, but is no address of ours, goes by itself, unless another program keeps it. So may
/// anything that is no address of ours belong to another process, as long as `siblings` live.
pub(super) fn sweep(requests: &mut Requests, table: &mut Table, placements: &[&Placement], siblings: bool) {
    let mut leftovers = Vec::new();
    for link in table.links() {
        let Some(index) = table.index(link) else {
            continue;
        };
        for entry in table.entries(link) {
            let wanted =
                |placement: &&Placement| placement.link == link && placement.address() == entry.address;
            let ours = placements.iter().copied().any(|placement| wanted(&placement));
            let abandoned = entry.mark == Some(MARK) && entry.permanent && !siblings;
            if abandoned || (ours && table.is_leftover(entry)) {
                leftovers.push((link, index, *entry));
            }
        }
    }
    let removals = leftovers
        .iter()
        .map(|(_, index, entry)| removal(*index, entry.address, entry.peer, entry.prefix));
    let results = requests.make(removals);
    for ((link, _, entry), result) in leftovers.iter().zip(results) {
        let address = entry.address;
        match result {
            Ok(()) => {
                table.note_released(*link, address, Some(entry.prefix));
                tracing::info!(interface = table.name(*link), %address, "removed a leftover of an earlier run");
            }
            Err(error) => {
                tracing::warn!(interface = table.name(*link), %address, %error, "leftover not removed");
            }
        }
    }
}

pub(super) fn acquire(
    requests: &mut Requests,
    table: &mut Table,
    placements: &[Placement],
    now: Duration,
) -> Result<(), AddressError> {
    let mut batch = Vec::with_capacity(placements.len());
    for placement in placements {
        secure_prefix(table, placement)?;
        match plan(table, placement)? {
            Plan::Add(index) => {
                table.note_addition(placement.link, placement.address(), now);
                batch.push((placement, addition(index, placement, Duration::ZERO, NLM_F_EXCL)));
            }
            Plan::Renew(index) => {
                let age = table.age(placement.link, placement.address(), now);
                batch.push((placement, addition(index, placement, age, NLM_F_REPLACE)));
            }
            Plan::Keep => {}
        }
    }
    let (wanted, messages): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
    let mut first = Ok(());
    for (placement, result) in wanted.into_iter().zip(requests.make(messages)) {
        match result {
            Ok(()) => note(table, placement),
            // Somebody was quicker by less than a report takes to come.
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) && first.is_ok() => {
                first = Err(foreign_error(table, placement));
            }
            Err(error) if first.is_ok() => first = Err(refused(table, placement, error)),
            Err(_) => {}
        }
    }
    first
}

/// Renewals that the kernel has yet to answer.
#[derive(Debug, Default)]
pub(super) struct Renewals {
    /// What the requests are for, in their order.
    pending: Vec<Placement>,
    /// Those that need not be asked for.
    failures: Vec<(LinkId, IpAddr, AddressError)>,
}

impl Renewals {
    /// Whether one of these addresses is among them.
    pub(super) fn touch(&self, placements: &[Placement]) -> bool {
        let pending = |placement: &Placement| {
            let same = |other: &Placement| other.link == placement.link && other.net == placement.net;
            self.pending.iter().any(same)
        };
        placements.iter().any(pending)
    }

    /// The kernel has answered as many as there are results, in order.
    pub(super) fn conclude(self, table: &mut Table, results: Vec<io::Result<()>>) -> Renewal {
        let mut renewal = Renewal {
            failures: self.failures,
            ..Renewal::default()
        };
        let mut results = results.into_iter();
        for placement in self.pending {
            let (link, address) = (placement.link, placement.address());
            match results.next() {
                Some(Ok(())) => {
                    note(table, &placement);
                    renewal.renewed += 1;
                }
                Some(Err(error)) => {
                    let error = refused(table, &placement, error);
                    renewal.failures.push((link, address, error));
                }
                None => renewal.left.push((link, address)),
            }
        }
        renewal
    }
}

/// The requests that renew the leases of these addresses.
pub(super) fn renewals(
    table: &mut Table,
    placements: &[&Placement],
    now: Duration,
) -> (Renewals, Vec<Request>) {
    let (mut renewals, mut requests) = (Renewals::default(), Vec::new());
    for &placement in placements {
        let (request, error) = match plan(table, placement) {
            Ok(Plan::Keep) => (None, None),
            // Somebody removed it, and it could not be put back at once.
            Ok(Plan::Add(index)) => {
                table.note_addition(placement.link, placement.address(), now);
                (Some(addition(index, placement, Duration::ZERO, NLM_F_EXCL)), None)
            }
            // NLM_F_REPLACE would turn an address that was made permanent into one that vanishes.
            Ok(Plan::Renew(_)) if was_made_permanent(table, placement) => {
                (None, Some(foreign_error(table, placement)))
            }
            Ok(Plan::Renew(index)) => {
                let age = table.age(placement.link, placement.address(), now);
                (Some(addition(index, placement, age, NLM_F_REPLACE)), None)
            }
            Err(error) => (None, Some(error)),
        };
        if let Some(request) = request {
            requests.push(request);
            renewals.pending.push(placement.clone());
        }
        renewals
            .failures
            .extend(error.map(|error| (placement.link, placement.address(), error)));
    }
    (renewals, requests)
}

pub(super) fn release(
    requests: &mut Requests,
    table: &mut Table,
    placements: &[Placement],
) -> Result<(), AddressError> {
    let (mut wanted, mut messages) = (Vec::new(), Vec::new());
    for placement in placements {
        let (link, address) = (placement.link, placement.address());
        let here = table
            .find(link, address)
            .filter(|entry| table.is_ours(link, entry));
        let here = here.and_then(|entry| Some((table.index(link)?, entry.prefix)));
        let Some((index, prefix)) = here.or_else(|| table.left_behind(link, address)) else {
            table.note_released(link, address, None);
            continue;
        };
        let peer = placement.options.peer.map_or(address, |peer| peer.addr());
        messages.push(removal(index, address, peer, prefix));
        // Of an interface by another name no report is heeded.
        wanted.push((placement, here.map(|(_, prefix)| prefix)));
    }
    let mut first = Ok(());
    for ((placement, reported), result) in wanted.into_iter().zip(requests.make(messages)) {
        let gone = |error: &io::Error| {
            matches!(
                error.raw_os_error(),
                Some(libc::EADDRNOTAVAIL | libc::ENODEV | libc::ENXIO)
            )
        };
        let removed = reported.filter(|_| result.is_ok());
        table.note_released(placement.link, placement.address(), removed);
        match result {
            Err(error) if !gone(&error) && first.is_ok() => first = Err(refused(table, placement, error)),
            _ => {}
        }
    }
    first
}

/// Whether the kernel lets us change addresses: it checks that before it looks for the interface.
pub(super) fn may_change(requests: &mut Requests) -> bool {
    let address = IpAddr::from([192, 0, 2, 1]);
    let nowhere = removal(i32::MAX as u32, address, address, 32);
    let answer = requests.make([nowhere]);
    !answer.into_iter().any(|result| {
        result.is_err_and(|error| matches!(error.raw_os_error(), Some(libc::EPERM | libc::EACCES)))
    })
}

fn plan(table: &Table, placement: &Placement) -> Result<Plan, AddressError> {
    let Some(index) = table.index(placement.link) else {
        return Err(no_interface(table, placement));
    };
    match table.find(placement.link, placement.address()) {
        None => Ok(Plan::Add(index)),
        Some(entry) if table.is_ours(placement.link, entry) => Ok(Plan::Renew(index)),
        Some(_) if placement.owner => Ok(Plan::Keep),
        Some(_) => Err(foreign_error(table, placement)),
    }
}

fn was_made_permanent(table: &Table, placement: &Placement) -> bool {
    let entry = table.find(placement.link, placement.address());
    placement.lease.is_some() && entry.is_some_and(|entry| entry.permanent)
}

fn note(table: &mut Table, placement: &Placement) {
    let permanent = placement.lease.is_none();
    table.note_acquired(
        placement.link,
        placement.address(),
        kernel_prefix(placement),
        permanent,
    );
}

/// The kernel deletes all addresses of a subnet with its primary one, unless `promote_secondaries` is set; and an
/// address that is first in its subnet is its primary. So ours comes second, or the setting comes first; or always, where
/// that is asked for.
fn secure_prefix(table: &Table, placement: &Placement) -> Result<(), AddressError> {
    let IpNet::V4(net) = placement.net else {
        return Ok(());
    };
    let name = table.name(placement.link);
    let below_another = || {
        table
            .entries(placement.link)
            .iter()
            .any(|entry| match entry.address {
                IpAddr::V4(address) => {
                    entry.prefix == net.prefix_len()
                        && net.contains(&address)
                        && address != net.addr()
                        && !table.is_ours(placement.link, entry)
                }
                IpAddr::V6(_) => false,
            })
    };
    let harmless = || net.prefix_len() == 32 || below_another();
    if promotes("all") || promotes(name) || (harmless() && !placement.promote_secondaries) {
        return Ok(());
    }
    // Where the setting can't be changed, somebody else has to.
    fs::write(promote_secondaries(name), "1").map_err(|error| match harmless() {
        false => AddressError::Primary {
            address: placement.net,
            interface: name.into(),
        },
        true => AddressError::PromoteSecondaries {
            interface: name.into(),
            error,
        },
    })
}

fn promote_secondaries(interface: &str) -> String {
    format!("/proc/sys/net/ipv4/conf/{interface}/promote_secondaries")
}

fn promotes(interface: &str) -> bool {
    fs::read(promote_secondaries(interface)).is_ok_and(|value| value.trim_ascii() == b"1")
}

fn foreign_error(table: &Table, placement: &Placement) -> AddressError {
    AddressError::Foreign {
        address: placement.net,
        interface: table.name(placement.link).into(),
    }
}

fn no_interface(table: &Table, placement: &Placement) -> AddressError {
    AddressError::NoInterface {
        address: placement.net,
        interface: table.name(placement.link).into(),
    }
}

fn refused(table: &Table, placement: &Placement, error: io::Error) -> AddressError {
    match (error.raw_os_error(), placement.options.scope) {
        // Deleted, and not yet reported.
        (Some(libc::ENODEV), _) => no_interface(table, placement),
        (Some(libc::EINVAL), Some(scope)) if placement.net.prefix_len() < 32 => AddressError::Scope {
            address: placement.net,
            scope,
            interface: table.name(placement.link).into(),
        },
        _ => AddressError::Refused {
            address: placement.net,
            interface: table.name(placement.link).into(),
            error,
        },
    }
}
