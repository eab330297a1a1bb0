//! `/api/bootstrap`: what clients are configured with, and who may ask.

use axum::{
    Json,
    body::Bytes,
    extract::{Path as Captures, Query, State},
    http::StatusCode,
    response::Response,
};
use serde_json::{Map, Value as JsonValue};

use super::{
    error::ApiError,
    info, json,
    security::{self, Keys},
};
use crate::{BootstrapHandle, Handle};

/// The bootstrap server, if there is one.
fn bootstrap(handle: &Handle) -> Result<&BootstrapHandle, ApiError> {
    let none = "This server has no bootstrap server; lapwing serve --bootstrap ADDR:PORT starts one";
    handle.bootstrap().ok_or_else(|| ApiError::new(StatusCode::NOT_FOUND, none))
}

/// `GET /api/bootstrap[?keys]`.
pub(super) async fn list(
    State(handle): State<Handle>,
    Query(parameters): Query<Keys>,
) -> Result<Json<JsonValue>, ApiError> {
    let plans = bootstrap(&handle)?.plans().await;
    let configurations = plans.iter().filter_map(|(endpoint, plan)| Some((endpoint, plan.configuration()?)));
    let map: Map<_, _> = configurations
        .map(|(endpoint, configuration)| (endpoint.clone(), json::configuration(configuration, parameters.wanted())))
        .collect();
    Ok(Json(JsonValue::Object(map)))
}

/// `POST /api/bootstrap/EP`.
pub(super) async fn put(
    State(handle): State<Handle>,
    Captures(endpoint): Captures<String>,
    body: Bytes,
) -> Result<StatusCode, ApiError> {
    let bootstrap = bootstrap(&handle)?;
    let bad = |reason: String| ApiError::new(StatusCode::BAD_REQUEST, reason);
    let json: JsonValue = serde_json::from_slice(&body).map_err(|error| bad(format!("Invalid JSON: {error}")))?;
    if json.is_null() {
        return Err(bad("no content".to_owned()));
    }
    let plan = json::plan(&json).map_err(bad)?;
    bootstrap.set_plan(&endpoint, Some(plan)).await;
    Ok(StatusCode::OK)
}

/// `DELETE /api/bootstrap/EP`.
pub(super) async fn delete(
    State(handle): State<Handle>,
    Captures(endpoint): Captures<String>,
) -> Result<StatusCode, ApiError> {
    if bootstrap(&handle)?.set_plan(&endpoint, None).await.is_some() {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::new(StatusCode::NOT_FOUND, format!("no config for {endpoint}")))
    }
}

/// `POST` and `DELETE /api/bootstrap`, with no endpoint behind it.
pub(super) async fn nameless() -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "endpoint name should be specified in the URL")
}

/// `GET /api/bootstrap/EP`.
pub(super) async fn single() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "bad URL")
}

/// `GET /api/bootstrap/security/clients[?keys]`.
pub(super) async fn securities(
    State(handle): State<Handle>,
    Query(parameters): Query<Keys>,
) -> Result<Json<Vec<JsonValue>>, ApiError> {
    let all = bootstrap(&handle)?.securities().await;
    Ok(Json(all.iter().map(|(endpoint, info)| json::security(endpoint, info, parameters.wanted())).collect()))
}

/// `PUT /api/bootstrap/security/clients`.
pub(super) async fn put_security(State(handle): State<Handle>, body: Bytes) -> Result<StatusCode, ApiError> {
    let (endpoint, info) = json::parse_security_body(&body)?;
    security::put_answer(bootstrap(&handle)?.set_security(&endpoint, Some(info)).await)
}

/// `DELETE /api/bootstrap/security/clients/EP`.
pub(super) async fn remove_security(
    State(handle): State<Handle>,
    Captures(endpoint): Captures<String>,
) -> Result<Response, ApiError> {
    Ok(security::remove_answer(bootstrap(&handle)?.set_security(&endpoint, None).await))
}

/// `GET /api/bootstrap/security/server`.
pub(super) async fn server(State(handle): State<Handle>) -> Result<Json<JsonValue>, ApiError> {
    Ok(Json(json::presented(bootstrap(&handle)?.presented())))
}

/// `GET /api/server/bootstrap`: where clients ask; nowhere without a bootstrap server.
pub(super) async fn endpoints(State(handle): State<Handle>) -> Json<JsonValue> {
    let none = || Json(JsonValue::Array(Vec::new()));
    handle.bootstrap().map_or_else(none, |server| info::endpoints_of(server.coap_address(), server.coaps_address()))
}

/// `GET /api/event/bootstrap`: what was told of the last sessions, as the events were.
pub(super) async fn sessions(State(handle): State<Handle>) -> Result<Json<JsonValue>, ApiError> {
    let history = bootstrap(&handle)?.history().await;
    Ok(Json(history.iter().map(json::told).collect()))
}
