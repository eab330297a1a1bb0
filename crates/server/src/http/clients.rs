//! `/api/clients`: the registered clients, and what is asked of them.

use std::sync::Arc;

use axum::{
    Json,
    body::{Body, to_bytes},
    extract::{Path as Captures, Query, RawQuery, State, rejection::QueryRejection},
    http::{HeaderMap, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use lapwing_lwm2m::server::{Registration, Request};
use serde_json::Value as JsonValue;

use super::{
    error::ApiError,
    json,
    operation::{BODY, Call, Task, path},
    query::{self, Pairs},
    transfers::Asked,
};
use crate::Handle;

const METHODS: &str = "GET, HEAD, PUT, POST, DELETE";

/// `GET /api/clients`.
pub(super) async fn list(State(handle): State<Handle>) -> Json<Vec<JsonValue>> {
    Json(handle.registrations().await.iter().map(|registration| json::registration(registration)).collect())
}

/// `/api/clients/`, with no endpoint behind it.
pub(super) async fn nameless() -> ApiError {
    ApiError::invalid_path()
}

/// `/api/clients/EP` and all below it, in every method.
pub(super) async fn client(
    State(handle): State<Handle>,
    Captures(captures): Captures<Vec<(String, String)>>,
    RawQuery(query): RawQuery,
    pairs: Result<Query<Pairs>, QueryRejection>,
    method: Method,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    if ![Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::DELETE].contains(&method) {
        return Ok((StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, METHODS)]).into_response());
    }
    let captured = |name| captures.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str());
    let endpoint = captured("endpoint");
    let registration = handle.registration(endpoint).await.ok_or_else(|| ApiError::not_registered(endpoint))?;
    // A query that cannot be decoded has no parameters; that of a Write-Attributes is not decoded at all.
    let pairs = pairs.map_or_else(|_| Pairs::new(), |Query(pairs)| pairs);
    let parts: Vec<&str> = captured("rest").split('/').filter(|part| !part.is_empty()).collect();
    if let (&Method::POST, [above @ .., verb @ ("push" | "pull")]) = (&method, parts.as_slice()) {
        let asked = Asked { handle: &handle, registration: &registration, path: path(above)?, pairs: &pairs };
        return if *verb == "push" { asked.push(&headers, body).await } else { asked.pull().await };
    }
    let body = to_bytes(body, BODY)
        .await
        .map_err(|_| ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large"))?;
    let call = Call {
        objects: &registration.objects,
        method: &method,
        parts,
        pairs: &pairs,
        query: query.as_deref(),
        content_type: headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()),
        body: &body,
    };
    match call.task()? {
        Task::Show => Ok(Json(json::registration(&registration)).into_response()),
        Task::Ask(request) => ask(&handle, &registration, request, &pairs).await,
        Task::Forget(path) => {
            handle.forget_observation(endpoint, path).await;
            Ok(StatusCode::OK.into_response())
        }
    }
}

async fn ask(
    handle: &Handle,
    registration: &Arc<Registration>,
    request: Request,
    pairs: &Pairs,
) -> Result<Response, ApiError> {
    let timeout = query::timeout(pairs);
    let answer = handle.request(registration.id, request.clone(), Some(timeout)).await;
    let response = answer.map_err(|error| ApiError::from_request(error, &registration.endpoint))?;
    Ok(Json(json::answer(registration, &request, &response)).into_response())
}
