use std::net::IpAddr;

use tokio::sync::watch;

use super::{BoxFuture, Result};

/// The machine's network: links, addresses, ways out.
pub trait Network: Send + Sync {
    /// All links, loopback included, ordered by id.
    fn links(&self) -> BoxFuture<'_, Result<Vec<Link>>>;
    /// All usable addresses, those of loopback included: IPv4 first, link-local ones last.
    fn addresses(&self) -> BoxFuture<'_, Result<Vec<LinkAddress>>>;
    /// The default routes of the main table, the preferred one first.
    fn default_routes(&self) -> BoxFuture<'_, Result<Vec<DefaultRoute>>>;
    /// The link that a datagram to `peer` would leave through; `None` when there is no route to it.
    fn link_towards(&self, peer: IpAddr) -> BoxFuture<'_, Result<Option<LinkId>>>;
    /// How busy a link is: the busier direction's rate against the link's speed, in percent, over the time since the last time
    /// somebody asked (a quarter of a second at least). `None` when the speed is not known.
    fn utilisation(&self, link: LinkId) -> BoxFuture<'_, Result<Option<u8>>>;
    /// A number that grows whenever links, addresses or routes may have changed.
    fn watch(&self) -> watch::Receiver<u64>;
}

/// Names a link for as long as it exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u32);

/// A link of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its id.
    pub id: LinkId,
    /// Its name, such as `eth0`.
    pub name: String,
    /// What carries it; that of the link below for bridges, VLANs and the like. `None` for loopback, tunnels, and what is not known.
    pub bearer: Option<Bearer>,
    /// It is switched on and has a carrier.
    pub running: bool,
    /// The loopback link.
    pub loopback: bool,
    /// Bits a second in each direction, where it is known.
    pub speed: Option<u64>,
}

/// The network bearers that LwM2M knows and Linux can tell apart without a modem manager (object 4, resource 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bearer {
    /// WLAN.
    Wlan,
    /// Bluetooth.
    Bluetooth,
    /// IEEE 802.15.4.
    Ieee802154,
    /// Ethernet.
    Ethernet,
}

/// An address and the link it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkAddress {
    /// The link.
    pub link: LinkId,
    /// The address.
    pub address: IpAddr,
}

/// A way out of the local networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DefaultRoute {
    /// The link it leaves through.
    pub link: LinkId,
    /// The next-hop router; `None` on a point-to-point link.
    pub router: Option<IpAddr>,
    /// Smaller is preferred.
    pub metric: u32,
}
