//! What a request to `/api/clients/EP/...` asks of the client.

use std::collections::BTreeMap;

use axum::http::Method;
use lapwing_coap::ContentFormat;
use lapwing_lwm2m::{
    client::Arguments,
    definitions,
    model::{Level, Node, ObjectId, Path, Resource},
    server::{Offer, Request, WriteMode},
};

use super::{
    error::ApiError,
    json::{Parsed, parse_node},
    query::{self, Pairs},
};

/// The largest body that is taken in one piece: longer values are pushed from files.
pub(crate) const BODY: usize = 1 << 20;

/// A request to the API, taken apart.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    /// What the client offers.
    pub(crate) objects: &'a BTreeMap<ObjectId, Offer>,
    pub(crate) method: &'a Method,
    /// What follows the endpoint, without empty parts.
    pub(crate) parts: Vec<&'a str>,
    pub(crate) pairs: &'a Pairs,
    /// The query as it came.
    pub(crate) query: Option<&'a str>,
    pub(crate) content_type: Option<&'a str>,
    pub(crate) body: &'a [u8],
}

/// What is to be done for it.
#[derive(Debug, PartialEq)]
pub(crate) enum Task {
    /// Tell of the client.
    Show,
    /// Ask the client.
    Ask(Request),
    /// Forget an observation without asking the client.
    Forget(Path),
}

impl Call<'_> {
    /// What is to be done, decided by method and path as docs/api/http.md has it.
    pub(crate) fn task(&self) -> Result<Task, ApiError> {
        if self.parts.first() == Some(&"composite") {
            return Err(ApiError::not_implemented("composite operations"));
        }
        match *self.method {
            Method::GET | Method::HEAD => self.get(),
            Method::PUT => self.put().map(Task::Ask),
            Method::POST => self.post().map(Task::Ask),
            _ => self.delete(),
        }
    }

    fn get(&self) -> Result<Task, ApiError> {
        match self.parts.as_slice() {
            [] => Ok(Task::Show),
            [above @ .., "discover"] if !above.is_empty() => {
                let path = path(above)?;
                if path.level() == Level::ResourceInstance {
                    return Err(ApiError::invalid_request(format_args!("{path} is too deep for Discover")));
                }
                Ok(Task::Ask(Request::Discover { path }))
            }
            parts => Ok(Task::Ask(Request::Read { path: path(parts)?, format: query::format(self.pairs)? })),
        }
    }

    fn put(&self) -> Result<Request, ApiError> {
        match self.parts.as_slice() {
            [] | [_] => Err(ApiError::invalid_path()),
            [above @ .., "attributes"] => {
                Ok(Request::WriteAttributes { path: path(above)?, changes: query::attributes(self.query)? })
            }
            parts => self.write(path(parts)?),
        }
    }

    fn post(&self) -> Result<Request, ApiError> {
        match self.parts.as_slice() {
            [above @ .., "observe"] if !above.is_empty() => {
                Ok(Request::Observe { path: path(above)?, format: query::format(self.pairs)? })
            }
            [_, _, _] => self.execute(path(&self.parts)?),
            [_] | [_, _] => self.create(path(&self.parts)?),
            _ => Err(ApiError::invalid_path()),
        }
    }

    fn delete(&self) -> Result<Task, ApiError> {
        if let [above @ .., "observe"] = self.parts.as_slice()
            && !above.is_empty()
        {
            let path = path(above)?;
            return Ok(if query::active(self.pairs) {
                Task::Ask(Request::CancelObservation { path })
            } else {
                Task::Forget(path)
            });
        }
        let path = path(&self.parts)?;
        if path.level() != Level::Instance {
            return Err(ApiError::invalid_request(format_args!(
                "{path} is no instance; only instances can be deleted"
            )));
        }
        Ok(Task::Ask(Request::Delete { path }))
    }

    fn write(&self, path: Path) -> Result<Request, ApiError> {
        let format = query::format(self.pairs)?;
        let mode = query::mode(self.pairs);
        let parsed = self.node(&path)?;
        let kind = parsed.kind();
        let mismatch = || ApiError::invalid_request(format_args!("path {path} and a node of kind {kind} do not match"));
        if parsed.id().is_some_and(|id| path.ids().last() != Some(&id)) {
            return Err(ApiError::invalid_request(format_args!("path {path} and the node's id do not match")));
        }
        let node = match (path.level(), parsed) {
            (Level::Instance, Parsed::Instance(_, instance)) => Node::Instance(instance),
            (Level::Resource, Parsed::Resource(_, resource)) => Node::Resource(resource),
            (Level::ResourceInstance, Parsed::ResourceInstance(_, value)) => Node::Value(value),
            _ => return Err(mismatch()),
        };
        if mode == WriteMode::Update && matches!(node, Node::Resource(Resource::Single(_)) | Node::Value(_)) {
            return Err(ApiError::invalid_request(format_args!("{path} cannot be updated in part: it is a {kind}")));
        }
        self.check_types(&path, &node)?;
        Ok(Request::Write { path, mode, format, node })
    }

    /// Whether each value is of its resource's type. What no definition tells of is trusted.
    fn check_types(&self, path: &Path, node: &Node) -> Result<(), ApiError> {
        let offer = path.object_id().and_then(|object| Some((object, self.objects.get(&object)?.version)));
        let Some(definition) = offer.and_then(|(object, version)| definitions::find(object, version)) else {
            return Ok(());
        };
        for (at, value) in node.values(*path) {
            let expected = at.resource_id().and_then(|id| definition.resource(id)).map(|resource| resource.kind);
            if let Some(expected) = expected.filter(|kind| *kind != value.kind()) {
                let reason = format!("Invalid value type for resource {at}, expected {expected}, got {}", value.kind());
                return Err(ApiError::invalid_request(reason));
            }
        }
        Ok(())
    }

    fn execute(&self, path: Path) -> Result<Request, ApiError> {
        let arguments = self.text()?;
        if let Err(error) = arguments.parse::<Arguments>() {
            return Err(ApiError::invalid_request(format_args!("Invalid Execute request : [{error}]")));
        }
        Ok(Request::Execute { path, arguments: arguments.to_owned() })
    }

    fn create(&self, path: Path) -> Result<Request, ApiError> {
        let format = query::format(self.pairs)?;
        let parsed = self.node(&path)?;
        let Parsed::Instance(instance, resources) = parsed else {
            return Err(ApiError::new(
                axum::http::StatusCode::INTERNAL_SERVER_ERROR,
                "Unexpected exception: the body must be an object instance",
            ));
        };
        let (Level::Object, Some(object)) = (path.level(), path.object_id()) else {
            return Err(ApiError::invalid_request(format_args!("{path} is no object; a Create names one")));
        };
        if instance.is_none() && format.is_some_and(|format| format != ContentFormat::TLV) {
            return Err(ApiError::invalid_request("only TLV lets the client choose the id of the instance"));
        }
        // Where the client is to choose the id, any will do to look at the types.
        self.check_types(&path.instance(instance.unwrap_or_default()), &Node::Instance(resources.clone()))?;
        Ok(Request::Create { object, instance, format, resources })
    }

    /// The node in the body; a text is the value of the string resource at `path`.
    fn node(&self, path: &Path) -> Result<Parsed, ApiError> {
        let media = self.content_type.map(|whole| whole.split(';').next().unwrap_or_default().trim());
        match media {
            Some("application/json") => {
                let json = serde_json::from_slice(self.body).map_err(ApiError::invalid_request)?;
                Ok(parse_node(&json)?)
            }
            Some("text/plain") => {
                let id = path.ids().last().copied().unwrap_or_default();
                Ok(Parsed::Resource(id, Resource::Single(self.text()?.into())))
            }
            other => {
                let other = other.unwrap_or("none");
                Err(ApiError::invalid_request(format_args!("content type {other} is not supported")))
            }
        }
    }

    fn text(&self) -> Result<&str, ApiError> {
        std::str::from_utf8(self.body).map_err(|_| ApiError::invalid_request("the body is not UTF-8"))
    }
}

