//! Ends that are not believed: which side finds out, which alert says so (RFC 5246 section 7.2.2), and what happens while the time is
//! not known.

mod common;

use std::time::Duration;

use common::{
    Scene, Seen, Told, client_config,
    identities::{
        TIME, certificate_config, certificate_trust, certified_client, certified_server, exactly, other_key,
        raw_client, raw_config, raw_server, raw_trust, server_config, server_key,
    },
    seconds,
};
use lapwing_dtls::{
    ClientConfig, Closed, Failure, ServerConfig,
    alert::AlertDescription,
    credentials::{
        CertificateError, CertificateTrust, Identity, PeerIdentity, PeerName, Pinned, ServerTrust, UnknownTime,
    },
    handshake::{ClientKeyExchange, Complete, HandshakeType},
    record::{ContentType, put_header},
};
use sim::Cable;

/// A handshake that must not succeed, and what each side says.
fn refused(client: ClientConfig, server: ServerConfig, time: Option<Duration>) -> (Failure, Failure) {
    let mut scene = Scene::with(1, Cable::new().latency(Duration::from_millis(20)), client, server);
    scene.client.set_time(time);
    scene.server.set_time(time);
    scene.connect(None);
    scene.run(seconds(100));
    assert_eq!((scene.server.handshakes(), scene.server.associations()), (0, 0));
    match (&scene.seen[..], &scene.told[..]) {
        ([Seen::Failed(seen)], [Told::Failed(told)]) => (*seen, *told),
        other => panic!("{other:?}"),
    }
}

/// The client does not believe the server, and says so with this alert.
fn client_refuses(trust: ServerTrust, server: Identity, time: Option<Duration>, error: CertificateError, alert: u8) {
    let mut config = server_config();
    config.identities = vec![server];
    let client = ClientConfig::certificate(certified_client(), trust);
    let expected = (Failure::Certificate(error), Failure::Alert(AlertDescription(alert)));
    assert_eq!(refused(client, config, time), expected);
}

fn with(usage: u64, change: impl FnOnce(&mut CertificateTrust)) -> ServerTrust {
    let mut trust = certificate_trust(usage);
    change(&mut trust);
    ServerTrust::Certificate(trust)
}

#[test]
fn a_server_with_another_raw_public_key_is_a_bad_certificate() {
    let other = Identity::raw_public_key(other_key());
    client_refuses(raw_trust(), other, TIME, CertificateError::NotExpected, 42);
}

#[test]
fn a_server_that_is_not_the_configured_one_is_refused_in_every_usage() {
    let self_signed = vector!("self-signed.der");
    let pinned = |trust: &mut CertificateTrust| trust.pinned = exactly(self_signed);
    client_refuses(with(0, pinned), certified_server(), TIME, CertificateError::NotExpected, 42);
    client_refuses(with(1, pinned), certified_server(), TIME, CertificateError::NotExpected, 42);
    client_refuses(with(3, pinned), certified_server(), TIME, CertificateError::NotExpected, 42);
    let pinned = |trust: &mut CertificateTrust| trust.pinned = exactly(vector!("other-root.der"));
    client_refuses(with(2, pinned), certified_server(), TIME, CertificateError::UnknownIssuer, 48);
}

#[test]
fn a_server_of_another_name_issuer_or_time_is_refused() {
    for usage in 0..3 {
        let renamed = with(usage, |trust| trust.name = Some(PeerName::new("other.example")));
        client_refuses(renamed, certified_server(), TIME, CertificateError::OtherName, 42);
        let late = Some(Duration::from_secs(5_000_000_000));
        client_refuses(with(usage, |_| {}), certified_server(), late, CertificateError::Expired, 45);
        let early = Some(Duration::from_secs(1_000_000_000));
        client_refuses(with(usage, |_| {}), certified_server(), early, CertificateError::NotYetValid, 45);
        client_refuses(with(usage, |_| {}), certified_server(), None, CertificateError::TimeUnknown, 46);
    }
    for usage in 0..2 {
        let distrusted = with(usage, |trust| trust.anchors = vec![vector!("other-root.der").to_vec()]);
        client_refuses(distrusted, certified_server(), TIME, CertificateError::UnknownIssuer, 48);
    }
}

/// A client of another kind than the server believes hears so from the ServerHello on (RFC 7250 section 4.2).
#[test]
fn types_that_do_not_match_are_unsupported_certificates() {
    let expected = (
        Failure::Alert(AlertDescription::UNSUPPORTED_CERTIFICATE),
        Failure::Refused(AlertDescription::UNSUPPORTED_CERTIFICATE),
    );
    let mut server = server_config();
    server.client_trust.raw_public_keys = false;
    assert_eq!(refused(raw_config(), server.clone(), TIME), expected);
    server.client_trust.anchors.clear();
    assert_eq!(refused(certificate_config(3), server, TIME), expected);
    let mut server = server_config();
    server.identities = vec![raw_server()];
    assert_eq!(refused(certificate_config(3), server, TIME), expected);
}

