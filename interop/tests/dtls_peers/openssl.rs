//! OpenSSL 3.0: `openssl s_server` and `s_client`. It has no Connection ID and no raw public keys, always offers Extended
//! Master Secret, and CCM_8 only below its usual security level.

use std::{
    net::SocketAddr,
    process::Command,
    time::{Duration, Instant},
};

use bed::{Process, hex};
use lapwing_dtls::{
    CipherSuite, ClientCredentials, Established, Failure,
    alert::AlertDescription,
    credentials::{CertificateError, PeerIdentity},
};

use crate::{
    keys::{Keys, Mode, keys},
    ours::{End, IDENTITY, KEY, Ours, Serving, client_psk, free, psk, server_with},
};

fn cipher(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::PskAes128Ccm8 => "PSK-AES128-CCM8:@SECLEVEL=0",
        CipherSuite::PskAes128CbcSha256 => "PSK-AES128-CBC-SHA256:@SECLEVEL=0",
        CipherSuite::EcdheEcdsaAes128Ccm8 => "ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0",
        CipherSuite::EcdheEcdsaAes128GcmSha256 => "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::EcdheEcdsaAes128CbcSha256 => "ECDHE-ECDSA-AES128-SHA256",
        other => panic!("{other} is new here"),
    }
}

fn mode(suite: CipherSuite) -> Mode {
    match suite {
        CipherSuite::PskAes128Ccm8 | CipherSuite::PskAes128CbcSha256 => Mode::Psk,
        _ => Mode::X509,
    }
}

/// `s_server` or `s_client`, with the pre-shared key or its certificate: lines go in, lines come out.
fn start(role: &str, keys: &Keys, address: SocketAddr, suite: CipherSuite, more: &[&str]) -> Process {
    let mut command = Command::new("openssl");
    let server = role == "s_server";
    command.args([role, "-dtls1_2", if server { "-accept" } else { "-connect" }, &address.to_string()]);
    command.args(["-cipher", cipher(suite), "-quiet"]);
    if mode(suite) == Mode::Psk {
        command.args(["-psk", &hex(KEY), "-psk_identity", IDENTITY]);
        command.args(if server { &["-nocert"][..] } else { &[] });
    } else {
        let own = if server { &keys.server } else { &keys.client };
        command.arg("-cert").arg(&own.certificate).arg("-key").arg(&own.private_pem);
        command.arg("-CAfile").arg(&keys.authority.root.certificate).arg("-verify_return_error");
        command.args([if server { "-Verify" } else { "-verify" }, "1"]);
    }
    Process::start(command.args(more))
}

fn client_of(suite: CipherSuite, more: &[&str]) -> Established {
    let (keys, address) = (keys(), free());
    let mut openssl = start("s_server", &keys, address, suite, more);
    let mut ours = Ours::connect(address, keys.client(mode(suite), suite), None);
    let established = ours.established();
    assert_eq!(established.suite, suite);
    assert!(established.extended_master_secret);
    ours.talk(&mut openssl);
    established
}

#[test]
fn client_psk_with_ccm_8() {
    client_of(CipherSuite::PskAes128Ccm8, &[]);
}

#[test]
fn client_psk_with_a_cookie() {
    client_of(CipherSuite::PskAes128Ccm8, &["-listen"]);
}

#[test]
fn client_psk_with_cbc_and_encrypt_then_mac() {
    assert!(client_of(CipherSuite::PskAes128CbcSha256, &[]).encrypt_then_mac);
}

#[test]
fn client_psk_with_cbc_and_the_mac_inside() {
    assert!(!client_of(CipherSuite::PskAes128CbcSha256, &["-no_etm"]).encrypt_then_mac);
}

#[test]
fn client_x509_with_ccm_8() {
    let peer = client_of(CipherSuite::EcdheEcdsaAes128Ccm8, &[]).peer;
    assert!(matches!(peer, PeerIdentity::Certificate(_)), "{peer:?}");
}

#[test]
fn client_x509_with_a_cookie() {
    client_of(CipherSuite::EcdheEcdsaAes128Ccm8, &["-listen"]);
}

