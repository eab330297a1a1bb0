//! The page and the API, as docs/api/http.md describes them row by row.

mod bootstrap;
mod clients;
mod error;
mod events;
mod files;
mod guard;
mod info;
pub(crate) mod json;
mod operation;
mod page;
mod query;
mod range;
mod security;
mod transfers;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::StatusCode,
    middleware,
    routing::{any, delete, get, put},
};

use self::{error::ApiError, operation::BODY};
use crate::Handle;

pub(crate) fn router(handle: Handle) -> Router {
    Router::new()
        .route("/", get(page::index))
        .route("/page/{*name}", get(page::file))
        .route("/api/clients", get(clients::list))
        .route("/api/clients/", any(clients::nameless))
        .route("/api/clients/{endpoint}", any(clients::client))
        .route("/api/clients/{endpoint}/", any(clients::client))
        .route("/api/clients/{endpoint}/{*rest}", any(clients::client))
        .route("/api/files", get(files::list))
        .route("/api/files/{name}", put(files::put).delete(files::delete))
        .route("/files/{name}", get(files::file))
        .route("/api/transfers", get(transfers::list))
        .route("/api/transfers/{id}", delete(transfers::cancel))
        .route("/api/objectspecs/{endpoint}", get(info::specs))
        .route("/api/server/endpoint", get(info::endpoints))
        .route("/api/event", get(events::events))
        .route("/api/server/security", get(security::server))
        .route("/api/security/server", get(security::server))
        .route("/api/security/clients", get(security::list).put(security::put))
        .route("/api/security/clients/", put(security::put))
        .route("/api/security/clients/{*endpoint}", delete(security::remove))
        .route("/api/server/bootstrap", get(bootstrap::endpoints))
        .route("/api/event/bootstrap", get(bootstrap::sessions))
        .route("/api/bootstrap", get(bootstrap::list).post(bootstrap::nameless).delete(bootstrap::nameless))
        .route("/api/bootstrap/{endpoint}", get(bootstrap::single).post(bootstrap::put).delete(bootstrap::delete))
        .route("/api/bootstrap/security/server", get(bootstrap::server))
        .route("/api/bootstrap/security/clients", get(bootstrap::securities).put(bootstrap::put_security))
        .route("/api/bootstrap/security/clients/{*endpoint}", delete(bootstrap::remove_security))
        .fallback(nothing)
        .layer(DefaultBodyLimit::max(BODY))
        .layer(middleware::from_fn(guard::guard))
        .with_state(handle)
}

async fn nothing() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "Nothing is here; see docs/api/http.md")
}
