//! An application with values in memory.

use std::collections::{BTreeMap, BTreeSet};

use lapwing_lwm2m::{
    client::{ErrorCode, OperationKind, Reply, WriteMode},
    definitions::{connectivity_monitoring, device, firmware_update, test_object_v1_0},
    model::{DefinitionRef, Instance, InstanceId, Instances, Node, ObjectId, Path, Resource, Tree, TreeObject, Value},
};

pub(crate) struct Objects {
    objects: BTreeMap<ObjectId, (DefinitionRef, Instances)>,
    streamed: BTreeSet<(ObjectId, u16)>,
    /// What was executed, with its arguments.
    pub(crate) executed: Vec<(Path, String)>,
}

pub(crate) fn path(text: &str) -> Path {
    text.parse().unwrap()
}

impl Objects {
    pub(crate) fn gateway() -> Objects {
        let device = Instance::from([
            (device::MANUFACTURER, "Lapwing".into()),
            (device::AVAILABLE_POWER_SOURCES, Resource::multiple([(0, 1), (1, 5)])),
            (device::BATTERY_LEVEL, 80.into()),
            (device::ERROR_CODE, Resource::multiple([(0, 0)])),
            (device::CURRENT_TIME, Value::Time(1_700_000_000).into()),
            (device::SUPPORTED_BINDING_AND_MODES, "U".into()),
            (device::TIMEZONE, "Etc/UTC".into()),
            (device::SOFTWARE_VERSION, "1".into()),
            (22, Resource::Multiple(BTreeMap::new())),
        ]);
        let connectivity = Instance::from([(0, 41.into()), (4, Resource::multiple([(0, "10.0.0.1")])), (11, 7.into())]);
        let test = Instance::from([
            (test_object_v1_0::STRING_VALUE, "initial".into()),
            (test_object_v1_0::INTEGER_VALUE, 1024.into()),
            (test_object_v1_0::FLOAT_VALUE, 3.5.into()),
            (test_object_v1_0::OPAQUE_VALUE, Value::Opaque(vec![1, 2, 3]).into()),
            (test_object_v1_0::MULTIPLE_STRING_VALUE, Resource::multiple([(0, "a"), (2, "c")])),
        ]);
        let firmware = Instance::from([(3, 0.into()), (5, 0.into())]);
        let one = |instance: Instance| Instances::from([(0, instance)]);
        Objects {
            objects: BTreeMap::from([
                (3, ((&device::V1_2).into(), one(device))),
                (4, ((&connectivity_monitoring::V1_2).into(), one(connectivity))),
                (5, ((&firmware_update::V1_0).into(), one(firmware))),
                (3441, ((&test_object_v1_0::V1_0).into(), one(test))),
            ]),
            streamed: BTreeSet::from([(5, 0)]),
            executed: Vec::new(),
        }
    }

    /// The objects as a client declares them: with every resource that is executed or only written, too.
    pub(crate) fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        for (definition, instances) in self.objects.values() {
            let mut object = TreeObject::new(definition.clone());
            for (&id, instance) in instances {
                let silent = definition.resources.iter().filter(|resource| !resource.operations.readable());
                let ids = instance.keys().copied().chain(silent.map(|resource| resource.id));
                object = object.with_instance(id, ids);
            }
            for (_, resource) in self.streamed.iter().filter(|(id, _)| *id == definition.id) {
                object = object.with_streamed(*resource);
            }
            tree.insert(object);
        }
        tree
    }

    pub(crate) fn set(&mut self, at: &str, value: impl Into<Value>) {
        let at = path(at);
        let instance = self.instance_mut(&at).unwrap();
        instance.insert(at.resource_id().unwrap(), Resource::Single(value.into()));
    }

    pub(crate) fn get(&self, at: &str) -> Option<Node> {
        self.read(&path(at)).ok()
    }

    pub(crate) fn remove(&mut self, at: &str) {
        let at = path(at);
        self.objects.get_mut(&at.object_id().unwrap()).unwrap().1.remove(&at.instance_id().unwrap());
    }

    pub(crate) fn run(&mut self, kind: &OperationKind) -> Result<Reply, ErrorCode> {
        match kind {
            OperationKind::Read { path } => self.read(path).map(Reply::Content),
            OperationKind::Write { path, mode, node } => self.write(path, *mode, node).map(|()| Reply::Done),
            OperationKind::Execute { path, arguments } => {
                self.executed.push((*path, arguments.to_string()));
                Ok(Reply::Done)
            }
            OperationKind::Create { object, instance, resources } => self.create(*object, *instance, resources),
            OperationKind::Delete { path } => match path.object_id() {
                Some(3) => Err(ErrorCode::MethodNotAllowed),
                _ => {
                    self.remove(&path.to_string());
                    Ok(Reply::Done)
                }
            },
            OperationKind::Discover { path } => Ok(Reply::Dimensions(self.resource_instances(path))),
            _ => Err(ErrorCode::NotImplemented),
        }
    }

    fn instance_mut(&mut self, at: &Path) -> Option<&mut Instance> {
        self.objects.get_mut(&at.object_id()?)?.1.get_mut(&at.instance_id()?)
    }

    fn read(&self, at: &Path) -> Result<Node, ErrorCode> {
        let missing = ErrorCode::NotFound;
        let (_, instances) = at.object_id().and_then(|id| self.objects.get(&id)).ok_or(missing)?;
        let Some(instance) = at.instance_id() else { return Ok(Node::Object(instances.clone())) };
        let instance = instances.get(&instance).ok_or(missing)?;
        let Some(resource) = at.resource_id() else { return Ok(Node::Instance(instance.clone())) };
        let resource = instance.get(&resource).ok_or(missing)?;
        let Some(id) = at.resource_instance_id() else { return Ok(Node::Resource(resource.clone())) };
        resource.get(id).cloned().map(Node::Value).ok_or(missing)
    }

    fn write(&mut self, at: &Path, mode: WriteMode, node: &Node) -> Result<(), ErrorCode> {
        let instance = self.instance_mut(at).ok_or(ErrorCode::NotFound)?;
        match node {
            Node::Instance(new) if mode == WriteMode::Replace => *instance = new.clone(),
            Node::Instance(new) => instance.extend(new.clone()),
            Node::Resource(new) => drop(instance.insert(at.resource_id().unwrap(), new.clone())),
            Node::Value(value) => {
                let Some(Resource::Multiple(values)) = instance.get_mut(&at.resource_id().unwrap()) else {
                    return Err(ErrorCode::NotFound);
                };
                values.insert(at.resource_instance_id().unwrap(), value.clone());
            }
            Node::Object(_) => return Err(ErrorCode::MethodNotAllowed),
        }
        Ok(())
    }

    fn create(&mut self, object: ObjectId, id: Option<InstanceId>, new: &Instance) -> Result<Reply, ErrorCode> {
        let instances = &mut self.objects.get_mut(&object).ok_or(ErrorCode::NotFound)?.1;
        let id = id.or_else(|| (0..).find(|id| !instances.contains_key(id))).unwrap();
        instances.insert(id, new.clone());
        Ok(Reply::Created(id))
    }

    fn resource_instances(&self, at: &Path) -> Vec<(Path, Vec<u16>)> {
        let mut found = Vec::new();
        for (&object, (_, instances)) in &self.objects {
            for (&instance, resources) in instances {
                for (&id, resource) in resources {
                    let path = Path::object(object).instance(instance).resource(id);
                    if let Resource::Multiple(values) = resource
                        && at.contains(&path)
                    {
                        found.push((path, values.keys().copied().collect()));
                    }
                }
            }
        }
        found
    }
}
