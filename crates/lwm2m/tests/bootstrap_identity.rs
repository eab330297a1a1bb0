//! Who may be bootstrapped as which endpoint: over DTLS the identity of the session tells (LwM2M core 1.1 section 6.1.7.1,
//! transport 1.1 section 5.2.8.1).

mod bootstrap_common;
mod server_common;

use bootstrap_common::{Bench, EP, plan};
use lapwing_coap::wire::Code;
use lapwing_dtls as dtls;
use lapwing_lwm2m::server::{Identity, RequestError, SecurityInfo, bootstrap::Happening};
use server_common::{
    address, seconds,
    secure::{Device, psk},
};

/// A bench with a secure socket and plans for `gw` and `other`, each with a key.
fn secure() -> Bench {
    let mut bench = Bench::with(|config| config.dtls = Some(dtls::ServerConfig::default()));
    for endpoint in ["gw", "other"] {
        let info = SecurityInfo::Psk(psk(&format!("{endpoint}-id")));
        bench.server.set_security(bench.now(), endpoint, Some(info)).expect("a new identity");
        bench.plan(endpoint, plan());
    }
    bench
}

#[test]
fn who_shows_the_identity_of_its_endpoint_is_bootstrapped_over_dtls() {
    let mut bench = secure();
    let mut device = Device::of(&mut bench, address(1), "gw");
    let request = device.con(Code::POST, EP);
    assert_eq!(device.ask(&mut bench, &request).code, Code::CHANGED);
    let mut paths = Vec::new();
    while let Some(task) = device.take().pop() {
        paths.push(task.path());
        device.send(&mut bench, &task.answer(Code::CHANGED));
    }
    assert_eq!(paths, ["/0", "/1", "/0/1", "/1/0", "/bs"]);
    let Happening::Requested { address: from, identity, .. } = &bench.events[0].what else { panic!("it asked first") };
    assert_eq!((*from, identity.clone()), (address(1), Some(Identity::Psk(b"gw-id".as_slice().into()))));
    assert_eq!(bench.happened(), ["requested", "begun", "finished"]);
}

#[test]
fn its_credentials_tell_the_name_of_one_that_gives_none() {
    let mut bench = secure();
    let mut device = Device::of(&mut bench, address(1), "gw");
    let request = device.con(Code::POST, "/bs");
    assert_eq!(device.ask(&mut bench, &request).code, Code::CHANGED);
    assert_eq!(&*bench.events[0].endpoint, "gw");
}

#[test]
fn another_endpoints_configuration_is_not_had() {
    let mut bench = secure();
    let mut device = Device::of(&mut bench, address(1), "other");
    for uri in [EP, "/bs?ep=nobody"] {
        let request = device.con(Code::POST, uri);
        assert_eq!(device.ask(&mut bench, &request).code, Code::BAD_REQUEST);
        assert_eq!(bench.happened(), ["requested", "the client did not prove to be this endpoint"]);
    }
    assert_eq!(device.take(), []);
    // Nor can it end the session of that endpoint.
    let mut gw = Device::of(&mut bench, address(2), "gw");
    let request = gw.con(Code::POST, EP);
    assert_eq!(gw.ask(&mut bench, &request).code, Code::CHANGED);
    let request = device.con(Code::POST, EP);
    assert_eq!(device.ask(&mut bench, &request).code, Code::BAD_REQUEST);
    assert_eq!(bench.server.sessions(), 1);
}

#[test]
fn a_session_ends_with_its_association() {
    let mut bench = secure();
    let mut device = Device::of(&mut bench, address(1), "gw");
    let request = device.con(Code::POST, EP);
    device.ask(&mut bench, &request);
    // The key is taken back, while the client is still at it.
    bench.server.set_security(bench.now(), "gw", None).expect("it was there");
    device.pump(&mut bench);
    assert_eq!(bench.happened(), ["requested", "begun", &format!("delete /0: {}", RequestError::NotConnected)]);
    assert_eq!((device.closed.len(), bench.server.sessions()), (1, 0));
    // It has no way in any more.
    let mut again = Device::new(address(1), dtls::ClientConfig::psk(psk("gw-id")));
    again.connect(&mut bench);
    assert_eq!(again.established.len(), 0);
    bench.run(seconds(200));
    assert_eq!(bench.happened(), Vec::<String>::new());
}

#[test]
fn a_client_at_another_address_goes_on_with_its_session() {
    let mut bench = secure();
    let mut device = Device::of(&mut bench, address(1), "gw");
    let request = device.con(Code::POST, EP);
    device.ask(&mut bench, &request);
    let delete = device.take().pop().expect("a task");
    device.address = address(7);
    device.send(&mut bench, &delete.answer(Code::DELETED));
    device.answer_pings(&mut bench);
    assert_eq!(device.take().pop().expect("the next task").path(), "/1");
    assert_eq!(bench.server.sessions(), 1);
}
