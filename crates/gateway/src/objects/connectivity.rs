use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapwing::{Changes, Error, InstanceId, Object, ObjectDefinition, Path, Resource, ResourceId, Result};
use lapwing_lwm2m::definitions::connectivity_monitoring as id;

use super::sampler::Sampler;
use super::{concerns, failure};
use crate::platform::{self, Bearer, Link, LinkId, Network};

/// How often utilisation is looked at while it is observed.
const SAMPLE_PERIOD: Duration = Duration::from_secs(5);

/// Object 4, Connectivity Monitoring: the network that this client's traffic goes through.
///
/// The bearer is the link that leads to the server where the server's address is known and not on this machine, else the one with
/// the preferred default route, else the first that is up and has an address. While there is none, the object has no instance.
///
/// Radio Signal Strength (resource 2) is mandatory, but a wired link has no such thing. The standard does not say what a client
/// without a radio should give; any number would be a signal that nobody measured (0 dBm is an excellent one), so the
/// resource is left out: a Read of it is 4.04, a Read of the instance does not contain it.
pub struct Connectivity {
    shared: Arc<Shared>,
    definition: &'static ObjectDefinition,
    sampler: Sampler,
}

struct Shared {
    network: Arc<dyn Network>,
    server: Option<IpAddr>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    view: Option<View>,
    observed: Vec<Path>,
    changes: Option<Changes>,
}

/// What the object shows, utilisation aside.
#[derive(Debug, Clone, PartialEq, Eq)]
struct View {
    link: LinkId,
    bearer: Bearer,
    available: Vec<Bearer>,
    addresses: Vec<IpAddr>,
    routers: Vec<IpAddr>,
    measured: bool,
}

impl Connectivity {
    /// Looks at the network; `None` when it has no link that LwM2M has a bearer for, up or down.
    ///
    /// `server` is the address of the server, where the configuration has one.
    ///
    /// # Errors
    /// When the network cannot be asked.
    pub async fn probe(
        definition: &'static ObjectDefinition,
        network: Arc<dyn Network>,
        server: Option<IpAddr>,
    ) -> platform::Result<Option<Self>> {
        if network.links().await?.iter().all(|link| link.bearer.is_none()) {
            return Ok(None);
        }
        let shared = Arc::new(Shared { network, server, state: Mutex::default() });
        let view = shared.look().await?;
        shared.state().view = view;
        Ok(Some(Self { shared, definition, sampler: Sampler::default() }))
    }

    /// What brings the object up to date when the network has changed.
    pub fn updates(&self) -> ConnectivityUpdates {
        ConnectivityUpdates(self.shared.clone())
    }
}

/// Brings a [`Connectivity`] up to date, which by then belongs to a client.
pub struct ConnectivityUpdates(Arc<Shared>);

