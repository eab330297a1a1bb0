use super::{Login, Part, Pulled, Uri};
use crate::object::BoxFuture;

/// Whatever fetches packages: a [`Puller`](super::Puller), or what an application has instead.
pub trait Source: Send + Sync + 'static {
    /// Begins to fetch what lies at `uri`, or what is missing of it. Nothing happens until the transfer is polled.
    fn fetch(&self, uri: Uri, login: Option<Login>, part: Option<Part>) -> Box<dyn Transfer>;
}

/// The transfer of one package. Dropping it ends it.
pub trait Transfer: Send {
    /// The next thing that comes, in the order that [`Pulled`] tells. When the future is dropped before it is ready, nothing is lost.
    fn next(&mut self) -> BoxFuture<'_, Pulled<'_>>;
}
