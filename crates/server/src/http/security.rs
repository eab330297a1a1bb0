//! `/api/security`: what endpoints have to show before they may register, and what the server shows of itself.

use axum::{
    Json,
    body::Bytes,
    extract::{Path as Captures, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use lapwing_lwm2m::server::{SecurityError, SecurityInfo};
use serde::Deserialize;
use serde_json::{Value as JsonValue, json};

use super::{error::ApiError, json};
use crate::Handle;

/// Whether keys are shown.
#[derive(Deserialize)]
pub(super) struct Keys {
    keys: Option<String>,
}

impl Keys {
    pub(super) fn wanted(&self) -> bool {
        self.keys.is_some()
    }
}

/// `GET /api/security/clients[?keys]`.
pub(super) async fn list(State(handle): State<Handle>, Query(parameters): Query<Keys>) -> Json<Vec<JsonValue>> {
    let all = handle.securities().await;
    Json(all.iter().map(|(endpoint, info)| json::security(endpoint, info, parameters.wanted())).collect())
}

/// `PUT /api/security/clients`.
pub(super) async fn put(State(handle): State<Handle>, body: Bytes) -> Result<StatusCode, ApiError> {
    let (endpoint, info) = json::parse_security_body(&body)?;
    put_answer(handle.set_security(&endpoint, Some(info)).await)
}

/// The answer to what was put.
pub(super) fn put_answer(put: Result<Option<SecurityInfo>, SecurityError>) -> Result<StatusCode, ApiError> {
    put.map_err(|taken| ApiError::new(StatusCode::BAD_REQUEST, taken.to_string()))?;
    Ok(StatusCode::OK)
}

/// `DELETE /api/security/clients/EP`.
pub(super) async fn remove(State(handle): State<Handle>, Captures(endpoint): Captures<String>) -> Response {
    remove_answer(handle.set_security(&endpoint, None).await)
}

/// The answer to what was removed.
pub(super) fn remove_answer(removed: Result<Option<SecurityInfo>, SecurityError>) -> Response {
    match removed {
        Ok(Some(_)) => StatusCode::OK.into_response(),
        _ => Json(json!({"message": "not_found"})).into_response(),
    }
}

/// `GET /api/security/server` and `GET /api/server/security`.
pub(super) async fn server(State(handle): State<Handle>) -> Json<JsonValue> {
    Json(json::presented(handle.presented()))
}
