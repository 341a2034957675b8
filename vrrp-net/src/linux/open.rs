//! Opens everything at once, or says what is missing.

use crate::network::LinkId;
use crate::plan::LinkPlan;

use super::LinuxNetwork;
use super::addresses;
use super::clock::Clock;
use super::error::{OpenError, refused, refused_raw};
use super::frames::{ClaimSocket, FrameSocket};
use super::ipv6::Ipv6Socket;
use super::lock::Lock;
use super::monitor::{self, Monitor, Resync};
use super::pace::Pace;
use super::ready::Ready;
use super::reports::borrow;
use super::requests::Requests;
use super::routing::Routes;
use super::siblings::Alive;
use super::sockets::{Link, PACKET, SOCKETS};
use super::table::Table;
use super::vmac::Vmacs;
use super::worker::Worker;

impl LinuxNetwork {
    /// Opens the sockets of these links ([`Plan::links`](crate::Plan::links)). Must be called inside a tokio runtime
    /// with IO, and used on the same thread.
    ///
    /// # Errors
    /// When an interface or a capability is missing, or the kernel refuses a socket; see [`OpenError`].
    pub fn open(links: &[LinkPlan]) -> Result<Self, OpenError> {
        let release = nix::sys::utsname::uname()
            .map(|name| name.release().to_string_lossy().into_owned())
            .unwrap_or_default();
        let mut table = Table::new(links.iter().map(|link| link.name.clone()), &release);
        let mut requests = Requests::open().map_err(refused("a netlink socket"))?;
        // The monitor first: what happens during the dump is reported after it.
        let monitor = Monitor::open().map_err(refused("a netlink socket"))?;
        let names: Vec<_> = links.iter().map(|link| link.name.clone()).collect();
        let all = monitor::dump(&names, &mut requests).map_err(refused("reading links and addresses"))?;
        table.replace(all.iter().map(borrow));
        while table.next_change().is_some() {}
        let missing =
            |(link, plan): &(LinkId, &LinkPlan)| plan.vmac.is_none() && table.index(*link).is_none();
        if let Some((_, plan)) = (0..).map(LinkId).zip(links).find(missing) {
            return Err(OpenError::NoInterface {
                name: plan.name.clone(),
            });
        }
        if let Some(error) = (0..)
            .map(LinkId)
            .zip(links)
            .find_map(|(link, plan)| too_long(plan, table.mtu(link)?))
        {
            return Err(error);
        }
        let frames = FrameSocket::open().map_err(refused_raw("a packet socket"))?;
        if !addresses::may_change(&mut requests) {
            return Err(OpenError::Capability {
                capability: "CAP_NET_ADMIN",
                what: "adding addresses",
            });
        }
        let locks = take_locks(links)?;
        let alive = Alive::announce().map_err(refused("a local socket"))?;
        let vmacs = Vmacs::open(links, &table, &alive)?;
        // A router of one family may hold addresses of the other; and a host may have no IPv6.
        let ndp_claims = match Ipv6Socket::claims() {
            Err(_) if !links.iter().any(|link| link.ipv6) => None,
            other => Some(other.map_err(refused_raw("a raw ICMPv6 socket"))?),
        };
        let mut network = Self {
            clock: Clock::new().map_err(refused("a timer"))?,
            requests,
            monitor,
            resync: Resync::default(),
            table,
            worker: Worker::start(names).map_err(refused("a netlink thread"))?,
            renewals: None,
            renewal: None,
            routes: Routes::default(),
            accept: None,
            links: links.iter().cloned().map(Link::new).collect(),
            listening: (0..)
                .map(LinkId)
                .zip(links)
                .filter_map(|(link, plan)| plan.vmac.is_none().then_some(link))
                .collect(),
            vmacs,
            alive,
            _locks: locks,
            frames,
            arp_claims: ClaimSocket::open().map_err(refused_raw("a packet socket"))?,
            ndp_claims,
            serving: links
                .iter()
                .any(|link| link.ipv6)
                .then(Ready::open)
                .transpose()
                .map_err(refused("a netlink socket"))?,
            buffer: vec![0; PACKET].into_boxed_slice(),
            pace: Pace::default(),
            ready: Vec::new(),
            cursor: 0,
            reads: 0,
            round_dry: true,
            dry: false,
        };
        // The monitor, those of the links, two that hear claims, and the one that hears of routes.
        network.ready = vec![true; SOCKETS * network.listening.len() + 4];
        network.learn_vmacs().map_err(refused("reading links"))?;
        for link in (0..links.len()).map(LinkId) {
            network.bind(link).map_err(|error| OpenError::Refused {
                what: "a raw VRRP socket",
                on: Some(links[link.0].name.clone()),
                error,
            })?;
        }
        Ok(network)
    }
}

/// The error of an advert that needs more than one packet: the kernel would send fragments, which filters and other
/// implementations drop, and then there are two masters.
pub(super) fn too_long(plan: &LinkPlan, mtu: usize) -> Option<OpenError> {
    let advert = plan.longest_advert?;
    Some(OpenError::AdvertTooLong {
        interface: plan.name.clone(),
        mtu,
        vrid: advert.vrid,
        family: advert.family,
        packet_len: advert.packet_len,
        fitting: advert.exceeds(mtu)?,
    })
}

/// So that no other process runs these virtual routers.
fn take_locks(links: &[LinkPlan]) -> Result<Vec<Lock>, OpenError> {
    let routers = links
        .iter()
        .flat_map(|link| link.routers.iter().map(move |router| (link, *router)));
    let take = |(link, (family, vrid)): (&LinkPlan, _)| {
        let taken = Lock::take(&link.name, family, vrid).map_err(refused("a socket"))?;
        taken.map_err(|other| OpenError::Taken {
            vrid,
            family,
            interface: link.name.clone(),
            pid: other.pid,
        })
    };
    routers.map(take).collect()
}
