//! Bootstrap-Read (LwM2M Core 1.1 section 6.1.7.4; LightweightM2M-1.1-int-8): of the objects 1 and 2, and of nothing else.

use lapwing_coap::{Code, ContentFormat};
use lapwing_lwm2m::{
    client::{Command, LwM2mVersion},
    definitions::{access_control, server},
    format::tlv,
    model::{Instance, Instances, Node, Resource},
};

use super::{TLV, config, unsigned, with_server};
use crate::{
    harness::{Ask, Harness},
    objects::path,
};

/// int-8: what stands there, also what was written before the Finish, and what the client has no use for.
#[test]
fn int_8_accounts_and_rights_are_read() {
    let mut harness = Harness::bootstrapping(config());
    assert_eq!(harness.code(Ask::get("/2")), Code::NOT_FOUND);
    assert_eq!(harness.code(Ask::get("/1/0")), Code::NOT_FOUND);
    let mut written = super::server(7, 300);
    written.extend([(13, unsigned(3)), (16, false.into()), (17, unsigned(2)), (22, "U".into())]);
    assert_eq!(harness.put_instance("/1/4", written.clone()), Code::CHANGED);
    let read = harness.request(Ask::get("/1"));
    assert_eq!((read.code, read.format), (Code::CONTENT, Some(TLV)));
    let node = tlv::decode(&path("/1"), &server::DEFINITION, &read.payload).unwrap();
    assert_eq!(node, Node::Object(Instances::from([(4, written.clone())])));
    let read = harness.request(Ask::get("/1/4").accept(TLV));
    assert_eq!(tlv::decode(&path("/1/4"), &server::DEFINITION, &read.payload), Ok(Node::Instance(written)));
    let rights = Instance::from([(0, 3.into()), (1, 0.into()), (2, Resource::multiple([(7, 15)])), (3, 7.into())]);
    assert_eq!(harness.put_instance("/2/0", rights.clone()), Code::CHANGED);
    let read = harness.request(Ask::get("/2"));
    let node = tlv::decode(&path("/2"), &access_control::DEFINITION, &read.payload).unwrap();
    assert_eq!(node, Node::Object(Instances::from([(0, rights)])));
}

/// What a server changed of its account since it was configured is what is read, and what stays.
#[test]
fn a_servers_own_changes_are_read_and_kept() {
    let mut harness = Harness::registered_with(with_server());
    assert_eq!(harness.code(Ask::put("/1/0/1", ContentFormat::TEXT, b"90")), Code::CHANGED);
    let update = harness.take();
    harness.answer(&update, Code::CHANGED);
    harness.next_event();
    harness.command(Command::Bootstrap);
    harness.begin_bootstrap();
    let read = harness.request(Ask::get("/1/0"));
    let node = tlv::decode(&path("/1/0"), &server::DEFINITION, &read.payload).unwrap();
    assert_eq!(node.get(&path("/1/0"), &path("/1/0/1")), Some(&90.into()));
    assert_eq!(harness.finish(), Code::CHANGED);
    assert_eq!(harness.accounts()[0].2, 90);
    assert_eq!(harness.restarted(with_server()).accounts()[0].2, 90);
}

#[test]
fn nothing_else_is_read() {
    let mut harness = Harness::bootstrapping(config());
    harness.put_account(1, "coap://server.example", 7, 300);
    for at in ["/", "/0", "/0/0", "/0/1", "/0/1/5", "/3", "/3/0", "/3/0/0", "/1/1/0", "/1/1/0/0"] {
        assert_eq!(harness.code(Ask::get(at)), Code::METHOD_NOT_ALLOWED, "{at}");
    }
    assert_eq!(harness.code(Ask::get("/9")), Code::NOT_FOUND);
    assert_eq!(harness.code(Ask::get("/1").accept(ContentFormat::JSON)), Code::NOT_ACCEPTABLE);
    assert_eq!(harness.code(Ask::get("/1").accept(ContentFormat::TEXT)), Code::NOT_ACCEPTABLE);
}

/// LwM2M 1.0 has no Bootstrap-Read.
#[test]
fn nothing_is_read_in_lwm2m_1_0() {
    let mut config = config();
    config.version = LwM2mVersion::V1_0;
    let mut harness = Harness::bootstrapping(config);
    harness.put_account(1, "coap://server.example", 7, 300);
    assert_eq!(harness.code(Ask::get("/1")), Code::METHOD_NOT_ALLOWED);
}
