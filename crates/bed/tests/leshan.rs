//! The peers among themselves: Leshan's client bootstraps from Leshan's bootstrap server and registers at Leshan's server, in
//! every security mode. Where this fails, the interop suites say nothing about Lapwing.

use bed::hex;
use bed::keys::{Authority, KeyFiles};
use bed::leshan::{Credentials, Options, Server, client};
use serde_json::{Value, json};

const KEY: &str = "00112233445566778899aabbccddeeff";

/// Bootstrap over what `credentials` say, to a server account with a pre-shared key.
fn bootstrapped(bootstrap: &Server, server: &Server, endpoint: &str, credentials: Credentials<'_>) {
    server.allow_psk(endpoint, endpoint, KEY);
    // Leshan's client needs resource 4 for PSK too, where the standard lets a server leave it out.
    let security = json!({"0": format!("coaps://127.0.0.1:{}", server.coaps), "1": false, "2": 0,
        "3": hex(endpoint.as_bytes()), "4": "", "5": KEY, "10": 77});
    let account = json!({"0": 77, "1": 300, "6": true, "7": "U"});
    let write =
        |path: &str, resources: Value| json!({"op": "write", "path": path, "content": {"resources": resources}});
    let tasks = json!([{"op": "discover", "path": "/"}, {"op": "delete", "path": "/1"},
        write("/0/5", security), write("/1/0", account), {"op": "read", "path": "/1"}]);
    bootstrap.script(endpoint, tasks);
    let secure = !matches!(credentials, Credentials::None);
    let port = if secure { bootstrap.coaps } else { bootstrap.coap };
    let uri = format!("{}://127.0.0.1:{port}", if secure { "coaps" } else { "coap" });
    let _client = client(&uri, endpoint, credentials, &["bootstrap=true".to_owned(), "cid=6".to_owned()]);
    for expected in ["2.05", "2.02", "2.04", "2.04", "2.05"] {
        let reply = bootstrap.event("reply", endpoint);
        assert_eq!(reply["code"], expected, "{reply}");
    }
    bootstrap.event("finished", endpoint);
    server.event("registered", endpoint);
}

#[test]
fn leshans_own_client_bootstraps_and_registers_in_every_mode() {
    let authority = Authority::new();
    let own = authority.issue("localhost", Some("IP:127.0.0.1"));
    let options =
        Options { connection_id: Some(6), keys: Some((&own, &authority.root.certificate)), ..Options::default() };
    let (bootstrap, server) = (Server::bootstrap("127.0.0.1", options), Server::start("127.0.0.1", options));
    bootstrapped(&bootstrap, &server, "plain", Credentials::None);
    bootstrap.allow_psk("psk", "bootstrap", KEY);
    bootstrapped(&bootstrap, &server, "psk", Credentials::Psk("bootstrap", KEY));
    let of = authority.issue("rpk", None);
    bootstrap.allow_raw_public_key("rpk", &KeyFiles::read(&of.public));
    bootstrapped(&bootstrap, &server, "rpk", Credentials::RawPublicKey(&of, &own));
    let of = authority.issue("x509", None);
    bootstrap.allow_certificate("x509");
    bootstrapped(&bootstrap, &server, "x509", Credentials::Certificate(&of, &own));
}
