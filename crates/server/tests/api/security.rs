//! Credentials: what endpoints have to show, what the server shows of itself, and how that is told of registrations.

use lapwing_coap::wire::Code;
use lapwing_dtls::{
    ClientConfig,
    credentials::{
        CertificateTrust, CertificateUsage, ClientTrust, Identity, MatchingType, Pinned, Psk, ServerTrust, UnknownTime,
    },
    crypto::PrivateKey,
};
use serde_json::{Value as Json, json};

use crate::support::{SecureDevice, TestServer, gateway};

const KEY: &str = "000102030405060708090a0b0c0d0e0f";

fn psk(identity: &str) -> ClientConfig {
    ClientConfig::psk(Psk::new(identity, (0..16).collect::<Vec<u8>>()).unwrap())
}

fn psk_entry(endpoint: &str, identity: &str) -> Json {
    json!({"endpoint": endpoint, "tls": {"mode": "psk", "details": {"identity": identity, "key": KEY}}})
}

macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!("../../../dtls/tests/vectors/x509/", $name)).to_vec()
    };
}

#[test]
fn credentials_are_put() {
    let server = TestServer::start();
    let mut early = SecureDevice::connect(server.coaps, psk("gw-id"));
    assert!(!early.is_established() && early.failed.is_some());
    let answer = server.put("/api/security/clients/", &psk_entry("gw", "gw-id"));
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    early = SecureDevice::connect(server.coaps, psk("gw-id"));
    assert_eq!(early.register("other").0, Code::BAD_REQUEST);
    assert_eq!(early.register("gw").0, Code::CREATED);
    // Another for the same endpoint takes its place.
    server.put("/api/security/clients", &psk_entry("gw", "gw-id-2"));
    early.wait_closed();
    assert!(!SecureDevice::connect(server.coaps, psk("gw-id")).is_established());
    assert!(SecureDevice::connect(server.coaps, psk("gw-id-2")).is_established());
}

#[test]
fn credentials_are_listed() {
    let server = TestServer::start();
    assert_eq!(server.get("/api/security/clients").json(), json!([]));
    let rpk = PrivateKey::from_der(&file!("leaf.key.der")).unwrap().public_key().to_der();
    let rpk: String = rpk.iter().map(|byte| format!("{byte:02x}")).collect();
    let entries = [
        json!({"endpoint": "c", "tls": {"mode": "x509"}}),
        json!({"endpoint": "b", "tls": {"mode": "rpk", "details": {"key": rpk}}}),
        psk_entry("a", "ä"),
    ];
    for entry in &entries {
        assert_eq!(server.put("/api/security/clients", entry).status, 200);
    }
    let sorted = json!([entries[2], entries[1], entries[0]]);
    assert_eq!(server.get("/api/security/clients?keys").json(), sorted);
    let listed = server.get("/api/security/clients");
    assert!(!listed.text.contains(KEY));
    assert_eq!(listed.json()[0], json!({"endpoint": "a", "tls": {"mode": "psk", "details": {"identity": "ä"}}}));
    assert_eq!(listed.json()[1], entries[1]);
}

#[test]
fn credentials_are_removed() {
    let server = TestServer::start();
    server.put("/api/security/clients", &psk_entry("räum/7", "gw-id"));
    let mut device = SecureDevice::connect(server.coaps, psk("gw-id"));
    assert!(device.is_established());
    let answer = server.delete("/api/security/clients/r%C3%A4um%2F7");
    assert_eq!((answer.status, answer.text.as_str()), (200, ""));
    device.wait_closed();
    assert_eq!(server.get("/api/security/clients").json(), json!([]));
    assert_eq!(server.delete("/api/security/clients/gw").json(), json!({"message": "not_found"}));
}

#[test]
fn credentials_without_sense_are_400() {
    let server = TestServer::start();
    for (body, reason) in [
        (json!([]), "Missing endpoint"),
        (json!({"endpoint": "gw"}), "tls.mode"),
        (json!({"endpoint": "gw", "tls": {"mode": "psk", "details": {"key": KEY}}}), "Missing PSK identity"),
        (json!({"endpoint": "gw", "tls": {"mode": "psk", "details": {"identity": "i", "key": "0"}}}), "key parameter"),
        (json!({"endpoint": "gw", "tls": {"mode": "psk", "details": {"identity": "i", "key": ""}}}), "the pre-shared"),
        (json!({"endpoint": "gw", "tls": {"mode": "rpk", "details": {"key": KEY}}}), "key must be"),
    ] {
        server.put("/api/security/clients", &body).is_error(400, &format!("Invalid request body: {reason}"));
    }
    server.call("PUT", "/api/security/clients", &[], b"{").is_error(400, "Invalid request body: it is not JSON");
    server.put("/api/security/clients", &psk_entry("a", "one"));
    server.put("/api/security/clients", &psk_entry("b", "one")).is_error(400, "psk:one is the identity of a");
}

