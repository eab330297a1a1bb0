//! Bodies on the responder's side.

use super::{Head, outbound::fits};
use crate::wire::BlockSize;

/// What is known of the bodies of one inbound exchange.
pub(crate) enum Body {
    /// Complete in one message, or reassembled: its answer is awaited.
    Whole,
    /// The first block of a longer one, with the Size1 that came with it: nobody has said yet how to receive it.
    Offered { first: Vec<u8>, size1: Option<u32> },
    /// Being reassembled.
    Collecting { body: Vec<u8> },
    /// Handed out block by block; so many bytes so far, and that was all of it if `last`.
    Streaming { received: u64, last: bool },
    /// The answer is pulled block by block; `pull` is what the engine was asked for.
    Pulled { head: Head, size: Option<u64>, pull: Option<(u64, BlockSize)>, settle: bool },
}

impl Body {
    /// Whether this is the body of a request that comes in several blocks.
    pub(crate) fn is_upload(&self) -> bool {
        matches!(self, Self::Offered { .. } | Self::Collecting { .. } | Self::Streaming { .. })
    }

    /// Bytes held.
    pub(crate) fn memory(&self) -> usize {
        match self {
            Self::Offered { first, .. } => first.capacity(),
            Self::Collecting { body } => body.capacity(),
            Self::Whole | Self::Streaming { .. } | Self::Pulled { .. } => 0,
        }
    }
}

/// Appends a block to a body that is being reassembled, and lets its capacity grow to `limit` at most. False if it does not fit.
pub(crate) fn append(body: &mut Vec<u8>, block: &[u8], limit: usize) -> bool {
    if !fits(body.len(), block.len(), limit) {
        return false;
    }
    let length = body.len() + block.len();
    if length > body.capacity() {
        body.reserve_exact((2 * body.capacity()).clamp(length, limit) - body.len());
    }
    body.extend_from_slice(block);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_grows_to_its_limit_and_never_has_more_capacity() {
        let mut body = vec![0; 100];
        while append(&mut body, &[1; 100], 1050) {
            assert!(body.capacity() <= 1050, "{}", body.capacity());
        }
        assert_eq!(body.len(), 1000);
        assert!(append(&mut body, &[1; 50], 1050) && !append(&mut body, &[1], 1050));
    }
}
