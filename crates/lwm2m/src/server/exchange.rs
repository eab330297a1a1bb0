//! From a [`Request`] to a message, and from a message to a [`Response`].

use std::{borrow::Cow, sync::Arc};

use lapwing_coap::{
    ContentFormat, link,
    peer::{self, Outgoing},
    wire::Code,
};

use super::{Content, Registration, Request, RequestError, Response, WriteMode};
use crate::{
    definitions, format,
    model::{DefinitionRef, Level, Node, ObjectDefinition, ObjectId, Path},
};

/// Longer payloads are given to the peer block by block: at most what [`peer::Config::max_body`] is by default.
const LONG_BODY: usize = 32 * 1024;

/// What the answer to a request is made of, to understand it by.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) path: Path,
    pub(super) kind: Kind,
    definition: DefinitionRef,
    root: Arc<str>,
}

/// What an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Node,
    Links,
    Location,
    Nothing,
}

/// A request, ready to be sent.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) code: Code,
    /// Uri-Path segments, joined by `/`: none has one inside.
    pub(super) path: String,
    query: Vec<String>,
    pub(super) accept: Option<ContentFormat>,
    content_format: Option<ContentFormat>,
    pub(super) observe: bool,
    body: Vec<u8>,
    /// How long the payload is that the caller supplies block by block.
    supplied: Option<u64>,
    pub(super) shape: Shape,
}

/// Where the payload of a request is while it is sent.
#[derive(Debug, Clone)]
pub(super) enum Payload {
    /// The peer has it.
    Peer,
    /// Here, for it is longer than a peer takes in one piece.
    Held(Arc<[u8]>),
    /// The caller has it, of so many bytes.
    Supplied(u64),
}

impl Prepared {
    /// Checks a request and encodes its payload.
    pub(super) fn new(registration: &Registration, request: &Request) -> Result<Prepared, RequestError> {
        let path = request.path();
        check_level(request, &path)?;
        let object = path.object_id().ok_or_else(|| RequestError::Invalid("a path begins with an object".into()))?;
        let mut prepared = Prepared::get(path, &registration.root, definition_of(registration, object));
        prepared.fill(registration, request)?;
        Ok(prepared)
    }

    /// A GET of a path under the client's root, of which nothing is expected.
    pub(super) fn get(path: Path, root: &str, definition: DefinitionRef) -> Prepared {
        Prepared {
            code: Code::GET,
            path: uri_path(root, &path),
            query: Vec::new(),
            accept: None,
            content_format: None,
            observe: false,
            body: Vec::new(),
            supplied: None,
            shape: Shape { path, kind: Kind::Nothing, definition, root: root.into() },
        }
    }

    fn fill(&mut self, registration: &Registration, request: &Request) -> Result<(), RequestError> {
        match request {
            Request::Read { format, .. } | Request::Observe { format, .. } => {
                self.shape.kind = Kind::Node;
                self.accept = format.or_else(|| preferred_answer(registration));
                self.observe = matches!(request, Request::Observe { .. });
            }
            Request::CancelObservation { .. } => {
                self.shape.kind = Kind::Node;
                self.accept = preferred_answer(registration);
            }
            Request::Write { mode, format, node, .. } => {
                self.code = if *mode == WriteMode::Replace { Code::PUT } else { Code::POST };
                self.encode(*format, node)?;
            }
            Request::Push { size, .. } => {
                if *size > Request::LONGEST_PUSH {
                    return Err(RequestError::Invalid(format!(
                        "{size} bytes are more than blocks can be numbered for"
                    )));
                }
                self.code = Code::PUT;
                self.content_format = Some(ContentFormat::OPAQUE);
                self.supplied = Some(*size);
            }
            Request::Execute { arguments, .. } => {
                self.code = Code::POST;
                if !arguments.is_empty() {
                    self.content_format = Some(ContentFormat::TEXT);
                    self.body = arguments.clone().into_bytes();
                }
            }
            Request::Create { object, instance, format, resources } => {
                self.code = Code::POST;
                self.shape.kind = Kind::Location;
                self.path = uri_path(&registration.root, &Path::object(*object));
                let resources = resources.clone();
                match instance {
                    // The instance's id can only be told inside the payload.
                    Some(id) => {
                        self.encode_at(Path::object(*object), *format, &Node::Object([(*id, resources)].into()))?
                    }
                    // Of the level of an instance, so that the payload is its bare resources; the id is not in it.
                    None => self.encode_at(Path::object(*object).instance(0), *format, &Node::Instance(resources))?,
                }
            }
            Request::Delete { .. } => self.code = Code::DELETE,
            Request::Discover { .. } => {
                self.shape.kind = Kind::Links;
                self.accept = Some(ContentFormat::LINK_FORMAT);
            }
            Request::WriteAttributes { changes, .. } => {
                self.code = Code::PUT;
                self.query = changes.queries();
            }
        }
        Ok(())
    }

    /// Takes the content of the path as payload, in TLV without a format.
    pub(super) fn encode(&mut self, format: Option<ContentFormat>, node: &Node) -> Result<(), RequestError> {
        self.encode_at(self.shape.path, format, node)
    }

    fn encode_at(&mut self, path: Path, format: Option<ContentFormat>, node: &Node) -> Result<(), RequestError> {
        let format = format.unwrap_or(ContentFormat::TLV);
        self.content_format = Some(format);
        format::encode(format, &path, node, &mut self.body).map_err(|error| RequestError::Invalid(error.to_string()))
    }

    /// A request that ends an observation has the options of the one that began it (RFC 7641 section 3.6).
    pub(super) fn accept_also(&mut self, format: Option<ContentFormat>) {
        self.accept = format.or(self.accept);
    }

