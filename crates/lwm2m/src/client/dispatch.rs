//! What a request asks for, and whether it may: pure checks against what the client offers, changing nothing.
//!
//! Answers to what may not: 4.01 for the Security object and for another server's account, 4.04 for what is not there, 4.05 for
//! methods and operations that a target does not take (RFC 7252 section 5.8 for methods that are not known, which FETCH and
//! iPATCH are without the composite operations), 4.06, 4.15, and 4.00 for content that makes no sense.

use lapwing_coap::{Code, ContentFormat, Options, peer::Request};

use super::{Arguments, LwM2mVersion, WriteMode};
use crate::{
    account::ServerAccount,
    attributes::Changes,
    definitions::{security, server},
    format,
    model::{
        Instance, InstanceId, Level, Node, ObjectDefinition, ObjectId, Path, Resource, ResourceId, Tree, TreeObject,
        Value,
    },
};

/// What the checks look at.
pub(super) struct View<'a> {
    pub(super) tree: &'a Tree,
    pub(super) version: LwM2mVersion,
    /// The asking server's own instance of the Server object.
    pub(super) own_instance: InstanceId,
}

/// Whether a Read begins or ends an observation (RFC 7641 section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Observe {
    No,
    Begin,
    End,
}

/// What a request asks for.
#[derive(Debug, PartialEq)]
pub(super) enum Plan {
    /// Nothing that may be done.
    Refuse(Code),
    /// The rest of the body is needed to say.
    Reassemble,
    Read {
        path: Path,
        accept: Option<ContentFormat>,
        observe: Observe,
    },
    Discover {
        path: Path,
    },
    Write {
        path: Path,
        mode: WriteMode,
        node: Node,
    },
    /// The body is handed on as it comes, beginning with these bytes.
    Receive {
        path: Path,
        format: Option<ContentFormat>,
        size: Option<u64>,
        first: Vec<u8>,
        whole: bool,
    },
    WriteAttributes {
        path: Path,
        changes: Changes,
    },
    Execute {
        path: Path,
        arguments: Arguments,
    },
    Create {
        object: ObjectId,
        instance: Option<InstanceId>,
        resources: Instance,
    },
    Delete {
        path: Path,
    },
}

/// Whether the body is there as a whole, or has only begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    Whole,
    Begun,
}

/// Says what a request asks for.
pub(super) fn plan(request: &Request<'_>, body: Body, view: &View<'_>) -> Plan {
    check(request, body, view).unwrap_or_else(Plan::Refuse)
}

fn check(request: &Request<'_>, body: Body, view: &View<'_>) -> Result<Plan, Code> {
    let method = request.message.code;
    if ![Code::GET, Code::POST, Code::PUT, Code::DELETE].contains(&method) {
        return Err(Code::METHOD_NOT_ALLOWED);
    }
    let options = &request.message.options;
    let path = Path::from_segments(options.uri_path()).map_err(|_| Code::NOT_FOUND)?;
    let object = target(&path, view)?;
    match method {
        Code::GET => read(path, options, object, view),
        Code::DELETE => delete(path, view),
        Code::PUT if is_write_attributes(request) => write_attributes(path, options, view),
        Code::PUT => match path.level() {
            Level::Root | Level::Object => Err(Code::METHOD_NOT_ALLOWED),
            _ => write(path, WriteMode::Replace, request, body, object, view),
        },
        _ => match path.level() {
            Level::Object => create(request, body, object),
            Level::Instance => write(path, WriteMode::Update, request, body, object, view),
            // LwM2M 1.0 maps the Write of a resource to POST as well as to PUT, and some push a package so.
            Level::Resource if view.tree.is_streamed(&path) => {
                write(path, WriteMode::Update, request, body, object, view)
            }
            Level::Resource => execute(path, request, body, object, view),
            Level::Root | Level::ResourceInstance => Err(Code::METHOD_NOT_ALLOWED),
        },
    }
}

/// The object that a request is about.
fn target<'a>(path: &Path, view: &View<'a>) -> Result<&'a TreeObject, Code> {
    let id = path.object_id().ok_or(Code::METHOD_NOT_ALLOWED)?;
    if id == security::OBJECT_ID {
        return Err(Code::UNAUTHORIZED);
    }
    let object = view.tree.object(path).ok_or(Code::NOT_FOUND)?;
    let others = id == server::OBJECT_ID && path.instance_id().is_some_and(|instance| instance != view.own_instance);
    match path.instance_id() {
        Some(instance) if !object.instances.contains_key(&instance) => Err(Code::NOT_FOUND),
        // Without access control a server has rights on its own account only.
        Some(_) if others => Err(Code::UNAUTHORIZED),
        // LwM2M 1.0 does not address instances of resources.
        _ if path.level() == Level::ResourceInstance && view.version == LwM2mVersion::V1_0 => Err(Code::NOT_FOUND),
        _ => Ok(object),
    }
}

