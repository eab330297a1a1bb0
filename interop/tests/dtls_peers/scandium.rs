//! Scandium, Californium's DTLS, inside Leshan's peers: 4.0.0-M6 in the server and the client, 3.12 in the bootstrap server. It has
//! every suite of LwM2M and Connection ID, resumes by id, and has neither tickets nor encrypt-then-MAC.

use std::sync::{Arc, LazyLock};

use bed::{
    hex,
    leshan::{self, Credentials, Options},
};
use lapwing_dtls::{CipherSuite, ClientConfig, Established, ServerConfig, credentials::PeerIdentity};

use crate::{
    keys::{Keys, Mode, keys},
    ours::{End, IDENTITY, KEY, Ours, Serving, client_psk},
};

const CONNECTION_ID: usize = 6;

fn server(options: Options<'_>, bootstrap: bool) -> leshan::Server {
    let start = if bootstrap { leshan::Server::bootstrap } else { leshan::Server::start };
    let server = start("127.0.0.1", Options { connection_id: Some(6), ..options });
    server.allow_psk("any", IDENTITY, &hex(KEY));
    server
}

/// A server that all tests share, and the keys it was started with.
struct Shared {
    server: leshan::Server,
    keys: Arc<Keys>,
}

impl Shared {
    fn start(bootstrap: bool) -> Self {
        let keys = keys();
        let root = &keys.authority.root.certificate;
        let server = server(Options { keys: Some((&keys.server, root)), ..Options::default() }, bootstrap);
        Self { server, keys }
    }
}

static SCANDIUM: LazyLock<Shared> = LazyLock::new(|| Shared::start(false));
static SCANDIUM_3: LazyLock<Shared> = LazyLock::new(|| Shared::start(true));

fn connect(server: &leshan::Server, config: ClientConfig) -> Established {
    let mut ours = Ours::connect(([127, 0, 0, 1], server.coaps).into(), config, None);
    let established = ours.established();
    ours.ping();
    established
}

#[test]
fn client_psk_with_ccm_8_and_a_connection_id() {
    for Shared { server, .. } in [&*SCANDIUM, &*SCANDIUM_3] {
        let established = connect(server, client_psk(CipherSuite::PskAes128Ccm8));
        assert!(established.extended_master_secret);
        assert_eq!(established.peer_connection_id.as_bytes().len(), CONNECTION_ID);
        assert!(established.own_connection_id.as_bytes().is_empty());
    }
}

#[test]
fn client_psk_with_connection_ids_in_both_directions() {
    for Shared { server, .. } in [&*SCANDIUM, &*SCANDIUM_3] {
        for suite in [CipherSuite::PskAes128Ccm8, CipherSuite::PskAes128CbcSha256] {
            let mut config = client_psk(suite);
            config.connection_id = Some(4);
            assert_eq!(connect(server, config).own_connection_id.as_bytes().len(), 4);
        }
    }
}

#[test]
fn client_psk_with_cbc_and_the_mac_inside() {
    for Shared { server, .. } in [&*SCANDIUM, &*SCANDIUM_3] {
        let mut config = client_psk(CipherSuite::PskAes128CbcSha256);
        config.connection_id = None;
        let established = connect(server, config);
        assert!(!established.encrypt_then_mac && established.peer_connection_id.as_bytes().is_empty());
    }
}

#[test]
fn client_of_a_server_without_extended_master_secret() {
    let options = Options { without_extended_master_secret: true, ..Options::default() };
    let server = server(options, false);
    assert!(!connect(&server, client_psk(CipherSuite::PskAes128Ccm8)).extended_master_secret);
}

#[test]
fn client_psk_resumes_by_id() {
    for Shared { server, .. } in [&*SCANDIUM, &*SCANDIUM_3] {
        let address = ([127, 0, 0, 1], server.coaps).into();
        let mut first = Ours::connect(address, client_psk(CipherSuite::PskAes128Ccm8), None);
        assert!(!first.established().resumed);
        first.ping();
        let session = first.client.session().cloned().expect("a session to resume");
        // Not closed: Scandium forgets a session with its closure.
        drop(first);
        let mut second = Ours::connect(address, client_psk(CipherSuite::PskAes128Ccm8), Some(session));
        assert!(second.established().resumed);
        second.ping();
    }
}

const ECDHE: [CipherSuite; 3] =
    [CipherSuite::EcdheEcdsaAes128Ccm8, CipherSuite::EcdheEcdsaAes128GcmSha256, CipherSuite::EcdheEcdsaAes128CbcSha256];

