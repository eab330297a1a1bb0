//! The client's flight after the ServerHelloDone, up to its Finished: who it is, its share of the key, and that it holds the key of
//! its certificate.

use std::{collections::BTreeMap, time::Duration};

use super::handshake::Input;
use crate::{
    agreed::{Agreed, Believed, Peer},
    alert::AlertDescription,
    credentials::{ClientTrust, Psk},
    crypto::{ECDSA_SHA256, KeyShare, Premaster, psk_premaster},
    event::Failure,
    handshake::{ClientKeyExchange, Complete, HandshakeType, Signed},
    session::Secrets,
};

/// What of the flight has come.
pub(super) struct ClientFlight {
    pub(super) agreed: Agreed,
    /// Our half of the key; suites with a pre-shared key have none.
    pub(super) share: Option<KeyShare>,
    /// The client, once its certificate was believed.
    pub(super) client: Option<Believed>,
    /// What both ends share if the client holds the key of its certificate.
    pub(super) secrets: Option<Secrets>,
}

/// Whom the server believes.
pub(super) struct Trust<'a> {
    pub(super) psks: &'a BTreeMap<Vec<u8>, Psk>,
    pub(super) clients: &'a ClientTrust,
    pub(super) unix: Option<Duration>,
}

impl ClientFlight {
    pub(super) const fn new(agreed: Agreed, share: Option<KeyShare>) -> Self {
        Self { agreed, share, client: None, secrets: None }
    }

    /// How many bytes it holds beside itself.
    pub(super) fn memory(&self) -> usize {
        let client = self.client.as_ref().map_or(0, |client| client.peer.identity.len());
        client + self.secrets.as_ref().map_or(0, |secrets| secrets.peer.len())
    }

    /// Checks a message, which changes nothing. `transcript` is the hash of all messages before.
    pub(super) fn check(&self, message: &Complete, trust: &Trust<'_>, transcript: &[u8; 32]) -> Result<Input, Failure> {
        let body = message.body();
        match (message.kind, &self.share, &self.client, &self.secrets) {
            (HandshakeType::Certificate, Some(_), None, None) => {
                let kind = self.agreed.client_certificate;
                Believed::read(body, kind, |sent| trust.clients.verify(kind, sent, trust.unix)).map(Input::Certificate)
            }
            (HandshakeType::ClientKeyExchange, None, _, None) => self.check_psk(body, trust.psks),
            (HandshakeType::ClientKeyExchange, Some(share), Some(client), None) => {
                let premaster = self.check_share(body, share)?;
                Ok(Input::Key(premaster, client.peer.clone()))
            }
            (HandshakeType::CertificateVerify, _, Some(client), Some(_)) => {
                let signed = Signed::parse(body).ok_or(AlertDescription::DECODE_ERROR)?;
                if signed.scheme != ECDSA_SHA256 {
                    return Err(AlertDescription::ILLEGAL_PARAMETER.into());
                }
                let verified = client.key.verify_hash(transcript, signed.signature);
                verified.map(|()| Input::Verified).map_err(|_| AlertDescription::DECRYPT_ERROR.into())
            }
            _ => Err(AlertDescription::UNEXPECTED_MESSAGE.into()),
        }
    }

    fn check_psk(&self, body: &[u8], psks: &BTreeMap<Vec<u8>, Psk>) -> Result<Input, Failure> {
        let Some(ClientKeyExchange::Psk(identity)) = ClientKeyExchange::parse(body, self.agreed.suite.kind()) else {
            return Err(AlertDescription::DECODE_ERROR.into());
        };
        let psk = psks.get(identity).ok_or(AlertDescription::UNKNOWN_PSK_IDENTITY)?;
        Ok(Input::Key(psk_premaster(psk.key()), Peer::psk(identity)))
    }

    fn check_share(&self, body: &[u8], share: &KeyShare) -> Result<Premaster, Failure> {
        let Some(ClientKeyExchange::EcdheEcdsa(point)) = ClientKeyExchange::parse(body, self.agreed.suite.kind())
        else {
            return Err(AlertDescription::DECODE_ERROR.into());
        };
        share.agree(point).map_err(|_| AlertDescription::ILLEGAL_PARAMETER.into())
    }
}
