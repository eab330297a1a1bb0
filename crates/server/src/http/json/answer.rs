//! A client's answer as JSON.

use lapwing_coap::wire::Code;
use lapwing_lwm2m::{
    definitions,
    model::{Path, ResourceId, ResourceType},
    server::{Content, Registration, Request, Response},
};
use serde_json::{Value as Json, json};

use super::{node, registration::links};

/// The codes that LwM2M names, with their names here.
const NAMES: [(Code, &str); 15] = [
    (Code::CREATED, "CREATED"),
    (Code::DELETED, "DELETED"),
    (Code::CHANGED, "CHANGED"),
    (Code::CONTENT, "CONTENT"),
    (Code::BAD_REQUEST, "BAD_REQUEST"),
    (Code::UNAUTHORIZED, "UNAUTHORIZED"),
    (Code::FORBIDDEN, "FORBIDDEN"),
    (Code::NOT_FOUND, "NOT_FOUND"),
    (Code::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED"),
    (Code::NOT_ACCEPTABLE, "NOT_ACCEPTABLE"),
    (Code::REQUEST_ENTITY_INCOMPLETE, "REQUEST_ENTITY_INCOMPLETE"),
    (Code::PRECONDITION_FAILED, "PRECONDITION_FAILED"),
    (Code::REQUEST_ENTITY_TOO_LARGE, "REQUEST_ENTITY_TOO_LARGE"),
    (Code::UNSUPPORTED_CONTENT_FORMAT, "UNSUPPORTED_CONTENT_FORMAT"),
    (Code::INTERNAL_SERVER_ERROR, "INTERNAL_SERVER_ERROR"),
];

/// `response` to `request`.
pub(crate) fn answer(registration: &Registration, request: &Request, response: &Response) -> Json {
    let code = response.code;
    let mut json = json!({
        "status": status(code),
        "valid": is_valid(request, code),
        "success": code.is_success(),
        "failure": !code.is_success(),
    });
    match &response.content {
        Content::Node(_) => json["content"] = content(registration, &request.path(), &response.content),
        Content::Links(found) => json["objectLinks"] = links(found),
        _ => {}
    }
    if let Some(location) = response.location.filter(|_| code == Code::CREATED) {
        json["location"] = json!(location.to_string().trim_start_matches('/'));
    }
    if let Some(text) = response.diagnostic() {
        json["errormessage"] = json!(text);
    }
    json
}

/// A value that was read or notified, `null` if it is none.
pub(crate) fn content(registration: &Registration, path: &Path, content: &Content) -> Json {
    let Content::Node(found) = content else { return Json::Null };
    node::to_json(path, found, |resource| expected(registration, path, resource))
}

fn expected(registration: &Registration, path: &Path, resource: ResourceId) -> Option<ResourceType> {
    let object = path.object_id()?;
    let definition = definitions::find(object, registration.version_of(object)?)?;
    definition.resource(resource).map(|resource| resource.kind)
}

/// `NOT_FOUND(404)`.
fn status(code: Code) -> String {
    let name = NAMES.iter().find(|(known, _)| *known == code).map_or("UNKNOWN", |(_, name)| name);
    format!("{name}({}{:02})", code.class(), code.detail())
}

/// Whether the standard has the code for this operation (LwM2M core 1.1 section 6.3 and 6.4).
fn is_valid(request: &Request, code: Code) -> bool {
    let any =
        [Code::BAD_REQUEST, Code::UNAUTHORIZED, Code::NOT_FOUND, Code::METHOD_NOT_ALLOWED, Code::INTERNAL_SERVER_ERROR];
    let own: &[Code] = match request {
        Request::Read { .. } | Request::Observe { .. } | Request::CancelObservation { .. } => {
            &[Code::CONTENT, Code::NOT_ACCEPTABLE]
        }
        Request::Discover { .. } => &[Code::CONTENT],
        Request::Write { .. } => &[
            Code::CHANGED,
            Code::REQUEST_ENTITY_INCOMPLETE,
            Code::REQUEST_ENTITY_TOO_LARGE,
            Code::UNSUPPORTED_CONTENT_FORMAT,
        ],
        Request::Create { .. } => &[Code::CREATED, Code::UNSUPPORTED_CONTENT_FORMAT],
        Request::Delete { .. } => &[Code::DELETED],
        _ => &[Code::CHANGED],
    };
    any.contains(&code) || own.contains(&code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_the_names_of_lwm2m_or_none() {
        assert_eq!(status(Code::CONTENT), "CONTENT(205)");
        assert_eq!(status(Code::NOT_FOUND), "NOT_FOUND(404)");
        assert_eq!(status(Code::SERVICE_UNAVAILABLE), "UNKNOWN(503)");
    }

    #[test]
    fn an_operation_has_codes_of_its_own() {
        let read = Request::Read { path: Path::object(3), format: None };
        let execute = Request::Execute { path: Path::object(3).instance(0).resource(4), arguments: String::new() };
        assert!(is_valid(&read, Code::NOT_ACCEPTABLE) && is_valid(&read, Code::NOT_FOUND));
        assert!(is_valid(&execute, Code::CHANGED) && !is_valid(&execute, Code::CONTENT));
        assert!(!is_valid(&read, Code::SERVICE_UNAVAILABLE));
    }
}
