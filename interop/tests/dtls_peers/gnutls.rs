//! GnuTLS: `gnutls-serv` and `gnutls-cli`, with `--udp`. It has no Connection ID. `%NO_SESSION_HASH` makes it a peer without
//! Extended Master Secret, `%NO_ETM` one without encrypt-then-MAC.

use std::{io::Write as _, net::SocketAddr, process::Command};

use bed::{Process, hex};
use lapwing_dtls::{CipherSuite, Established};
use tempfile::NamedTempFile;

use crate::{
    keys::{Keys, Mode, keys},
    ours::{End, IDENTITY, KEY, Ours, Serving, free},
};

/// GnuTLS's priority string for that suite and that kind of certificate alone.
fn priority(mode: Mode, suite: CipherSuite, more: &str) -> String {
    let (exchange, cipher, mac) = match suite {
        CipherSuite::PskAes128Ccm8 => ("PSK", "AES-128-CCM-8", "AEAD"),
        CipherSuite::PskAes128CbcSha256 => ("PSK", "AES-128-CBC", "SHA256"),
        CipherSuite::EcdheEcdsaAes128Ccm8 => ("ECDHE-ECDSA", "AES-128-CCM-8", "AEAD"),
        CipherSuite::EcdheEcdsaAes128GcmSha256 => ("ECDHE-ECDSA", "AES-128-GCM", "AEAD"),
        CipherSuite::EcdheEcdsaAes128CbcSha256 => ("ECDHE-ECDSA", "AES-128-CBC", "SHA256"),
        other => panic!("{other} is new here"),
    };
    let kind = if mode == Mode::RawPublicKey { "RAWPK" } else { "X.509" };
    format!(
        "NONE:+VERS-DTLS1.2:+COMP-ALL:+SIGN-ALL:+GROUP-ALL:+CTYPE-CLI-{kind}:+CTYPE-SRV-{kind}:+{exchange}:+{cipher}:+{mac}{more}"
    )
}

/// The options that name an end's key.
fn credentials(command: &mut Command, keys: &Keys, server: bool, mode: Mode) {
    let own = if server { &keys.server } else { &keys.client };
    match mode {
        Mode::Psk => {}
        Mode::RawPublicKey => {
            command.arg("--rawpkkeyfile").arg(&own.private_pem).arg("--rawpkfile").arg(&own.public_pem);
        }
        Mode::X509 => {
            command.arg("--x509keyfile").arg(&own.private_pem).arg("--x509certfile").arg(&own.certificate);
            command.arg("--x509cafile").arg(&keys.authority.root.certificate);
        }
    }
}

/// `gnutls-serv`, which sends back what it hears. It listens on every address: it has no option for one.
struct Server {
    address: SocketAddr,
    _process: Process,
    _psk: NamedTempFile,
}

fn server(keys: &Keys, mode: Mode, suite: CipherSuite, priorities: &str, more: &[&str]) -> Server {
    let address = free();
    let mut psk = NamedTempFile::new().expect("a scratch file");
    writeln!(psk, "#{}:{}", hex(IDENTITY.as_bytes()), hex(KEY)).expect("a scratch file");
    let mut command = Command::new("gnutls-serv");
    command.args(["--udp", "--echo", "--port", &address.port().to_string()]);
    command.args(["--priority", &priority(mode, suite, priorities)]).arg("--pskpasswd").arg(psk.path());
    credentials(&mut command, keys, true, mode);
    if mode != Mode::Psk {
        command.arg("--require-client-cert");
    }
    if mode == Mode::X509 {
        command.arg("--verify-client-cert");
    }
    let mut process = Process::start(command.args(more));
    process.err.next_with("listening on IPv4");
    Server { address, _process: process, _psk: psk }
}

fn client_of(mode: Mode, suite: CipherSuite, priorities: &str, more: &[&str]) -> Established {
    let keys = keys();
    let server = server(&keys, mode, suite, priorities, more);
    let mut ours = Ours::connect(server.address, keys.client(mode, suite), None);
    let established = ours.established();
    assert_eq!(established.suite, suite);
    ours.echo();
    established
}

