use tokio::sync::watch;

use super::*;
use crate::platform::{BoxFuture, DefaultRoute, LinkAddress};

/// A network that the test decides about.
struct Lines {
    state: Mutex<Plan>,
    generation: watch::Sender<u64>,
}

#[derive(Clone, Default)]
struct Plan {
    links: Vec<Link>,
    addresses: Vec<LinkAddress>,
    routes: Vec<DefaultRoute>,
    towards: Option<LinkId>,
    percent: Option<u8>,
}

impl Lines {
    fn new(plan: Plan) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(plan), generation: watch::Sender::new(0) })
    }

    fn plan(&self) -> Plan {
        self.state.lock().unwrap().clone()
    }

    fn change(&self, change: impl FnOnce(&mut Plan)) {
        change(&mut self.state.lock().unwrap());
        self.generation.send_modify(|generation| *generation += 1);
    }
}

impl Network for Lines {
    fn links(&self) -> BoxFuture<'_, platform::Result<Vec<Link>>> {
        Box::pin(async { Ok(self.plan().links) })
    }
    fn addresses(&self) -> BoxFuture<'_, platform::Result<Vec<LinkAddress>>> {
        Box::pin(async { Ok(self.plan().addresses) })
    }
    fn default_routes(&self) -> BoxFuture<'_, platform::Result<Vec<DefaultRoute>>> {
        Box::pin(async { Ok(self.plan().routes) })
    }
    fn link_towards(&self, _: IpAddr) -> BoxFuture<'_, platform::Result<Option<LinkId>>> {
        Box::pin(async { Ok(self.plan().towards) })
    }
    fn utilisation(&self, _: LinkId) -> BoxFuture<'_, platform::Result<Option<u8>>> {
        Box::pin(async { Ok(self.plan().percent) })
    }
    fn watch(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }
}

fn link(id: u32, bearer: Option<Bearer>) -> Link {
    let loopback = id == 1;
    Link { id: LinkId(id), name: format!("link{id}"), bearer, running: true, loopback, speed: None }
}

fn address(link: u32, text: &str) -> LinkAddress {
    LinkAddress { link: LinkId(link), address: text.parse().unwrap() }
}

fn route(link: u32, router: Option<&str>, metric: u32) -> DefaultRoute {
    DefaultRoute { link: LinkId(link), router: router.map(|text| text.parse().unwrap()), metric }
}

/// Loopback, Ethernet (the way out) and WLAN.
fn office() -> Plan {
    Plan {
        links: vec![link(1, None), link(2, Some(Bearer::Ethernet)), link(3, Some(Bearer::Wlan))],
        addresses: vec![
            address(1, "127.0.0.1"),
            address(2, "192.0.2.7"),
            address(3, "198.51.100.7"),
            address(2, "2001:db8::7"),
            address(2, "fe80::7"),
        ],
        routes: vec![
            route(2, Some("192.0.2.1"), 0),
            route(3, Some("198.51.100.1"), 600),
            route(2, Some("fe80::1"), 1024),
        ],
        towards: None,
        percent: Some(3),
    }
}

async fn probe(lines: &Arc<Lines>, server: Option<IpAddr>) -> Option<Connectivity> {
    Connectivity::probe(&id::V1_3, lines.clone(), server).await.unwrap()
}

fn texts(list: &[&str]) -> Resource {
    Resource::multiple((0..).zip(list.iter().copied()))
}

#[tokio::test]
async fn the_link_with_the_preferred_way_out_is_shown() {
    let object = probe(&Lines::new(office()), None).await.unwrap();
    assert_eq!(object.instances(), [0]);
    assert_eq!(object.resources(0), [0, 1, 4, 5], "no radio and no known speed");
    assert_eq!(object.read(0, id::NETWORK_BEARER).await, Ok(41.into()));
    assert_eq!(object.read(0, id::AVAILABLE_NETWORK_BEARER).await, Ok(Resource::multiple([(0, 21), (1, 41)])));
    assert_eq!(object.read(0, id::IP_ADDRESSES).await, Ok(texts(&["192.0.2.7", "2001:db8::7", "fe80::7"])));
    assert_eq!(object.read(0, id::ROUTER_IP_ADDRESSES).await, Ok(texts(&["192.0.2.1", "fe80::1"])));
    assert_eq!(object.read(0, id::RADIO_SIGNAL_STRENGTH).await, Err(Error::NotFound));
}

#[tokio::test]
async fn the_link_to_a_server_of_known_address_is_shown_unless_it_is_no_bearer() {
    let server = Some(IpAddr::from([198, 51, 100, 99]));
    let lines = Lines::new(Plan { towards: Some(LinkId(3)), ..office() });
    let object = probe(&lines, server).await.unwrap();
    assert_eq!(object.read(0, id::NETWORK_BEARER).await, Ok(21.into()));
    assert_eq!(object.read(0, id::IP_ADDRESSES).await, Ok(texts(&["198.51.100.7"])));
    let lines = Lines::new(Plan { towards: Some(LinkId(1)), ..office() });
    let object = probe(&lines, server).await.unwrap();
    assert_eq!(
        object.read(0, id::NETWORK_BEARER).await,
        Ok(41.into()),
        "a server on this machine is reached by loopback"
    );
}

#[tokio::test]
async fn without_a_way_out_the_first_link_with_an_address_is_shown() {
    let object = probe(&Lines::new(Plan { routes: Vec::new(), ..office() }), None).await.unwrap();
    assert_eq!(object.read(0, id::NETWORK_BEARER).await, Ok(41.into()));
    assert_eq!(object.resources(0), [0, 1, 4], "and no router");
}

#[tokio::test]
async fn a_machine_without_bearers_has_no_such_object() {
    assert!(probe(&Lines::new(Plan { links: vec![link(1, None)], ..office() }), None).await.is_none());
}

#[tokio::test]
async fn a_link_that_is_down_leaves_the_object_without_an_instance() {
    let mut plan = office();
    plan.links.iter_mut().for_each(|link| link.running = false);
    let object = probe(&Lines::new(plan), None).await.unwrap();
    assert_eq!(object.instances(), [0_u16; 0]);
    assert_eq!(object.read(0, id::NETWORK_BEARER).await, Err(Error::NotFound));
}

#[tokio::test]
async fn utilisation_needs_a_link_of_known_speed() {
    let mut plan = office();
    plan.links[1].speed = Some(1_000_000_000);
    let lines = Lines::new(plan);
    let object = probe(&lines, None).await.unwrap();
    assert_eq!(object.resources(0), [0, 1, 4, 5, 6]);
    assert_eq!(object.read(0, id::LINK_UTILIZATION).await, Ok(3.into()));
    lines.change(|plan| plan.percent = None);
    assert_eq!(object.read(0, id::LINK_UTILIZATION).await, Err(Error::NotFound));
}

#[tokio::test]
async fn the_object_follows_the_network_when_told_to() {
    let lines = Lines::new(office());
    let object = probe(&lines, None).await.unwrap();
    lines.change(|plan| plan.routes.retain(|route| route.link != LinkId(2)));
    assert_eq!(object.read(0, id::NETWORK_BEARER).await, Ok(41.into()), "until then it stays");
    object.updates().refresh().await.unwrap();
    assert_eq!(object.read(0, id::NETWORK_BEARER).await, Ok(21.into()));
    assert_eq!(object.read(0, id::ROUTER_IP_ADDRESSES).await, Ok(texts(&["198.51.100.1"])));
    lines.change(|plan| plan.links.iter_mut().for_each(|link| link.running = false));
    object.updates().refresh().await.unwrap();
    assert_eq!(object.instances(), [0_u16; 0]);
}
