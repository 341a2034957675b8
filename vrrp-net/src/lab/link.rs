//! Interfaces and addresses by netlink, blocking, in the calling thread's network namespace.

use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use futures_util::TryStreamExt;
use ipnet::IpNet;
use rtnetlink::packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use rtnetlink::packet_route::link::{
    BridgePortState, BridgeStpState, InfoBridge, InfoBridgePort, InfoData, InfoPortData, InfoVeth,
    LinkAttribute, LinkFlags, LinkInfo, LinkMessage, State,
};
use rtnetlink::{Handle, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth};
use tokio::runtime::{Builder, Runtime};

use super::MacAddr;

/// The index of the loopback interface in every network namespace.
pub(super) const LOOPBACK: u32 = 1;

/// What an interface is ready for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkState {
    /// It was set down.
    Down,
    /// It was set up, but the other end of the cable was not.
    NoCarrier,
    /// It carries frames.
    Operational,
}

/// A netlink socket of the network namespace in which it was opened.
pub(super) struct Netlink {
    runtime: Runtime,
    handle: Handle,
}

/// A veth pair to make: one end is a port of the switch, the other a host's interface.
pub(super) struct Cable<'a> {
    pub(super) bridge: u32,
    pub(super) port: &'a str,
    pub(super) port_index: u32,
    pub(super) port_mac: MacAddr,
    pub(super) host: &'a OwnedFd,
    pub(super) interface: &'a str,
    pub(super) interface_mac: MacAddr,
}

impl Netlink {
    pub(super) fn open() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let guard = runtime.enter();
        let (connection, handle, _) = rtnetlink::new_connection()?;
        runtime.spawn(connection);
        drop(guard);
        Ok(Self { runtime, handle })
    }

    fn wait<T>(&self, request: impl Future<Output = Result<T, rtnetlink::Error>>) -> io::Result<T> {
        self.runtime.block_on(request).map_err(|error| match error {
            rtnetlink::Error::NetlinkError(message) => message.to_io(),
            other => io::Error::other(other),
        })
    }

    /// Makes a bridge that forwards at once and floods multicast, which is down.
    pub(super) fn add_bridge(&self, name: &str, index: u32, mac: MacAddr) -> io::Result<()> {
        let bridge = LinkBridge::new(name)
            .index(index)
            .address(mac.octets().to_vec())
            .append_info_data(InfoBridge::StpState(BridgeStpState::Disabled))
            .append_info_data(InfoBridge::ForwardDelay(0))
            .append_info_data(InfoBridge::MulticastSnooping(false))
            .build();
        self.wait(self.handle.link().add(bridge).execute())
    }

    /// Makes a veth pair. The port is up, the host's end is not: the kernel links the two only after it has configured
    /// that end (veth_open would say ENOTCONN).
    pub(super) fn add_cable(&self, cable: &Cable<'_>) -> io::Result<()> {
        let peer = LinkMessageBuilder::<LinkUnspec>::new()
            .name(cable.interface)
            .address(cable.interface_mac.octets().to_vec())
            .setns_by_fd(cable.host.as_raw_fd())
            .build();
        let port = LinkVeth::new(cable.port, cable.interface)
            .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
            .index(cable.port_index)
            .address(cable.port_mac.octets().to_vec())
            .controller(cable.bridge)
            .up()
            .build();
        self.wait(self.handle.link().add(port).execute())
    }

    /// Sets an interface up or down.
    pub(super) fn set_up(&self, index: u32, up: bool) -> io::Result<()> {
        let link = LinkUnspec::new_with_index(index);
        let link = if up { link.up() } else { link.down() };
        self.wait(self.handle.link().set(link.build()).execute())
    }

    fn link(&self, name: &str) -> io::Result<LinkMessage> {
        let mut links = self.handle.link().get().match_name(name).execute();
        self.wait(links.try_next())?
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The index of the interface `name`.
    pub(super) fn index(&self, name: &str) -> io::Result<u32> {
        Ok(self.link(name)?.header.index)
    }

    /// What an interface is ready for, once the kernel has finished acting on it.
    pub(super) fn state(&self, name: &str) -> io::Result<LinkState> {
        let link = self.link(name)?;
        let operational = link
            .attributes
            .iter()
            .any(|attribute| matches!(attribute, LinkAttribute::OperState(State::Up)));
        Ok(if !link.header.flags.contains(LinkFlags::Up) {
            LinkState::Down
        } else if operational && link.header.flags.contains(LinkFlags::LowerUp) {
            LinkState::Operational
        } else {
            LinkState::NoCarrier
        })
    }

    /// True if the bridge forwards frames from and to this port.
    pub(super) fn is_forwarding(&self, port: &str) -> io::Result<bool> {
        let link = self.link(port)?;
        let infos = link.attributes.iter().filter_map(|attribute| match attribute {
            LinkAttribute::LinkInfo(infos) => Some(infos),
            _ => None,
        });
        let ports = infos.flatten().filter_map(|info| match info {
            LinkInfo::PortData(InfoPortData::BridgePort(port)) => Some(port),
            _ => None,
        });
        Ok(ports
            .flatten()
            .any(|info| matches!(info, InfoBridgePort::State(BridgePortState::Forwarding))))
    }

    /// Adds an address, without IPv6's duplicate address detection, so that it is usable at once.
    pub(super) fn add_address(&self, index: u32, address: IpNet) -> io::Result<()> {
        let mut request = self
            .handle
            .address()
            .add(index, address.addr(), address.prefix_len());
        if address.addr().is_ipv6() {
            request.message_mut().header.flags = AddressHeaderFlags::Nodad;
        }
        self.wait(request.execute())
    }

    /// Removes an address.
    pub(super) fn remove_address(&self, index: u32, address: IpNet) -> io::Result<()> {
        let found = self
            .address_messages(index)?
            .into_iter()
            .find(|message| address_in(message) == Some(address));
        let message = found.ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))?;
        self.wait(self.handle.address().del(message).execute())
    }

    /// The addresses of an interface.
    pub(super) fn addresses(&self, index: u32) -> io::Result<Vec<IpNet>> {
        Ok(self
            .address_messages(index)?
            .iter()
            .filter_map(address_in)
            .collect())
    }

    /// True if duplicate address detection goes on, or has failed, for an address of the interface.
    pub(super) fn has_tentative_addresses(&self, index: u32) -> io::Result<bool> {
        let is_tentative =
            |message: &AddressMessage| message.header.flags.contains(AddressHeaderFlags::Tentative);
        Ok(self.address_messages(index)?.iter().any(is_tentative))
    }

    fn address_messages(&self, index: u32) -> io::Result<Vec<AddressMessage>> {
        self.wait(
            self.handle
                .address()
                .get()
                .set_link_index_filter(index)
                .execute()
                .try_collect(),
        )
    }
}

/// IPv4 gives the address as IFA_LOCAL (IFA_ADDRESS is the peer's), IPv6 as IFA_ADDRESS.
fn address_in(message: &AddressMessage) -> Option<IpNet> {
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(ip) => Some(*ip),
        _ => None,
    });
    let address = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Address(ip) => Some(*ip),
        _ => None,
    });
    IpNet::new(local.or(address)?, message.header.prefix_len).ok()
}
