//! Bootstrap (LwM2M Core 1.1 section 6.1): one file for each behaviour, named after the cases of the enabler's test specification
//! (LightweightM2M-1.1-int-N) where there is one.

mod client_initiated;
mod consistency;
mod delete;
mod discover;
mod fallback;
mod hostile;
mod objects;
mod persistence;
mod purge;
mod read;
mod sequence;
mod server_initiated;
mod sessions;
mod write;

use lapwing_coap::{Code, ContentFormat};
use lapwing_lwm2m::{
    account::{BootstrapAccount, Record, RecordKey, ServerId},
    client::{Config, Event, LwM2mVersion},
    format::tlv,
    model::{Instance, Instances, Node, Resource, Value},
};

use crate::{
    harness::{Ask, Harness, Sent},
    objects::path,
};

const TLV: ContentFormat = ContentFormat::TLV;
const VERSIONS: [LwM2mVersion; 2] = [LwM2mVersion::V1_0, LwM2mVersion::V1_1];

fn account() -> BootstrapAccount {
    BootstrapAccount::new("coap://bootstrap.example:5783".parse().unwrap())
}

/// A client that knows a bootstrap server and no other.
fn config() -> Config {
    let mut config = Config::new("gw", Vec::new());
    config.bootstrap = Some(account());
    config
}

/// A client that is registered with a server, and knows a bootstrap server.
fn with_server() -> Config {
    let mut config = Harness::config();
    config.bootstrap = Some(account());
    config
}

/// An instance of the Security object, NoSec.
fn security(uri: &str, ssid: u16) -> Instance {
    Instance::from([(0, uri.into()), (1, false.into()), (2, 3.into()), (10, ssid.into())])
}

/// An instance of the Security object with a pre-shared key.
fn psk(uri: &str, ssid: u16, identity: &[u8], key: &[u8]) -> Instance {
    let mut instance = security(uri, ssid);
    instance.extend([(2, 0.into()), (3, identity.into()), (5, key.into())]);
    instance
}

/// The account of a bootstrap server as an instance of the Security object.
fn bootstrap_security(uri: &str) -> Instance {
    let mut instance = security(uri, 1);
    instance.extend([(1, true.into())]);
    instance.remove(&10);
    instance
}

/// An instance of the Server object.
fn server(ssid: u16, lifetime: u32) -> Instance {
    Instance::from([(0, ssid.into()), (1, lifetime.into()), (6, true.into()), (7, "U".into())])
}

fn tlv(at: &str, node: impl Into<Node>) -> Vec<u8> {
    let mut payload = Vec::new();
    tlv::encode(&path(at), &node.into(), &mut payload).unwrap();
    payload
}

fn unsigned(value: u64) -> Resource {
    Resource::Single(Value::Unsigned(value))
}

impl Harness {
    /// Takes the Bootstrap-Request, on its flow.
    fn take_bootstrap_request(&mut self) -> Sent {
        assert_eq!(self.next_event(), Event::BootstrapBegun);
        let request = self.take();
        assert_eq!((request.to, request.code), (ServerId::Bootstrap, Code::POST));
        assert_eq!(request.path, ["bs"]);
        self.speak_as(ServerId::Bootstrap);
        request
    }

    /// A client whose Bootstrap-Request was taken: the bootstrap server may write.
    fn bootstrapping(config: Config) -> Harness {
        let mut harness = Harness::new(config);
        harness.declare();
        harness.begin_bootstrap();
        harness
    }

    fn begin_bootstrap(&mut self) {
        let request = self.take_bootstrap_request();
        self.answer(&request, Code::CHANGED);
        self.expect_silence();
    }

    fn put_instance(&mut self, at: &str, instance: Instance) -> Code {
        let payload = tlv(at, instance);
        self.code(Ask::put(at, TLV, &payload))
    }

    fn put_object(&mut self, at: &str, instances: Instances) -> Code {
        let payload = tlv(at, instances);
        self.code(Ask::put(at, TLV, &payload))
    }

    /// Writes a whole account, at the same instance of both objects.
    fn put_account(&mut self, instance: u16, uri: &str, ssid: u16, lifetime: u32) {
        assert_eq!(self.put_instance(&format!("/0/{instance}"), security(uri, ssid)), Code::CHANGED);
        assert_eq!(self.put_instance(&format!("/1/{instance}"), server(ssid, lifetime)), Code::CHANGED);
    }

    fn delete(&mut self, at: &str) -> Code {
        self.code(Ask::new(Code::DELETE, at))
    }

    fn finish(&mut self) -> Code {
        self.finish_with_text().0
    }

    /// Sends a Finish and gives the answer with its text.
    fn finish_with_text(&mut self) -> (Code, String) {
        let answer = self.request(Ask::new(Code::POST, "/bs"));
        (answer.code, answer.text().to_owned())
    }

    /// Lets the answer to the Finish settle.
    fn settle(&mut self) {
        self.run_for(crate::harness::seconds(3));
    }

    /// What is stored of the accounts.
    fn saved_accounts(&self) -> Option<&Record> {
        self.saved.record(RecordKey::Accounts)
    }

    /// The accounts as short texts: Short Server ID, URI, lifetime.
    fn accounts(&self) -> Vec<(u16, String, u32)> {
        let account =
            |account: &lapwing_lwm2m::account::ServerAccount| (account.ssid, account.uri.to_string(), account.lifetime);
        self.client.accounts().map(account).collect()
    }

    /// The client as it comes back after a restart, with what is stored.
    fn restarted(&self, config: Config) -> Harness {
        Harness::with_saved(config, self.saved.clone())
    }
}