#[test]
fn client_x509_in_fragments() {
    client_of(CipherSuite::EcdheEcdsaAes128Ccm8, &["-mtu", "256"]);
}

#[test]
fn client_x509_with_gcm() {
    client_of(CipherSuite::EcdheEcdsaAes128GcmSha256, &[]);
}

#[test]
fn client_x509_with_cbc_and_encrypt_then_mac() {
    assert!(client_of(CipherSuite::EcdheEcdsaAes128CbcSha256, &[]).encrypt_then_mac);
}

#[test]
fn client_x509_with_cbc_and_the_mac_inside() {
    assert!(!client_of(CipherSuite::EcdheEcdsaAes128CbcSha256, &["-no_etm"]).encrypt_then_mac);
}

fn client_resumes(suite: CipherSuite, more: &[&str]) {
    let (keys, address) = (keys(), free());
    let mut openssl = start("s_server", &keys, address, suite, more);
    let mut first = Ours::connect(address, keys.client(mode(suite), suite), None);
    assert!(!first.established().resumed);
    first.talk(&mut openssl);
    let session = first.close();
    // It takes one client after the other: what comes before it listens again comes again.
    let mut second = Ours::connect(address, keys.client(mode(suite), suite), Some(session));
    assert!(second.established().resumed);
    second.talk(&mut openssl);
}

#[test]
fn client_psk_resumes_by_ticket() {
    client_resumes(CipherSuite::PskAes128Ccm8, &[]);
}

#[test]
fn client_psk_resumes_by_id() {
    client_resumes(CipherSuite::PskAes128Ccm8, &["-no_ticket"]);
}

#[test]
fn client_x509_resumes_by_ticket() {
    client_resumes(CipherSuite::EcdheEcdsaAes128Ccm8, &[]);
}

#[test]
fn client_x509_resumes_by_id() {
    client_resumes(CipherSuite::EcdheEcdsaAes128Ccm8, &["-no_ticket"]);
}

#[test]
fn client_without_extended_master_secret() {
    let (keys, address) = (keys(), free());
    for suite in [CipherSuite::PskAes128Ccm8, CipherSuite::EcdheEcdsaAes128Ccm8] {
        let mut openssl = start("s_server", &keys, address, suite, &[]);
        let mut config = keys.client(mode(suite), suite);
        config.extended_master_secret = false;
        let mut ours = Ours::connect(address, config, None);
        assert!(!ours.established().extended_master_secret);
        ours.talk(&mut openssl);
    }
}

#[test]
fn client_with_a_wrong_key_fails() {
    let (address, suite) = (free(), CipherSuite::PskAes128Ccm8);
    let _openssl = start("s_server", &keys(), address, suite, &[]);
    let mut config = client_psk(suite);
    config.credentials = ClientCredentials::Psk(psk(b"another secret k"));
    config.retransmission.most = 2;
    let failure = Ours::connect(address, config, None).failed();
    // OpenSSL drops the Finished message that it cannot decrypt, or answers with an alert.
    let expected = [Failure::TimedOut, Failure::Alert(AlertDescription::BAD_RECORD_MAC)];
    assert!(expected.contains(&failure), "{failure:?}");
}

#[test]
fn client_of_another_authority_refuses_the_server() {
    let (keys, address, suite) = (keys(), free(), CipherSuite::EcdheEcdsaAes128Ccm8);
    let other = Keys::new();
    let _openssl = start("s_server", &keys, address, suite, &[]);
    let failure = Ours::connect(address, other.client(Mode::X509, suite), None).failed();
    assert_eq!(failure, Failure::Certificate(CertificateError::UnknownIssuer));
}

fn server_of(suite: CipherSuite, more: &[&str]) -> Established {
    let keys = keys();
    let mut serving = Serving::start(keys.server(suite));
    let mut openssl = start("s_client", &keys, serving.address, suite, more);
    let established = serving.established();
    assert_eq!((established.suite, established.peer.clone()), (suite, keys.client_identity(mode(suite))));
    assert!(established.extended_master_secret);
    serving.talk(&mut openssl);
    established
}

#[test]
fn server_psk_with_ccm_8() {
    server_of(CipherSuite::PskAes128Ccm8, &[]);
}

