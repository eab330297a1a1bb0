use std::borrow::Cow;

use lapwing_lwm2m::client::ErrorCode;

/// What an [`Object`](crate::Object)'s methods return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an object refuses or fails an operation; the server sees the response code (OMA-TS-LightweightM2M_Transport 6.4), the
/// reason stays in this machine's log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server asks for what makes no sense: a value out of range, arguments that cannot be. 4.00.
    #[error("bad request: {0}")]
    BadRequest(Cow<'static, str>),
    /// There is no such instance or resource, or it has no value now. 4.04.
    #[error("not found")]
    NotFound,
    /// The operation is not allowed here, or not in the present state. 4.05.
    #[error("method not allowed")]
    MethodNotAllowed,
    /// The value is in a format or of a kind that this object does not take. 4.15.
    #[error("unsupported content format")]
    UnsupportedContentFormat,
    /// A body ended before it was whole. 4.08.
    #[error("incomplete")]
    Incomplete,
    /// The body is more than there is room for. 4.13.
    #[error("request entity too large")]
    TooLarge,
    /// It cannot be had now, and may be later: a source that is not up yet, a device that is busy. 5.03.
    #[error("unavailable: {0}")]
    Unavailable(Cow<'static, str>),
    /// This machine failed. 5.00.
    #[error("internal error: {0}")]
    Internal(Cow<'static, str>),
}

impl Error {
    /// [`Error::BadRequest`] with a reason.
    pub fn bad_request(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::BadRequest(reason.into())
    }

    /// [`Error::Unavailable`] with a reason.
    pub fn unavailable(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Unavailable(reason.into())
    }

    /// [`Error::Internal`] with a reason.
    pub fn internal(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Internal(reason.into())
    }

    /// What the server is told.
    pub(crate) const fn code(&self) -> ErrorCode {
        match self {
            Self::BadRequest(_) => ErrorCode::BadRequest,
            Self::NotFound => ErrorCode::NotFound,
            Self::MethodNotAllowed => ErrorCode::MethodNotAllowed,
            Self::Incomplete => ErrorCode::Incomplete,
            Self::TooLarge => ErrorCode::TooLarge,
            Self::UnsupportedContentFormat => ErrorCode::UnsupportedContentFormat,
            Self::Unavailable(_) => ErrorCode::Unavailable,
            Self::Internal(_) => ErrorCode::Internal,
        }
    }
}

impl From<std::io::Error> for Error {
    /// A failed source or sink is this machine's failure: 5.00.
    fn from(error: std::io::Error) -> Self {
        Self::Internal(error.to_string().into())
    }
}
