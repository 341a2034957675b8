//! Virtual MAC addresses: a macvlan each, made when the driver starts, open while its router is master, and removed at
//! the end.
//!
//! All that the others on the link can tell comes from here: who has the virtual MAC answers for it, and nobody else
//! sends a frame from it.

mod device;
mod gate;
mod sender;
mod settings;

use std::collections::HashMap;
use std::io;
use std::net::Ipv4Addr;

use nix::libc;
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::packet_route::link::LinkMessage;
use vrrp_core::{Envelope, Family};

use self::device::Found;
use self::gate::Gates;
use self::sender::Sender;
use self::settings::BaseSettings;
use super::error::{OpenError, refused, refused_raw};
use super::requests::Requests;
use super::siblings::Alive;
use super::table::Table;
use crate::network::{AddressError, LinkId, Placement};
use crate::plan::{LinkPlan, VmacPlan};

/// All virtual MACs of a driver.
#[derive(Debug)]
pub(super) struct Vmacs {
    requests: Requests,
    /// Marks what we make.
    token: String,
    devices: Vec<Device>,
    /// Place in `devices` by link.
    places: HashMap<LinkId, usize>,
    gates: Gates,
    sender: Sender,
    bases: BaseSettings,
}

/// The interface of one virtual MAC. Its gate has the same place.
#[derive(Debug)]
struct Device {
    link: LinkId,
    name: String,
    plan: VmacPlan,
    /// Its index, and that of the interface that carries it, while it is there.
    made: Option<Made>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Made {
    index: u32,
    base: u32,
}

impl Vmacs {
    /// Makes the interfaces of all virtual MACs, after removing those that processes which have ended left behind. `None`
    /// if none is planned. Every interface that carries one must be there.
    pub(super) fn open(links: &[LinkPlan], table: &Table, alive: &Alive) -> Result<Option<Self>, OpenError> {
        let planned = links.iter().zip((0..).map(LinkId));
        let devices: Vec<Device> = planned
            .filter_map(|(link, id)| {
                Some(Device {
                    link: id,
                    name: link.name.clone(),
                    plan: link.vmac?,
                    made: None,
                })
            })
            .collect();
        if devices.is_empty() {
            return Ok(None);
        }
        let families = |family| devices.iter().any(|device| device.plan.family == family);
        let mut vmacs = Self {
            requests: Requests::open().map_err(refused("a netlink socket"))?,
            token: alive.token().to_owned(),
            places: devices.iter().map(|device| device.link).zip(0..).collect(),
            gates: Gates::new(devices.len()).map_err(refused("a thread for virtual MACs"))?,
            sender: Sender::open(families).map_err(refused_raw("a raw VRRP socket"))?,
            bases: BaseSettings::default(),
            devices,
        };
        let found = vmacs.look().map_err(refused("reading links"))?;
        vmacs.sweep(&found)?;
        let wanted: Vec<(usize, u32)> = (0..vmacs.devices.len())
            .filter_map(|place| Some((place, table.index(vmacs.devices[place].plan.base)?)))
            .collect();
        match vmacs.make(&wanted, &found).pop() {
            Some((place, error)) => Err(vmacs.not_made(place, error)),
            None => Ok(Some(vmacs)),
        }
    }

    /// Acts on a change of an interface: one that carries virtual MACs has come or gone, or one of theirs has. Whether
    /// an interface was made, which the table doesn't know yet.
    pub(super) fn tend(&mut self, link: LinkId, table: &Table) -> bool {
        let mut wanted = Vec::new();
        for place in 0..self.devices.len() {
            let device = &self.devices[place];
            if device.link != link && device.plan.base != link {
                continue;
            }
            let (base, index) = (table.index(device.plan.base), table.index(device.link));
            match (base, device.made) {
                (Some(base), Some(made)) if made.base == base && index == Some(made.index) => {
                    if !table.state(device.link).up {
                        self.gates.reopen(place);
                    }
                }
                (Some(base), made) => {
                    self.unmake(place, made);
                    wanted.push((place, base));
                }
                (None, made) => self.unmake(place, made),
            }
        }
        if wanted.is_empty() {
            return false;
        }
        let found = self.look().unwrap_or_default();
        for (place, error) in self.make(&wanted, &found) {
            // Its interface has gone as well, and is reported next.
            if error.raw_os_error() != Some(libc::ENODEV) {
                let error = self.not_made(place, error);
                tracing::error!(%error, "a virtual MAC is missing");
            }
        }
        true
    }

