//! What must hold for any bytes that come as the body of a Certificate message. The fuzzer and the stable tests call the same function.

use std::time::Duration;

use lapwing_dtls::credentials::{
    CertificateTrust, CertificateType, CertificateUsage, ClientTrust, MatchingType, PeerName, Pinned, ServerTrust,
    UnknownTime, common_name,
};
use lapwing_dtls::handshake::Certificates;

/// The certificates that the corpus was made with.
const ROOT: &[u8] = include_bytes!("../../crates/dtls/tests/vectors/x509/root.der");
const LEAF: &[u8] = include_bytes!("../../crates/dtls/tests/vectors/x509/leaf.der");

/// What the root, or who it trusts, has signed of what is in the corpus.
const SIGNED: [&[u8]; 4] = [
    LEAF,
    include_bytes!("../../crates/dtls/tests/vectors/x509/client.der"),
    include_bytes!("../../crates/dtls/tests/vectors/x509/leaf-ip-cn.der"),
    include_bytes!("../../crates/dtls/tests/vectors/x509/leaf-ip-uri.der"),
];

/// The middle of 2030.
const TIME: Option<Duration> = Some(Duration::from_secs(1_910_000_000));

pub(crate) fn check(body: &[u8]) {
    if let Some(Certificates::RawPublicKey(key)) = Certificates::parse(body, CertificateType::RawPublicKey) {
        let pinned = Pinned { matching: MatchingType::Exact, data: key.to_vec() };
        let believed = ServerTrust::RawPublicKey(pinned).verify(&[key], None);
        let clients = ClientTrust { raw_public_keys: true, ..ClientTrust::default() };
        let known = clients.verify(CertificateType::RawPublicKey, &[key], None);
        assert_eq!(believed, known, "a key that can be read is pinned");
    }
    let Some(Certificates::X509(chain)) = Certificates::parse(body, CertificateType::X509) else { return };
    let chain: Vec<&[u8]> = chain.iter().collect();
    let name = chain.first().and_then(|own| common_name(own));
    assert!(name.is_none_or(|name| name.len() <= body.len() * 3));
    for usage in 0..4 {
        for name in ["lwm2m.example", "192.0.2.7", "2001:db8::1"] {
            let trust = CertificateTrust {
                usage: CertificateUsage::from_number(usage).expect("one of four"),
                pinned: Pinned {
                    matching: MatchingType::Exact,
                    data: if usage % 2 == 0 { ROOT } else { LEAF }.to_vec(),
                },
                anchors: vec![ROOT.to_vec()],
                name: Some(PeerName::new(name)),
                unknown_time: UnknownTime::Skip,
            };
            let known = trust.verify(&chain, TIME);
            let unknown = trust.verify(&chain, None);
            // Whatever is believed at a time is believed while the time is unknown; and only the pinned one is.
            assert!(known.is_err() || unknown.is_ok());
            assert!(usage % 2 == 0 || known.is_err() || chain.first() == Some(&LEAF));
        }
    }
    let clients = ClientTrust { anchors: vec![ROOT.to_vec()], ..ClientTrust::default() };
    let believed = clients.verify(CertificateType::X509, &chain, TIME);
    assert!(believed.is_err() || chain.first().is_some_and(|own| SIGNED.contains(own)), "a change was not found");
}
