//! libcoap's `coap-client` and `coap-server`, on each TLS library that Debian builds it with. It chooses the suites itself.

use std::{
    net::{SocketAddr, UdpSocket},
    process::Command,
};

use bed::Process;
use lapwing_dtls::{CipherSuite, ClientConfig, Established};

use crate::{
    keys::{Keys, Mode, keys},
    ours::{End, IDENTITY, KEY, Ours, Serving, free, says},
};

/// The options that name an end's key.
fn credentials(command: &mut Command, keys: &Keys, server: bool, mode: Mode) {
    let own = if server { &keys.server } else { &keys.client };
    match mode {
        Mode::Psk => {
            command.args(["-k", std::str::from_utf8(KEY).expect("the key is text")]);
            command.args(if server { &[][..] } else { &["-u", IDENTITY] });
        }
        Mode::RawPublicKey => {
            command.arg("-M").arg(own.both_pem());
        }
        Mode::X509 => {
            command.arg("-c").arg(&own.certificate).arg("-j").arg(&own.private_pem);
            command.arg("-C").arg(&keys.authority.root.certificate);
        }
    }
}

/// An address on loopback whose port, and the one below it, nobody has.
fn free_pair() -> SocketAddr {
    bed::eventually("two free ports", || {
        let address = free();
        UdpSocket::bind(("127.0.0.1", address.port() - 1)).is_ok().then_some(address)
    })
}

/// Our client, which offers every suite of its mode, at `coap-server`.
fn client_of(program: &str, mode: Mode) -> Established {
    let (keys, address) = (keys(), free_pair());
    let mut command = Command::new(program);
    // It listens for DTLS one port above the one that it is given.
    command.args(["-A", "127.0.0.1", "-p", &(address.port() - 1).to_string()]);
    credentials(&mut command, &keys, true, mode);
    let _process = Process::start(&mut command);
    let mut ours = Ours::connect(address, any(keys.client(mode, CipherSuite::PskAes128Ccm8)), None);
    let established = ours.established();
    ours.ping();
    // GET /.well-known/core, Non-confirmable.
    ours.send(b"\x50\x01\x00\x01\xbb.well-known\x04core");
    ours.until("its resources", |ours| String::from_utf8_lossy(ours.heard()).contains("</time>"));
    established
}

/// Every suite: those that do not go with the credentials are left out.
fn any(mut config: ClientConfig) -> ClientConfig {
    config.suites = CipherSuite::ALL.to_vec();
    config
}

#[test]
fn client_psk_of_its_server_on_openssl() {
    assert_eq!(client_of("coap-server-openssl", Mode::Psk).suite, CipherSuite::PskAes128Ccm8);
}

#[test]
fn client_psk_of_its_server_on_gnutls() {
    assert_eq!(client_of("coap-server-gnutls", Mode::Psk).suite, CipherSuite::PskAes128Ccm8);
}

#[test]
fn client_x509_of_its_server_on_openssl() {
    assert_eq!(client_of("coap-server-openssl", Mode::X509).suite, CipherSuite::EcdheEcdsaAes128Ccm8);
}

#[test]
fn client_x509_of_its_server_on_gnutls() {
    assert_eq!(client_of("coap-server-gnutls", Mode::X509).suite, CipherSuite::EcdheEcdsaAes128Ccm8);
}

#[test]
fn client_raw_public_key_of_its_server_on_gnutls() {
    assert_eq!(client_of("coap-server-gnutls", Mode::RawPublicKey).suite, CipherSuite::EcdheEcdsaAes128Ccm8);
}

/// `coap-client` at our server, which answers its GET.
fn server_of(program: &str, mode: Mode) -> Established {
    let keys = keys();
    let mut config = keys.server(CipherSuite::PskAes128Ccm8);
    config.suites = CipherSuite::ALL.to_vec();
    let mut serving = Serving::start(config);
    let mut command = Command::new(program);
    credentials(&mut command, &keys, false, mode);
    // The name that it looks for in the certificate.
    let uri = format!("coaps://localhost:{}/greeting", serving.address.port());
    let mut client = Process::start(command.args(["-a", "127.0.0.1", "-B", "10", "-w", &uri]));
    let established = serving.established();
    assert_eq!(established.peer, keys.client_identity(mode));
    serving.until("a request", |ours| !ours.heard().is_empty());
    let request = std::mem::take(serving.heard());
    assert_eq!((request[0] & 0xf0, request[1]), (0x40, 1), "a Confirmable GET");
    let token = usize::from(request[0] & 0x0f);
    let answer = [&[0x60 | request[0] & 0x0f, 0x45, request[2], request[3]], &request[4..4 + token], b"\xffhello"];
    serving.send(&answer.concat());
    serving.until("the answer at libcoap", |_| says(&mut client, "hello"));
    established
}

#[test]
fn server_psk_of_its_client_on_openssl() {
    assert_eq!(server_of("coap-client-openssl", Mode::Psk).suite, CipherSuite::PskAes128Ccm8);
}

#[test]
fn server_psk_of_its_client_on_gnutls() {
    assert_eq!(server_of("coap-client-gnutls", Mode::Psk).suite, CipherSuite::PskAes128Ccm8);
}

#[test]
fn server_x509_of_its_client_on_openssl() {
    assert_eq!(server_of("coap-client-openssl", Mode::X509).suite, CipherSuite::EcdheEcdsaAes128Ccm8);
}

#[test]
fn server_x509_of_its_client_on_gnutls() {
    assert_eq!(server_of("coap-client-gnutls", Mode::X509).suite, CipherSuite::EcdheEcdsaAes128Ccm8);
}
