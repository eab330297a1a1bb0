//! `/api/security`: what endpoints have to show before they may register, and what the server shows of itself.

use axum::{
    Json,
    body::Bytes,
    extract::{Path as Captures, Query, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::{Value as JsonValue, json};

use super::{error::ApiError, json};
use crate::Handle;

#[derive(Deserialize)]
pub(super) struct Parameters {
    keys: Option<String>,
}

/// `GET /api/security/clients[?keys]`.
pub(super) async fn list(State(handle): State<Handle>, Query(parameters): Query<Parameters>) -> Json<Vec<JsonValue>> {
    let with_keys = parameters.keys.is_some();
    let all = handle.securities().await;
    Json(all.iter().map(|(endpoint, info)| json::security(endpoint, info, with_keys)).collect())
}

/// `PUT /api/security/clients`.
pub(super) async fn put(State(handle): State<Handle>, body: Bytes) -> Result<StatusCode, ApiError> {
    let (endpoint, info) = json::parse_security(&body)?;
    let put = handle.set_security(&endpoint, Some(info)).await;
    put.map_err(|taken| ApiError::new(StatusCode::BAD_REQUEST, taken.to_string()))?;
    Ok(StatusCode::OK)
}

/// `DELETE /api/security/clients/EP`.
pub(super) async fn remove(State(handle): State<Handle>, Captures(endpoint): Captures<String>) -> Response {
    match handle.set_security(&endpoint, None).await {
        Ok(Some(_)) => StatusCode::OK.into_response(),
        _ => Json(json!({"message": "not_found"})).into_response(),
    }
}

/// `GET /api/security/server` and `GET /api/server/security`.
pub(super) async fn server(State(handle): State<Handle>) -> Json<JsonValue> {
    Json(json::presented(handle.presented()))
}