impl ConnectivityUpdates {
    /// Looks at the network again and reports what differs.
    ///
    /// # Errors
    /// When the network cannot be asked; the object stays as it was.
    pub async fn refresh(&self) -> platform::Result<()> {
        let view = self.0.look().await?;
        self.0.update(view);
        Ok(())
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn look(&self) -> platform::Result<Option<View>> {
        let links = self.network.links().await?;
        let routes = self.network.default_routes().await?;
        let addresses = self.network.addresses().await?;
        let usable = |link: &&Link| link.running && link.bearer.is_some();
        let usable_link = |id: LinkId| links.iter().filter(usable).find(|link| link.id == id);
        let towards = match self.server {
            Some(server) => self.network.link_towards(server).await?,
            None => None,
        };
        let has_address = |link: &&Link| addresses.iter().any(|entry| entry.link == link.id);
        let link = towards
            .and_then(usable_link)
            .or_else(|| routes.iter().find_map(|route| usable_link(route.link)))
            .or_else(|| links.iter().filter(usable).find(has_address));
        let Some((link, bearer)) = link.and_then(|link| Some((link, link.bearer?))) else { return Ok(None) };
        let mut available: Vec<Bearer> = links.iter().filter(usable).filter_map(|link| link.bearer).collect();
        available.sort_unstable();
        available.dedup();
        let mut routers = Vec::new();
        for router in routes.iter().filter(|route| route.link == link.id).filter_map(|route| route.router) {
            if !routers.contains(&router) {
                routers.push(router);
            }
        }
        let addresses = addresses.iter().filter(|entry| entry.link == link.id).map(|entry| entry.address).collect();
        Ok(Some(View { link: link.id, bearer, available, addresses, routers, measured: link.speed.is_some() }))
    }

    /// Takes over what the network is now and reports what differs.
    fn update(&self, new: Option<View>) {
        let mut state = self.state();
        if state.view == new {
            return;
        }
        let old = std::mem::replace(&mut state.view, new);
        let Some(changes) = state.changes.clone() else { return };
        if old.as_ref().map(View::resources) != state.view.as_ref().map(View::resources) {
            changes.instances_changed();
        }
        for resource in [id::NETWORK_BEARER, id::AVAILABLE_NETWORK_BEARER, id::IP_ADDRESSES, id::ROUTER_IP_ADDRESSES] {
            let value = |view: &Option<View>| view.as_ref().and_then(|view| view.read(resource));
            if value(&old) != value(&state.view) && concerns(&state.observed, &path(resource)) {
                changes.changed(path(resource));
            }
        }
    }

    /// Reports utilisation whenever it has changed.
    async fn sample(&self, changes: &Changes) {
        let mut last = None;
        loop {
            let link = self.state().view.as_ref().map(|view| view.link);
            if let Some(link) = link {
                match self.network.utilisation(link).await {
                    Ok(Some(percent)) if last != Some(percent) => {
                        last = Some(percent);
                        changes.value(path(id::LINK_UTILIZATION), percent);
                    }
                    Ok(_) => {}
                    Err(error) => tracing::warn!(%error, "no link utilisation"),
                }
            }
            tokio::time::sleep(SAMPLE_PERIOD).await;
        }
    }
}

impl View {
    /// The resources that have a source.
    fn resources(&self) -> &'static [ResourceId] {
        match (self.routers.is_empty(), self.measured) {
            (true, false) => &[id::NETWORK_BEARER, id::AVAILABLE_NETWORK_BEARER, id::IP_ADDRESSES],
            (true, true) => &[id::NETWORK_BEARER, id::AVAILABLE_NETWORK_BEARER, id::IP_ADDRESSES, id::LINK_UTILIZATION],
            (false, false) => {
                &[id::NETWORK_BEARER, id::AVAILABLE_NETWORK_BEARER, id::IP_ADDRESSES, id::ROUTER_IP_ADDRESSES]
            }
            (false, true) => &[
                id::NETWORK_BEARER,
                id::AVAILABLE_NETWORK_BEARER,
                id::IP_ADDRESSES,
                id::ROUTER_IP_ADDRESSES,
                id::LINK_UTILIZATION,
            ],
        }
    }

    fn read(&self, resource: ResourceId) -> Option<Resource> {
        let addresses = |list: &[IpAddr]| Resource::multiple((0..).zip(list.iter().map(IpAddr::to_string)));
        Some(match resource {
            id::NETWORK_BEARER => bearer_code(self.bearer).into(),
            id::AVAILABLE_NETWORK_BEARER => {
                Resource::multiple((0..).zip(self.available.iter().map(|bearer| bearer_code(*bearer))))
            }
            id::IP_ADDRESSES => addresses(&self.addresses),
            id::ROUTER_IP_ADDRESSES => addresses(&self.routers),
            _ => return None,
        })
    }
}

impl Object for Connectivity {
    fn definition(&self) -> &ObjectDefinition {
        self.definition
    }

    fn instances(&self) -> Vec<InstanceId> {
        self.shared.state().view.iter().map(|_| 0).collect()
    }

    fn resources(&self, _: InstanceId) -> &[ResourceId] {
        self.shared.state().view.as_ref().map_or(&[], View::resources)
    }

    async fn read(&self, _: InstanceId, resource: ResourceId) -> Result<Resource> {
        let view = self.shared.state().view.clone().ok_or(Error::NotFound)?;
        if resource != id::LINK_UTILIZATION {
            return view.read(resource).ok_or(Error::NotFound);
        }
        let percent = self.shared.network.utilisation(view.link).await.map_err(failure)?;
        percent.map(Resource::from).ok_or(Error::NotFound)
    }

    fn watch(&self, observed: &[Path], changes: Changes) {
        let mut state = self.shared.state();
        state.observed = observed.to_vec();
        state.changes = Some(changes.clone());
        drop(state);
        let shared = self.shared.clone();
        let wanted = concerns(observed, &path(id::LINK_UTILIZATION));
        self.sampler.replace(wanted.then_some(async move { shared.sample(&changes).await }));
    }
}

fn path(resource: ResourceId) -> Path {
    Path::object(id::OBJECT_ID).instance(0).resource(resource)
}

/// The enumeration of resources 0 and 1.
fn bearer_code(bearer: Bearer) -> i64 {
    match bearer {
        Bearer::Wlan => 21,
        Bearer::Bluetooth => 22,
        Bearer::Ieee802154 => 23,
        Bearer::Ethernet => 41,
    }
}

#[cfg(test)]
mod tests;
