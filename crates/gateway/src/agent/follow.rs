//! Following the network, so that a server is tried again as soon as there may be a way to it.

use std::sync::Arc;
use std::time::Duration;

use crate::objects::ConnectivityUpdates;
use crate::platform::{DefaultRoute, LinkAddress, LinkId, Network, Result};

/// Network changes come in bursts: so long after the first one, they are looked at together.
const SETTLE_TIME: Duration = Duration::from_millis(100);

/// What decides about ways to a server.
#[derive(Debug, PartialEq, Eq)]
struct Ways {
    running: Vec<LinkId>,
    addresses: Vec<LinkAddress>,
    routes: Vec<DefaultRoute>,
}

/// Brings the connectivity object up to date after each change of the network, and calls `tell` when ways to a server may have come or gone.
/// Ends only when the network can no longer be watched.
pub(super) async fn follow(network: Arc<dyn Network>, connectivity: Option<ConnectivityUpdates>, tell: impl Fn()) {
    let mut generations = network.watch();
    let mut known = ways(&*network).await.ok();
    while generations.changed().await.is_ok() {
        tokio::time::sleep(SETTLE_TIME).await;
        generations.mark_unchanged();
        match ways(&*network).await {
            Ok(now) if known.as_ref() != Some(&now) => {
                known = Some(now);
                tell();
            }
            Ok(_) => {}
            Err(error) => tracing::warn!("the network has changed, and cannot be asked how: {error}"),
        }
        if let Some(Err(error)) = refreshed(connectivity.as_ref()).await {
            tracing::warn!("the connectivity object is not up to date: {error}");
        }
    }
}

/// Whether a link besides loopback is up and has an address.
pub(super) async fn is_connected(network: &dyn Network) -> Result<bool> {
    let (links, addresses) = (network.links().await?, network.addresses().await?);
    let mut usable = links.iter().filter(|link| link.running && !link.loopback);
    Ok(usable.any(|link| addresses.iter().any(|entry| entry.link == link.id)))
}

async fn refreshed(connectivity: Option<&ConnectivityUpdates>) -> Option<Result<()>> {
    Some(connectivity?.refresh().await)
}

async fn ways(network: &dyn Network) -> Result<Ways> {
    let links = network.links().await?;
    Ok(Ways {
        running: links.iter().filter(|link| link.running).map(|link| link.id).collect(),
        addresses: network.addresses().await?,
        routes: network.default_routes().await?,
    })
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::Mutex;

    use tokio::sync::watch;

    use super::*;
    use crate::platform::{BoxFuture, Link};

    /// A network with one link, whose address the test decides about.
    struct Wire {
        addresses: Mutex<Vec<LinkAddress>>,
        generation: watch::Sender<u64>,
    }

    impl Wire {
        fn change(&self, addresses: &[&str]) {
            let address = |text: &&str| LinkAddress { link: LinkId(2), address: text.parse().unwrap() };
            *self.addresses.lock().unwrap() = addresses.iter().map(address).collect();
            self.generation.send_modify(|generation| *generation += 1);
        }
    }

    impl Network for Wire {
        fn links(&self) -> BoxFuture<'_, Result<Vec<Link>>> {
            Box::pin(async { Ok(Vec::new()) })
        }
        fn addresses(&self) -> BoxFuture<'_, Result<Vec<LinkAddress>>> {
            Box::pin(async { Ok(self.addresses.lock().unwrap().clone()) })
        }
        fn default_routes(&self) -> BoxFuture<'_, Result<Vec<DefaultRoute>>> {
            Box::pin(async { Ok(Vec::new()) })
        }
        fn link_towards(&self, _: IpAddr) -> BoxFuture<'_, Result<Option<LinkId>>> {
            Box::pin(async { Ok(None) })
        }
        fn utilisation(&self, _: LinkId) -> BoxFuture<'_, Result<Option<u8>>> {
            Box::pin(async { Ok(None) })
        }
        fn watch(&self) -> watch::Receiver<u64> {
            self.generation.subscribe()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_told_once_and_a_change_that_changes_nothing_is_not_told() {
        let wire = Arc::new(Wire { addresses: Mutex::default(), generation: watch::Sender::new(0) });
        let (told, mut tellings) = watch::channel(0);
        let network: Arc<dyn Network> = wire.clone();
        tokio::spawn(follow(network, None, move || told.send_modify(|count| *count += 1)));
        tokio::task::yield_now().await;

        wire.change(&[]);
        tokio::time::sleep(SETTLE_TIME * 2).await;
        assert_eq!(*tellings.borrow_and_update(), 0);

        wire.change(&["192.0.2.7"]);
        wire.change(&["192.0.2.7", "192.0.2.8"]);
        tokio::time::timeout(SETTLE_TIME * 2, tellings.changed()).await.unwrap().unwrap();
        assert_eq!(*tellings.borrow_and_update(), 1);

        wire.change(&["192.0.2.8"]);
        tokio::time::timeout(SETTLE_TIME * 2, tellings.changed()).await.unwrap().unwrap();
        tokio::time::sleep(SETTLE_TIME * 2).await;
        assert_eq!(*tellings.borrow_and_update(), 2);
    }
}
