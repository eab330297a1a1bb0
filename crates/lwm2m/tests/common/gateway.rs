//! A client engine with a Device and a test object in memory.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use lapwing_lwm2m::{
    Now,
    account::{Saved, ServerAccount},
    client::{Client, Config, ErrorCode, Event, FlowEvent, FlowId, Operation, OperationKind, Output, Reply, WriteMode},
    definitions::{device, test_object_v1_0},
    model::{DefinitionRef, Instance, Instances, Level, Node, ObjectId, Path, Resource, Tree, TreeObject, Value},
};
use sim::World;

/// A client and its application.
pub struct Gateway {
    pub endpoint: String,
    pub address: SocketAddr,
    pub client: Client,
    /// What the engine said, with the time.
    pub events: Vec<(Duration, Event)>,
    /// What was executed, with its arguments.
    pub executed: Vec<(Path, String)>,
    /// The paths that servers observe.
    pub observed: Vec<Path>,
    objects: BTreeMap<ObjectId, Instances>,
    flow: Option<FlowId>,
}

impl Gateway {
    pub(super) fn new(
        now: Now,
        endpoint: &str,
        address: SocketAddr,
        server: SocketAddr,
        seed: [u8; 32],
        configure: impl FnOnce(&mut Config),
    ) -> Gateway {
        let uri = format!("coap://{server}").parse().expect("a URI");
        let mut config = Config::new(endpoint, vec![ServerAccount::new(1, uri).lifetime(300)]);
        configure(&mut config);
        let client = Client::new(now, config, seed, Saved::new()).expect("a valid configuration");
        let mut gateway = Gateway {
            endpoint: endpoint.to_owned(),
            address,
            client,
            events: Vec::new(),
            executed: Vec::new(),
            observed: Vec::new(),
            objects: objects(),
            flow: None,
        };
        gateway.client.declare(now, gateway.tree());
        gateway
    }

    pub(super) fn handle_datagram(&mut self, now: Now, _from: SocketAddr, datagram: &[u8]) {
        if let Some(flow) = self.flow {
            self.client.handle_datagram(now, flow, datagram);
        }
    }

    /// The value changes, and the engine is not told.
    pub fn set_unnoticed(&mut self, path: Path, value: Value) {
        let resource = path.resource_id().expect("the path of a resource");
        self.instance_mut(&path).expect("an instance").insert(resource, Resource::Single(value));
    }

    pub(super) fn set(&mut self, now: Now, path: Path, value: Value) {
        self.set_unnoticed(path, value.clone());
        self.client.notify(now, path, Some(value));
    }

    pub fn get(&self, path: &Path) -> Option<Node> {
        self.read(path).ok()
    }

    pub(super) fn pump(&mut self, now: Now, world: &mut World, server: SocketAddr) {
        let mut buffer = Vec::new();
        loop {
            match self.client.poll_output(&mut buffer) {
                Output::Open(flow, _) => {
                    self.flow = Some(flow);
                    self.client.handle_flow(now, flow, FlowEvent::Opened);
                }
                Output::Close(flow) => self.flow = self.flow.filter(|open| *open != flow),
                Output::Transmit(_, datagram) => world.send(self.address, server, datagram),
                Output::Operation(id, operation) => {
                    let reply = self.operate(now, operation);
                    self.client.complete(now, id, reply);
                }
                Output::Persist(id, _) => self.client.persisted(now, id, Ok(())),
                Output::Event(event) => {
                    if let Event::Observed(paths) = &event {
                        self.observed.clone_from(paths);
                    }
                    self.events.push((now.elapsed, event));
                }
                Output::Wait(at, _) => return world.set_timer(self.address, at),
                Output::Settled(_) | Output::Abort(..) => {}
                other => panic!("nothing is streamed here: {other:?}"),
            }
        }
    }

    fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        for (&id, instances) in &self.objects {
            let definition = definition(id);
            let mut object = TreeObject::new(definition.clone());
            for (&instance, resources) in instances {
                let silent = definition.resources.iter().filter(|resource| !resource.operations.readable());
                let ids = resources.keys().copied().chain(silent.map(|resource| resource.id));
                object = object.with_instance(instance, ids);
            }
            tree.insert(object);
        }
        tree
    }

    fn operate(&mut self, now: Now, operation: Operation) -> Result<Reply, ErrorCode> {
        match operation.kind {
            OperationKind::Read { path } => self.read(&path).map(Reply::Content),
            OperationKind::Write { path, mode, node } => self.write(now, path, mode, node),
            OperationKind::Execute { path, arguments } => {
                self.executed.push((path, arguments.to_string()));
                Ok(Reply::Done)
            }
            OperationKind::Create { object, instance, resources } => {
                let instances = self.objects.get_mut(&object).ok_or(ErrorCode::NotFound)?;
                let free = (0..).find(|id| !instances.contains_key(id)).expect("a free id");
                let id = instance.unwrap_or(free);
                instances.insert(id, resources);
                self.client.declare(now, self.tree());
                Ok(Reply::Created(id))
            }
            OperationKind::Delete { path } => {
                let (Some(object), Some(instance)) = (path.object_id(), path.instance_id()) else {
                    return Err(ErrorCode::MethodNotAllowed);
                };
                self.objects.get_mut(&object).and_then(|instances| instances.remove(&instance));
                self.client.declare(now, self.tree());
                Ok(Reply::Done)
            }
            OperationKind::Discover { path } => Ok(Reply::Dimensions(self.dimensions(&path))),
            _ => Err(ErrorCode::NotImplemented),
        }
    }

    fn dimensions(&self, path: &Path) -> Vec<(Path, Vec<u16>)> {
        let mut dimensions = Vec::new();
        for (&object, instances) in &self.objects {
            for (&instance, resources) in instances {
                for (&resource, value) in resources {
                    let at = Path::object(object).instance(instance).resource(resource);
                    if let (true, Resource::Multiple(values)) = (path.contains(&at), value) {
                        dimensions.push((at, values.keys().copied().collect()));
                    }
                }
            }
        }
        dimensions
    }

    fn instance_mut(&mut self, path: &Path) -> Option<&mut Instance> {
        self.objects.get_mut(&path.object_id()?)?.get_mut(&path.instance_id()?)
    }

    fn read(&self, path: &Path) -> Result<Node, ErrorCode> {
        let missing = ErrorCode::NotFound;
        let instances = path.object_id().and_then(|id| self.objects.get(&id)).ok_or(missing)?;
        let Some(instance) = path.instance_id() else { return Ok(Node::Object(instances.clone())) };
        let instance = instances.get(&instance).ok_or(missing)?;
        let Some(resource) = path.resource_id() else { return Ok(Node::Instance(instance.clone())) };
        let resource = instance.get(&resource).ok_or(missing)?;
        match path.resource_instance_id() {
            None => Ok(Node::Resource(resource.clone())),
            Some(id) => resource.get(id).cloned().map(Node::Value).ok_or(missing),
        }
    }

    fn write(&mut self, now: Now, path: Path, mode: WriteMode, node: Node) -> Result<Reply, ErrorCode> {
        let instance = self.instance_mut(&path).ok_or(ErrorCode::NotFound)?;
        match (path.level(), node) {
            (Level::Instance, Node::Instance(new)) if mode == WriteMode::Replace => *instance = new,
            (Level::Instance, Node::Instance(new)) => instance.extend(new),
            (Level::Resource, Node::Resource(new)) => {
                let id = path.resource_id().ok_or(ErrorCode::Internal)?;
                match (instance.get_mut(&id), new) {
                    (Some(Resource::Multiple(old)), Resource::Multiple(new)) if mode == WriteMode::Update => {
                        old.extend(new);
                    }
                    (_, new) => drop(instance.insert(id, new)),
                }
            }
            _ => return Err(ErrorCode::NotImplemented),
        }
        self.client.declare(now, self.tree());
        self.client.notify(now, path, None);
        Ok(Reply::Done)
    }
}

fn definition(object: ObjectId) -> DefinitionRef {
    match object {
        device::OBJECT_ID => (&device::V1_2).into(),
        _ => (&test_object_v1_0::V1_0).into(),
    }
}

fn objects() -> BTreeMap<ObjectId, Instances> {
    let device = Instance::from([
        (device::MANUFACTURER, "Lapwing".into()),
        (device::AVAILABLE_POWER_SOURCES, Resource::multiple([(0, 1), (1, 5)])),
        (device::BATTERY_LEVEL, 80.into()),
        (device::ERROR_CODE, Resource::multiple([(0, 0)])),
        (device::SUPPORTED_BINDING_AND_MODES, "U".into()),
        (device::TIMEZONE, "Etc/UTC".into()),
    ]);
    let test = Instance::from([
        (test_object_v1_0::STRING_VALUE, "initial".into()),
        (test_object_v1_0::INTEGER_VALUE, 0.into()),
    ]);
    let one = |instance: Instance| Instances::from([(0, instance)]);
    BTreeMap::from([(device::OBJECT_ID, one(device)), (test_object_v1_0::OBJECT_ID, one(test))])
}
