use std::fmt;
use std::pin::Pin;

/// What an executed resource still has to do once the server has the answer.
///
/// ```
/// # use lapwing::After;
/// # async fn reboot() {}
/// // nothing
/// let _ = After::default();
/// // a reboot must not cut off its own answer
/// let _ = After::reply(async { reboot().await });
/// ```
#[derive(Default)]
#[must_use = "an execution without its consequence"]
pub struct After(Option<Pin<Box<dyn Future<Output = ()> + Send>>>);

impl After {
    /// Runs `future` when the answer has settled: it was acknowledged, or was sent and not asked for again for as long as a server
    /// repeats a request that it believes lost; at most MAX_TRANSMIT_WAIT (93 s by default, RFC 7252 section 4.8.2). Notifications
    /// that are due go first. The future runs to its end beside everything else.
    pub fn reply(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(Some(Box::pin(future)))
    }

    pub(crate) fn into_future(self) -> Option<Pin<Box<dyn Future<Output = ()> + Send>>> {
        self.0
    }
}

impl fmt::Debug for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("After").field(&self.0.is_some()).finish()
    }
}