#[test]
fn a_server_without_what_a_suite_needs_fails_the_handshake() {
    let expected =
        (Failure::Alert(AlertDescription::HANDSHAKE_FAILURE), Failure::Refused(AlertDescription::HANDSHAKE_FAILURE));
    assert_eq!(refused(raw_config(), ServerConfig::default(), TIME), expected);
    let mut server = server_config();
    server.suites.truncate(1);
    assert_eq!(refused(raw_config(), server, TIME), expected);
}

#[test]
fn clients_that_are_not_believed_are_refused() {
    let mut server = server_config();
    server.client_trust.anchors = vec![vector!("other-root.der").to_vec()];
    let refusal = |error: CertificateError, alert| (Failure::Alert(alert), Failure::Certificate(error));
    let unknown = refusal(CertificateError::UnknownIssuer, AlertDescription::UNKNOWN_CA);
    assert_eq!(refused(certificate_config(3), server, TIME), unknown);
    let late = Some(Duration::from_secs(5_000_000_000));
    let expired = refusal(CertificateError::Expired, AlertDescription::CERTIFICATE_EXPIRED);
    assert_eq!(refused(certificate_config(3), server_config(), late), expired);
    let untimely = refusal(CertificateError::TimeUnknown, AlertDescription::CERTIFICATE_UNKNOWN);
    assert_eq!(refused(certificate_config(3), server_config(), None), untimely);
}

/// One message in the clear, as it would come from the client.
fn record(kind: HandshakeType, sequence: u16, body: &[u8]) -> Vec<u8> {
    let message = Complete::new(kind, sequence, body);
    let mut record = Vec::new();
    put_header(&mut record, ContentType::Handshake, 0, 99, &[], message.as_bytes().len());
    [&record, message.as_bytes()].concat()
}

/// A client that has stopped after its second ClientHello, and what the server says to its messages of the next flight.
fn answers(messages: &[(HandshakeType, Vec<u8>)]) -> Option<Failure> {
    let mut scene = Scene::with(1, Cable::new(), raw_config(), server_config());
    let there = scene.there;
    // The client's third flight does not get through.
    scene.world.lose_when(move |_, to, bytes| to == there && bytes[13] != 1);
    scene.connect(None);
    scene.run(Duration::from_millis(500));
    for (index, (kind, body)) in messages.iter().enumerate() {
        let (now, here) = (scene.world.now(), scene.here);
        scene.server.handle_datagram(now, here, &record(*kind, 2 + index as u16, body));
        scene.pump();
    }
    assert_eq!(scene.server.associations(), 0);
    scene.run(seconds(100));
    assert_eq!((scene.server.handshakes(), scene.server.associations()), (0, 0));
    match scene.told[..] {
        [] => None,
        [Told::Failed(failure)] => Some(failure),
        ref other => panic!("{other:?}"),
    }
}

/// Mutual authentication is demanded: without a certificate, without its key or out of order nothing is established.
#[test]
fn a_client_must_send_a_certificate_and_show_that_it_holds_the_key() {
    let share = |point: &[u8]| {
        let mut body = Vec::new();
        ClientKeyExchange::EcdheEcdsa(point).put(&mut body);
        (HandshakeType::ClientKeyExchange, body)
    };
    let mut certificate = vec![0, 0, 91];
    certificate.extend(raw_client().to_send().flatten());
    let certificate = (HandshakeType::Certificate, certificate);
    let verify = |signature: &[u8]| {
        let body = [&[4, 3, 0, signature.len() as u8], signature].concat();
        (HandshakeType::CertificateVerify, body)
    };
    let point = certificate.1[3 + 26..].to_vec();
    let refused = |alert| Some(Failure::Refused(alert));
    // Nothing of it, and the whole of it up to the Finished, which cannot be made without the key.
    assert_eq!(answers(&[]), None);
    assert_eq!(answers(&[certificate.clone(), share(&point)]), None);
    assert_eq!(answers(&[share(&point)]), refused(AlertDescription::UNEXPECTED_MESSAGE));
    assert_eq!(answers(&[(HandshakeType::Certificate, vec![0, 0, 0])]), refused(AlertDescription::DECODE_ERROR));
    assert_eq!(answers(&[certificate.clone(), certificate.clone()]), refused(AlertDescription::UNEXPECTED_MESSAGE));
    let mut off = point.clone();
    off[64] ^= 1;
    for bad in [&off[..], &point[..64], &[0], &[]] {
        let said = answers(&[certificate.clone(), share(bad)]);
        assert_eq!(said, refused(AlertDescription::ILLEGAL_PARAMETER));
    }
    // A signature by the right key, of something else.
    let signed = common::identities::client_key().sign(b"something else");
    let said = answers(&[certificate.clone(), share(&point), verify(&signed)]);
    assert_eq!(said, refused(AlertDescription::DECRYPT_ERROR));
    let said = answers(&[certificate.clone(), share(&point), (HandshakeType::CertificateVerify, vec![2, 3, 0, 0])]);
    assert_eq!(said, refused(AlertDescription::ILLEGAL_PARAMETER));
    // A Finished without the signature before it: not authentic, and not in its place.
    let said = answers(&[certificate, share(&point), (HandshakeType::Finished, vec![0; 12])]);
    assert_eq!(said, None);
}