#[test]
fn server_psk_with_cbc_and_encrypt_then_mac() {
    assert!(server_of(CipherSuite::PskAes128CbcSha256, &[]).encrypt_then_mac);
}

#[test]
fn server_psk_with_cbc_and_the_mac_inside() {
    assert!(!server_of(CipherSuite::PskAes128CbcSha256, &["-no_etm"]).encrypt_then_mac);
}

#[test]
fn server_x509_with_ccm_8() {
    server_of(CipherSuite::EcdheEcdsaAes128Ccm8, &[]);
}

#[test]
fn server_x509_in_fragments() {
    server_of(CipherSuite::EcdheEcdsaAes128Ccm8, &["-mtu", "256"]);
}

#[test]
fn server_x509_with_gcm() {
    server_of(CipherSuite::EcdheEcdsaAes128GcmSha256, &[]);
}

#[test]
fn server_x509_with_cbc_and_encrypt_then_mac() {
    assert!(server_of(CipherSuite::EcdheEcdsaAes128CbcSha256, &[]).encrypt_then_mac);
}

#[test]
fn server_x509_with_cbc_and_the_mac_inside() {
    assert!(!server_of(CipherSuite::EcdheEcdsaAes128CbcSha256, &["-no_etm"]).encrypt_then_mac);
}

fn server_resumes(suite: CipherSuite, more: &[&str]) {
    let keys = keys();
    let folder = tempfile::tempdir().expect("a scratch folder");
    let session = folder.path().join("session").display().to_string();
    let mut serving = Serving::start(keys.server(suite));
    let mut first = start("s_client", &keys, serving.address, suite, &[&["-sess_out", &session], more].concat());
    assert!(!serving.established().resumed);
    serving.talk(&mut first);
    first.signal("TERM");
    first.ended();
    let mut second = start("s_client", &keys, serving.address, suite, &[&["-sess_in", &session], more].concat());
    let established = serving.established();
    assert!(established.resumed);
    assert_eq!(established.peer, keys.client_identity(mode(suite)), "it is known again without having shown anything");
    serving.talk(&mut second);
}

#[test]
fn server_psk_resumes_by_ticket() {
    server_resumes(CipherSuite::PskAes128Ccm8, &[]);
}

#[test]
fn server_psk_resumes_by_id() {
    server_resumes(CipherSuite::PskAes128Ccm8, &["-no_ticket"]);
}

#[test]
fn server_x509_resumes_by_ticket() {
    server_resumes(CipherSuite::EcdheEcdsaAes128Ccm8, &[]);
}

#[test]
fn server_x509_resumes_by_id() {
    server_resumes(CipherSuite::EcdheEcdsaAes128Ccm8, &["-no_ticket"]);
}

#[test]
fn server_with_another_key_refuses() {
    let suite = CipherSuite::PskAes128Ccm8;
    let mut serving = Serving::start_at("127.0.0.1", server_with(suite), b"another secret k");
    let mut openssl = start("s_client", &keys(), serving.address, suite, &[]);
    openssl.say("secret");
    // The client's Finished has come, and was not authentic.
    serving.until("a refused record", |ours| ours.server.counters().unauthentic > 0);
    let end = Instant::now() + Duration::from_secs(3);
    serving.until("a while", |_| Instant::now() > end);
    assert!(serving.handshakes() == 0 && serving.heard().is_empty());
}

#[test]
fn server_of_another_authority_refuses_the_client() {
    let (keys, other, suite) = (keys(), Keys::new(), CipherSuite::EcdheEcdsaAes128Ccm8);
    let mut serving = Serving::start(keys.server(suite));
    let root = keys.authority.root.certificate.to_str().expect("a plain name");
    let mut openssl = start("s_client", &other, serving.address, suite, &["-CAfile", root]);
    // OpenSSL is told; the handshake itself waits until its time-out, since anybody could have sent that certificate.
    let told = |line: &str| line.contains("alert unknown ca").then_some(());
    serving.until("the alert at OpenSSL", |_| openssl.err.within(Duration::ZERO, told).is_some());
    assert_eq!(serving.handshakes(), 0);
}
