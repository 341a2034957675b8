//! What the kernel reports of links and addresses, and what follows from it.

use std::io;

use crate::network::{Input, LinkId, LinkState};

use super::LinuxNetwork;
use super::monitor::{Message, Reading};
use super::open::too_long;
use super::table::Change;
use super::turns::Read;
use super::worker::Done;

impl LinuxNetwork {
    /// Reads a report, or takes what the worker has done when there is none.
    pub(super) fn read_reports(&mut self) -> Read {
        let (table, resync) = (&mut self.table, &mut self.resync);
        let reading = self.monitor.read(&mut |kind, payload| {
            table.read(kind, payload);
            resync.handle_report(kind, payload);
        });
        let now = self.clock.now();
        match reading {
            Reading::Reports => return Read::Other,
            Reading::Lost => {
                tracing::warn!("netlink reports were lost; reading everything anew");
                self.resync.handle_loss(now);
                return Read::Other;
            }
            Reading::Dry => {}
        }
        if let Some(done) = self.worker.take_done() {
            self.take(done);
            return Read::Other;
        }
        if self.resync.begin(now) {
            self.worker.read_all();
        }
        Read::Dry
    }

    fn take(&mut self, done: Done) {
        match done {
            Done::Batch(results) => self.conclude_renewal(results),
            Done::Snapshot(read) => match self.resync.finish(self.clock.now(), read) {
                Ok(Some(all)) => self.table.replace(all.iter().map(borrow)),
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "links and addresses can't be read; trying again"),
            },
        }
    }

    pub(super) fn next_change(&mut self) -> Option<Input<'static>> {
        let change = self.table.next_change()?;
        Some(match change {
            Change::Link(link) => {
                if let Err(error) = self.bind(link) {
                    // The link counts as down until the next report about it.
                    tracing::error!(interface = self.table.name(link), %error, "no raw VRRP socket");
                }
                self.tell_narrow(link);
                self.tend_vmacs(link);
                Input::Link(link)
            }
            Change::Removed(link, address) => Input::AddressRemoved { link, address },
        })
    }

    /// Tells once when the MTU of a running virtual router's interface has become too small for its adverts. They go on
    /// as fragments: to stop would be the outage that may follow otherwise.
    fn tell_narrow(&mut self, link: LinkId) {
        let mtu = self.table.mtu(link);
        let too_long = mtu.and_then(|mtu| too_long(&self.links[link.0].plan, mtu));
        let narrow = mtu.filter(|_| too_long.is_some());
        let told = std::mem::replace(&mut self.links[link.0].narrow, narrow);
        if let Some(error) = too_long.filter(|_| narrow != told) {
            tracing::warn!(%error, "adverts are sent as fragments, which others may drop");
        }
    }

    /// Makes virtual MACs anew that have gone, and tells the table at once: their routers may need them before the
    /// kernel's report is read.
    fn tend_vmacs(&mut self, link: LinkId) {
        let Some(vmacs) = &mut self.vmacs else { return };
        if vmacs.tend(link, &self.table) {
            if let Err(error) = self.learn_vmacs() {
                tracing::debug!(%error, "reading links");
            }
        }
        if self.links[link.0].plan.vmac.is_some() && self.table.index(link).is_some() {
            self.table.report_missing(link);
        }
    }

    pub(super) fn learn_vmacs(&mut self) -> io::Result<()> {
        let table = &mut self.table;
        match &mut self.vmacs {
            Some(vmacs) => vmacs.describe(&mut |kind, payload| table.read(kind, payload)),
            None => Ok(()),
        }
    }

    pub(super) fn link_state(&self, link: LinkId) -> LinkState {
        let state = self.table.state(link);
        let present = state.present && self.links[link.0].bound.is_some();
        LinkState {
            present,
            up: state.up && present,
            ..state
        }
    }
}

pub(super) fn borrow((kind, payload): &Message) -> (u16, &[u8]) {
    (*kind, payload)
}
