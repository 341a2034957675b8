//! For how long nobody served an address.

use alloc::collections::BTreeMap;
use core::net::IpAddr;
use core::time::Duration;

use super::Node;
use super::node::{Hold, Host};

/// An account of every address.
#[derive(Clone, Debug, Default)]
pub(super) struct Outages {
    by_address: BTreeMap<IpAddr, Outage>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Outage {
    /// Since when nobody has served it.
    since: Option<Duration>,
    longest: Duration,
    /// Whether somebody serves it, while they are being asked.
    served: bool,
}

impl Outages {
    /// Looks who serves what.
    pub(super) fn note<N: Node>(&mut self, now: Duration, hosts: &[Host<N>]) {
        for host in hosts {
            for (router, hold) in host.node.routers().iter().zip(&host.holds) {
                for address in router.config().addresses().as_addresses().iter() {
                    let outage = self.by_address.entry(address).or_default();
                    outage.served |= host.is_running() && *hold == Hold::Renewed;
                }
            }
        }
        for outage in self.by_address.values_mut() {
            if !core::mem::take(&mut outage.served) {
                outage.since.get_or_insert(now);
            } else if let Some(since) = outage.since.take() {
                outage.longest = outage.longest.max(now - since);
            }
        }
    }

    /// Forgets what was.
    pub(super) fn reset(&mut self, now: Duration) {
        for outage in self.by_address.values_mut() {
            outage.longest = Duration::ZERO;
            outage.since = outage.since.map(|_| now);
        }
    }

    /// The longest, the one under way included.
    pub(super) fn longest(&self, now: Duration, address: IpAddr) -> Duration {
        let Some(outage) = self.by_address.get(&address) else {
            return Duration::ZERO;
        };
        let under_way = outage.since.map_or(Duration::ZERO, |since| now - since);
        outage.longest.max(under_way)
    }
}
