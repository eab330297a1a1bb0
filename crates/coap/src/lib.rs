//! CoAP for Lapwing, sans-IO: the wire codec, and on top of it everything one remote end needs.
//!
//! Nothing in this crate reads a clock, opens a socket or spawns a task: datagrams and the elapsed time go in, datagrams and
//! events come out. It knows nothing of LwM2M.
//!
//! - [`wire`]: messages, codes, options and tokens, parsed without copying (RFC 7252 section 3).
//! - [`link`]: CoRE link-format (RFC 6690).
//! - [`fetch`]: fast download of one resource (RFC 7959, under RFC 9438).
//! - [`peer`]: everything that one remote end needs: message layer, block-wise transfer, observation (RFC 7252, 7959, 7641).

mod block;
pub mod content_format;
mod exchange;
pub mod fetch;
pub mod link;
mod message;
mod observe;
pub mod peer;
pub mod wire;

pub use content_format::ContentFormat;
pub use wire::{
    Block, BlockSize, Code, Message, MessageId, MessageType, OptionRef, Options, ParseError, Token, Writer,
};
