//! What objects 5 and 9 have in common.

/// Why an input is refused: nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(dead_code, reason = "the object over it follows")]
pub(super) enum Reject {
    /// What it brings cannot be taken in this state: 4.00.
    BadRequest,
    /// It cannot be done in this state: 4.05.
    NotAllowed,
    /// It is news of something that is over.
    Outdated,
}
