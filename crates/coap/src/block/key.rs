//! Which requests belong to one transfer.

use crate::{
    message::Digester,
    wire::{Code, Message, option},
};

/// A digest of what two requests must have in common so that they are for blocks of one body: the method and all options that
/// are part of the cache key, apart from those that may differ between blocks (RFC 7959 sections 2.4 and 2.5, RFC 7252 section
/// 5.6). The token may differ.
pub(crate) fn request_key(digester: Digester, message: &Message<'_>) -> u64 {
    let mut key = digester.begin().with_word(u64::from(message.code.0));
    for option in message.options.iter() {
        let differs = matches!(option.number, option::BLOCK1 | option::BLOCK2 | option::OBSERVE | option::ETAG);
        if !differs && !option::is_no_cache_key(option.number) {
            key = key.with_word(u64::from(option.number)).with(option.value);
        }
    }
    if message.code == Code::FETCH {
        // What a FETCH asks for is in its payload (RFC 8132 section 2.1).
        key = key.with(message.payload);
    }
    key.finish()
}
