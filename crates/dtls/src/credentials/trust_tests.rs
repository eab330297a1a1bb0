//! The certificates are made by `tests/vectors/certificates.py`.

use super::*;
use crate::{
    credentials::{Identity, IdentityError, common_name},
    crypto::PrivateKey,
};

macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!("../../tests/vectors/x509/", $name)).as_slice()
    };
}

const ROOT: &[u8] = file!("root.der");
const OTHER_ROOT: &[u8] = file!("other-root.der");
const MIDDLE: &[u8] = file!("middle.der");
const LEAF: &[u8] = file!("leaf.der");

/// A year's 15 July, about.
fn year(year: u64) -> Option<Duration> {
    Some(Duration::from_secs(((year - 1970) * 36_525 / 100 + 195) * 86_400))
}

fn pinned(matching: MatchingType, der: &[u8]) -> Pinned {
    let data = match matching {
        MatchingType::Exact => der.to_vec(),
        MatchingType::Sha256 => Sha256::digest(der).to_vec(),
        MatchingType::Sha384 => Sha384::digest(der).to_vec(),
        MatchingType::Sha512 => Sha512::digest(der).to_vec(),
    };
    Pinned { matching, data }
}

const MATCHING: [MatchingType; 4] =
    [MatchingType::Exact, MatchingType::Sha256, MatchingType::Sha384, MatchingType::Sha512];

fn trust(usage: u64, pin: &[u8], anchors: &[&[u8]], name: &str) -> CertificateTrust {
    CertificateTrust {
        usage: CertificateUsage::from_number(usage).unwrap(),
        pinned: pinned(MatchingType::Exact, pin),
        anchors: anchors.iter().map(|anchor| anchor.to_vec()).collect(),
        name: Some(PeerName::new(name)),
        unknown_time: UnknownTime::Refuse,
    }
}

/// The error, or `None` where the chain is believed.
fn refusal(trust: &CertificateTrust, chain: &[&[u8]]) -> Option<CertificateError> {
    trust.verify(chain, year(2030)).err()
}

#[test]
fn usage_3_compares_the_certificate_and_nothing_else() {
    // Signed by a CA; self-signed and expired; self-signed and a CA's.
    for own in [LEAF, file!("self-signed.der"), file!("self-signed-ca.der")] {
        for matching in MATCHING {
            let mut trust = trust(3, own, &[], "no.such.name");
            trust.pinned = pinned(matching, own);
            assert_eq!(refusal(&trust, &[own]), None);
            assert_eq!(
                trust.verify(&[own], None).unwrap(),
                Verified { key: names::public_key(own).unwrap(), validity_unchecked: false }
            );
            assert_eq!(refusal(&trust, &[file!("client.der"), own]), Some(CertificateError::NotExpected));
            trust.pinned.data[7] ^= 1;
            assert_eq!(refusal(&trust, &[own]), Some(CertificateError::NotExpected));
            assert_eq!(refusal(&trust, &[]), Some(CertificateError::Missing));
        }
    }
    // A prefix does not match, nor does nothing.
    assert_eq!(refusal(&trust(3, &LEAF[..20], &[], ""), &[LEAF]), Some(CertificateError::NotExpected));
    assert_eq!(refusal(&trust(3, &[], &[], ""), &[LEAF]), Some(CertificateError::NotExpected));
}

#[test]
fn usage_2_takes_the_certificate_as_the_anchor() {
    let chain = [LEAF, MIDDLE];
    assert_eq!(refusal(&trust(2, ROOT, &[], "lwm2m.example"), &chain), None);
    assert_eq!(refusal(&trust(2, MIDDLE, &[], "lwm2m.example"), &[LEAF]), None);
    assert_eq!(refusal(&trust(2, ROOT, &[], "lwm2m.example"), &[LEAF]), Some(CertificateError::UnknownIssuer));
    assert_eq!(refusal(&trust(2, OTHER_ROOT, &[], "lwm2m.example"), &chain), Some(CertificateError::UnknownIssuer));
    // Anchors for the other usages do not count.
    assert_eq!(refusal(&trust(2, OTHER_ROOT, &[ROOT], "lwm2m.example"), &chain), Some(CertificateError::UnknownIssuer));
    for matching in &MATCHING[1..] {
        let mut trust = trust(2, &[], &[], "lwm2m.example");
        trust.pinned = pinned(*matching, ROOT);
        assert_eq!(refusal(&trust, &[LEAF, MIDDLE, ROOT]), None);
        assert_eq!(refusal(&trust, &chain), Some(CertificateError::UnknownIssuer));
        // One that was sent and is not the anchor does not become one.
        assert_eq!(refusal(&trust, &[file!("leaf-by-p384.der"), ROOT]), Some(CertificateError::UnknownIssuer));
    }
}