    /// Where the payload is while it is sent.
    pub(super) fn payload(&self) -> Payload {
        match self.supplied {
            Some(size) => Payload::Supplied(size),
            None if self.body.len() > LONG_BODY => Payload::Held(self.body.as_slice().into()),
            None => Payload::Peer,
        }
    }

    /// Hands the message to `send`.
    pub(super) fn send<T>(&self, send: impl FnOnce(Outgoing<'_>) -> T) -> T {
        // The root has no segments.
        let path: Vec<&str> = self.path.split('/').filter(|segment| !segment.is_empty()).collect();
        let query: Vec<&str> = self.query.iter().map(String::as_str).collect();
        let mut outgoing = Outgoing::new(self.code).path(&path).query(&query).body(&self.body);
        outgoing.accept = self.accept;
        outgoing.content_format = self.content_format;
        outgoing.observe = self.observe;
        send(outgoing)
    }
}

/// Which levels an operation can be about (LwM2M core 1.1 section 6.3).
fn check_level(request: &Request, path: &Path) -> Result<(), RequestError> {
    use Level::{Instance, Object, Resource, ResourceInstance};
    let level = path.level();
    let fits = match request {
        Request::Read { .. } | Request::Observe { .. } | Request::CancelObservation { .. } => level != Level::Root,
        Request::Write { node, .. } => matches!(level, Instance | Resource | ResourceInstance) && node.level() == level,
        Request::Push { .. } | Request::Execute { .. } => level == Resource,
        Request::Create { .. } => true,
        Request::Delete { .. } => level == Instance,
        Request::Discover { .. } => matches!(level, Object | Instance | Resource),
        Request::WriteAttributes { .. } => level != Level::Root,
    };
    if fits { Ok(()) } else { Err(RequestError::Invalid(format!("{path} is of the wrong level for this operation"))) }
}

/// The definition to read a client's object by: that of the version it registered, or of the newest that is known, or
/// one in which every value is opaque.
fn definition_of(registration: &Registration, object: ObjectId) -> DefinitionRef {
    registration
        .version_of(object)
        .and_then(|version| definitions::find(object, version))
        .map_or_else(|| latest_or_opaque(object), DefinitionRef::Static)
}

/// The newest definition that is known, or one in which every value is opaque.
pub(super) fn latest_or_opaque(object: ObjectId) -> DefinitionRef {
    let unknown = || DefinitionRef::Shared(Arc::new(ObjectDefinition::unknown(object)));
    definitions::latest(object).map_or_else(unknown, DefinitionRef::Static)
}

/// TLV, when the client might otherwise answer in a format of its own choice that is not understood here.
fn preferred_answer(registration: &Registration) -> Option<ContentFormat> {
    let foreign = registration.formats.iter().any(|format| !format::is_supported(*format));
    foreign.then_some(ContentFormat::TLV)
}

/// The segments of a path under the client's root, joined by `/`.
fn uri_path(root: &str, path: &Path) -> String {
    let mut joined = String::new();
    for segment in root.split('/').filter(|segment| !segment.is_empty()) {
        joined.push_str(&percent_decoded(segment));
        joined.push('/');
    }
    // A path begins with a slash.
    joined.push_str(&path.to_string()[1..]);
    joined
}

/// A link is a URI, a Uri-Path option is not encoded (RFC 7252 section 6.4). What is not well encoded stays as it is.
fn percent_decoded(segment: &str) -> Cow<'_, str> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let decoded = (byte == b'%').then(|| after.get(..2)).flatten().and_then(|digits| {
            u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok().filter(|&byte| byte != b'/')
        });
        bytes.push(decoded.unwrap_or(byte));
        rest = if decoded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(segment), Cow::Owned)
}

impl Shape {
    /// Reads an answer or a notification.
    pub(super) fn understand(&self, response: &peer::Response<'_>) -> Result<Response, RequestError> {
        let options = &response.message.options;
        let code = response.message.code;
        let format = options.content_format();
        let content = if code == Code::CONTENT {
            self.content(format, response.payload).map_err(|reason| RequestError::Unreadable {
                code,
                format,
                payload: response.payload.to_vec(),
                reason,
            })?
        } else {
            Content::None
        };
        let created = code == Code::CREATED && self.kind == Kind::Location;
        let location = if created { self.location(options.location_path()) } else { None };
        Ok(Response { code, content, format, payload: response.payload.to_vec(), location, observe: response.observe })
    }

    fn content(&self, format: Option<ContentFormat>, payload: &[u8]) -> Result<Content, String> {
        match self.kind {
            Kind::Node => {
                let format = match format {
                    Some(format) => format,
                    // Clients of 1.0 may leave it out for plain text.
                    None if matches!(self.path.level(), Level::Resource | Level::ResourceInstance) => {
                        ContentFormat::TEXT
                    }
                    None => return Err("it has no Content-Format".into()),
                };
                format::decode(format, &self.path, &self.definition, payload)
                    .map(Content::Node)
                    .map_err(|error| error.to_string())
            }
            Kind::Links if matches!(format, None | Some(ContentFormat::LINK_FORMAT)) => {
                link::parse(payload).map(Content::Links).map_err(|error| error.to_string())
            }
            Kind::Links => Err("it is not in application/link-format".into()),
            Kind::Location | Kind::Nothing => Ok(Content::None),
        }
    }

    /// The Location of a new instance, without the client's root.
    fn location<'a>(&self, segments: impl Iterator<Item = &'a str>) -> Option<Path> {
        let joined = segments.fold(String::new(), |joined, segment| joined + "/" + segment);
        let path = joined.strip_prefix(self.root.trim_end_matches('/')).unwrap_or(&joined);
        path.parse().ok()
    }
}
