use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use lapwing::SecurityMode;
use lapwing::credentials::CertificateType;
use tempfile::TempDir;

use super::*;
use crate::config::{Config, Secret};

/// A certificate with its key, and others, in the formats that OpenSSL writes.
const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../dtls/tests/vectors/x509");

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        for name in
            ["leaf.der", "leaf.key.der", "leaf.pkcs8.pem", "leaf.sec1.pem", "leaf.spki.der", "middle.der", "client.der"]
        {
            fs::copy(Path::new(VECTORS).join(name), files.0.path().join(name)).unwrap();
        }
        files.write("psk.hex", "00112233 44556677\n8899aabb ccddeeff\n");
        files
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.0.path().join(name), content).unwrap();
    }

    fn pem(&self, name: &str, label: &str, sources: &[&str]) {
        let pem = |source: &&str| {
            let content = fs::read(self.0.path().join(source)).unwrap();
            // `openssl` is not needed for this: base64 of 3 bytes at a time.
            let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            let encode = |bytes: &[u8]| {
                let number = bytes.iter().chain(&[0, 0]).take(3).fold(0, |number, byte| number << 8 | u32::from(*byte));
                let digit = |place: usize| match place {
                    place if place <= bytes.len() => char::from(digits[(number >> (18 - 6 * place) & 63) as usize]),
                    _ => '=',
                };
                (0..4).map(digit).collect::<String>()
            };
            let text: Vec<String> = content.chunks(48).map(|line| line.chunks(3).map(encode).collect()).collect();
            format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", text.join("\n"))
        };
        self.write(name, sources.iter().map(pem).collect::<String>());
    }

    fn config(&self, text: &str) -> Config {
        Config::parse(&format!("server = 'coaps://h'\n{text}"), self.0.path()).unwrap()
    }

    fn load(&self, text: &str) -> Security {
        self.config(text).accounts(300).unwrap().servers.remove(0).security
    }

    fn error(&self, text: &str) -> String {
        let error = self.config(text).accounts(300).unwrap_err().to_string();
        error.replace(self.0.path().to_str().unwrap(), "DIR")
    }
}

const PSK: &str = "psk-identity = 'gw'\npsk-key-file = 'psk.hex'\n";

#[test]
fn a_pre_shared_key_comes_from_a_file_or_the_text_itself() {
    let files = Files::new();
    let key = (0..16).map(|number| number * 0x11).collect::<Vec<u8>>();
    let expected = Security::psk("gw", key).unwrap();
    assert_eq!(files.load(PSK), expected);
    let given = "psk-identity = 'gw'\npsk-key = '00112233445566778899aabbCCDDEEFF'\n";
    assert_eq!(files.load(given), expected);
    let more = "sni = 'name'\ncipher-suites = ['TLS_PSK_WITH_AES_128_CBC_SHA256']\n";
    let security = files.load(&format!("{PSK}{more}"));
    assert_eq!(security, expected.sni("name").suites([CipherSuite::PskAes128CbcSha256]));
}

#[test]
fn keys_and_certificates_are_read_as_pem_and_as_der() {
    let files = Files::new();
    files.pem("chain.pem", "CERTIFICATE", &["leaf.der", "middle.der"]);
    files.pem("server.pem", "CERTIFICATE", &["client.der"]);
    for (cert, key, sent) in
        [("leaf.der", "leaf.key.der", 1), ("leaf.der", "leaf.sec1.pem", 1), ("chain.pem", "leaf.pkcs8.pem", 2)]
    {
        for server in ["client.der", "server.pem"] {
            let text = format!("cert = '{cert}'\nkey = '{key}'\nserver-cert = '{server}'\nserver-cert-usage = 1\n");
            let SecurityMode::Certificate { identity, usage, server } = files.load(&text).mode else {
                panic!("{text}")
            };
            assert_eq!((identity.to_send().count(), identity.certificate_type()), (sent, CertificateType::X509));
            assert_eq!(usage, CertificateUsage::ServiceCertificateConstraint);
            assert_eq!(server, exact(fs::read(files.0.path().join("client.der")).unwrap()));
        }
    }
    assert_eq!(files.config("ca = 'chain.pem'").trust_anchors().unwrap().len(), 2);
}

#[test]
fn a_key_without_a_certificate_is_a_raw_public_key() {
    let files = Files::new();
    files.pem("server-key.pem", "PUBLIC KEY", &["leaf.spki.der"]);
    for server in ["leaf.spki.der", "server-key.pem"] {
        let security = files.load(&format!("key = 'leaf.pkcs8.pem'\nserver-key = '{server}'\n"));
        let SecurityMode::RawPublicKey { identity, server } = security.mode else { panic!("{security:?}") };
        let spki = fs::read(files.0.path().join("leaf.spki.der")).unwrap();
        assert_eq!((identity.to_send().next(), server), (Some(&spki[..]), exact(spki.clone())));
    }
}