#[test]
fn usage_1_asks_for_a_path_and_for_the_certificate() {
    let chain = [LEAF, MIDDLE];
    assert_eq!(refusal(&trust(1, LEAF, &[OTHER_ROOT, ROOT], "lwm2m.example"), &chain), None);
    assert_eq!(refusal(&trust(1, LEAF, &[OTHER_ROOT], "lwm2m.example"), &chain), Some(CertificateError::UnknownIssuer));
    assert_eq!(refusal(&trust(1, MIDDLE, &[ROOT], "lwm2m.example"), &chain), Some(CertificateError::NotExpected));
    assert_eq!(refusal(&trust(1, LEAF, &[], "lwm2m.example"), &chain), Some(CertificateError::NoAnchors));
}

#[test]
fn usage_0_asks_for_a_path_through_the_ca() {
    let chain = [LEAF, MIDDLE];
    for matching in MATCHING {
        for (ca, expected) in [
            (ROOT, None),
            (MIDDLE, None),
            (LEAF, Some(CertificateError::NotExpected)),
            (OTHER_ROOT, Some(CertificateError::NotExpected)),
        ] {
            let mut trust = trust(0, &[], &[OTHER_ROOT, ROOT], "lwm2m.example");
            trust.pinned = pinned(matching, ca);
            assert_eq!(refusal(&trust, &chain), expected);
        }
    }
    // A CA that is sent and is not in the path does not count.
    let sent = [LEAF, MIDDLE, file!("middle-late.der")];
    let trust_late = trust(0, file!("middle-late.der"), &[ROOT], "lwm2m.example");
    assert_eq!(refusal(&trust_late, &sent), Some(CertificateError::NotExpected));
    assert_eq!(refusal(&trust(0, MIDDLE, &[], "lwm2m.example"), &chain), Some(CertificateError::NoAnchors));
}

#[test]
fn names_are_checked() {
    let of = |leaf: &[u8], name: &str| refusal(&trust(2, ROOT, &[], name), &[leaf, MIDDLE]);
    let other = Some(CertificateError::OtherName);
    assert_eq!(of(LEAF, "LWM2M.example."), None);
    assert_eq!(of(LEAF, "lwm2m.example.org"), other);
    assert_eq!(of(LEAF, "server"), other, "a common name that is no address does not count");
    assert_eq!(of(LEAF, "127.0.0.1"), other);
    assert_eq!(of(LEAF, "not a name"), other);
    // LwM2M 1.0: an IP literal as common name or in a URI.
    assert_eq!(of(file!("leaf-ip-cn.der"), "127.0.0.1"), None);
    assert_eq!(of(file!("leaf-ip-cn.der"), "127.0.0.2"), other);
    assert_eq!(of(file!("leaf-ip6-cn.der"), "[2001:db8::1]"), None);
    assert_eq!(of(file!("leaf-ip-uri.der"), "192.0.2.7"), None);
    assert_eq!(of(file!("leaf-ip-uri.der"), "192.0.2.8"), other);
    // And the standard way.
    assert_eq!(of(file!("leaf-ip-san.der"), "192.0.2.7"), None);
    assert_eq!(of(file!("leaf-ip-san.der"), "192.0.2.8"), other);
    let unnamed = CertificateTrust { name: None, ..trust(2, ROOT, &[], "") };
    assert_eq!(refusal(&unnamed, &[LEAF, MIDDLE]), None);
}

#[test]
fn validity_counts_where_the_time_is_known() {
    let trust = trust(2, ROOT, &[], "lwm2m.example");
    let chain = [LEAF, MIDDLE];
    assert_eq!(trust.verify(&chain, year(2019)).err(), Some(CertificateError::NotYetValid));
    assert_eq!(trust.verify(&chain, year(2100)).err(), Some(CertificateError::Expired));
    assert_eq!(trust.verify(&chain, None).err(), Some(CertificateError::TimeUnknown));
    assert_eq!(refusal(&trust, &[file!("leaf-expired.der")]), Some(CertificateError::Expired));
}

#[test]
fn validity_is_skipped_only_where_configured_and_then_told() {
    let trust = CertificateTrust { unknown_time: UnknownTime::Skip, ..trust(2, ROOT, &[], "lwm2m.example") };
    assert!(trust.verify(&[LEAF, MIDDLE], None).unwrap().validity_unchecked);
    assert!(trust.verify(&[file!("leaf-expired.der")], None).unwrap().validity_unchecked);
    assert!(!trust.verify(&[LEAF, MIDDLE], year(2030)).unwrap().validity_unchecked);
    // All else is still checked.
    assert_eq!(trust.verify(&[file!("self-signed.der")], None).err(), Some(CertificateError::UnknownIssuer));
    // There was no time at which all of it was valid.
    let never = [file!("leaf-never-valid.der"), file!("middle-late.der")];
    assert!(trust.verify(&never, None).is_err());
    // With the time known it is checked even where skipping is configured.
    assert_eq!(trust.verify(&[file!("leaf-expired.der")], year(2030)).err(), Some(CertificateError::Expired));
}

#[test]
fn what_a_certificate_may_not_be_used_for() {
    let not = Some(CertificateError::NotForThisUse);
    let trust = trust(2, ROOT, &[], "lwm2m.example");
    assert_eq!(refusal(&trust, &[file!("leaf-client-only.der")]), not);
    assert_eq!(refusal(&trust, &[MIDDLE]), not, "a CA's certificate as a server's");
    assert_eq!(refusal(&trust, &[file!("leaf-rsa.der")]), Some(CertificateError::KeyNotP256));
    assert_eq!(refusal(&trust, &[&LEAF[1..]]), Some(CertificateError::Unreadable));
    let long = [LEAF].into_iter().chain([MIDDLE; 10]).collect::<Vec<_>>();
    assert_eq!(refusal(&trust, &long), Some(CertificateError::Path));
}

