//! What the server tells of itself, and of the objects that it knows.

use std::net::SocketAddr;

use axum::{
    Json,
    extract::{Path as Captures, State},
    http::StatusCode,
};
use lapwing_lwm2m::definitions;
use serde_json::{Value as JsonValue, json};

use super::{error::ApiError, json};
use crate::Handle;

/// `GET /api/objectspecs/EP`.
pub(super) async fn specs(
    State(handle): State<Handle>,
    Captures(endpoint): Captures<String>,
) -> Result<Json<Vec<JsonValue>>, ApiError> {
    let registration = handle
        .registration(&endpoint)
        .await
        .ok_or_else(|| ApiError::new(StatusCode::BAD_REQUEST, format!("no registered client with id '{endpoint}'")))?;
    let known = registration.objects.iter().filter_map(|(id, offer)| definitions::find(*id, offer.version));
    Ok(Json(known.map(json::object).collect()))
}

/// `GET /api/server/endpoint`.
pub(super) async fn endpoints(State(handle): State<Handle>) -> Json<JsonValue> {
    endpoints_of(handle.coap_address(), handle.coaps_address())
}

/// The addresses of a server.
pub(super) fn endpoints_of(plain: SocketAddr, secure: Option<SocketAddr>) -> Json<JsonValue> {
    let plain = endpoint("coap", plain, "CoAP over UDP");
    let secure = secure.map(|address| endpoint("coaps", address, "CoAP over DTLS"));
    Json(std::iter::once(plain).chain(secure).collect())
}

fn endpoint(scheme: &str, address: SocketAddr, description: &str) -> JsonValue {
    let authority = address.to_string();
    let host = authority.rsplit_once(':').map_or("", |(host, _)| host);
    json!({
        "uri": {"full": format!("{scheme}://{authority}"), "scheme": scheme, "host": host, "port": address.port()},
        "description": description,
    })
}
