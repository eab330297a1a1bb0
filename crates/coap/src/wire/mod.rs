//! The codec: RFC 7252 section 3 over datagrams, strict and without copying.
//!
//! [`Message::parse`] checks a whole datagram once; what it returns borrows from the datagram and can be read without further
//! errors. [`Writer`] emits one message at the end of a buffer. Neither allocates, apart from the growth of the writer's buffer.
//!
//! ```
//! use lapwing_coap::wire::{Code, Message, MessageType, Token, Writer, option};
//!
//! let mut buffer = Vec::new();
//! let mut writer = Writer::new(&mut buffer, MessageType::Con, Code::GET, 0x1234, Token::from([0xab; 8]));
//! writer.option_str(option::URI_PATH, "3").option_str(option::URI_PATH, "0");
//! let range = writer.finish();
//!
//! let message = Message::parse(&buffer[range]).unwrap();
//! assert_eq!(message.code, Code::GET);
//! assert!(message.options.uri_path().eq(["3", "0"]));
//! ```

mod block;
mod code;
mod describe;
mod message;
pub mod option;
mod options;
mod token;
mod writer;

#[cfg(test)]
mod tests;

pub use block::{Block, BlockSize, ReservedBlockSize};
pub use code::Code;
pub use describe::{Describe, describe};
pub use message::{FormatError, Message, MessageId, MessageType, ParseError};
pub use options::{OptionIter, OptionRef, Options, OptionsWith, TextOptions};
pub use token::{Token, TokenTooLong};
pub use writer::Writer;