#[test]
fn not_a_byte_of_a_chain_can_be_changed() {
    let trust = CertificateTrust { name: None, ..trust(2, ROOT, &[], "") };
    for index in 0..LEAF.len() {
        let mut changed = LEAF.to_vec();
        changed[index] ^= 1;
        assert!(refusal(&trust, &[&changed, MIDDLE]).is_some(), "byte {index} of the server's");
    }
    for index in 0..MIDDLE.len() {
        let mut changed = MIDDLE.to_vec();
        changed[index] ^= 1;
        assert!(refusal(&trust, &[LEAF, &changed]).is_some(), "byte {index} of the CA's");
    }
}

/// Other curves in the path need the feature `x509`, and say so where it is not there.
#[test]
fn a_ca_on_p384() {
    let trust = trust(2, file!("p384-root.der"), &[], "lwm2m.example");
    let expected = if cfg!(feature = "x509") { None } else { Some(CertificateError::UnsupportedAlgorithm) };
    assert_eq!(refusal(&trust, &[file!("leaf-by-p384.der")]), expected);
}

#[test]
fn raw_public_keys() {
    let spki = file!("leaf.spki.der");
    let other = names::public_key(MIDDLE).unwrap().to_der();
    for matching in MATCHING {
        let trust = ServerTrust::RawPublicKey(pinned(matching, spki));
        assert_eq!(trust.certificate_type(), CertificateType::RawPublicKey);
        assert_eq!(trust.verify(&[spki], None).unwrap().key.to_der(), spki);
        assert_eq!(trust.verify(&[&other], None).err(), Some(CertificateError::NotExpected));
        assert_eq!(trust.verify(&[], None).err(), Some(CertificateError::Missing));
        assert_eq!(trust.verify(&[LEAF], None).err(), Some(CertificateError::KeyNotP256));
    }
}

#[test]
fn clients() {
    let client = file!("client.der");
    let mut trust = ClientTrust::default();
    let x509 = |trust: &ClientTrust| trust.verify(CertificateType::X509, &[client], year(2030)).err();
    let rpk = |trust: &ClientTrust| trust.verify(CertificateType::RawPublicKey, &[file!("leaf.spki.der")], None).err();
    assert_eq!(x509(&trust), Some(CertificateError::UnknownIssuer));
    assert_eq!(rpk(&trust), Some(CertificateError::NotExpected));
    trust.anchors = vec![OTHER_ROOT.to_vec()];
    assert_eq!(x509(&trust), Some(CertificateError::UnknownIssuer));
    trust = ClientTrust { anchors: vec![ROOT.to_vec()], raw_public_keys: true, ..trust };
    assert_eq!(x509(&trust), None);
    assert_eq!(rpk(&trust), None);
    // What is trusted itself needs no issuer, and no time.
    trust.anchors = vec![client.to_vec()];
    assert_eq!(trust.verify(CertificateType::X509, &[client], None).err(), None);
    assert_eq!(trust.verify(CertificateType::X509, &[LEAF], year(2030)).err(), Some(CertificateError::UnknownIssuer));
    assert_eq!(common_name(client).as_deref(), Some("urn:imei:490154203237518"));
}

#[test]
fn identities() {
    let key = || PrivateKey::from_der(file!("leaf.key.der")).unwrap();
    let identity = Identity::certificates(vec![LEAF.to_vec(), MIDDLE.to_vec()], key()).unwrap();
    assert_eq!(identity.certificate_type(), CertificateType::X509);
    assert_eq!(identity.to_send().collect::<Vec<_>>(), [LEAF, MIDDLE]);
    let raw = Identity::raw_public_key(key());
    assert_eq!(raw.to_send().collect::<Vec<_>>(), [file!("leaf.spki.der")]);
    let fail = |chain: &[&[u8]]| {
        let chain = chain.iter().map(|certificate| certificate.to_vec()).collect();
        Identity::certificates(chain, key()).unwrap_err()
    };
    assert_eq!(fail(&[]), IdentityError::Empty);
    assert_eq!(fail(&[LEAF, &MIDDLE[1..]]), IdentityError::Unreadable(1));
    assert_eq!(fail(&[MIDDLE]), IdentityError::OtherKey);
    assert_eq!(fail(&[file!("leaf-rsa.der")]), IdentityError::NotP256);
}

/// What the other end signs in the handshake is checked with the key of the certificate that was believed.
#[test]
fn the_key_is_that_of_the_certificate() {
    let verified = trust(2, ROOT, &[], "lwm2m.example").verify(&[LEAF, MIDDLE], year(2030)).unwrap();
    let signature = PrivateKey::from_der(file!("leaf.key.der")).unwrap().sign(b"handshake");
    verified.key.verify(b"handshake", &signature).unwrap();
}
