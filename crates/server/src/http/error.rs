//! What is answered instead of what was asked for.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use lapwing_lwm2m::server::RequestError;

use super::json::NodeError;
use crate::hosting::FileError;

/// A status with one line of text.
#[derive(Debug)]
pub(crate) struct ApiError {
    pub(crate) status: StatusCode,
    pub(crate) text: String,
}

impl ApiError {
    pub(crate) fn new(status: StatusCode, text: impl Into<String>) -> ApiError {
        ApiError { status, text: text.into() }
    }

    pub(crate) fn invalid_path() -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, "Invalid path")
    }

    pub(crate) fn invalid_request(reason: impl std::fmt::Display) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, format!("Invalid request: {reason}"))
    }

    pub(crate) fn not_registered(endpoint: &str) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, format!("No registered client with id '{endpoint}'"))
    }

    pub(crate) fn not_implemented(what: &str) -> ApiError {
        ApiError::new(StatusCode::NOT_IMPLEMENTED, format!("Not implemented: {what}"))
    }

    /// Why a client did not answer.
    pub(crate) fn from_request(error: RequestError, endpoint: &str) -> ApiError {
        let server = |text: String| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, text);
        match error {
            RequestError::NotRegistered => ApiError::not_registered(endpoint),
            RequestError::RegistrationEnded | RequestError::NotConnected => {
                server(format!("Request cancelled: {error}"))
            }
            RequestError::NotObserved(path) => {
                ApiError::new(StatusCode::NOT_FOUND, format!("no observation for path {path} for client '{endpoint}'"))
            }
            RequestError::Invalid(reason) => ApiError::invalid_request(reason),
            RequestError::TimedOut => ApiError::new(StatusCode::GATEWAY_TIMEOUT, "Request timeout"),
            RequestError::Reset => server(format!("Request rejected: {error}")),
            RequestError::Failed(_) | RequestError::Unreadable { .. } => server(format!("Invalid Response: {error}")),
            RequestError::Stopped => ApiError::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
            _ => server(format!("Unexpected exception: {error}")),
        }
    }
}

impl From<FileError> for ApiError {
    fn from(error: FileError) -> ApiError {
        let status = match error {
            FileError::NotFound => StatusCode::NOT_FOUND,
            FileError::TooMany(_) | FileError::TooLarge { .. } | FileError::Full => StatusCode::INSUFFICIENT_STORAGE,
            FileError::Io(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        ApiError::new(status, error.to_string())
    }
}

impl From<NodeError> for ApiError {
    fn from(error: NodeError) -> ApiError {
        match error {
            NodeError::Shape(reason) => ApiError::invalid_request(format_args!("the JSON is no node: {reason}")),
            NodeError::Value(reason) => {
                ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, format!("Unexpected exception: {reason}"))
            }
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        (self.status, [(header::CONTENT_TYPE, plain)], self.text).into_response()
    }
}
