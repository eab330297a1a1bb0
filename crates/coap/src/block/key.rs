//! Which requests belong to one transfer.

use crate::{
    ContentFormat,
    message::Digester,
    wire::{Block, Code, Message, ReservedBlockSize, option},
};

/// What one walk over the options of a request tells of its exchange. (Each helper of the codec would walk by itself.)
pub(crate) struct Profile {
    /// A digest of what two requests must have in common so that they are for blocks of one body: the method and all options
    /// that are part of the cache key, apart from those that may differ between blocks (RFC 7959 sections 2.4 and 2.5, RFC 7252
    /// section 5.6). The token may differ.
    pub(crate) key: u64,
    pub(crate) observe: Option<u32>,
    pub(crate) block1: Option<Block>,
    pub(crate) block2: Option<Block>,
}

impl Profile {
    /// Of a request without critical options that must not be ignored: its block options are single and have a proper length.
    pub(crate) fn of(digester: Digester, message: &Message<'_>) -> Result<Self, ReservedBlockSize> {
        let mut key = digester.begin().with_word(u64::from(message.code.0));
        let (mut observe, mut block1, mut block2) = (None, None, None);
        for option in message.options.iter() {
            match option.number {
                option::OBSERVE if option.value.len() <= 3 => observe = observe.or(option.uint()),
                option::BLOCK1 => block1 = option.uint().map(Block::decode).transpose()?,
                option::BLOCK2 => block2 = option.uint().map(Block::decode).transpose()?,
                option::OBSERVE | option::ETAG | option::Q_BLOCK2 => {}
                number if option::is_no_cache_key(number) => {}
                number => key = key.with_word(u64::from(number)).with(option.value),
            }
        }
        if message.code == Code::FETCH {
            // What a FETCH asks for is in its payload (RFC 8132 section 2.1).
            key = key.with(message.payload);
        }
        Ok(Self { key: key.finish(), observe, block1, block2 })
    }

    /// The key of a GET of this path in this format, without other options.
    pub(crate) fn key_of(digester: Digester, path: &[&str], accept: Option<ContentFormat>) -> u64 {
        let mut key = digester.begin().with_word(u64::from(Code::GET.0));
        for segment in path {
            key = key.with_word(u64::from(option::URI_PATH)).with(segment.as_bytes());
        }
        if let Some(ContentFormat(format)) = accept {
            // Without leading zeros (RFC 7252 section 3.2).
            let bytes = format.to_be_bytes();
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            key = key.with_word(u64::from(option::ACCEPT)).with(&bytes[zeros..]);
        }
        key.finish()
    }
}
