//! In place of `http` where that is not built: such a URI is none that is known ([`Scheme::ALL`](super::Scheme::ALL)).

use super::pull::{Part, Step};
use super::{Cause, Login, PullConfig, Uri};

#[derive(Default)]
pub(super) struct Client;

/// There is none.
pub(super) enum Http {}

impl Http {
    pub(super) fn start(_: &Client, _: &PullConfig, uri: &Uri, _: Option<&Login>, _: &Part) -> Result<Self, Cause> {
        Err(Cause::Scheme(uri.scheme().name().to_owned()))
    }

    pub(super) async fn next(&mut self) -> Step {
        match *self {}
    }
}
