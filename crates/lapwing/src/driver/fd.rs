use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Waits for input alone on a descriptor that `fd` owns. Needs a tokio runtime with I/O around it.
#[expect(
    deprecated,
    reason = "its successor is unsafe because any AsRawFd may change or close its descriptor; what is an OwnedFd does not"
)]
pub(super) fn readable<T: AsRawFd + Into<OwnedFd>>(fd: T) -> io::Result<AsyncFd<T>> {
    AsyncFd::with_interest(fd, Interest::READABLE)
}
