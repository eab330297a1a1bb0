//! The LwM2M test object (3441): an object with many instances that a server creates, writes, executes and deletes, with
//! values of every type. Servers are tested against it.
//!
//!     cargo run --example test_object -- coap://127.0.0.1:5683 my-endpoint

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lapwing::definitions::test_object_v1_0 as test_object;
use lapwing::{
    After, Arguments, Changes, Client, Error, Instance, InstanceId, Object, ObjectDefinition, ObjectLink, Path,
    Resource, ResourceId, Result, Staged, Value, WriteMode, WriteSet,
};

const RESOURCES: &[ResourceId] =
    &[0, 1, 2, 3, 4, 110, 120, 130, 140, 150, 160, 170, 1110, 1120, 1130, 1140, 1150, 1160, 1170];

struct TestObject {
    instances: Mutex<BTreeMap<InstanceId, Instance>>,
    changes: Mutex<Option<Changes>>,
}

/// The values that an instance has when it is new or reset.
fn initial() -> Instance {
    Instance::from([
        (test_object::STRING_VALUE, "initial value".into()),
        (test_object::INTEGER_VALUE, 1024.into()),
        (test_object::FLOAT_VALUE, 2.75.into()),
        (test_object::BOOLEAN_VALUE, true.into()),
        (test_object::OPAQUE_VALUE, Value::Opaque(b"\x01\x23\x45\x67\x89\xab\xcd\xef".to_vec()).into()),
        (test_object::TIME_VALUE, Value::Time(946_684_800).into()),
        (test_object::OBJ_LINK_VALUE, Value::ObjectLink(ObjectLink::new(3, 0)).into()),
        (test_object::MULTIPLE_STRING_VALUE, Resource::multiple([(0, "initial value")])),
        (test_object::MULTIPLE_INTEGER_VALUE, Resource::multiple([(0, 1024)])),
    ])
}

impl TestObject {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<InstanceId, Instance>> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self, path: Path) {
        if let Some(changes) = &*self.changes.lock().unwrap_or_else(PoisonError::into_inner) {
            changes.changed(path);
        }
    }
}

impl Object for TestObject {
    fn definition(&self) -> &ObjectDefinition {
        &test_object::V1_0
    }

    fn instances(&self) -> Vec<InstanceId> {
        self.lock().keys().copied().collect()
    }

    fn resources(&self, _: InstanceId) -> &[ResourceId] {
        RESOURCES
    }

    async fn read(&self, instance: InstanceId, resource: ResourceId) -> Result<Resource> {
        self.lock().get(&instance).and_then(|values| values.get(&resource)).cloned().ok_or(Error::NotFound)
    }

    async fn stage(&self, set: &WriteSet) -> Result<Staged<'_>> {
        let set = set.clone();
        Ok(Staged::new(async move {
            let mut instances = self.lock();
            for instance in set.replaced() {
                instances.insert(instance, Instance::new());
            }
            for write in set.iter() {
                let values = instances.entry(write.instance).or_default();
                match (write.mode, values.get_mut(&write.resource), write.value) {
                    (WriteMode::Update, Some(Resource::Multiple(old)), Resource::Multiple(new)) => {
                        old.extend(new.clone())
                    }
                    _ => drop(values.insert(write.resource, write.value.clone())),
                }
            }
            Ok(())
        }))
    }

    async fn execute(&self, instance: InstanceId, resource: ResourceId, arguments: Arguments) -> Result<After> {
        let mut instances = self.lock();
        let values = instances.get_mut(&instance).ok_or(Error::NotFound)?;
        match resource {
            test_object::RESET_VALUES => *values = initial(),
            test_object::RANDOMIZE_VALUES => {
                let next =
                    values.get(&test_object::INTEGER_VALUE).and_then(Resource::value).and_then(Value::as_integer);
                // Any other value will do: what is tested is that it changes.
                let next =
                    next.unwrap_or(0).wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                values.insert(test_object::INTEGER_VALUE, next.into());
            }
            test_object::CLEAR_VALUES => values.retain(|resource, _| *resource == test_object::ARGUMENTS_LIST),
            _ => {
                let texts = arguments.iter().map(|(digit, text)| (u16::from(digit), text.unwrap_or_default()));
                values.insert(test_object::ARGUMENTS_LIST, Resource::multiple(texts));
            }
        }
        drop(instances);
        self.changed(Path::object(test_object::OBJECT_ID).instance(instance));
        Ok(After::default())
    }

    async fn create(&self, instance: InstanceId, values: Instance) -> Result<()> {
        self.lock().insert(instance, values);
        Ok(())
    }

    async fn delete(&self, instance: InstanceId) -> Result<()> {
        self.lock().remove(&instance).map(drop).ok_or(Error::NotFound)
    }

    fn watch(&self, _: &[Path], changes: Changes) {
        *self.changes.lock().unwrap_or_else(PoisonError::into_inner) = Some(changes);
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(server), Some(endpoint)) = (arguments.next(), arguments.next()) else {
        return Err("usage: test_object SERVER ENDPOINT".into());
    };
    let object = TestObject { instances: Mutex::new([(0, initial())].into()), changes: Mutex::default() };
    Client::builder(endpoint).server(server).lifetime(120).object(object).build()?.run_blocking()?;
    Ok(())
}
