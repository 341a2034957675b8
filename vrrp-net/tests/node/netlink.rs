//! What the lab doesn't tell about addresses.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressProtocol, CacheInfo,
};
use vrrp_net::lab::Host;

use super::ip;

/// An address as the kernel keeps it.
#[derive(Debug)]
pub struct Held {
    pub net: IpNet,
    pub mark: Option<u8>,
    pub valid: u32,
    pub preferred: u32,
    pub label: Option<String>,
    pub scope: u8,
    pub broadcast: Option<Ipv4Addr>,
    /// The other end, or the address itself.
    pub peer: IpAddr,
    pub flags: AddressFlags,
}

/// The entries of an address on a host.
pub fn held(host: &Host, address: &str) -> Vec<Held> {
    let wanted = ip(address);
    let messages: Vec<AddressMessage> = host.block_on(async {
        use futures_util::TryStreamExt;
        let (connection, handle, _) = rtnetlink::new_connection().unwrap();
        tokio::spawn(connection);
        handle.address().get().execute().try_collect().await.unwrap()
    });
    let held = messages.into_iter().filter_map(|message| {
        let (mut local, mut other) = (None, None);
        let mut held = Held {
            net: wanted.into(),
            mark: None,
            valid: 0,
            preferred: 0,
            label: None,
            scope: message.header.scope.into(),
            broadcast: None,
            peer: wanted,
            flags: AddressFlags::empty(),
        };
        for attribute in message.attributes {
            match attribute {
                AddressAttribute::Address(address) => other = Some(address),
                AddressAttribute::Local(address) => local = Some(address),
                AddressAttribute::Broadcast(address) => held.broadcast = Some(address),
                AddressAttribute::Protocol(mark) => held.mark = Some(mark.into()),
                AddressAttribute::CacheInfo(info) => {
                    (held.valid, held.preferred) = (info.ifa_valid, info.ifa_preferred);
                }
                AddressAttribute::Label(label) => held.label = Some(label),
                AddressAttribute::Flags(flags) => held.flags = flags,
                _ => {}
            }
        }
        // IPv6 tells the local address only beside a peer.
        let found = local.or(other)?;
        held.peer = other?;
        held.net = IpNet::new(found, message.header.prefix_len).unwrap();
        (found == wanted).then_some(held)
    });
    held.collect()
}

/// Adds an address as /32, as another program would.
pub fn add(host: &Host, address: &str, mark: Option<u8>, valid: u32) {
    let index = host.interface_index();
    host.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection().unwrap();
        tokio::spawn(connection);
        let mut request = handle.address().add(index, ip(address), 32);
        let attributes = &mut request.message_mut().attributes;
        let mut lifetime = CacheInfo::default();
        (lifetime.ifa_valid, lifetime.ifa_preferred) = (valid, valid);
        attributes.push(AddressAttribute::CacheInfo(lifetime));
        attributes.extend(mark.map(|mark| AddressAttribute::Protocol(AddressProtocol::Other(mark))));
        request.execute().await.unwrap();
    });
}

/// An interface as the kernel keeps it.
#[derive(Debug)]
pub struct Interface {
    pub index: u32,
    pub up: bool,
    pub mac: Option<vrrp_net::lab::MacAddr>,
    pub alias: Option<String>,
    /// Index of the interface that carries it.
    pub base: Option<u32>,
}

/// The interface of that name on a host.
pub fn interface(host: &Host, name: &str) -> Option<Interface> {
    use rtnetlink::packet_route::link::{LinkAttribute, LinkFlags};
    let message = with_netlink(host, async |handle| {
        use futures_util::TryStreamExt;
        let mut links = handle.link().get().match_name(name).execute();
        links.try_next().await.ok().flatten()
    })?;
    let mut interface = Interface {
        index: message.header.index,
        up: message.header.flags.contains(LinkFlags::Up),
        mac: None,
        alias: None,
        base: None,
    };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::Address(octets) => {
                interface.mac = <[u8; 6]>::try_from(octets).ok().map(Into::into);
            }
            LinkAttribute::IfAlias(alias) => interface.alias = Some(alias),
            LinkAttribute::Link(base) => interface.base = Some(base),
            _ => {}
        }
    }
    Some(interface)
}

/// How many interfaces a host has.
pub fn count_interfaces(host: &Host) -> usize {
    with_netlink(host, async |handle| {
        use futures_util::TryStreamExt;
        let links = handle.link().get().execute();
        let links: Vec<_> = links.try_collect().await.unwrap();
        links.len()
    })
}

/// Deletes an interface.
pub fn delete(host: &Host, name: &str) {
    let index = interface(host, name).unwrap().index;
    with_netlink(host, async |handle| {
        handle.link().del(index).execute().await.unwrap();
    });
}

/// Runs requests on a host.
pub fn with_netlink<T: Send>(host: &Host, work: impl AsyncFnOnce(rtnetlink::Handle) -> T + Send) -> T {
    host.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (connection, handle, _) = rtnetlink::new_connection().unwrap();
            tokio::spawn(connection);
            work(handle).await
        })
    })
}
