use std::path::Path;

use lapwing::objects::firmware::{Failure, Package};

use super::BoxFuture;

/// Whoever looks at a firmware image that has just come, before anybody may install it.
pub trait Inspector: Send + Sync {
    /// What the image says of itself. It is the only copy, and must stay as it is. May be called again for the same image, after a
    /// restart.
    ///
    /// # Errors
    /// Why it is none for this machine; it is thrown away.
    fn inspect<'a>(&'a self, image: &'a Path) -> BoxFuture<'a, Result<Package, Failure>>;
}