fn client_with_every_suite(mode: Mode) {
    for Shared { server, keys } in [&*SCANDIUM, &*SCANDIUM_3] {
        for suite in ECDHE {
            let established = connect(server, keys.client(mode, suite));
            assert_eq!(established.suite, suite);
            assert!(established.extended_master_secret && !established.encrypt_then_mac);
            assert_eq!(established.peer_connection_id.as_bytes().len(), CONNECTION_ID);
        }
    }
}

#[test]
fn client_x509_with_every_suite_and_a_connection_id() {
    client_with_every_suite(Mode::X509);
}

#[test]
fn client_raw_public_key_with_every_suite_and_a_connection_id() {
    client_with_every_suite(Mode::RawPublicKey);
}

/// Leshan's client at our server: its Register comes, is answered, and a ping is answered by it.
fn server_of(credentials: Credentials<'_>, config: ServerConfig, more: &[&str]) -> Established {
    let mut serving = Serving::start(config);
    let uri = format!("coaps://{}", serving.address);
    let more: Vec<String> = more.iter().map(|&argument| argument.to_owned()).collect();
    let _client = leshan::client(&uri, "any", credentials, &more);
    let established = serving.established();
    serving.until("a request", |ours| !ours.heard().is_empty());
    let request = std::mem::take(serving.heard());
    assert_eq!((request[0] & 0xf0, request[1]), (0x40, 2), "a Confirmable POST");
    let token = usize::from(request[0] & 0x0f);
    let answer = [&[0x60 | request[0] & 0x0f, 0x41, request[2], request[3]], &request[4..4 + token], b"\x82rd\x011"];
    serving.send(&answer.concat());
    serving.ping();
    established
}

fn psk_server_of(suites: &str, config: ServerConfig, more: &[&str]) -> Established {
    let (key, suites) = (hex(KEY), format!("suites={suites}"));
    let established = server_of(Credentials::Psk(IDENTITY, &key), config, &[&[suites.as_str()], more].concat());
    assert_eq!(established.peer, PeerIdentity::Psk(IDENTITY.into()));
    established
}

#[test]
fn server_psk_with_ccm_8_and_connection_ids() {
    let established = psk_server_of("TLS_PSK_WITH_AES_128_CCM_8", ServerConfig::default(), &["cid=3"]);
    assert_eq!(established.suite, CipherSuite::PskAes128Ccm8);
    assert!(established.extended_master_secret);
    assert_eq!(established.peer_connection_id.as_bytes().len(), 3);
    assert_eq!(established.own_connection_id.as_bytes().len(), CONNECTION_ID);
}

#[test]
fn server_psk_with_cbc_and_the_mac_inside() {
    let mut config = ServerConfig::default();
    config.connection_id = None;
    let established = psk_server_of("TLS_PSK_WITH_AES_128_CBC_SHA256", config, &[]);
    assert_eq!(established.suite, CipherSuite::PskAes128CbcSha256);
    assert!(!established.encrypt_then_mac && established.own_connection_id.as_bytes().is_empty());
}

#[test]
fn server_of_a_client_without_extended_master_secret() {
    let established = psk_server_of("TLS_PSK_WITH_AES_128_CCM_8", ServerConfig::default(), &["cid=0", "ems=none"]);
    assert!(!established.extended_master_secret);
    assert!(established.peer_connection_id.as_bytes().is_empty());
    assert_eq!(established.own_connection_id.as_bytes().len(), CONNECTION_ID);
}

fn server_with_every_suite(mode: Mode) {
    let keys = keys();
    for suite in ECDHE {
        let name = match suite {
            CipherSuite::EcdheEcdsaAes128Ccm8 => "TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8",
            CipherSuite::EcdheEcdsaAes128GcmSha256 => "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
            _ => "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
        };
        let credentials = match mode {
            Mode::X509 => Credentials::Certificate(&keys.client, &keys.server),
            _ => Credentials::RawPublicKey(&keys.client, &keys.server),
        };
        let established = server_of(credentials, keys.server(suite), &["cid=3", &format!("suites={name}")]);
        assert_eq!((established.suite, established.peer), (suite, keys.client_identity(mode)));
        assert_eq!(established.peer_connection_id.as_bytes().len(), 3);
    }
}

#[test]
fn server_x509_with_every_suite_and_connection_ids() {
    server_with_every_suite(Mode::X509);
}

#[test]
fn server_raw_public_key_with_every_suite_and_connection_ids() {
    server_with_every_suite(Mode::RawPublicKey);
}