/// A client that has no certificate of the type that was agreed on says so with an empty list (RFC 5246 section 7.4.6).
#[test]
fn a_client_without_certificate_fails_the_handshake() {
    let mut scene = Scene::with(1, Cable::new(), certificate_config(3), server_config());
    let there = scene.there;
    scene.world.lose_when(move |_, to, bytes| to == there && bytes[13] != 1);
    scene.connect(None);
    scene.run(Duration::from_millis(500));
    let (now, here) = (scene.world.now(), scene.here);
    scene.server.handle_datagram(now, here, &record(HandshakeType::Certificate, 2, &[0, 0, 0]));
    scene.pump();
    scene.run(seconds(100));
    assert_eq!(scene.told, [Told::Failed(Failure::Certificate(CertificateError::Missing))]);
    assert_eq!(Failure::Certificate(CertificateError::Missing).alert(), Some(AlertDescription::HANDSHAKE_FAILURE));
}

/// A server that has the right certificate, which is public, but not its key.
#[test]
fn a_server_without_the_key_of_its_certificate_is_refused() {
    // Such a server can only send a signature that does not verify.
    let mut scene = Scene::with(1, Cable::new().latency(Duration::from_millis(20)), raw_config(), server_config());
    let here = scene.here;
    scene.world.lose_when(move |_, to, bytes| to == here && bytes.len() > 200);
    scene.connect(None);
    scene.run(Duration::from_millis(300));
    let mut buffer = Vec::new();
    scene.world.lose_when(|_, _, _| false);
    let now = scene.world.now() + seconds(1);
    // The server's flight again, with one bit of the signature changed.
    scene.server.handle_timeout(now);
    let (_, range) = scene.server.poll_transmit(&mut buffer).unwrap();
    let mut flight = buffer[range].to_vec();
    let at =
        flight.windows(4).position(|bytes| bytes == [4, 3, 0, 71] || bytes == [4, 3, 0, 70] || bytes == [4, 3, 0, 72]);
    flight[at.unwrap() + 20] ^= 1;
    scene.client.handle_datagram(now, &flight);
    scene.client.handle_timeout(now + seconds(60));
    scene.pump();
    assert_eq!(scene.seen, [Seen::Failed(Failure::Refused(AlertDescription::DECRYPT_ERROR))]);
}

/// An association that was made before the time was known.
fn unchecked(client: ClientConfig, server: ServerConfig) -> Scene {
    let mut scene = Scene::with(1, Cable::new().latency(Duration::from_millis(20)), client, server);
    scene.connect(None);
    scene.run(seconds(5));
    assert!(scene.client.is_established(), "{:?}", scene.seen);
    scene
}

fn skipping(usage: u64) -> ClientConfig {
    ClientConfig::certificate(certified_client(), with(usage, |trust| trust.unknown_time = UnknownTime::Skip))
}

#[test]
fn a_server_believed_while_the_time_was_unknown_is_verified_again_once_it_is_known() {
    let late = Some(Duration::from_secs(5_000_000_000));
    for usage in 0..3 {
        let mut server = server_config();
        server.client_trust.unknown_time = UnknownTime::Skip;
        let mut scene = unchecked(skipping(usage), server.clone());
        assert!(scene.handshake().validity_unchecked);
        assert!(matches!(&scene.handshake().peer, PeerIdentity::Certificate(chain) if chain.len() == 2));
        // Valid: it goes on.
        scene.client.set_time(TIME);
        scene.server.set_time(TIME);
        scene.assert_alive("after the time was known");
        // What was checked is not checked again.
        scene.client.set_time(late);
        scene.server.set_time(late);
        scene.assert_alive("much later");
        // Not valid: it ends, on both sides.
        let mut scene = unchecked(skipping(usage), server);
        scene.seen.clear();
        scene.told.clear();
        scene.client.set_time(late);
        scene.pump();
        scene.run(seconds(1));
        assert_eq!(scene.seen, [Seen::Closed(Closed::Certificate(CertificateError::Expired))]);
        let [Told::Closed(_, why)] = scene.told[..] else { panic!("{:?}", scene.told) };
        assert_eq!(why, Closed::Alert(AlertDescription::CERTIFICATE_EXPIRED));
        assert!(!scene.client.is_established());
    }
}

