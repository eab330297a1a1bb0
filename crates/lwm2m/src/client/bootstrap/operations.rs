//! What a request of the bootstrap server asks for, and whether it may: pure checks, changing nothing (LwM2M Core 1.1 section
//! 6.1.7, Transport 1.1 section 6.4.2).

use lapwing_coap::{Code, ContentFormat, peer::Request};

use crate::{
    account::AccountObjects,
    client::{
        LwM2mVersion,
        dispatch::{self, Body},
    },
    definitions::{access_control, server},
    format,
    model::{CheckError, Instance, Level, MAX_ID, Node, ObjectDefinition, Path, Tree},
};

/// What a request asks for. It may hold keys, and so has no `Debug`.
pub(super) enum Plan {
    /// Nothing that may be done.
    Refuse(Code),
    /// The rest of the body is needed to say.
    Reassemble,
    /// Bootstrap-Discover, of everything or of one object.
    Discover(Path),
    /// Bootstrap-Read.
    Read { path: Path, accept: Option<ContentFormat> },
    /// Bootstrap-Write.
    Write { path: Path, node: Node },
    /// Bootstrap-Delete.
    Delete(Path),
    /// Bootstrap-Finish.
    Finish,
}

/// Says what a request asks for. `tree` is what the application has declared.
pub(super) fn plan(request: &Request<'_>, body: Body, tree: &Tree, version: LwM2mVersion) -> Plan {
    check(request, body, tree, version).unwrap_or_else(Plan::Refuse)
}

fn check(request: &Request<'_>, body: Body, tree: &Tree, version: LwM2mVersion) -> Result<Plan, Code> {
    let (method, options) = (request.message.code, &request.message.options);
    if options.uri_path().eq(["bs"]) {
        return match method {
            Code::POST => Ok(Plan::Finish),
            _ => Err(Code::METHOD_NOT_ALLOWED),
        };
    }
    let path = Path::from_segments(options.uri_path()).map_err(|_| Code::NOT_FOUND)?;
    let definition = path.object_id().map(|_| definition(&path, tree).ok_or(Code::NOT_FOUND)).transpose()?;
    match (method, definition) {
        (Code::GET, _) if options.accept() == Some(ContentFormat::LINK_FORMAT) => discover(path),
        (Code::GET, _) => read(path, options.accept(), version),
        (Code::PUT, Some(definition)) => write(path, request, body, definition),
        (Code::DELETE, _) if path.level() <= Level::Instance => Ok(Plan::Delete(path)),
        (Code::DELETE, _) => Err(Code::BAD_REQUEST),
        _ => Err(Code::METHOD_NOT_ALLOWED),
    }
}

fn definition<'a>(path: &Path, tree: &'a Tree) -> Option<&'a ObjectDefinition> {
    let own = path.object_id().and_then(AccountObjects::definition);
    own.or_else(|| tree.object(path).map(|object| &*object.definition))
}

fn discover(path: Path) -> Result<Plan, Code> {
    match path.level() {
        Level::Root | Level::Object => Ok(Plan::Discover(path)),
        _ => Err(Code::BAD_REQUEST),
    }
}

/// Bootstrap-Read came with LwM2M 1.1, for the objects 1 and 2 and their instances.
fn read(path: Path, accept: Option<ContentFormat>, version: LwM2mVersion) -> Result<Plan, Code> {
    let readable = matches!(path.object_id(), Some(server::OBJECT_ID | access_control::OBJECT_ID));
    if version == LwM2mVersion::V1_0 || !readable || path.level() > Level::Instance {
        return Err(Code::METHOD_NOT_ALLOWED);
    }
    if accept.is_some_and(|accept| !format::is_supported(accept)) {
        return Err(Code::NOT_ACCEPTABLE);
    }
    Ok(Plan::Read { path, accept })
}

fn write(path: Path, request: &Request<'_>, body: Body, definition: &ObjectDefinition) -> Result<Plan, Code> {
    if path.level() > Level::Resource || path.instance_id() == Some(MAX_ID) {
        return Err(Code::BAD_REQUEST);
    }
    let format = dispatch::content_format(&path, &request.message.options)?;
    if let Some(resource) = path.resource_id() {
        let resource = definition.resource(resource).ok_or(Code::NOT_FOUND)?;
        if resource.operations.executable() {
            return Err(Code::METHOD_NOT_ALLOWED);
        }
    }
    if body == Body::Begun {
        return Ok(Plan::Reassemble);
    }
    let mut node = format::decode(format, &path, definition, request.payload).map_err(|error| error.code())?;
    match &mut node {
        Node::Object(instances) => {
            if instances.contains_key(&MAX_ID) {
                return Err(Code::BAD_REQUEST);
            }
            instances.values_mut().try_for_each(|instance| check_instance(instance, definition))?;
        }
        Node::Instance(instance) => check_instance(instance, definition)?,
        Node::Resource(content) => {
            let resource = path.resource_id().and_then(|id| definition.resource(id)).ok_or(Code::NOT_FOUND)?;
            fits(resource.check(content))?;
        }
        Node::Value(_) => return Err(Code::BAD_REQUEST),
    }
    Ok(Plan::Write { path, node })
}

/// Optional resources that the client does not know are no error, and are passed over; values of other types are.
fn check_instance(instance: &mut Instance, definition: &ObjectDefinition) -> Result<(), Code> {
    instance.retain(|id, _| definition.resource(*id).is_some_and(|resource| !resource.operations.executable()));
    let known = instance.iter().filter_map(|(id, content)| Some((definition.resource(*id)?, content)));
    known.into_iter().try_for_each(|(resource, content)| fits(resource.check(content)))
}

/// Ranges are left to the Finish: servers fill what has no meaning, such as the Short Server ID of a bootstrap server, with 0.
fn fits(checked: Result<(), CheckError>) -> Result<(), Code> {
    match checked {
        Ok(()) | Err(CheckError::Range(_)) => Ok(()),
        Err(_) => Err(Code::BAD_REQUEST),
    }
}
