//! What the server makes of a ClientHello.

use rand_chacha::{ChaCha20Rng, rand_core::Rng};

use super::handshake::Context;
use crate::{
    agreed::Agreed,
    alert::AlertDescription,
    config::ServerConfig,
    credentials::{CertificateType, Identity, PeerIdentity},
    crypto::{CipherSuite, ECDSA_SHA256, Kind, SECP256R1},
    handshake::{ClientHello, Extensions},
    record::{ConnectionId, VERSION},
    session::Secrets,
};

type Refusal = AlertDescription;

/// What is agreed on, and the session that is resumed.
pub(super) fn negotiate(
    config: &ServerConfig,
    hello: &ClientHello<'_>,
    own_id: ConnectionId,
    context: &mut Context<'_>,
) -> Result<(Agreed, Option<Secrets>), Refusal> {
    let extensions = &hello.extensions;
    // DTLS counts its versions down.
    if hello.version > VERSION {
        return Err(Refusal::PROTOCOL_VERSION);
    }
    if extensions.renegotiation_info.is_some_and(|info| !info.is_empty())
        || (config.require_extended_master_secret && !extensions.extended_master_secret)
    {
        return Err(Refusal::HANDSHAKE_FAILURE);
    }
    let types = certificate_types(config, extensions);
    let resumed = resumable(config, hello, context)?;
    let suite = match &resumed {
        Some(secrets) => secrets.suite,
        None => choose(config, hello, types.is_some(), context)?,
    };
    let ticket = extensions.session_ticket.is_some() && context.sessions.is_enabled();
    let session_id = match &resumed {
        Some(_) => hello.session_id.to_vec(),
        // A ticket goes with no id (RFC 5077 section 3.4).
        None if ticket || !context.sessions.is_enabled() => Vec::new(),
        None => random(context.rng).to_vec(),
    };
    let (client_certificate, server_certificate) = types.unwrap_or((CertificateType::X509, CertificateType::X509));
    let agreed = Agreed {
        suite,
        extended_master_secret: extensions.extended_master_secret,
        encrypt_then_mac: extensions.encrypt_then_mac && suite.is_cbc(),
        client_random: hello.random,
        server_random: random(context.rng),
        session_id,
        connection_ids: extensions.connection_id.filter(|_| config.connection_id.is_some()).map(|peer| (own_id, peer)),
        // One ticket serves until its time is over.
        ticket: ticket && resumed.is_none(),
        client_certificate,
        server_certificate,
    };
    Ok((agreed, resumed))
}

/// The identity that is sent as this type.
pub(super) fn identity(config: &ServerConfig, kind: CertificateType) -> Option<&Identity> {
    config.identities.iter().find(|identity| identity.certificate_type() == kind)
}

/// What the client and the server send: the first of the client's types that is of use (RFC 7250 section 4.2). Without the
/// extensions it means X.509.
fn certificate_types(config: &ServerConfig, extensions: &Extensions<'_>) -> Option<(CertificateType, CertificateType)> {
    let first = |types: Option<&[u8]>, of_use: &dyn Fn(CertificateType) -> bool| {
        let types = types.unwrap_or(&[CertificateType::X509 as u8]);
        types.iter().filter_map(|number| CertificateType::from_number(*number)).find(|kind| of_use(*kind))
    };
    let client = first(extensions.client_certificate_types, &|kind| is_believed(config, kind))?;
    let server = first(extensions.server_certificate_types, &|kind| identity(config, kind).is_some())?;
    Some((client, server))
}

/// Whether clients may prove who they are so.
fn is_believed(config: &ServerConfig, kind: CertificateType) -> bool {
    match kind {
        CertificateType::X509 => !config.client_trust.anchors.is_empty(),
        CertificateType::RawPublicKey => config.client_trust.raw_public_keys,
    }
}

/// The first of our suites that the client has and that goes with what both ends have.
fn choose(
    config: &ServerConfig,
    hello: &ClientHello<'_>,
    types_match: bool,
    context: &Context<'_>,
) -> Result<CipherSuite, Refusal> {
    let has_curve = has_curve(&hello.extensions) && !config.identities.is_empty();
    // Without any credential a client shall at least hear that its identity is not known.
    let has_psk = !context.psks.is_empty() || config.identities.is_empty();
    let offered = |kind| {
        let suites = config.suites.iter().copied();
        suites.filter(move |suite| suite.kind() == kind && hello.suites.contains(suite.number()))
    };
    let mut usable = config.suites.iter().copied().filter(|suite| {
        hello.suites.contains(suite.number())
            && match suite.kind() {
                Kind::Psk => has_psk,
                Kind::EcdheEcdsa => has_curve && types_match,
            }
    });
    usable.next().ok_or(if has_curve && offered(Kind::EcdheEcdsa).next().is_some() {
        Refusal::UNSUPPORTED_CERTIFICATE
    } else {
        Refusal::HANDSHAKE_FAILURE
    })
}

/// Whether the client can do with P-256, uncompressed points and ECDSA with SHA-256. One that does not say what it can do can
/// (RFC 8422 section 4; RFC 7925 section 4.4 demands that it says).
fn has_curve(extensions: &Extensions<'_>) -> bool {
    extensions.groups.is_none_or(|groups| groups.contains(SECP256R1))
        && extensions.uncompressed_points != Some(false)
        && extensions.signature_schemes.is_none_or(|schemes| schemes.contains(ECDSA_SHA256))
}

/// The session that the client may resume. A session is resumed only with what it was made with.
fn resumable(
    config: &ServerConfig,
    hello: &ClientHello<'_>,
    context: &Context<'_>,
) -> Result<Option<Secrets>, Refusal> {
    let ticket = hello.extensions.session_ticket.filter(|ticket| !ticket.is_empty());
    let secrets = match ticket {
        _ if !context.sessions.is_enabled() || hello.session_id.is_empty() => None,
        Some(ticket) => context.sessions.open(context.now, ticket, context.psks),
        None => context.sessions.get(context.now, hello.session_id),
    };
    let usable = |secrets: &Secrets| {
        hello.suites.contains(secrets.suite.number())
            && config.suites.contains(&secrets.suite)
            && match &secrets.peer {
                PeerIdentity::Psk(identity) => context.psks.contains_key(identity),
                PeerIdentity::RawPublicKey(_) => is_believed(config, CertificateType::RawPublicKey),
                PeerIdentity::Certificate(_) => is_believed(config, CertificateType::X509),
            }
    };
    let Some(secrets) = secrets.filter(usable) else { return Ok(None) };
    match (secrets.extended_master_secret, hello.extensions.extended_master_secret) {
        // RFC 7627 section 5.3.
        (true, false) => Err(Refusal::HANDSHAKE_FAILURE),
        (false, true) => Ok(None),
        _ => Ok(Some(secrets)),
    }
}

fn random(rng: &mut ChaCha20Rng) -> [u8; 32] {
    let mut bytes = [0; 32];
    rng.fill_bytes(&mut bytes);
    bytes
}
