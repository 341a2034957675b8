//! Addresses of both families in one definition: a virtual router for each.

use vrrp_core::Family;

use super::InstanceParts;
use crate::config::notify::NotifyParts;

/// What the name of the IPv6 virtual router ends with.
const IPV6: &str = "-ipv6";

impl InstanceParts {
    /// One for each family of the advertised addresses, IPv4 first. What belongs to a family stays with it; what is run
    /// once for both (its notifications) stays with the first.
    pub(super) fn divide(self) -> Vec<Self> {
        let has = |family| {
            let mut addresses = self.addresses.advertised.iter();
            addresses.any(|one| Family::of(&one.value.address()) == family)
        };
        if !(has(Family::Ipv4) && has(Family::Ipv6)) {
            return vec![self];
        }
        let mut second = self.clone();
        second.name.value.push_str(IPV6);
        let mut first = self;
        first.keep(Family::Ipv4);
        second.keep(Family::Ipv6);
        second.authentication.leave_to_ipv4();
        second.notify = NotifyParts::default();
        vec![first, second]
    }

    fn keep(&mut self, family: Family) {
        self.addresses.keep(family);
        self.network.keep(family);
    }
}