    /// Hands the kernel's reports about our interfaces to `each`.
    pub(super) fn describe(&mut self, each: &mut dyn FnMut(u16, &[u8])) -> io::Result<()> {
        let devices = &self.devices;
        self.requests.dump(get_links(), &mut |kind, payload| {
            let ours = |found: &Found| devices.iter().any(|device| device.index() == Some(found.index));
            if Found::parse(payload).as_ref().is_some_and(ours) {
                each(kind, payload);
            }
        })
    }

    /// The interface that carries a virtual MAC.
    pub(super) fn base(&self, link: LinkId) -> Option<LinkId> {
        self.place(link).map(|place| self.devices[place].plan.base)
    }

    /// Sends an advert from a virtual MAC. Its interface is down if its router becomes master just now.
    pub(super) fn send(&self, link: LinkId, envelope: &Envelope, message: &[u8]) -> io::Result<()> {
        let place = self.place(link).ok_or(io::ErrorKind::NotFound)?;
        let index = self.gates.open_briefly(place)?;
        self.sender.send(index, envelope, message)
    }

    /// Sends an IPv4 packet that has its header from a virtual MAC.
    pub(super) fn send_packet(&self, link: LinkId, destination: Ipv4Addr, packet: &[u8]) -> io::Result<()> {
        let place = self.place(link).ok_or(io::ErrorKind::NotFound)?;
        let index = self.gates.open_briefly(place)?;
        self.sender.send_packet(index, destination, packet)
    }

    /// Opens the virtual MACs that are to hold addresses.
    pub(super) fn open_for(&self, placements: &[Placement]) -> Result<(), AddressError> {
        for placement in placements {
            let Some(place) = self.place(placement.link) else {
                continue;
            };
            self.gates.open(place).map_err(|error| {
                let (address, interface) = (placement.net, self.devices[place].name.clone());
                match (error.kind(), error.raw_os_error()) {
                    (io::ErrorKind::NotFound, _) | (_, Some(libc::ENODEV)) => {
                        AddressError::NoInterface { address, interface }
                    }
                    _ => AddressError::Refused {
                        address,
                        interface,
                        error,
                    },
                }
            })?;
        }
        Ok(())
    }

    /// Closes the virtual MACs that hold these addresses, before they go.
    pub(super) fn close_for(&self, placements: &[Placement]) {
        let mut places: Vec<usize> = placements
            .iter()
            .filter_map(|placement| self.place(placement.link))
            .collect();
        places.dedup();
        self.gates.close(&places);
        // IPv4 leaves without a word.
        places.retain(|place| self.devices[*place].plan.family == Family::Ipv6);
        if !places.is_empty() {
            self.gates.silence(&places);
        }
    }

    /// Refuses addresses that the carrying interface has as well: both would answer for them, each with its own MAC.
    pub(super) fn check(&self, table: &Table, placements: &[&Placement]) -> Result<(), AddressError> {
        for placement in placements {
            let Some(base) = self.base(placement.link) else {
                continue;
            };
            let there = table.find(base, placement.address());
            if there.is_some_and(|entry| !table.is_leftover(entry)) {
                return Err(AddressError::OnBase {
                    address: placement.net,
                    interface: table.name(base).into(),
                    vmac: table.name(placement.link).into(),
                });
            }
        }
        Ok(())
    }

    fn place(&self, link: LinkId) -> Option<usize> {
        self.places.get(&link).copied()
    }

    /// All interfaces of the network namespace.
    fn look(&mut self) -> io::Result<Vec<Found>> {
        let mut all = Vec::new();
        self.requests
            .dump(get_links(), &mut |_, payload| all.extend(Found::parse(payload)))?;
        Ok(all)
    }

    /// Removes what processes that have ended left behind, and refuses names that somebody else uses.
    fn sweep(&mut self, found: &[Found]) -> Result<(), OpenError> {
        let mut leftovers = Vec::new();
        for there in found {
            let name = || there.name.clone();
            let wanted = self.devices.iter().any(|device| device.name == there.name);
            match there.maker() {
                Some(maker) if !Alive::lives(maker) => leftovers.push(there.index),
                Some(_) if wanted => return Err(OpenError::VmacInUse { name: name() }),
                None if wanted => return Err(OpenError::VmacTaken { name: name() }),
                _ => {}
            }
        }
        if !leftovers.is_empty() {
            self.delete(&leftovers, found);
            tracing::info!(
                count = leftovers.len(),
                "removed virtual MACs that an ended process had left"
            );
        }
        Ok(())
    }

