//! The server's flight after its hello: certificate, key exchange, and whether it wants our certificate.

use std::time::Duration;

use super::handshake::Input;
use crate::{
    agreed::{Agreed, Believed},
    alert::AlertDescription,
    config::{ClientConfig, ClientCredentials},
    credentials::{Identity, ServerTrust},
    crypto::{ECDSA_SHA256, KeyShare, Premaster, SECP256R1, signed_parameters},
    event::Failure,
    handshake::{CertificateRequest, Complete, EcdheParameters, HandshakeType, ServerKeyExchange},
};

/// What of the flight has come.
pub(super) struct ServerFlight {
    pub(super) agreed: Agreed,
    /// Our half of the key; suites with a pre-shared key have none.
    pub(super) share: Option<KeyShare>,
    /// The server, once its certificate was believed.
    pub(super) server: Option<Believed>,
    /// The ServerKeyExchange has come.
    pub(super) key_exchange: bool,
    /// What both halves of the key give.
    pub(super) premaster: Option<Premaster>,
    /// The server wants our certificate, and whether it can use ours.
    pub(super) request: Option<bool>,
}

impl ServerFlight {
    pub(super) const fn new(agreed: Agreed, share: Option<KeyShare>) -> Self {
        Self { agreed, share, server: None, key_exchange: false, premaster: None, request: None }
    }

    /// Checks a message, which changes nothing.
    pub(super) fn check(
        &self,
        message: &Complete,
        config: &ClientConfig,
        unix: Option<Duration>,
    ) -> Result<Input, Failure> {
        let body = message.body();
        let input = match (message.kind, &config.credentials) {
            (HandshakeType::ServerKeyExchange, ClientCredentials::Psk(_)) if !self.key_exchange => {
                // The hint says nothing to us: the identity is configured (RFC 4279 section 5.2).
                ServerKeyExchange::parse(body, self.agreed.suite.kind()).map(|_| Input::KeyExchange(None))
            }
            (HandshakeType::ServerHelloDone, ClientCredentials::Psk(_)) => body.is_empty().then_some(Input::Done),
            (HandshakeType::Certificate, ClientCredentials::Certificate { trust, .. }) if self.server.is_none() => {
                return self.check_certificate(body, trust, unix).map(Input::Certificate);
            }
            (HandshakeType::ServerKeyExchange, _) if !self.key_exchange => {
                return self.check_key_exchange(body).map(|premaster| Input::KeyExchange(Some(premaster)));
            }
            (HandshakeType::CertificateRequest, ClientCredentials::Certificate { identity, .. })
                if self.key_exchange && self.request.is_none() =>
            {
                CertificateRequest::parse(body).map(|request| Input::Request(self.suits(&request, identity)))
            }
            (HandshakeType::ServerHelloDone, _) if self.key_exchange => body.is_empty().then_some(Input::Done),
            _ => return Err(AlertDescription::UNEXPECTED_MESSAGE.into()),
        };
        input.ok_or(AlertDescription::DECODE_ERROR.into())
    }

    fn check_certificate(&self, body: &[u8], trust: &ServerTrust, unix: Option<Duration>) -> Result<Believed, Failure> {
        Believed::read(body, self.agreed.server_certificate, |sent| trust.verify(sent, unix))
    }

    /// The server's half of the key is its own if the key of its certificate has signed it.
    fn check_key_exchange(&self, body: &[u8]) -> Result<Premaster, Failure> {
        let (Some(share), Some(server)) = (&self.share, &self.server) else {
            return Err(AlertDescription::UNEXPECTED_MESSAGE.into());
        };
        let Some(ServerKeyExchange::EcdheEcdsa(parameters)) = ServerKeyExchange::parse(body, self.agreed.suite.kind())
        else {
            return Err(AlertDescription::DECODE_ERROR.into());
        };
        let EcdheParameters { curve, point, encoded, signed } = parameters;
        if curve != SECP256R1 || signed.scheme != ECDSA_SHA256 {
            return Err(AlertDescription::ILLEGAL_PARAMETER.into());
        }
        let message = signed_parameters(&self.agreed.client_random, &self.agreed.server_random, encoded);
        server.key.verify(&message, signed.signature).map_err(|_| AlertDescription::DECRYPT_ERROR)?;
        share.agree(point).map_err(|_| AlertDescription::ILLEGAL_PARAMETER.into())
    }

    /// Whether the server can use our certificate or raw public key.
    fn suits(&self, request: &CertificateRequest<'_>, identity: &Identity) -> bool {
        identity.certificate_type() == self.agreed.client_certificate
            && request.types.contains(&CertificateRequest::ECDSA_SIGN)
            && request.signature_schemes.contains(ECDSA_SHA256)
    }
}
