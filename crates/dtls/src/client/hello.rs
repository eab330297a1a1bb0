//! The client's offer, and the server's choice from it.

use super::handshake::Offer;
use crate::{
    agreed::Agreed,
    alert::AlertDescription,
    config::{ClientConfig, ClientCredentials},
    credentials::CertificateType,
    crypto::{CipherSuite, ECDSA_SHA256, Kind, SECP256R1},
    event::Failure,
    handshake::{ClientHello, EMPTY_RENEGOTIATION_INFO_SCSV, Extensions, List16, ServerHello},
    record::VERSION,
};

type Refusal = AlertDescription;

impl Offer {
    /// Writes the body of the ClientHello.
    pub(super) fn put(&self, config: &ClientConfig, body: &mut Vec<u8>) {
        let numbers = config.usable_suites().map(CipherSuite::number);
        let suites: Vec<u8> = numbers.chain([EMPTY_RENEGOTIATION_INFO_SCSV]).flat_map(u16::to_be_bytes).collect();
        let ticket = self.session.as_ref().map_or(&[][..], |session| &session.ticket);
        let (own, servers) = certificate_types(config).map_or((None, None), |(own, servers)| {
            // X.509 alone is not said (RFC 7250 section 4.1).
            let said = |kind| (kind != CertificateType::X509).then_some(kind as u8);
            (said(own), said(servers))
        });
        let (groups, schemes) = (SECP256R1.to_be_bytes(), ECDSA_SHA256.to_be_bytes());
        let with_curve = config.credentials.kind() == Kind::EcdheEcdsa;
        let extensions = Extensions {
            server_name: config.server_name.as_deref().map(str::as_bytes),
            groups: List16::new(&groups).filter(|_| with_curve),
            uncompressed_points: with_curve.then_some(true),
            signature_schemes: List16::new(&schemes).filter(|_| with_curve),
            client_certificate_types: own.as_ref().map(core::slice::from_ref),
            server_certificate_types: servers.as_ref().map(core::slice::from_ref),
            encrypt_then_mac: config.encrypt_then_mac && config.usable_suites().any(CipherSuite::is_cbc),
            extended_master_secret: config.extended_master_secret,
            session_ticket: config.tickets.then_some(ticket),
            connection_id: self.own_id,
            ..Extensions::default()
        };
        ClientHello {
            version: VERSION,
            random: self.random,
            session_id: &self.session_id,
            cookie: &self.cookie,
            suites: List16::new(&suites).unwrap_or_default(),
            compression: &[0],
            extensions,
        }
        .put(body);
    }

    /// What the server has chosen, and whether that is to resume the session.
    pub(super) fn check(&self, config: &ClientConfig, hello: &ServerHello<'_>) -> Result<(Agreed, bool), Failure> {
        if hello.version != VERSION {
            return Err(Refusal::PROTOCOL_VERSION.into());
        }
        let extensions = &hello.extensions;
        let suite = config.usable_suites().find(|suite| suite.number() == hello.suite);
        let suite = suite.ok_or(Refusal::ILLEGAL_PARAMETER)?;
        self.check_extensions(config, extensions)?;
        let resumed =
            self.session.as_ref().filter(|_| !self.session_id.is_empty() && hello.session_id == self.session_id);
        if let Some(session) = resumed {
            if session.secrets.suite != suite {
                return Err(Refusal::ILLEGAL_PARAMETER.into());
            }
            if session.secrets.extended_master_secret != extensions.extended_master_secret {
                return Err(Refusal::HANDSHAKE_FAILURE.into());
            }
        }
        let chosen = |types: Option<&[u8]>| {
            let number = types.and_then(|types| types.first().copied()).unwrap_or(CertificateType::X509 as u8);
            CertificateType::from_number(number).ok_or(Refusal::UNSUPPORTED_CERTIFICATE)
        };
        let (client_certificate, server_certificate) =
            (chosen(extensions.client_certificate_types)?, chosen(extensions.server_certificate_types)?);
        if resumed.is_none() && certificate_types(config).is_some_and(|(_, servers)| servers != server_certificate) {
            return Err(Refusal::UNSUPPORTED_CERTIFICATE.into());
        }
        let agreed = Agreed {
            suite,
            extended_master_secret: extensions.extended_master_secret,
            encrypt_then_mac: extensions.encrypt_then_mac && suite.is_cbc(),
            client_random: self.random,
            server_random: hello.random,
            session_id: hello.session_id.to_vec(),
            connection_ids: self.own_id.zip(extensions.connection_id),
            ticket: extensions.session_ticket.is_some(),
            client_certificate,
            server_certificate,
        };
        Ok((agreed, resumed.is_some()))
    }

    fn check_extensions(&self, config: &ClientConfig, extensions: &Extensions<'_>) -> Result<(), Refusal> {
        let (own, servers) = certificate_types(config).unwrap_or((CertificateType::X509, CertificateType::X509));
        let unasked = (extensions.connection_id.is_some() && self.own_id.is_none())
            || (extensions.session_ticket.is_some() && !config.tickets)
            || (extensions.encrypt_then_mac && !config.encrypt_then_mac)
            || (extensions.extended_master_secret && !config.extended_master_secret)
            || (extensions.client_certificate_types.is_some() && own == CertificateType::X509)
            || (extensions.server_certificate_types.is_some() && servers == CertificateType::X509)
            || extensions.groups.is_some()
            || extensions.signature_schemes.is_some();
        if unasked {
            return Err(Refusal::UNSUPPORTED_EXTENSION);
        }
        if extensions.renegotiation_info.is_some_and(|info| !info.is_empty())
            || (config.require_extended_master_secret && !extensions.extended_master_secret)
        {
            return Err(Refusal::HANDSHAKE_FAILURE);
        }
        // Points are uncompressed or not understood (RFC 8422 section 5.1.2).
        if extensions.uncompressed_points == Some(false) {
            return Err(Refusal::ILLEGAL_PARAMETER);
        }
        Ok(())
    }
}

/// What the client has, and what it believes of servers; `None` with a pre-shared key.
fn certificate_types(config: &ClientConfig) -> Option<(CertificateType, CertificateType)> {
    match &config.credentials {
        ClientCredentials::Psk(_) => None,
        ClientCredentials::Certificate { identity, trust } => {
            Some((identity.certificate_type(), trust.certificate_type()))
        }
    }
}
