//! CoAP: parts, refusals and lost servers (RFC 7959), and coaps: whose credentials are used.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lapwing::Security;
use lapwing::credentials::{Identity, PrivateKey, Psk};
use lapwing::transfer::{Cause, Credentials, Loan, Part, PullConfig, Puller, Restart};
use lapwing_coap::Code;
use lapwing_dtls::ServerConfig;
use lapwing_dtls::credentials::ClientTrust;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::common::coap_server::{File, Trouble, serve, serve_at, serve_secure};
use super::common::{Got, all, body, config};

#[tokio::test]
async fn brings_a_file_of_any_length() {
    for length in [1, 1023, 1024, 1025, 65_536, 3_000_001] {
        let file = File::new(body(length, 1), b"one", vec![]);
        let uri = format!("coap://{}/a%20b/image?x=1&y=%26", serve(&file));
        let (got, result) = all(Puller::new(config()).pull(uri.parse().unwrap(), None, None)).await;
        assert_eq!(result, Ok(()));
        assert!(got.body == file.body);
        assert_eq!(got.head.unwrap().size, Some(length as u64));
        assert_eq!(*file.uris.lock().unwrap(), ["a b|image?x=1|y=&"]);
        // What a busy machine loses on the way is asked for again: at most a window, which has at most the fetch's buffer.
        let window = length.clamp(4096, 1 << 20);
        assert!(file.given() <= length + window, "{} bytes given of {length}", file.given());
    }
}

#[tokio::test]
async fn goes_on_with_a_part_from_the_same_port() {
    let file = File::new(body(2_000_000, 2), b"two", vec![]);
    let address = serve(&file);
    let uri = || format!("coap://{address}/image").parse().unwrap();
    let mut got = Got::default();
    for until in [1, 1_000, 300_000, 1_999_000, usize::MAX] {
        let part = got.head.is_some().then(|| got.part());
        let mut pull = Puller::new(config()).pull(uri(), None, part);
        got.pull(&mut pull, until).await.unwrap();
    }
    assert!(got.body == file.body);
    assert_eq!(got.restarts, []);
    assert_eq!(file.from.lock().unwrap().len(), 1, "another port was used");
    // What was under way at a cut is lost: a window, which has at most the fetch's buffer.
    assert!(file.given() <= 2_000_000 + 4 * (1 << 20), "{} bytes given", file.given());
}

#[tokio::test]
async fn starts_over_when_the_part_may_be_another_files() {
    for (etag, why) in [(&b"new"[..], Restart::Changed), (b"", Restart::NoEtag)] {
        let file = File::new(body(50_000, 3), etag, vec![]);
        let mut part = Part::default();
        (part.offset, part.etag) = (10_240, Some(b"old".to_vec()));
        let mut got = Got { body: vec![7; 10_240], ..Got::default() };
        let uri = format!("coap://{}/image", serve(&file));
        let mut pull = Puller::new(config()).pull(uri.parse().unwrap(), None, Some(part));
        got.pull(&mut pull, usize::MAX).await.unwrap();
        assert!(got.body == file.body);
        assert_eq!(got.restarts, [why]);
    }
}

#[tokio::test]
async fn goes_on_after_resets_and_a_server_that_was_away() {
    let reset = Trouble::Reset;
    let file = File::new(body(500_000, 4), b"four", vec![(50, reset), (200, reset), (300, reset)]);
    let uri = format!("coap://{}/image", serve(&file));
    let (got, result) = all(Puller::new(config()).pull(uri.parse().unwrap(), None, None)).await;
    assert_eq!(result, Ok(()));
    assert!(got.body == file.body);
    assert_eq!(got.restarts, []);
    assert!(!got.lost.is_empty());

    // Nobody listens at first.
    let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let file = File::new(body(5_000, 5), b"five", vec![]);
    let late = Arc::clone(&file);
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(300));
        serve_at(&late, UdpSocket::bind(free).unwrap());
    });
    let uri = format!("coap://{free}/image");
    let (got, result) = all(Puller::new(config()).pull(uri.parse().unwrap(), None, None)).await;
    assert_eq!(result, Ok(()));
    assert!(got.body == file.body && !got.lost.is_empty());
}

