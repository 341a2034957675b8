//! Addresses come and go, and with them the filters, devices and renewals of each.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use crate::network::{AddressError, Network as _, Placement};

use super::LinuxNetwork;
use super::accept::{self, AcceptFilter};
use super::addresses::{self, Renewals};

impl LinuxNetwork {
    pub(super) fn prepare_addresses(&mut self, placements: &[&Placement]) -> Result<(), AddressError> {
        addresses::check(&self.table, placements)?;
        if let Some(vmacs) = &self.vmacs {
            vmacs.check(&self.table, placements)?;
        }
        if let Err(error) = accept::sweep() {
            tracing::debug!(%error, "filters of an earlier run can't be looked for");
        }
        if let Some(refused) = placements.iter().find(|placement| !placement.accept) {
            let filter = AcceptFilter::open().map_err(|error| no_filter(refused, error))?;
            self.accept = Some(filter);
        }
        let siblings = self.alive.has_siblings();
        addresses::sweep(&mut self.requests, &mut self.table, placements, siblings);
        Ok(())
    }

    pub(super) fn acquire_addresses(&mut self, placements: &[Placement]) -> Result<(), AddressError> {
        self.end_renewal_of(placements);
        if let Some(vmacs) = &self.vmacs {
            vmacs.open_for(placements)?;
        }
        self.refuse_packets(placements)?;
        let now = self.now();
        let added = self.ipv6_to_be_added(placements);
        if let Some(ready) = &mut self.serving {
            ready.forget_reports();
        }
        addresses::acquire(&mut self.requests, &mut self.table, placements, now)?;
        if let Some(ready) = &mut self.serving {
            ready.wait_for(&mut self.requests, added);
        }
        Ok(())
    }

    pub(super) fn renew_addresses(&mut self, placements: &[&Placement], patience: Duration) {
        let now = self.now();
        let (renewals, requests) = addresses::renewals(&mut self.table, placements, now);
        if requests.is_empty() {
            self.renewal = Some(renewals.conclude(&mut self.table, Vec::new()));
        } else {
            self.renewals = Some(renewals);
            self.worker.make(requests, patience);
        }
    }

    pub(super) fn release_addresses(&mut self, placements: &[Placement]) -> Result<(), AddressError> {
        self.end_renewal_of(placements);
        if let Some(vmacs) = &self.vmacs {
            vmacs.close_for(placements);
        }
        let released = addresses::release(&mut self.requests, &mut self.table, placements);
        let admitted = self.admit_packets(placements);
        released.and(admitted)
    }

    pub(super) fn conclude_renewal(&mut self, results: Vec<io::Result<()>>) {
        if let Some(renewals) = self.renewals.take() {
            self.renewal = Some(renewals.conclude(&mut self.table, results));
        }
    }

    /// From here on none of these addresses is renewed.
    fn end_renewal_of(&mut self, placements: &[Placement]) {
        let concerned = |renewals: &Renewals| renewals.touch(placements);
        if self.renewals.as_ref().is_some_and(concerned) {
            let results = self.worker.revoke();
            self.conclude_renewal(results);
        }
    }

    /// Where IPv6 addresses are to be that aren't there, but for those that wait to be found unique.
    fn ipv6_to_be_added(&self, placements: &[Placement]) -> Vec<(u32, IpAddr)> {
        let missing = |placement: &Placement| {
            let (link, address) = (placement.link, placement.address());
            let wanted =
                address.is_ipv6() && !placement.options.dad && self.table.find(link, address).is_none();
            Some((self.table.index(link)?, address)).filter(|_| wanted)
        };
        placements.iter().filter_map(missing).collect()
    }

    /// Before the addresses are there, so that none is ever accepted that should not be.
    fn refuse_packets(&mut self, placements: &[Placement]) -> Result<(), AddressError> {
        let (Some(filter), table) = (&mut self.accept, &self.table) else {
            return Ok(());
        };
        let refused = placements.iter().filter(|placement| !placement.accept);
        let places = refused.clone().filter_map(|placement| {
            let index = table.index(placement.link)?;
            Some((placement.link, index, placement.address()))
        });
        match (filter.refuse(places), refused.clone().next()) {
            (Err(error), Some(placement)) => Err(no_filter(placement, error)),
            _ => Ok(()),
        }
    }

    /// When the addresses are gone: whoever has one later for himself shall have its packets.
    fn admit_packets(&mut self, placements: &[Placement]) -> Result<(), AddressError> {
        let Some(filter) = &mut self.accept else {
            return Ok(());
        };
        let places = placements
            .iter()
            .map(|placement| (placement.link, placement.address()));
        match (filter.admit(places), placements.first()) {
            (Err(error), Some(placement)) => Err(no_filter(placement, error)),
            _ => Ok(()),
        }
    }
}

fn no_filter(placement: &Placement, error: io::Error) -> AddressError {
    AddressError::NoFilter {
        address: placement.net,
        error,
    }
}