    /// Makes interfaces, each at its place upon the interface of an index. Gives those that could not be made.
    fn make(&mut self, wanted: &[(usize, u32)], found: &[Found]) -> Vec<(usize, io::Error)> {
        let mut requests = Vec::with_capacity(wanted.len() * 2);
        for (place, base) in wanted {
            let device = &self.devices[*place];
            let group = found.iter().find(|there| there.index == *base);
            let group = group.map_or(0, |base| base.group);
            let VmacPlan {
                mac, family, vrid, ..
            } = device.plan;
            let what = format!("{family} VRID {vrid}");
            requests.push(device::creation(&device.name, *base, mac, group));
            requests.push(device::marking(&device.name, device::alias(&self.token, &what)));
        }
        let results = self.requests.make(requests);
        let mut failed = Vec::new();
        let mut results = results.into_iter();
        for (place, base) in wanted {
            let outcome = [results.next(), results.next()].into_iter().flatten();
            match outcome.collect::<io::Result<()>>() {
                Ok(()) => {
                    self.devices[*place].made = Some(Made {
                        index: 0,
                        base: *base,
                    });
                }
                Err(error) => failed.push((*place, error)),
            }
        }
        let all = self.look().unwrap_or_default();
        for (place, _) in wanted {
            let device = &mut self.devices[*place];
            let ours = |there: &&Found| there.name == device.name && there.maker() == Some(&*self.token);
            let index = all.iter().find(ours).map(|there| there.index);
            device.made = device.made.zip(index).map(|(made, index)| Made { index, ..made });
            self.gates.replace(*place, index);
            if let Some(made) = device.made {
                let base = all.iter().find(|there| there.index == made.base);
                if let Some(base) = base {
                    settings::of_vmac(&mut self.requests, &device.name, device.plan.family, base);
                    self.bases.secure(&mut self.requests, base);
                }
            }
        }
        failed
    }

    fn unmake(&mut self, place: usize, made: Option<Made>) {
        self.gates.replace(place, None);
        self.devices[place].made = None;
        if let Some(made) = made {
            // It is gone already, unless the carrying interface was renamed.
            let _ = self.requests.make([device::deletion(made.index)]);
        }
    }

    fn not_made(&self, place: usize, error: io::Error) -> OpenError {
        let name = self.devices[place].name.clone();
        match error.raw_os_error() {
            Some(libc::EEXIST) => OpenError::VmacTaken { name },
            Some(libc::EOPNOTSUPP) => OpenError::NoMacvlan { name },
            _ => OpenError::Refused {
                what: "making a virtual MAC (macvlan)",
                on: Some(name),
                error,
            },
        }
    }

    /// Deletes interfaces of ours, all at once. `found` is all that is there.
    fn delete(&mut self, indices: &[u32], found: &[Found]) {
        let group = free_group(found);
        let groupings = indices.iter().map(|index| device::grouping(*index, group));
        // One that is gone can't be moved, and needs not.
        let _ = self.requests.make(groupings.collect::<Vec<_>>());
        let deleted = self.requests.make([device::deletion_of_group(group)]);
        if deleted.iter().any(Result::is_err) {
            let one_by_one = indices.iter().map(|index| device::deletion(*index));
            let _ = self.requests.make(one_by_one.collect::<Vec<_>>());
        }
    }
}

impl Drop for Vmacs {
    fn drop(&mut self) {
        let Ok(found) = self.look() else { return };
        let ours = found.iter().filter(|there| there.maker() == Some(&*self.token));
        let ours: Vec<u32> = ours.map(|there| there.index).collect();
        if !ours.is_empty() {
            self.delete(&ours, &found);
        }
        let others = |there: &&Found| there.maker().is_some() && !ours.contains(&there.index);
        let in_use: Vec<u32> = found
            .iter()
            .filter(others)
            .filter_map(|there| there.base)
            .collect();
        self.bases.restore(&mut self.requests, &found, &in_use);
    }
}

impl Device {
    fn index(&self) -> Option<u32> {
        self.made.map(|made| made.index)
    }
}

/// A group in which no interface is.
fn free_group(found: &[Found]) -> u32 {
    let mut group = 0x7672_7270;
    while found.iter().any(|there| there.group == group) {
        group += 1;
    }
    group
}

fn get_links() -> RouteNetlinkMessage {
    RouteNetlinkMessage::GetLink(LinkMessage::default())
}
