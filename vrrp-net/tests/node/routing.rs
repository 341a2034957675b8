//! What the lab doesn't tell about routes and rules, and what another program would do with them.

use futures_util::TryStreamExt;
use ipnet::IpNet;
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage, AddressProtocol};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteProtocol};
use rtnetlink::packet_route::rule::{RuleAttribute, RuleMessage};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use rtnetlink::{Handle, IpVersion, LinkUnspec, LinkVeth, MulticastGroup, RouteMessageBuilder};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::mpsc;
use vrrp_net::lab::Host;

use super::ip;

/// The protocol that our routes and rules bear.
pub const MARK: u8 = 112;

/// Works with netlink on a host.
pub fn netlink<T: Send>(host: &Host, work: impl AsyncFnOnce(Handle) -> T + Send) -> T {
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

/// All routes of a host to this destination, in all tables.
pub fn routes(host: &Host, to: &str) -> Vec<RouteMessage> {
    let to: IpNet = to.parse().unwrap();
    all_routes(host)
        .into_iter()
        .filter(|route| destination(route) == Some(to))
        .collect()
}

/// All routes of a host that bear our mark.
pub fn marked_routes(host: &Host) -> Vec<RouteMessage> {
    all_routes(host)
        .into_iter()
        .filter(|route| u8::from(route.header.protocol) == MARK)
        .collect()
}

fn all_routes(host: &Host) -> Vec<RouteMessage> {
    netlink(host, async |handle| {
        let mut all = Vec::new();
        for wanted in [
            RouteMessageBuilder::<Ipv4Addr>::new().build(),
            RouteMessageBuilder::<Ipv6Addr>::new().build(),
        ] {
            all.extend(
                handle
                    .route()
                    .get(wanted)
                    .execute()
                    .try_collect::<Vec<_>>()
                    .await
                    .unwrap(),
            );
        }
        all
    })
}

/// Where a route leads to.
pub fn destination(route: &RouteMessage) -> Option<IpNet> {
    let address = route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(address)) => Some(IpAddr::V4(*address)),
        RouteAttribute::Destination(RouteAddress::Inet6(address)) => Some(IpAddr::V6(*address)),
        _ => None,
    });
    let address = address.unwrap_or(match route.header.address_family {
        AddressFamily::Inet6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        _ => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    });
    IpNet::new(address, route.header.destination_prefix_length).ok()
}

pub fn del_route(host: &Host, route: RouteMessage) {
    netlink(host, async |handle| {
        handle.route().del(route).execute().await.unwrap();
    });
}

/// Adds a route as another program would.
pub fn add_route(host: &Host, to: &str, protocol: u8, dev: u32) {
    let to: IpNet = to.parse().unwrap();
    netlink(host, async |handle| {
        let protocol = RouteProtocol::from(protocol);
        let message = match to {
            IpNet::V4(net) => RouteMessageBuilder::<Ipv4Addr>::new()
                .destination_prefix(net.addr(), net.prefix_len())
                .output_interface(dev)
                .protocol(protocol)
                .build(),
            IpNet::V6(net) => RouteMessageBuilder::<Ipv6Addr>::new()
                .destination_prefix(net.addr(), net.prefix_len())
                .output_interface(dev)
                .protocol(protocol)
                .build(),
        };
        handle.route().add(message).execute().await.unwrap();
    });
}

/// All rules of a host that bear this protocol, IPv4 first, in their order.
pub fn rules(host: &Host, protocol: u8) -> Vec<RuleMessage> {
    let all = netlink(host, async |handle| {
        let mut all = Vec::new();
        for version in [IpVersion::V4, IpVersion::V6] {
            all.extend(
                handle
                    .rule()
                    .get(version)
                    .execute()
                    .try_collect::<Vec<_>>()
                    .await
                    .unwrap(),
            );
        }
        all
    });
    let bears = |rule: &RuleMessage| {
        rule.attributes.iter().any(
            |attribute| matches!(attribute, RuleAttribute::Protocol(found) if u8::from(*found) == protocol),
        )
    };
    all.into_iter().filter(bears).collect()
}

pub fn del_rule(host: &Host, rule: RuleMessage) {
    netlink(host, async |handle| {
        handle.rule().del(rule).execute().await.unwrap();
    });
}