#[test]
fn a_client_believed_while_the_time_was_unknown_is_verified_again_once_it_is_known() {
    let mut server = server_config();
    server.client_trust.unknown_time = UnknownTime::Skip;
    let mut scene = unchecked(certificate_config(3), server);
    assert!(!scene.handshake().validity_unchecked, "usage 3 compares the certificate and nothing else");
    scene.told.clear();
    scene.seen.clear();
    scene.server.set_time(Some(Duration::from_secs(5_000_000_000)));
    scene.pump();
    scene.run(seconds(1));
    let [Told::Closed(_, why)] = scene.told[..] else { panic!("{:?}", scene.told) };
    assert_eq!(why, Closed::Certificate(CertificateError::Expired));
    assert_eq!(scene.seen, [Seen::Closed(Closed::Alert(AlertDescription::CERTIFICATE_EXPIRED))]);
    assert_eq!(scene.server.associations(), 0);
}

/// What was not checked is neither resumed unseen nor imported unseen.
#[test]
fn what_was_not_checked_is_checked_before_it_is_resumed_and_after_it_is_imported() {
    let late = Some(Duration::from_secs(5_000_000_000));
    let mut scene = unchecked(skipping(2), server_config_with_skip());
    let session = scene.client.session().cloned();
    assert!(session.is_none(), "the server gives no ticket for what it has not checked");
    let export = scene.client.export(10).unwrap();
    for (time, expected) in [(None, true), (TIME, true), (late, false)] {
        let mut client = lapwing_dtls::Client::new(std::sync::Arc::new(skipping(2)), [5; 32]);
        client.set_time(time);
        assert_eq!((client.import(&export.bytes), client.is_established()), (expected, expected));
        client.set_time(late);
        assert_eq!(client.is_established(), time == TIME, "{time:?}");
    }
    // A server that has the time gives a ticket; a client that has not keeps the certificates to verify them.
    let mut scene = Scene::with(1, Cable::new(), skipping(2), server_config());
    scene.server.set_time(TIME);
    scene.connect(None);
    scene.run(seconds(1));
    let session = scene.client.session().cloned().unwrap();
    scene.client.set_time(None);
    scene.connect(Some(session.clone()));
    scene.run(seconds(1));
    assert!(scene.handshake().resumed && scene.handshake().validity_unchecked);
    // Known, and over: the session is not offered, the certificate is refused.
    scene.client.close();
    scene.seen.clear();
    scene.client.set_time(late);
    scene.connect(Some(session));
    scene.run(seconds(10));
    assert_eq!(scene.seen, [Seen::Failed(Failure::Certificate(CertificateError::Expired))]);
}

fn server_config_with_skip() -> ServerConfig {
    let mut server = server_config();
    server.client_trust.unknown_time = UnknownTime::Skip;
    server
}

/// A session of a server that is no longer the configured one is not offered.
#[test]
fn another_pin_or_identity_makes_a_full_handshake() {
    let pinned = |data: Vec<u8>| ServerTrust::RawPublicKey(Pinned { data, ..exactly(&[]) });
    let other = ClientConfig::certificate(raw_client(), pinned(other_key().public_key().to_der()));
    let same = ClientConfig::certificate(raw_client(), pinned(server_key().public_key().to_der()));
    for (config, expected) in [(same, true), (other, false), (client_config(), false), (certificate_config(2), false)] {
        let mut scene = Scene::with(1, Cable::new(), raw_config(), server_config());
        scene.client.set_time(TIME);
        scene.server.set_time(TIME);
        scene.connect(None);
        scene.run(seconds(1));
        let session = scene.client.session().cloned();
        scene.client = lapwing_dtls::Client::new(std::sync::Arc::new(config), [6; 32]);
        scene.client.set_time(TIME);
        scene.seen.clear();
        scene.connect(session);
        scene.run(seconds(10));
        let resumed = scene.seen.iter().any(|seen| matches!(seen, Seen::Established(e) if e.resumed));
        assert_eq!(resumed, expected, "{:?}", scene.seen);
    }
}
