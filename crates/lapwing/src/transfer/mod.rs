//! Packages on their way to this machine.
//!
//! [`Puller`] fetches what lies at a URI of CoAP or HTTP, and goes on after any loss of the connection where the server lets it.

mod body;
mod cause;
mod coap;
mod config;
mod http;
mod pull;
mod secure;
mod uri;

pub(crate) use body::{Body, BodyError, Digest, digest_of, make_room};
pub use cause::Cause;
pub use config::{Credentials, HttpsIdentity, Login, Proxy, PullConfig};
pub use pull::{Head, Part, Pull, Pulled, Puller, Restart};
pub use uri::{Scheme, Uri};
