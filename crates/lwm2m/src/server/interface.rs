//! What clients may ask of a server: the registration interface, and which resources there are (LwM2M core 1.1 section
//! 6.2, RFC 6690 section 4).

use lapwing_coap::{ContentFormat, peer, wire::Code};

use super::{
    RegistrationId,
    parameters::{Parameters, Refusal},
};
use crate::format::link::{RegistrationLinks, parse_registration};

/// The resources of this server (RFC 9176 section 4.1 names the resource type).
pub(super) const RESOURCES: &[u8] = br#"</rd>;rt="core.rd";ct=40"#;

/// A request that has been understood.
#[derive(Debug)]
pub(super) enum Call {
    Resources,
    Register {
        parameters: Parameters,
        links: RegistrationLinks,
    },
    Update {
        id: RegistrationId,
        parameters: Parameters,
        links: Option<RegistrationLinks>,
    },
    Deregister {
        id: RegistrationId,
    },
    /// What the caller of the engine may have.
    Fetch {
        path: Vec<String>,
        query: Vec<String>,
    },
}

/// Which resource a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Resources,
    Directory,
    Registration(RegistrationId),
    Other,
}

impl Target {
    fn of(request: &peer::Request<'_>) -> Result<Target, Refusal> {
        let mut segments = request.message.options.uri_path();
        match (segments.next(), segments.next(), segments.next()) {
            (Some(".well-known"), Some("core"), None) => Ok(Target::Resources),
            (Some("rd"), None, _) => Ok(Target::Directory),
            (Some("rd"), Some(id), None) => match id.parse() {
                Ok(id) => Ok(Target::Registration(id)),
                Err(_) => Err(Refusal::new(Code::NOT_FOUND, "there is no such registration")),
            },
            _ => Ok(Target::Other),
        }
    }
}

/// Whether a body in several blocks is worth collecting: only what registers has one.
pub(super) fn accepts_upload(request: &peer::Request<'_>) -> Result<(), Refusal> {
    match (Target::of(request)?, request.message.code) {
        (Target::Directory | Target::Registration(_), Code::POST) => check_format(request),
        (Target::Other, _) => Err(no_such_resource()),
        _ => Err(not_allowed()),
    }
}

/// Reads a request; what is refused here changes nothing.
pub(super) fn parse(request: &peer::Request<'_>) -> Result<Call, Refusal> {
    let options = &request.message.options;
    match (Target::of(request)?, request.message.code) {
        (Target::Resources, Code::GET) => match options.accept() {
            None | Some(ContentFormat::LINK_FORMAT) => Ok(Call::Resources),
            Some(_) => Err(Refusal::new(Code::NOT_ACCEPTABLE, "only in application/link-format")),
        },
        (Target::Directory, Code::POST) => {
            check_format(request)?;
            let parameters = Parameters::parse(options.uri_query())?;
            Ok(Call::Register { parameters, links: parse_links(request.payload)? })
        }
        (Target::Registration(id), Code::POST) => {
            check_format(request)?;
            let parameters = Parameters::parse(options.uri_query())?;
            let links = if request.payload.is_empty() { None } else { Some(parse_links(request.payload)?) };
            Ok(Call::Update { id, parameters, links })
        }
        (Target::Registration(id), Code::DELETE) => Ok(Call::Deregister { id }),
        (Target::Other, Code::GET) => {
            let path = options.uri_path().map(str::to_owned).collect();
            Ok(Call::Fetch { path, query: options.uri_query().map(str::to_owned).collect() })
        }
        (Target::Other, _) => Err(no_such_resource()),
        _ => Err(not_allowed()),
    }
}

pub(super) fn no_such_resource() -> Refusal {
    Refusal::new(Code::NOT_FOUND, "there is no such resource")
}

fn not_allowed() -> Refusal {
    Refusal::new(Code::METHOD_NOT_ALLOWED, "not with this method")
}

/// A payload without Content-Format can be nothing else here.
fn check_format(request: &peer::Request<'_>) -> Result<(), Refusal> {
    match request.message.options.content_format() {
        None | Some(ContentFormat::LINK_FORMAT) => Ok(()),
        Some(_) => Err(Refusal::new(Code::UNSUPPORTED_CONTENT_FORMAT, "only in application/link-format")),
    }
}

fn parse_links(payload: &[u8]) -> Result<RegistrationLinks, Refusal> {
    parse_registration(payload).map_err(|error| Refusal::new(Code::BAD_REQUEST, error.to_string()))
}