fn read(path: Path, options: &Options<'_>, object: &TreeObject, view: &View<'_>) -> Result<Plan, Code> {
    if !view.tree.has(&path) {
        return Err(Code::NOT_FOUND);
    }
    let accept = options.accept();
    if accept == Some(ContentFormat::LINK_FORMAT) {
        // An instance of a resource has nothing to discover (LwM2M Core 1.1 section 6.3.2).
        return match path.level() {
            Level::ResourceInstance => Err(Code::METHOD_NOT_ALLOWED),
            _ => Ok(Plan::Discover { path }),
        };
    }
    if let Some(resource) = path.resource_id()
        && object.definition.resource(resource).is_some_and(|resource| !resource.operations.readable())
    {
        return Err(Code::METHOD_NOT_ALLOWED);
    }
    if accept.is_some_and(|accept| !format::is_supported(accept)) {
        return Err(Code::NOT_ACCEPTABLE);
    }
    let observe = match options.observe() {
        Some(0) => Observe::Begin,
        Some(1) => Observe::End,
        // Other values have no meaning in a request, and Observe is elective.
        _ => Observe::No,
    };
    Ok(Plan::Read { path, accept, observe })
}

fn delete(path: Path, view: &View<'_>) -> Result<Plan, Code> {
    match path.level() {
        _ if !view.tree.has(&path) => Err(Code::NOT_FOUND),
        Level::Instance if path.object_id() != Some(server::OBJECT_ID) => Ok(Plan::Delete { path }),
        // Accounts come and go by bootstrap only.
        _ => Err(Code::METHOD_NOT_ALLOWED),
    }
}

/// A PUT without content, but with attributes (LwM2M Core 1.1 section 6.3.6).
fn is_write_attributes(request: &Request<'_>) -> bool {
    let options = &request.message.options;
    request.payload.is_empty() && options.content_format().is_none() && options.uri_query().next().is_some()
}

fn write_attributes(path: Path, options: &Options<'_>, view: &View<'_>) -> Result<Plan, Code> {
    if !view.tree.has(&path) {
        return Err(Code::NOT_FOUND);
    }
    let changes = Changes::parse(options.uri_query()).map_err(|_| Code::BAD_REQUEST)?;
    Ok(Plan::WriteAttributes { path, changes })
}

fn write(
    path: Path,
    mode: WriteMode,
    request: &Request<'_>,
    body: Body,
    object: &TreeObject,
    view: &View<'_>,
) -> Result<Plan, Code> {
    if path.resource_id().is_some() {
        // An account's optional resources come to be by being written.
        let own = path.object_id() == Some(server::OBJECT_ID)
            && path.level() == Level::Resource
            && path.resource_id().is_some_and(ServerAccount::is_writable);
        if !own && !view.tree.has(&path) {
            return Err(Code::NOT_FOUND);
        }
    }
    check_resources(path.resource_id(), path, object, view)?;
    let options = &request.message.options;
    let named = options.content_format();
    if view.tree.is_streamed(&path) && named.is_none_or(|format| format == ContentFormat::OPAQUE) {
        return Ok(Plan::Receive {
            path,
            format: named,
            size: options.size1().map(u64::from),
            first: request.payload.to_vec(),
            whole: body == Body::Whole,
        });
    }
    let format = content_format(&path, options)?;
    if body == Body::Begun {
        let tlv = matches!(format, ContentFormat::TLV | ContentFormat::OLD_TLV) && view.tree.is_streamed(&path);
        // Its header is in the first block; all that follows is the value.
        return Ok(match format::tlv::value_of_resource(&path, request.payload).filter(|_| tlv) {
            Some((value, length)) => Plan::Receive {
                path,
                format: named,
                size: Some(length as u64),
                first: request.payload[value..].to_vec(),
                whole: false,
            },
            None => Plan::Reassemble,
        });
    }
    let mut node = format::decode(format, &path, &object.definition, request.payload).map_err(|error| error.code())?;
    if let Node::Instance(resources) = &mut node {
        // Optional resources that are not there must not fail the write of those that are (LwM2M Core 1.1.1 section 6.3.3).
        resources.retain(|id, _| is_supported(*id, path, view));
        check_resources(resources.keys().copied(), path, object, view)?;
    }
    object.definition.check(&path, &node).map_err(|_| Code::BAD_REQUEST)?;
    match node {
        // In another format the value could not be told apart before its end: it is handed on in one piece.
        Node::Resource(Resource::Single(Value::Opaque(first))) | Node::Value(Value::Opaque(first))
            if view.tree.is_streamed(&path) =>
        {
            let size = Some(first.len() as u64);
            Ok(Plan::Receive { path, format: Some(format), size, first, whole: true })
        }
        node => Ok(Plan::Write { path, mode, node }),
    }
}

