//! The page and the API.

use axum::Router;

use crate::Handle;

pub(crate) fn router(handle: Handle) -> Router {
    Router::new().with_state(handle)
}