/// A path other than the root.
pub(crate) fn path(parts: &[&str]) -> Result<Path, ApiError> {
    if parts.is_empty() {
        return Err(ApiError::invalid_request("the path is the root, which cannot be asked for"));
    }
    Path::from_segments(parts.iter().copied()).map_err(ApiError::invalid_request)
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    fn task(method: Method, path: &str, pairs: &[(&str, &str)], body: &str) -> Result<Task, ApiError> {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let parts = path.split('/').filter(|part| !part.is_empty()).collect();
        let content_type = Some(if body.starts_with('{') { "application/json; charset=UTF-8" } else { "text/plain" });
        Call {
            objects: &BTreeMap::new(),
            method: &method,
            parts,
            pairs: &pairs,
            query: None,
            content_type,
            body: body.as_bytes(),
        }
        .task()
    }

    #[test]
    fn the_number_of_parts_tells_execute_from_create() {
        let reboot = Path::object(3).instance(0).resource(4);
        let execute = Request::Execute { path: reboot, arguments: "5".to_owned() };
        assert_eq!(task(Method::POST, "/3/0/4/", &[], "5").unwrap(), Task::Ask(execute));
        let create = Request::Create { object: 3441, instance: Some(7), format: None, resources: [].into() };
        assert_eq!(task(Method::POST, "/3441", &[], r#"{"id": 7, "resources": []}"#).unwrap(), Task::Ask(create));
    }

    #[test]
    fn replace_is_the_default_of_a_write() {
        let json = r#"{"id": 0, "resources": []}"#;
        for (pairs, expected) in [
            (&[][..], WriteMode::Replace),
            (&[("replace", "TRUE")], WriteMode::Replace),
            (&[("replace", "false")], WriteMode::Update),
            (&[("replace", "yes")], WriteMode::Update),
        ] {
            let Ok(Task::Ask(Request::Write { mode, .. })) = task(Method::PUT, "/3/0", pairs, json) else {
                panic!("a write")
            };
            assert_eq!(mode, expected, "{pairs:?}");
        }
    }

    #[test]
    fn what_does_not_fit_its_path_is_refused() {
        for (path, body, mode) in [
            ("/3/0", r#"{"id": 0, "type": "string", "value": "x"}"#, "true"),
            ("/3/0/1", r#"{"id": 0, "type": "string", "value": "x"}"#, "true"),
            ("/3/0/0", r#"{"id": 0, "type": "string", "value": "x"}"#, "false"),
            ("/3/0/0", r#"{"kind": "resourceInstance", "id": 0, "type": "string", "value": "x"}"#, "true"),
            ("/3/0/x", "text", "true"),
            ("/3/0/0", "{", "true"),
        ] {
            let error = task(Method::PUT, path, &[("replace", mode)], body).unwrap_err();
            assert_eq!(error.status, StatusCode::BAD_REQUEST, "{path} {body}: {}", error.text);
            assert!(error.text.starts_with("Invalid request: "), "{}", error.text);
        }
    }
}
