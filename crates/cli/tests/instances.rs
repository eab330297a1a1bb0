//! `lapwing manage create` and `delete`, against a client whose object has instances.

mod common;

use std::collections::BTreeMap;
use std::sync::Mutex;

use common::Server;
use lapwing::definitions::test_object_v1_0 as test_object;
use lapwing::{Client, Error, Instance, InstanceId, Object, ObjectDefinition, Resource, ResourceId, Result};

/// Test object 3441, which keeps what it is created with.
#[derive(Default)]
struct Notes {
    instances: Mutex<BTreeMap<InstanceId, Instance>>,
}

impl Object for Notes {
    fn definition(&self) -> &ObjectDefinition {
        &test_object::V1_0
    }
    fn instances(&self) -> Vec<InstanceId> {
        self.instances.lock().unwrap().keys().copied().collect()
    }
    fn resources(&self, _: InstanceId) -> &[ResourceId] {
        &[test_object::STRING_VALUE, test_object::INTEGER_VALUE, test_object::MULTIPLE_STRING_VALUE]
    }
    async fn read(&self, instance: InstanceId, resource: ResourceId) -> Result<Resource> {
        let instances = self.instances.lock().unwrap();
        instances.get(&instance).and_then(|values| values.get(&resource)).cloned().ok_or(Error::NotFound)
    }
    async fn create(&self, instance: InstanceId, values: Instance) -> Result<()> {
        self.instances.lock().unwrap().insert(instance, values);
        Ok(())
    }
    async fn delete(&self, instance: InstanceId) -> Result<()> {
        self.instances.lock().unwrap().remove(&instance).map(|_| ()).ok_or(Error::NotFound)
    }
}

#[test]
fn instances_are_created_with_their_values_and_deleted() {
    let server = Server::start();
    let client = Client::builder("notes").server(&server.uri).object(Notes::default()).build().unwrap();
    let handle = client.handle();
    std::thread::spawn(move || client.run_blocking().unwrap());
    server.wait_for_clients(1);

    let create = ["create", "/3441/5", "110=two words", "120=-7", "1110/0=a", "1110/3=b=c"];
    assert_eq!(server.manage(&create).text(), "/3441/5");
    let expected = [
        "/3441/5/110     String Value           two words",
        "/3441/5/120     Integer Value          -7",
        "/3441/5/1110/0  Multiple String Value  a",
        "/3441/5/1110/3  Multiple String Value  b=c",
    ];
    assert_eq!(server.manage(&["read", "/3441/5"]).text(), expected.join("\n"));
    assert_eq!(
        server.manage(&["create", "/3441", "120=1"]).text(),
        "/3441/0",
        "the client chooses the lowest free one"
    );
    assert!(server.manage(&["create", "/3441", "120=one"]).failed(2).contains("\"one\": expected an integer"));
    assert_eq!(server.manage(&["delete", "/3441/5"]).text(), "2.02 DELETED");
    assert_eq!(server.manage(&["read", "/3441/5"]).failed(1), "lapwing: notes/3441/5: 4.04 NOT_FOUND");
    handle.shutdown();
    server.wait_for_clients(0);
}
