//! What must hold for any bytes that come as the body of a handshake record. The fuzzer and the stable tests call the same function.

use lapwing_dtls::credentials::CertificateType;
use lapwing_dtls::crypto::Kind;
use lapwing_dtls::handshake::{
    CertificateRequest, Certificates, ClientHello, ClientKeyExchange, Complete, Fragments, HandshakeType,
    HelloVerifyRequest, NewSessionTicket, Reassembly, ServerHello, ServerKeyExchange, Signed, Taken,
};

pub(crate) fn check(body: &[u8]) {
    let mut reassembly = Reassembly::new(0);
    for fragment in Fragments::new(body) {
        assert!(fragment.offset + fragment.body.len() <= fragment.length);
        message(fragment.kind, fragment.body);
        let next = reassembly.next_sequence();
        let taken = reassembly.add(&fragment);
        assert_eq!(taken == Taken::Old, fragment.sequence < next);
        assert!(reassembly.memory() <= Reassembly::MAX_TOTAL);
        while let Some(complete) = reassembly.complete() {
            whole(&complete);
            reassembly.accept();
        }
    }
    // The same bytes as if they were one message of each type.
    for number in 0..=20 {
        HandshakeType::from_u8(number).into_iter().for_each(|kind| message(kind, body));
    }
}

fn whole(complete: &Complete) {
    assert!(complete.body().len() <= Reassembly::MAX_MESSAGE);
    let again: Vec<_> = Fragments::new(complete.as_bytes()).collect();
    assert!(matches!(&again[..], [fragment] if fragment.is_whole() && fragment.kind == complete.kind));
}

/// What can be read can be written, and reads the same again.
fn message(kind: HandshakeType, body: &[u8]) {
    let mut written = Vec::new();
    match kind {
        HandshakeType::ClientHello => {
            let Some(hello) = ClientHello::parse(body) else { return };
            hello.put(&mut written);
            let again = ClientHello::parse(&written).expect("what was written can be read");
            let formats = hello.extensions.uncompressed_points.filter(|uncompressed| *uncompressed);
            let mut expected = hello;
            expected.extensions.uncompressed_points = formats;
            assert_eq!(again, expected);
        }
        HandshakeType::ServerHello => {
            let Some(hello) = ServerHello::parse(body) else { return };
            // A server does not send a name back.
            let mut expected = hello;
            expected.extensions.uncompressed_points = hello.extensions.uncompressed_points.filter(|some| *some);
            if hello.extensions.server_name.is_some_and(|name| !name.is_empty()) {
                return;
            }
            hello.put(&mut written);
            assert_eq!(ServerHello::parse(&written), Some(expected));
        }
        HandshakeType::HelloVerifyRequest => {
            let Some(request) = HelloVerifyRequest::parse(body) else { return };
            request.put(&mut written);
            assert_eq!(written, body);
        }
        HandshakeType::Certificate => {
            if let Some(Certificates::X509(chain)) = Certificates::parse(body, CertificateType::X509) {
                Certificates::put_x509(&mut written, chain.iter());
                assert_eq!(written, body);
            }
            if let Some(Certificates::RawPublicKey(key)) = Certificates::parse(body, CertificateType::RawPublicKey) {
                written.clear();
                Certificates::put_raw_public_key(&mut written, key);
                assert_eq!(written, body);
            }
        }
        HandshakeType::CertificateRequest => {
            let Some(request) = CertificateRequest::parse(body) else { return };
            assert!(!request.types.is_empty() && request.signature_schemes.iter().count() > 0);
        }
        HandshakeType::ServerKeyExchange => {
            for kind in [Kind::Psk, Kind::EcdheEcdsa] {
                let Some(exchange) = ServerKeyExchange::parse(body, kind) else { continue };
                written.clear();
                exchange.put(&mut written);
                assert_eq!(written, body);
            }
        }
        HandshakeType::ClientKeyExchange => {
            for kind in [Kind::Psk, Kind::EcdheEcdsa] {
                let Some(exchange) = ClientKeyExchange::parse(body, kind) else { continue };
                written.clear();
                exchange.put(&mut written);
                assert_eq!(written, body);
            }
        }
        HandshakeType::CertificateVerify => {
            let Some(signed) = Signed::parse(body) else { return };
            signed.put(&mut written);
            assert_eq!(written, body);
        }
        HandshakeType::NewSessionTicket => {
            let Some(ticket) = NewSessionTicket::parse(body) else { return };
            ticket.put(&mut written);
            assert_eq!(written, body);
        }
        _ => {}
    }
}
