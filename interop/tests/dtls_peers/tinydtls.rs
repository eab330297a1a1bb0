//! tinydtls, by PyPI's DTLSSocket (`interop/tinydtls/peer.py`), over IPv6. It demands Extended Master Secret and renegotiation_info, has
//! one suite with pre-shared keys, no resumption and no Connection ID; its binding has no raw public keys.

use std::{net::SocketAddr, process::Command};

use bed::{Process, hex, target, workspace};
use lapwing_dtls::{CipherSuite, ServerConfig, credentials::PeerIdentity};

use crate::ours::{End, IDENTITY, KEY, Ours, Serving, client_psk};

fn start(role: &str, port: u16) -> Process {
    let module = target().join("tinydtls");
    assert!(module.exists(), "{} is missing: run `cargo xtask test tinydtls`", module.display());
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", module).arg(workspace().join("interop/tinydtls/peer.py"));
    Process::start(command.args([role, "::1", &port.to_string(), IDENTITY, &hex(KEY)]))
}

#[test]
fn client_with_ccm_8() {
    let mut tinydtls = start("server", 0);
    let port = tinydtls.out.next_that("its port", |line| line.strip_prefix("port ")?.parse().ok());
    let suite = CipherSuite::PskAes128Ccm8;
    let mut ours = Ours::connect(SocketAddr::new("::1".parse().expect("loopback"), port), client_psk(suite), None);
    let established = ours.established();
    assert_eq!(established.suite, suite);
    assert!(established.extended_master_secret);
    ours.send(b"first\n");
    ours.until("a line at tinydtls", |_| crate::ours::says(&mut tinydtls, "first"));
    ours.talk(&mut tinydtls);
}

#[test]
fn server_with_ccm_8() {
    let mut serving = Serving::start_at("::1", ServerConfig::default(), KEY);
    let mut tinydtls = start("client", serving.address.port());
    let established = serving.established();
    assert_eq!(established.peer, PeerIdentity::Psk(IDENTITY.into()));
    assert_eq!(established.suite, CipherSuite::PskAes128Ccm8);
    assert!(established.extended_master_secret);
    serving.until("the handshake at tinydtls", |_| crate::ours::says(&mut tinydtls, "connected"));
    serving.talk(&mut tinydtls);
}