#[test]
fn what_cannot_be_used_is_told_with_its_key_and_file() {
    let files = Files::new();
    files.write("odd.hex", "123");
    files.write("empty", "");
    files.write("junk.pem", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n");
    let hex = "expected the key in hexadecimal, such as 32 digits for 16 bytes";
    for (text, expected) in [
        ("psk-identity = 'gw'\npsk-key-file = 'odd.hex'", format!("`psk-key-file` = DIR/odd.hex: {hex}")),
        ("psk-identity = 'gw'\npsk-key-file = 'empty'", format!("`psk-key-file` = DIR/empty: {hex}")),
        ("psk-identity = 'gw'\npsk-key = '0x12'", format!("`psk-key`: {hex}")),
        ("psk-identity = 'gw'\npsk-key-file = 'none'", "`psk-key-file`: cannot read DIR/none: No such file or directory (os error 2)".into()),
        ("psk-identity = 'gw'", "`psk-identity` needs `psk-key-file` beside it".into()),
        ("psk-key-file = 'psk.hex'", "`psk-key` needs `psk-identity` beside it".into()),
        ("", "coaps://h needs `psk-identity` and `psk-key-file`; or `key`, `cert` and `server-cert`; or `key` and `server-key`".into()),
        ("cert = 'leaf.der'", "`cert` needs `key` beside it".into()),
        ("key = 'leaf.key.der'", "`key` needs `server-key` beside it".into()),
        ("key = 'leaf.key.der'\ncert = 'leaf.der'", "`cert` needs `server-cert` beside it".into()),
        ("key = 'leaf.key.der'\nserver-cert = 'leaf.der'", "`server-cert` needs `cert` beside it".into()),
        ("key = 'leaf.der'\nserver-key = 'leaf.spki.der'", format!("`key` = DIR/leaf.der: expected {PRIVATE_KEY_EXPECTED}")),
        ("key = 'leaf.key.der'\nserver-key = 'leaf.der'", "`server-key` = DIR/leaf.der: expected a public key on P-256 (SubjectPublicKeyInfo) in PEM or DER".into()),
        ("key = 'leaf.key.der'\ncert = 'junk.pem'\nserver-cert = 'leaf.der'", "`cert` = DIR/junk.pem: expected certificates in PEM, or one in DER".into()),
        ("key = 'leaf.key.der'\ncert = 'client.der'\nserver-cert = 'leaf.der'", "`cert` = DIR/client.der: expected certificates of the key in `key` (the private key does not belong to the certificate)".into()),
        ("factory-bootstrap = 'x'", "`factory-bootstrap` and `server` exclude each other".into()),
    ] {
        assert_eq!(files.error(text), expected, "{text}");
    }
    let both = format!("{PSK}key = 'leaf.key.der'\n");
    assert_eq!(files.error(&both), "`key` and `psk-identity` exclude each other");
    let both = format!("{PSK}server-cert = 'leaf.der'\n");
    assert_eq!(files.error(&both), "`psk-identity` and `server-cert` exclude each other");
    let plain = Config::parse(&format!("server = 'coap://h'\n{PSK}"), files.0.path()).unwrap();
    let error = plain.accounts(300).unwrap_err().to_string();
    assert_eq!(error, "`psk-identity` has no use with coap://h, which is plain CoAP: did you mean coaps://?");
}

#[test]
fn a_layer_goes_before_another_value_by_value() {
    let above = SecurityConfig { psk_key: Some(SecretSource::Given(Secret::new("00"))), ..SecurityConfig::default() };
    let below = SecurityConfig {
        psk_identity: Some("gw".into()),
        psk_key: Some(SecretSource::File("x".into())),
        ..SecurityConfig::default()
    };
    let both = SecurityConfig { psk_identity: Some("gw".into()), ..above.clone() };
    assert_eq!(above.or(below), both);
}

/// What is logged is looked at by the tests of the command.
#[test]
fn the_mode_of_a_secret_file_does_not_keep_it_from_use() {
    let files = Files::new();
    for mode in [0o600, 0o644] {
        fs::set_permissions(files.0.path().join("psk.hex"), fs::Permissions::from_mode(mode)).unwrap();
        assert!(files.load(PSK).is_secure());
    }
}