#[tokio::test]
async fn refusals_are_told_apart() {
    for (code, result) in [(Code::NOT_FOUND, 7), (Code::FORBIDDEN, 4), (Code::INTERNAL_SERVER_ERROR, 4)] {
        let file = File::new(body(10, 6), b"six", vec![(0, Trouble::Refuse(code))]);
        let uri = format!("coap://{}/image", serve(&file));
        let cause = all(Puller::new(config()).pull(uri.parse().unwrap(), None, None)).await.1.unwrap_err();
        assert_eq!(cause.firmware_result(), result, "{cause}");
    }
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let file = File::new(body(500_000, 7), b"seven", vec![(100, Trouble::Silence)]);
    let mut config = config();
    config.give_up = Duration::from_secs(1);
    let uri = format!("coap://{}/image", serve(&file));
    let began = Instant::now();
    let (got, result) = all(Puller::new(config).pull(uri.parse().unwrap(), None, None)).await;
    assert!(matches!(result, Err(Cause::GaveUp { .. })), "{result:?}");
    assert!((1000..4000).contains(&began.elapsed().as_millis()));
    assert!(file.body.starts_with(&got.body) && got.body.len() > 10_000);
}

#[tokio::test]
async fn keeps_to_its_bandwidth() {
    let file = File::new(body(200_000, 8), b"eight", vec![]);
    let mut config = config();
    config.max_rate = Some(200_000);
    let uri = format!("coap://{}/image", serve(&file));
    let began = Instant::now();
    let (got, _) = all(Puller::new(config).pull(uri.parse().unwrap(), None, None)).await;
    assert!(got.body == file.body);
    assert!((600..3000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
}

/// One account.
struct Account(u16, Security);

impl Credentials for Account {
    fn lend(&self, host: &str, port: u16) -> Loan {
        match (host, port) == ("127.0.0.1", self.0) {
            true => Loan::Granted(Box::new(self.1.clone())),
            false => Loan::Refused,
        }
    }
}

fn lending(port: u16, security: Security) -> PullConfig {
    let mut config = config();
    config.credentials = Some(Arc::new(Account(port, security)));
    config
}

async fn secure(config: PullConfig, port: u16) -> (Got, Result<(), Cause>) {
    all(Puller::new(config).pull(format!("coaps://127.0.0.1:{port}/image").parse().unwrap(), None, None)).await
}

#[tokio::test]
async fn an_account_lends_its_key_to_its_own_server_only() {
    let file = File::new(body(300_000, 10), b"ten", vec![]);
    let psk = Psk::new("gateway", *b"sixteen secret b").unwrap();
    let port = serve_secure(&file, ServerConfig::default(), |server| server.add_psk(psk)).port();
    let security = Security::psk("gateway", *b"sixteen secret b").unwrap();
    let (got, result) = secure(lending(port, security.clone()), port).await;
    assert_eq!(result, Ok(()));
    assert!(got.body == file.body);
    assert_eq!(secure(lending(port + 1, security), port).await.1, Err(Cause::NoCredentials));
    assert_eq!(secure(config(), port).await.1, Err(Cause::NoCredentials));
}

fn pem(name: &[u8]) -> Vec<u8> {
    CertificateDer::from_pem_slice(name).unwrap().to_vec()
}

fn identity(certificate: &[u8], key: &[u8]) -> Identity {
    let key = PrivateKeyDer::from_pem_slice(key).unwrap();
    Identity::certificates(vec![pem(certificate)], PrivateKey::from_der(key.secret_der()).unwrap()).unwrap()
}

#[tokio::test]
async fn without_an_account_configured_authorities_count() {
    let authority = pem(include_bytes!("keys/authority.pem"));
    let file = File::new(body(50_000, 11), b"eleven", vec![]);
    let mut server = ServerConfig::default();
    server.identities.push(identity(include_bytes!("keys/server.pem"), include_bytes!("keys/server.key.pem")));
    server.client_trust = ClientTrust { anchors: vec![authority.clone()], ..ClientTrust::default() };
    let port = serve_secure(&file, server, |_| {}).port();
    let mut config = config();
    config.coaps_identity = Some(identity(include_bytes!("keys/client.pem"), include_bytes!("keys/client.key.pem")));
    // Any one of them will do.
    let other = pem(include_bytes!("keys/self-signed.pem"));
    config.authorities = vec![other.clone(), authority];
    let (got, result) = secure(config.clone(), port).await;
    assert_eq!(result, Ok(()));
    assert!(got.body == file.body);
    config.authorities = vec![other];
    let cause = secure(config, port).await.1.unwrap_err();
    assert!(matches!(&cause, Cause::Certificate(_)), "{cause}");
    assert_eq!(cause.firmware_result(), 4);
}
