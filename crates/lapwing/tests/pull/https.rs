//! HTTPS: which servers are believed, and what they are shown.

use std::sync::Arc;

use lapwing::transfer::{Cause, HttpsIdentity, PullConfig, Puller};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;

use super::common::http_server::{File, Server};
use super::common::{Got, all, body, config};

const AUTHORITY: &[u8] = include_bytes!("keys/authority.pem");
const SERVER: &[u8] = include_bytes!("keys/server.pem");
const SELF_SIGNED: &[u8] = include_bytes!("keys/self-signed.pem");
const SERVER_KEY: &[u8] = include_bytes!("keys/server.key.pem");
const CLIENT: &[u8] = include_bytes!("keys/client.pem");
const CLIENT_KEY: &[u8] = include_bytes!("keys/client.key.pem");

fn certificate(pem: &[u8]) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem).unwrap()
}

fn believing() -> PullConfig {
    let mut config = config();
    config.authorities = vec![certificate(AUTHORITY).to_vec()];
    config
}

fn tls(own: &[u8], ask: bool) -> Arc<rustls::ServerConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = if ask {
        let mut roots = RootCertStore::empty();
        roots.add(certificate(AUTHORITY)).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        builder.with_client_cert_verifier(verifier.build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let key = PrivateKeyDer::from_pem_slice(SERVER_KEY).unwrap();
    Arc::new(builder.with_single_cert(vec![certificate(own)], key).unwrap())
}

fn serving(tls: Arc<rustls::ServerConfig>) -> (Arc<File>, Server) {
    let file = File::new(body(300_000, 20), Some("\"t\""));
    let given = Arc::clone(&file);
    (file, Server::with_tls(Some(tls), move |request, out| given.give(request, out, None)))
}

async fn pull(config: PullConfig, server: &Server) -> (Got, Result<(), Cause>) {
    all(Puller::new(config).pull(server.uri("/image").replace("http:", "https:").parse().unwrap(), None, None)).await
}

#[tokio::test]
async fn a_configured_authority_is_believed() {
    let (file, server) = serving(tls(SERVER, false));
    let (got, result) = pull(believing(), &server).await;
    assert_eq!(result, Ok(()));
    assert!(got.body == file.body);
}

#[tokio::test]
async fn a_self_signed_certificate_is_refused_and_the_reason_told() {
    let mut system = believing();
    system.system_authorities = true;
    for config in [believing(), config(), system] {
        let (_, server) = serving(tls(SELF_SIGNED, false));
        let cause = pull(config, &server).await.1.unwrap_err();
        assert_eq!((cause.firmware_result(), cause.software_result(), server.asked()), (4, 52, 0));
        assert_eq!(
            cause.to_string(),
            "the server's certificate is not believed: it is self-signed, or of an authority that is neither the \
             system's nor a configured one"
        );
    }
}

#[tokio::test]
async fn a_certificate_for_another_host_is_refused() {
    let (_, server) = serving(tls(SERVER, false));
    let uri = format!("https://127.0.0.2:{}/", server.address.port());
    // Linux has all of 127/8 on the loopback, but the server listens at one address.
    let forward = std::net::TcpListener::bind("127.0.0.2:0").unwrap();
    let uri = uri.replace(&server.address.port().to_string(), &forward.local_addr().unwrap().port().to_string());
    let to = server.address;
    std::thread::spawn(move || {
        let (near, far) = (forward.accept().unwrap().0, std::net::TcpStream::connect(to).unwrap());
        let (mut from, mut back) = (near.try_clone().unwrap(), far.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut from, &mut &far));
        std::io::copy(&mut back, &mut &near)
    });
    let cause = all(Puller::new(believing()).pull(uri.parse().unwrap(), None, None)).await.1.unwrap_err();
    assert!(matches!(&cause, Cause::Certificate(why) if why.contains("NotValidForName")), "{cause}");
}

#[tokio::test]
async fn a_server_that_asks_is_shown_a_certificate() {
    let (file, server) = serving(tls(SERVER, true));
    let mut config = believing();
    assert!(pull(config.clone(), &server).await.1.is_err());
    config.https_identity = Some(HttpsIdentity::from_pem(CLIENT, CLIENT_KEY).unwrap());
    let (got, result) = pull(config, &server).await;
    assert_eq!(result, Ok(()));
    assert!(got.body == file.body);
}

#[test]
fn a_key_of_another_certificate_is_refused_when_it_is_configured() {
    let wrong = HttpsIdentity::from_pem(CLIENT, SERVER_KEY);
    assert!(matches!(wrong, Err(Cause::Configuration(_))), "{wrong:?}");
    assert!(HttpsIdentity::from_pem(b"", CLIENT_KEY).is_err());
    assert!(HttpsIdentity::from_pem(CLIENT, b"").is_err());
}

#[tokio::test]
async fn is_not_sent_from_https_to_http() {
    let plain = Server::start(|_, _| Ok(()));
    let away = plain.uri("/");
    let server = Server::with_tls(Some(tls(SERVER, false)), move |_, out| {
        write!(out, "HTTP/1.1 302 Away\r\nLocation: {away}\r\nContent-Length: 0\r\n\r\n")
    });
    let cause = pull(believing(), &server).await.1.unwrap_err();
    assert!(matches!(cause, Cause::Refused(_)), "{cause}");
    assert_eq!(plain.asked(), 0);
}

#[tokio::test]
async fn a_server_without_tls_is_told() {
    let server = Server::start(|_, out| write!(out, "HTTP/1.1 400 No\r\n\r\n"));
    let mut config = believing();
    config.give_up = std::time::Duration::from_millis(700);
    assert!(pull(config, &server).await.1.is_err());
}
