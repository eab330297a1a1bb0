//! The kernel's network over rtnetlink(7), with sysfs for what rtnetlink does not say: link speed and what kind of device it is.

mod bearer;
mod message;
mod utilisation;

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::link::LinkMessage;
use rtnetlink::packet_route::route::RouteMessage;
use rtnetlink::{Handle, MulticastGroup, RouteMessageBuilder, new_multicast_connection};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until};

use self::bearer::Sysfs;
use self::utilisation::{Counters, Meter};
use crate::platform::{BoxFuture, DefaultRoute, Error, Link, LinkAddress, LinkId, Network, Result};

/// What grows [`Network::watch`].
const GROUPS: [MulticastGroup; 5] = [
    MulticastGroup::Link,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
];

/// The network of this process's network namespace.
#[derive(Debug)]
pub struct Netlink {
    handle: Handle,
    sysfs: Sysfs,
    meters: Mutex<HashMap<LinkId, Meter>>,
    changes: watch::Receiver<u64>,
    tasks: [AbortHandle; 2],
}

impl Netlink {
    /// Opens a netlink socket. To be called inside a tokio runtime, which then drives it.
    ///
    /// # Errors
    /// When the kernel refuses the socket.
    pub fn open() -> io::Result<Self> {
        Self::open_at("/")
    }

    /// As [`Netlink::open`], with sysfs below another root folder.
    ///
    /// # Errors
    /// When the kernel refuses the socket.
    pub fn open_at(root: impl Into<PathBuf>) -> io::Result<Self> {
        let (connection, handle, mut messages) = new_multicast_connection(&GROUPS)?;
        let (sender, changes) = watch::channel(0);
        let driver = tokio::spawn(connection).abort_handle();
        // Whatever the message says, and above all when messages were lost, those who care look again.
        let listener = tokio::spawn(async move {
            while let Some((message, _)) = messages.next().await {
                if let NetlinkPayload::Error(error) = &message.payload {
                    tracing::debug!(%error, "netlink");
                }
                sender.send_modify(|generation| *generation += 1);
            }
        });
        let tasks = [driver, listener.abort_handle()];
        Ok(Self { handle, sysfs: Sysfs::at(root.into()), meters: Mutex::default(), changes, tasks })
    }

    async fn link_messages(&self) -> Result<Vec<LinkMessage>> {
        self.handle
            .link()
            .get()
            .execute()
            .try_collect()
            .await
            .map_err(|error| Error::failed("netlink: listing links", error))
    }

    async fn route_messages(&self, route: RouteMessage) -> Result<Vec<RouteMessage>> {
        let routes = self.handle.route().get(route).execute().try_collect().await;
        routes.map_err(|error| Error::failed("netlink: listing routes", error))
    }

    async fn counters(&self, link: LinkId) -> Result<Option<Counters>> {
        let links = self.handle.link().get().match_index(link.0).execute().try_collect::<Vec<_>>().await;
        let links = links.map_err(|error| Error::failed("netlink: reading statistics", error))?;
        Ok(links.first().and_then(message::counters))
    }
}

impl Drop for Netlink {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Network for Netlink {
    fn links(&self) -> BoxFuture<'_, Result<Vec<Link>>> {
        Box::pin(async { Ok(bearer::links(&self.link_messages().await?, &self.sysfs)) })
    }

    fn addresses(&self) -> BoxFuture<'_, Result<Vec<LinkAddress>>> {
        Box::pin(async {
            let messages = self.handle.address().get().execute().try_collect::<Vec<_>>().await;
            let messages = messages.map_err(|error| Error::failed("netlink: listing addresses", error))?;
            let mut addresses: Vec<LinkAddress> = messages.iter().filter_map(message::address).collect();
            addresses.sort_by_key(|entry| message::address_rank(entry.address));
            Ok(addresses)
        })
    }

    fn default_routes(&self) -> BoxFuture<'_, Result<Vec<DefaultRoute>>> {
        Box::pin(async {
            let mut routes = Vec::new();
            for family in [AddressFamily::Inet, AddressFamily::Inet6] {
                let mut all = RouteMessage::default();
                all.header.address_family = family;
                routes.extend(self.route_messages(all).await?.iter().flat_map(message::default_routes));
            }
            routes.sort_by_key(|route| route.metric);
            Ok(routes)
        })
    }

    fn link_towards(&self, peer: IpAddr) -> BoxFuture<'_, Result<Option<LinkId>>> {
        Box::pin(async move {
            let length = if peer.is_ipv4() { 32 } else { 128 };
            let question = RouteMessageBuilder::<IpAddr>::new()
                .destination_prefix(peer, length)
                .map_err(|error| Error::failed("netlink: asking for a route", error))?
                .build();
            let mut answers = Box::pin(self.handle.route().get(question).execute());
            match answers.try_next().await {
                Ok(route) => Ok(route.as_ref().and_then(message::outgoing_link)),
                Err(rtnetlink::Error::NetlinkError(error)) if message::is_unreachable(&error) => Ok(None),
                Err(error) => Err(Error::failed("netlink: asking for a route", error)),
            }
        })
    }

    fn utilisation(&self, link: LinkId) -> BoxFuture<'_, Result<Option<u8>>> {
        Box::pin(async move {
            let links = self.links().await?;
            let Some(speed) = links.iter().find(|other| other.id == link).and_then(|link| link.speed) else {
                return Ok(None);
            };
            loop {
                let Some(counters) = self.counters(link).await? else { return Ok(None) };
                let now = Instant::now();
                let outcome = {
                    let mut meters = self.meters.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    meters.entry(link).or_default().take(now.into_std(), counters, speed)
                };
                match outcome {
                    Ok(percent) => return Ok(Some(percent)),
                    Err(wait) => sleep_until(now + wait).await,
                }
            }
        })
    }

    fn watch(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }
}

/// The shortest window over which utilisation is averaged.
const MIN_WINDOW: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests;
