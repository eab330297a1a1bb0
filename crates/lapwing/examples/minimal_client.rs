//! A whole client with one object of its own: `cargo run --example minimal_client -- coap://localhost:5683`

use std::sync::Mutex;

use lapwing::{
    Client, Error, InstanceId, Object, ObjectDefinition, Operations, Resource, ResourceDefinition, ResourceId,
    ResourceType, Result, Staged, WriteSet,
};

const LOAD: ResourceId = 0;
const LABEL: ResourceId = 1;
static RESOURCES: &[ResourceDefinition] = &[
    ResourceDefinition::new(LOAD, "Load", Operations::Read, ResourceType::Float),
    ResourceDefinition::new(LABEL, "Label", Operations::ReadWrite, ResourceType::String),
];
static MACHINE: ObjectDefinition = ObjectDefinition::new(33_000, "Machine", RESOURCES);

struct Machine {
    label: Mutex<String>,
}

impl Object for Machine {
    fn definition(&self) -> &ObjectDefinition {
        &MACHINE
    }

    fn resources(&self, _: InstanceId) -> &[ResourceId] {
        &[LOAD, LABEL]
    }

    async fn read(&self, _: InstanceId, resource: ResourceId) -> Result<Resource> {
        match resource {
            LOAD => {
                let text = std::fs::read_to_string("/proc/loadavg")?;
                let load = text.split(' ').next().and_then(|number| number.parse::<f64>().ok());
                Ok(load.ok_or_else(|| Error::internal("/proc/loadavg has no number"))?.into())
            }
            _ => Ok(self.label.lock().unwrap().as_str().into()),
        }
    }

    async fn stage(&self, set: &WriteSet) -> Result<Staged<'_>> {
        let label = set.get(0, LABEL).and_then(|write| Some(write.value.value()?.as_str()?.to_owned()));
        let label = label.filter(|label| label.len() <= 64).ok_or(Error::bad_request("more than 64 bytes"))?;
        Ok(Staged::new(async move {
            *self.label.lock().unwrap() = label;
            Ok(())
        }))
    }
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let server = std::env::args().nth(1).unwrap_or_else(|| "coap://localhost".into());
    let machine = Machine { label: Mutex::new("kitchen".into()) };
    Ok(Client::builder("minimal").server(server).lifetime(300).object(machine).build()?.run_blocking()?)
}
