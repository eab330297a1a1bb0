//! Registration with raw public keys and with certificates (LwM2M Transport 1.1 sections 5.2.8.2 and 5.2.8.3; LightweightM2M-1.1's
//! Security Modes 1 and 2): whom the client believes, from an account's Security, and what it tells when it does not.

use std::time::Duration;

use lapwing_coap::Code;
use lapwing_dtls::{
    self as dtls, Closed,
    credentials::{
        CertificateError, CertificateUsage, ClientTrust, Identity, MatchingType, PeerIdentity, Pinned, UnknownTime,
    },
    crypto::PrivateKey,
};
use lapwing_lwm2m::{
    account::{Security, ServerId},
    client::{Config, Event, Failure, Loss},
};

use crate::scene::{Scene, good, seconds};

/// A file of the DTLS crate's tests, whose `certificates.py` makes them.
macro_rules! vector {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../dtls/tests/vectors/x509/", $name)).to_vec()
    };
}

/// The middle of 2030, when all certificates but the expired ones are valid.
const TIME: Duration = Duration::from_secs(1_910_000_000);
const NAME: &str = "lwm2m.example";

fn server_key() -> PrivateKey {
    PrivateKey::from_der(&vector!("leaf.key.der")).unwrap()
}

fn client_key() -> PrivateKey {
    PrivateKey::from_der(&vector!("client.key.der")).unwrap()
}

fn exactly(data: Vec<u8>) -> Pinned {
    Pinned { matching: MatchingType::Exact, data }
}

fn raw() -> Security {
    let server = exactly(server_key().public_key().to_der());
    Security::raw_public_key(Identity::raw_public_key(client_key()), server).unwrap()
}

fn certified(usage: u64, pinned: Vec<u8>) -> Security {
    let identity = Identity::certificates(vec![vector!("client.der")], client_key()).unwrap();
    Security::certificate(identity, CertificateUsage::from_number(usage).unwrap(), exactly(pinned)).unwrap().sni(NAME)
}

fn scene(security: Security, configure: impl FnOnce(&mut Config)) -> Scene {
    let mut server = dtls::ServerConfig::default();
    let chain = vec![vector!("leaf.der"), vector!("middle.der")];
    server.identities =
        vec![Identity::certificates(chain, server_key()).unwrap(), Identity::raw_public_key(server_key())];
    let mut trust = ClientTrust::default();
    (trust.anchors, trust.raw_public_keys) = (vec![vector!("root.der")], true);
    server.client_trust = trust;
    let mut scene = Scene::with(
        1,
        good(),
        |config| {
            config.servers[0].security = security;
            config.trust_anchors = vec![vector!("root.der")];
            configure(config);
        },
        server,
    );
    scene.unix = Some(TIME);
    scene.server.set_time(Some(TIME));
    scene
}

fn failure(scene: &Scene) -> Failure {
    let failure = scene.events.iter().find_map(|(_, event)| match event {
        Event::RegistrationFailed { reason, .. } => Some(*reason),
        _ => None,
    });
    failure.expect("it fails")
}

/// Each way in: it registers, is killed, goes on without a handshake, and resumes after the server has closed.
#[track_caller]
fn assert_works(security: Security, label: &str) {
    let mut scene = scene(security, |_| {}).registered();
    scene.assert_alive(label);
    let own = &scene.handshakes[0].1.peer;
    assert!(!matches!(own, PeerIdentity::Psk(_)), "{label}: {own:?}");
    scene.kill();
    scene.declare();
    scene.run_to_registered();
    assert_eq!(scene.handshakes.len(), 1, "{label}");
    scene.assert_alive(label);
    let association = scene.association.unwrap();
    scene.server.close(association);
    scene.pump();
    scene.run_to_registered();
    scene.assert_alive(label);
    // What is imported has no session to be resumed.
    assert_eq!(scene.resumed_since(1), [false], "{label}");
    assert_eq!(scene.request(Code::POST, "/3/0/4"), Some(Code::CHANGED), "{label}");
}

#[test]
fn a_client_registers_with_a_raw_public_key() {
    assert_works(raw(), "raw public key");
}

#[test]
fn a_client_registers_with_certificates_of_each_usage() {
    let pinned = [vector!("middle.der"), vector!("leaf.der"), vector!("root.der"), vector!("leaf.der")];
    for (usage, pinned) in (0..).zip(pinned) {
        assert_works(certified(usage, pinned), &format!("usage {usage}"));
    }
}

#[test]
fn a_server_that_is_not_believed_is_told() {
    let other = PrivateKey::from_der(&[7; 32]).unwrap().public_key().to_der();
    let raw = Security::raw_public_key(Identity::raw_public_key(client_key()), exactly(other)).unwrap();
    let cases = [
        (raw, CertificateError::NotExpected),
        (certified(3, vector!("self-signed.der")), CertificateError::NotExpected),
        (certified(2, vector!("other-root.der")), CertificateError::UnknownIssuer),
        (certified(1, vector!("leaf.der")).sni("other.example"), CertificateError::OtherName),
    ];
    for (security, expected) in cases {
        let mut scene = scene(security, |_| {});
        scene.declare();
        scene.run(seconds(5));
        assert_eq!(failure(&scene), Failure::Handshake(dtls::Failure::Certificate(expected)));
        println!("{}", failure(&scene));
        assert_eq!(scene.asked, []);
    }
}

/// As long as the time is not known, validity cannot be checked: the server is refused, or checked again as soon as it is known.
#[test]
fn an_unknown_time_is_refused_or_checked_later() {
    let security = || certified(1, vector!("leaf.der"));
    let mut refused = scene(security(), |_| {});
    refused.unix = None;
    refused.declare();
    refused.run(seconds(5));
    assert_eq!(failure(&refused), Failure::Handshake(dtls::Failure::Certificate(CertificateError::TimeUnknown)));

    let skips = |config: &mut Config| config.unknown_time = UnknownTime::Skip;
    let mut valid = scene(security(), skips);
    valid.unix = None;
    let mut valid = valid.registered();
    let told = Event::ValidityUnchecked { server: ServerId::Server(1) };
    assert_eq!(valid.troubles(), [&told]);
    valid.unix = Some(TIME);
    valid.assert_alive("the time is known, and the certificate valid");
    assert_eq!(valid.handshakes.len(), 1);

    let mut expired = scene(security(), skips);
    expired.unix = None;
    let mut expired = expired.registered();
    expired.run(seconds(60));
    // In 2116.
    expired.unix = Some(Duration::from_secs(4_607_000_000));
    expired.request(Code::GET, "/3/0/9");
    expired.run(seconds(1));
    let lost = expired.troubles().get(1).copied().cloned();
    let why = Loss::Closed(Closed::Certificate(CertificateError::Expired));
    assert_eq!(lost, Some(Event::ServerLost { server: 1, reason: why }));
    assert_eq!(failure(&expired), Failure::Handshake(dtls::Failure::Certificate(CertificateError::Expired)));
}
