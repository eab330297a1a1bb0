//! Packages on their way to this machine.
//!
//! [`Puller`] fetches what lies at a URI of CoAP, or with the feature `http` of HTTP, and goes on after any loss of the connection where
//! the server lets it.

mod accounts;
mod body;
mod cause;
mod coap;
mod config;
#[cfg(feature = "http")]
mod http;
#[cfg(not(feature = "http"))]
#[path = "no_http.rs"]
mod http;
mod meter;
mod place;
mod pull;
mod receive;
mod remains;
mod secure;
mod source;
mod uri;

pub use accounts::{Accounts, Credentials, Loan};
pub use body::sha256_of;
pub(crate) use body::{Body, BodyError, Digest, make_room};
pub use cause::Cause;
pub use config::{Login, Proxy, PullConfig};
#[cfg(feature = "http")]
pub use http::HttpsIdentity;
pub(crate) use meter::Meter;
pub use meter::{Interruption, Progress};
pub(crate) use place::Place;
pub use pull::{Head, Part, Pull, Pulled, Puller, Restart};
pub(crate) use receive::{TransferError, pull, receive};
pub use source::{Source, Transfer};
pub(crate) use uri::shown;
pub use uri::{Scheme, Uri};