#[test]
fn client_psk_with_ccm_8_and_a_cookie() {
    assert!(client_of(Mode::Psk, CipherSuite::PskAes128Ccm8, "", &[]).extended_master_secret);
}

#[test]
fn client_psk_with_ccm_8_and_no_cookie() {
    client_of(Mode::Psk, CipherSuite::PskAes128Ccm8, "", &["--nocookie"]);
}

#[test]
fn client_psk_with_cbc_and_encrypt_then_mac() {
    assert!(client_of(Mode::Psk, CipherSuite::PskAes128CbcSha256, "", &[]).encrypt_then_mac);
}

#[test]
fn client_psk_with_cbc_and_the_mac_inside() {
    assert!(!client_of(Mode::Psk, CipherSuite::PskAes128CbcSha256, ":%NO_ETM", &[]).encrypt_then_mac);
}

#[test]
fn client_x509_with_ccm_8() {
    assert!(client_of(Mode::X509, CipherSuite::EcdheEcdsaAes128Ccm8, "", &[]).extended_master_secret);
}

#[test]
fn client_x509_with_gcm() {
    client_of(Mode::X509, CipherSuite::EcdheEcdsaAes128GcmSha256, "", &[]);
}

#[test]
fn client_x509_with_cbc_and_encrypt_then_mac() {
    assert!(client_of(Mode::X509, CipherSuite::EcdheEcdsaAes128CbcSha256, "", &[]).encrypt_then_mac);
}

#[test]
fn client_x509_with_cbc_and_the_mac_inside() {
    assert!(!client_of(Mode::X509, CipherSuite::EcdheEcdsaAes128CbcSha256, ":%NO_ETM", &[]).encrypt_then_mac);
}

#[test]
fn client_raw_public_key_with_ccm_8() {
    client_of(Mode::RawPublicKey, CipherSuite::EcdheEcdsaAes128Ccm8, "", &[]);
}

#[test]
fn client_of_a_server_without_extended_master_secret() {
    let cases = [
        (Mode::Psk, CipherSuite::PskAes128Ccm8),
        (Mode::Psk, CipherSuite::PskAes128CbcSha256),
        (Mode::X509, CipherSuite::EcdheEcdsaAes128Ccm8),
    ];
    for (mode, suite) in cases {
        assert!(!client_of(mode, suite, ":%NO_SESSION_HASH", &[]).extended_master_secret);
    }
}

fn client_resumes(mode: Mode, suite: CipherSuite, more: &[&str]) {
    let keys = keys();
    let server = server(&keys, mode, suite, "", more);
    let mut first = Ours::connect(server.address, keys.client(mode, suite), None);
    assert!(!first.established().resumed);
    first.echo();
    let session = first.close();
    let mut second = Ours::connect(server.address, keys.client(mode, suite), Some(session));
    assert!(second.established().resumed);
    second.echo();
}

#[test]
fn client_psk_resumes_by_ticket() {
    client_resumes(Mode::Psk, CipherSuite::PskAes128Ccm8, &[]);
}

#[test]
fn client_psk_resumes_by_id() {
    client_resumes(Mode::Psk, CipherSuite::PskAes128Ccm8, &["--noticket"]);
}

#[test]
fn client_x509_resumes_by_ticket() {
    client_resumes(Mode::X509, CipherSuite::EcdheEcdsaAes128Ccm8, &[]);
}

#[test]
fn client_x509_resumes_by_id() {
    client_resumes(Mode::X509, CipherSuite::EcdheEcdsaAes128Ccm8, &["--noticket"]);
}

/// `gnutls-cli`: lines go in, lines come out among its own.
fn client(keys: &Keys, serving: &Serving, mode: Mode, suite: CipherSuite, priorities: &str, more: &[&str]) -> Process {
    let mut command = Command::new("gnutls-cli");
    command.args(["--udp", "--port", &serving.address.port().to_string(), "--sni-hostname", "localhost"]);
    command.args(["--verify-hostname", "localhost", "--priority", &priority(mode, suite, priorities)]);
    credentials(&mut command, keys, false, mode);
    match mode {
        Mode::Psk => {
            command.args(["--pskusername", IDENTITY, "--pskkey", &hex(KEY)]);
        }
        // It knows raw public keys only by trust on first use, from a file in the home folder.
        Mode::RawPublicKey => {
            command.arg("--insecure");
        }
        Mode::X509 => {}
    }
    Process::start(command.args(more).arg("127.0.0.1"))
}