/// The format of the body of a Write.
pub(super) fn content_format(path: &Path, options: &Options<'_>) -> Result<ContentFormat, Code> {
    let format = match options.content_format() {
        Some(format) => format,
        // Only a single value can be told without saying how (LwM2M 1.0 section 6.4).
        None if path.level() >= Level::Resource => ContentFormat::TEXT,
        None => return Err(Code::UNSUPPORTED_CONTENT_FORMAT),
    };
    if format::is_supported(format) { Ok(format) } else { Err(Code::UNSUPPORTED_CONTENT_FORMAT) }
}

/// Whether each of these resources of an instance is there and may be written.
fn check_resources(
    resources: impl IntoIterator<Item = u16>,
    path: Path,
    object: &TreeObject,
    view: &View<'_>,
) -> Result<(), Code> {
    for id in resources {
        let there = is_supported(id, path, view);
        match object.definition.resource(id) {
            Some(resource) if there && resource.operations.writable() => {}
            Some(_) if there => return Err(Code::METHOD_NOT_ALLOWED),
            _ => return Err(Code::NOT_FOUND),
        }
    }
    Ok(())
}

/// Whether the instance at `path` has this resource; an account's optional ones come to be by being written.
fn is_supported(id: ResourceId, path: Path, view: &View<'_>) -> bool {
    let own = path.object_id() == Some(server::OBJECT_ID);
    view.tree.has(&path.up_to(Level::Instance).resource(id)) || own && ServerAccount::is_writable(id)
}

fn execute(path: Path, request: &Request<'_>, body: Body, object: &TreeObject, view: &View<'_>) -> Result<Plan, Code> {
    if !view.tree.has(&path) {
        return Err(Code::NOT_FOUND);
    }
    let resource = path.resource_id().and_then(|id| object.definition.resource(id)).ok_or(Code::NOT_FOUND)?;
    if !resource.operations.executable() {
        return Err(Code::METHOD_NOT_ALLOWED);
    }
    if request.message.options.content_format().is_some_and(|format| format != ContentFormat::TEXT) {
        return Err(Code::UNSUPPORTED_CONTENT_FORMAT);
    }
    if body == Body::Begun {
        return Ok(Plan::Reassemble);
    }
    let arguments = Arguments::from_payload(request.payload).map_err(|_| Code::BAD_REQUEST)?;
    Ok(Plan::Execute { path, arguments })
}

fn create(request: &Request<'_>, body: Body, object: &TreeObject) -> Result<Plan, Code> {
    let definition = &*object.definition;
    if definition.id == server::OBJECT_ID || !definition.multiple && !object.instances.is_empty() {
        return Err(Code::METHOD_NOT_ALLOWED);
    }
    let format = request.message.options.content_format();
    if !matches!(format, Some(ContentFormat::TLV | ContentFormat::OLD_TLV)) {
        return Err(Code::UNSUPPORTED_CONTENT_FORMAT);
    }
    if body == Body::Begun {
        return Ok(Plan::Reassemble);
    }
    let (instance, mut resources) =
        format::tlv::decode_create(definition, request.payload).map_err(|error| error.code())?;
    if instance.is_some_and(|instance| object.instances.contains_key(&instance)) {
        return Err(Code::BAD_REQUEST);
    }
    // A client may ignore optional resources that it does not have (LwM2M Core 1.1 section 6.3.7).
    resources.retain(|id, _| definition.resource(*id).is_some());
    check_new_instance(definition, &resources)?;
    Ok(Plan::Create { object: definition.id, instance, resources })
}

/// What a new instance is made of: only values, and all that a server must give (LwM2M Core 1.1 section 6.3.7).
fn check_new_instance(definition: &ObjectDefinition, resources: &Instance) -> Result<(), Code> {
    for (&id, content) in resources {
        let resource = definition.resource(id).ok_or(Code::BAD_REQUEST)?;
        if resource.operations.executable() || resource.check(content).is_err() {
            return Err(Code::BAD_REQUEST);
        }
    }
    // What only the client can know, a server need not give.
    let missing = |id| !resources.contains_key(&id);
    let demanded = definition.resources.iter().filter(|resource| resource.mandatory && resource.operations.writable());
    if demanded.into_iter().any(|resource| missing(resource.id)) { Err(Code::BAD_REQUEST) } else { Ok(()) }
}