/// Adds a rule to look up a table, as another program would.
pub fn add_rule(host: &Host, from: &str, table: u32, priority: u32, protocol: u8) {
    let from: ipnet::Ipv4Net = from.parse().unwrap();
    netlink(host, async |handle| {
        let mut request = handle
            .rule()
            .add()
            .v4()
            .source_prefix(from.addr(), from.prefix_len());
        request = request
            .table_id(table)
            .priority(priority)
            .action(rtnetlink::packet_route::rule::RuleAction::ToTable);
        request
            .message_mut()
            .attributes
            .push(RuleAttribute::Protocol(protocol.into()));
        request.execute().await.unwrap();
    });
}

/// A second interface, up, with this address.
pub fn add_interface(host: &Host, name: &str, address: &str) {
    let address: IpNet = address.parse().unwrap();
    let other = format!("{name}p");
    netlink(host, async |handle| {
        let pair = LinkVeth::new(name, &other).up().build();
        handle.link().add(pair).execute().await.unwrap();
        let peer = index_of(&handle, &other).await;
        handle
            .link()
            .set(LinkUnspec::new_with_index(peer).up().build())
            .execute()
            .await
            .unwrap();
        let index = index_of(&handle, name).await;
        let own = handle.address().add(index, address.addr(), address.prefix_len());
        own.execute().await.unwrap();
    });
}

/// Takes an interface down, or up.
pub fn set_link(host: &Host, name: &str, up: bool) {
    netlink(host, async |handle| {
        let change = LinkUnspec::new_with_index(index_of(&handle, name).await);
        let change = if up { change.up() } else { change.down() };
        handle.link().set(change.build()).execute().await.unwrap();
    });
}

/// The index of an interface.
pub fn interface_index(host: &Host, name: &str) -> u32 {
    netlink(host, async |handle| index_of(&handle, name).await)
}

async fn index_of(handle: &Handle, name: &str) -> u32 {
    let mut links = handle.link().get().match_name(name).execute();
    links.try_next().await.unwrap().unwrap().header.index
}

/// The gateway of a route.
pub fn gateway(route: &RouteMessage) -> Option<IpAddr> {
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(address)) => Some(IpAddr::V4(*address)),
        RouteAttribute::Gateway(RouteAddress::Inet6(address)) => Some(IpAddr::V6(*address)),
        _ => None,
    })
}

/// A network, for builders.
pub fn net(net: &str) -> IpNet {
    if net.contains('/') {
        net.parse().unwrap()
    } else {
        ip(net).into()
    }
}

/// What changes on a host from here on, in order: `+` or `-`, and `address`, `route` or `rule`, of IPv4, with our mark.
pub fn changes(host: &Host) -> mpsc::Receiver<String> {
    let (tell, changes) = mpsc::channel();
    let (ready, begun) = mpsc::channel();
    let watch = async move {
        let groups = [
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv4Route,
            MulticastGroup::Ipv4Rule,
        ];
        let (connection, _handle, mut reports) = rtnetlink::new_multicast_connection(&groups).unwrap();
        tokio::spawn(connection);
        ready.send(()).unwrap();
        while let Some((report, _)) = futures_util::StreamExt::next(&mut reports).await {
            let NetlinkPayload::InnerMessage(message) = report.payload else {
                continue;
            };
            if let Some(change) = change(&message) {
                if tell.send(change.to_owned()).is_err() {
                    break;
                }
            }
        }
    };
    host.spawn_thread(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(watch);
    })
    .unwrap();
    begun.recv().unwrap();
    changes
}

fn change(message: &RouteNetlinkMessage) -> Option<&'static str> {
    let address = |message: &AddressMessage| {
        message
            .attributes
            .contains(&AddressAttribute::Protocol(AddressProtocol::Other(MARK)))
    };
    let rule = |message: &RuleMessage| message.attributes.contains(&RuleAttribute::Protocol(MARK.into()));
    let route = |message: &RouteMessage| u8::from(message.header.protocol) == MARK;
    match message {
        RouteNetlinkMessage::NewAddress(message) if address(message) => Some("+address"),
        RouteNetlinkMessage::DelAddress(message) if address(message) => Some("-address"),
        RouteNetlinkMessage::NewRoute(message) if route(message) => Some("+route"),
        RouteNetlinkMessage::DelRoute(message) if route(message) => Some("-route"),
        RouteNetlinkMessage::NewRule(message) if rule(message) => Some("+rule"),
        RouteNetlinkMessage::DelRule(message) if rule(message) => Some("-rule"),
        _ => None,
    }
}