fn server_of(mode: Mode, suite: CipherSuite, priorities: &str) -> Established {
    let keys = keys();
    let mut serving = Serving::start(keys.server(suite));
    let mut gnutls = client(&keys, &serving, mode, suite, priorities, &[]);
    let established = serving.established();
    assert_eq!((established.suite, established.peer.clone()), (suite, keys.client_identity(mode)));
    serving.talk(&mut gnutls);
    established
}

#[test]
fn server_psk_with_ccm_8() {
    assert!(server_of(Mode::Psk, CipherSuite::PskAes128Ccm8, "").extended_master_secret);
}

#[test]
fn server_psk_with_cbc_and_encrypt_then_mac() {
    assert!(server_of(Mode::Psk, CipherSuite::PskAes128CbcSha256, "").encrypt_then_mac);
}

#[test]
fn server_psk_with_cbc_and_the_mac_inside() {
    assert!(!server_of(Mode::Psk, CipherSuite::PskAes128CbcSha256, ":%NO_ETM").encrypt_then_mac);
}

#[test]
fn server_x509_with_ccm_8() {
    assert!(server_of(Mode::X509, CipherSuite::EcdheEcdsaAes128Ccm8, "").extended_master_secret);
}

#[test]
fn server_x509_with_gcm() {
    server_of(Mode::X509, CipherSuite::EcdheEcdsaAes128GcmSha256, "");
}

#[test]
fn server_x509_with_cbc_and_encrypt_then_mac() {
    assert!(server_of(Mode::X509, CipherSuite::EcdheEcdsaAes128CbcSha256, "").encrypt_then_mac);
}

#[test]
fn server_x509_with_cbc_and_the_mac_inside() {
    assert!(!server_of(Mode::X509, CipherSuite::EcdheEcdsaAes128CbcSha256, ":%NO_ETM").encrypt_then_mac);
}

#[test]
fn server_raw_public_key_with_ccm_8() {
    server_of(Mode::RawPublicKey, CipherSuite::EcdheEcdsaAes128Ccm8, "");
}

#[test]
fn server_of_a_client_without_extended_master_secret() {
    let cases = [
        (Mode::Psk, CipherSuite::PskAes128Ccm8),
        (Mode::Psk, CipherSuite::PskAes128CbcSha256),
        (Mode::X509, CipherSuite::EcdheEcdsaAes128Ccm8),
    ];
    for (mode, suite) in cases {
        assert!(!server_of(mode, suite, ":%NO_SESSION_HASH").extended_master_secret);
    }
}

fn server_resumes(mode: Mode, suite: CipherSuite, more: &[&str]) {
    let keys = keys();
    let mut serving = Serving::start(keys.server(suite));
    let mut gnutls = client(&keys, &serving, mode, suite, "", &[&["--resume"], more].concat());
    assert!(!serving.established().resumed);
    assert!(serving.established().resumed, "its second handshake, by itself");
    serving.talk(&mut gnutls);
}

#[test]
fn server_psk_resumes_by_ticket() {
    server_resumes(Mode::Psk, CipherSuite::PskAes128Ccm8, &[]);
}

#[test]
fn server_psk_resumes_by_id() {
    server_resumes(Mode::Psk, CipherSuite::PskAes128Ccm8, &["--noticket"]);
}

#[test]
fn server_x509_resumes_by_ticket() {
    server_resumes(Mode::X509, CipherSuite::EcdheEcdsaAes128Ccm8, &[]);
}

#[test]
fn server_x509_resumes_by_id() {
    server_resumes(Mode::X509, CipherSuite::EcdheEcdsaAes128Ccm8, &["--noticket"]);
}
