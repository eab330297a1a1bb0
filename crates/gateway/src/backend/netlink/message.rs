//! From rtnetlink's messages to domain types.

use std::net::IpAddr;

use rtnetlink::packet_core::ErrorMessage;
use rtnetlink::packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use rtnetlink::packet_route::link::{LinkAttribute, LinkMessage};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteType, RouteVia};
use rustix::io::Errno;

use super::utilisation::Counters;
use crate::platform::{DefaultRoute, LinkAddress, LinkId};

pub(super) fn counters(link: &LinkMessage) -> Option<Counters> {
    link.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::Stats64(stats) => Some(Counters { received: stats.rx_bytes, sent: stats.tx_bytes }),
        _ => None,
    })
}

/// An address, unless duplicate address detection is not through with it or refused it (RFC 4862 section 5.4).
pub(super) fn address(message: &AddressMessage) -> Option<LinkAddress> {
    let flags = message.header.flags;
    let optimistic = flags.contains(AddressHeaderFlags::Optimistic);
    if flags.contains(AddressHeaderFlags::Dadfailed) || flags.contains(AddressHeaderFlags::Tentative) && !optimistic {
        return None;
    }
    let find = |wanted: fn(&AddressAttribute) -> Option<IpAddr>| message.attributes.iter().find_map(wanted);
    // On a point-to-point link IFA_ADDRESS is the other end, IFA_LOCAL this one.
    let local = find(|attribute| if let AddressAttribute::Local(address) = attribute { Some(*address) } else { None });
    let plain =
        find(|attribute| if let AddressAttribute::Address(address) = attribute { Some(*address) } else { None });
    Some(LinkAddress { link: LinkId(message.header.index), address: local.or(plain)? })
}

/// The order of [`crate::platform::Network::addresses`].
pub(super) fn address_rank(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(v4) if v4.is_link_local() => 2,
        IpAddr::V4(_) => 0,
        IpAddr::V6(v6) if v6.is_unicast_link_local() => 3,
        IpAddr::V6(_) => 1,
    }
}

/// The default routes that one message stands for: several for a multipath route, none for any other route.
pub(super) fn default_routes(route: &RouteMessage) -> Vec<DefaultRoute> {
    let header = &route.header;
    let table = find(route, |attribute| if let RouteAttribute::Table(table) = attribute { Some(*table) } else { None });
    let main = table.unwrap_or(u32::from(header.table)) == u32::from(RouteHeader::RT_TABLE_MAIN);
    if header.destination_prefix_length != 0 || header.kind != RouteType::Unicast || !main {
        return Vec::new();
    }
    let metric = find(route, |attribute| if let RouteAttribute::Priority(it) = attribute { Some(*it) } else { None });
    let metric = metric.unwrap_or(0);
    let single = outgoing_link(route).map(|link| DefaultRoute {
        link,
        router: route.attributes.iter().find_map(router),
        metric,
    });
    let paths =
        find(route, |attribute| if let RouteAttribute::MultiPath(it) = attribute { Some(it.clone()) } else { None });
    let paths = paths.unwrap_or_default().into_iter().map(|hop| DefaultRoute {
        link: LinkId(hop.interface_index),
        router: hop.attributes.iter().find_map(router),
        metric,
    });
    single.into_iter().chain(paths).collect()
}

pub(super) fn outgoing_link(route: &RouteMessage) -> Option<LinkId> {
    find(route, |attribute| if let RouteAttribute::Oif(index) = attribute { Some(LinkId(*index)) } else { None })
}

/// Errors by which the kernel says that there is no route.
pub(super) fn is_unreachable(error: &ErrorMessage) -> bool {
    [Errno::NETUNREACH, Errno::HOSTUNREACH].iter().any(|errno| error.raw_code() == -errno.raw_os_error())
}

fn find<T>(route: &RouteMessage, wanted: impl Fn(&RouteAttribute) -> Option<T>) -> Option<T> {
    route.attributes.iter().find_map(wanted)
}

/// The next hop, which may be of the other address family (`via inet6`).
fn router(attribute: &RouteAttribute) -> Option<IpAddr> {
    match attribute {
        RouteAttribute::Gateway(RouteAddress::Inet(address)) => Some((*address).into()),
        RouteAttribute::Gateway(RouteAddress::Inet6(address)) => Some((*address).into()),
        RouteAttribute::Via(RouteVia::Inet(address)) => Some((*address).into()),
        RouteAttribute::Via(RouteVia::Inet6(address)) => Some((*address).into()),
        _ => None,
    }
}