#[test]
fn the_server_shows_its_identity() {
    let key = PrivateKey::from_der(&file!("leaf.key.der")).unwrap();
    let certificate = Identity::certificates(vec![file!("leaf.der"), file!("middle.der")], key.clone()).unwrap();
    let server = TestServer::with(|dtls| dtls.identities = vec![Identity::raw_public_key(key), certificate]);
    let shown = server.get("/api/security/server").json();
    assert_eq!(shown, server.get("/api/server/security").json());
    let spki = file!("leaf.spki.der");
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let point = &spki[spki.len() - 64..];
    assert_eq!(shown["pubkey"]["x"], hex(&point[..32]));
    assert_eq!(shown["pubkey"]["y"], hex(&point[32..]));
    assert_eq!(shown["pubkey"]["params"], "secp256r1 [NIST P-256, X9.62 prime256v1] (1.2.840.10045.3.1.7)");
    assert!(shown["pubkey"]["b64Der"].as_str().unwrap().starts_with("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"));
    assert_eq!(shown["certificate"]["pubkey"], shown["pubkey"]);
    assert!(shown["certificate"]["b64Der"].as_str().unwrap().starts_with("MII"));
    assert_eq!(TestServer::start().get("/api/security/server").json(), json!({}));
}

#[test]
fn raw_public_keys_and_certificates_are_checked() {
    let key = || PrivateKey::from_der(&file!("leaf.key.der")).unwrap();
    let certificate = Identity::certificates(vec![file!("leaf.der"), file!("middle.der")], key()).unwrap();
    let server = TestServer::with(move |dtls| {
        dtls.identities = vec![Identity::raw_public_key(key()), certificate];
        dtls.client_trust =
            ClientTrust { anchors: vec![file!("root.der")], raw_public_keys: true, ..Default::default() };
    });
    let pinned = |data| Pinned { matching: MatchingType::Exact, data };
    let own = PrivateKey::from_der(&file!("client.key.der")).unwrap();
    let spki: String = own.public_key().to_der().iter().map(|byte| format!("{byte:02x}")).collect();
    server.put("/api/security/clients", &json!({"endpoint": "rpk", "tls": {"mode": "rpk", "details": {"key": spki}}}));
    let name = "urn:imei:490154203237518";
    server.put("/api/security/clients", &json!({"endpoint": name, "tls": {"mode": "x509"}}));

    let trust = ServerTrust::RawPublicKey(pinned(file!("leaf.spki.der")));
    let config = ClientConfig::certificate(Identity::raw_public_key(own.clone()), trust);
    let mut device = SecureDevice::connect(server.coaps, config);
    assert_eq!(device.register(name).0, Code::BAD_REQUEST);
    assert_eq!(device.register("rpk").0, Code::CREATED);
    let shown = server.get("/api/clients/rpk").json();
    assert_eq!((&shown["secure"], &shown["identity"]), (&json!(true), &json!(format!("rpk:{spki}"))));

    let trust = ServerTrust::Certificate(CertificateTrust {
        usage: CertificateUsage::DomainIssuedCertificate,
        pinned: pinned(file!("leaf.der")),
        anchors: Vec::new(),
        name: None,
        unknown_time: UnknownTime::Refuse,
    });
    let identity = Identity::certificates(vec![file!("client.der")], own).unwrap();
    let mut device = SecureDevice::connect(server.coaps, ClientConfig::certificate(identity, trust));
    assert_eq!(device.register("rpk").0, Code::BAD_REQUEST);
    assert_eq!(device.register(name).0, Code::CREATED);
    assert_eq!(server.get(&format!("/api/clients/{name}")).json()["identity"], format!("x509:{name}"));
}

#[test]
fn a_secure_registration_says_so() {
    let server = TestServer::start();
    server.put("/api/security/clients", &psk_entry("gw", "gw-id"));
    let (mut events, mut log) = (server.events(""), server.events("?ep=gw"));
    let mut device = SecureDevice::connect(server.coaps, psk("gw-id"));
    let (_, id) = device.register("gw");
    let shown = events.wait_for("REGISTRATION");
    assert_eq!((&shown["secure"], &shown["identity"]), (&json!(true), &json!("psk:gw-id")));
    let id = id.unwrap();
    assert_eq!(device.update(&id), Code::CHANGED);
    let updated = events.wait_for("UPDATED");
    assert_eq!(updated["update"]["secure"], true);
    assert_eq!(log.wait_for("COAPLOG")["secure"], true);
    // Behind a NAT that gives it another port: its Connection ID tells who it is.
    device.rebind();
    assert_eq!(device.update(&id), Code::CHANGED);
    let moved = events.wait_for("UPDATED");
    assert_eq!(moved["update"]["address"], device.address().to_string());
    assert_eq!(moved["registration"]["registrationId"], id);
    assert_eq!(server.get("/api/clients").json()[0]["secure"], true);
}

#[test]
fn an_endpoint_with_credentials_comes_over_dtls_only() {
    let (server, mut device) = gateway();
    assert_eq!(server.get("/api/clients/gw").json()["secure"], false);
    assert_eq!(server.get("/api/clients/gw").json().get("identity"), None);
    server.put("/api/security/clients", &psk_entry("closed", "closed-id"));
    assert_eq!(device.register_as("closed"), Code::BAD_REQUEST);
    assert_eq!(server.get("/api/clients").json().as_array().unwrap().len(), 1);
}

#[test]
fn a_session_that_has_ended_is_500() {
    let server = TestServer::start();
    server.put("/api/security/clients", &psk_entry("gw", "gw-id"));
    let mut device = SecureDevice::connect(server.coaps, psk("gw-id"));
    assert_eq!(device.register("gw").0, Code::CREATED);
    server.delete("/api/security/clients/gw");
    server.get("/api/clients/gw/3/0").is_error(500, "Request cancelled: the client has no secure session now");
}
