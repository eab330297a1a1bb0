//! What is written can be read again, whatever it is (RFC 7252 section 3).

use lapwing_coap::wire::{Block, BlockSize, Code, Message, MessageType, OptionRef, Token, Writer};
use proptest::collection::vec;
use proptest::prelude::*;

fn kind_and_code() -> impl Strategy<Value = (MessageType, Code)> {
    let request_or_response = prop_oneof![0x01_u8..=0x1f, 0x40_u8..=0xbf].prop_map(Code);
    let response = (0x40_u8..=0xbf).prop_map(Code);
    prop_oneof![
        (prop_oneof![Just(MessageType::Con), Just(MessageType::Non)], request_or_response),
        (Just(MessageType::Ack), response),
    ]
}

fn token() -> impl Strategy<Value = Token> {
    vec(any::<u8>(), 0..=8).prop_map(|bytes| Token::new(&bytes).unwrap())
}

/// Numbers in ascending order, with the gaps and lengths at which the forms of deltas and lengths change among them.
fn options() -> impl Strategy<Value = Vec<(u16, Vec<u8>)>> {
    let gap = prop_oneof![0_u16..=14, 266_u16..=271, 0_u16..=4000];
    let length = prop_oneof![4 => 0_usize..=14, 1 => 266_usize..=271, 1 => 0_usize..=700];
    vec((gap, length.prop_flat_map(|length| vec(any::<u8>(), length))), 0..12).prop_map(|options| {
        let number = |sum: &mut u16, (gap, value): (u16, Vec<u8>)| {
            *sum += gap;
            Some((*sum, value))
        };
        options.into_iter().scan(0, number).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_message_that_was_written_is_read_the_same(
        (kind, code) in kind_and_code(),
        id in any::<u16>(),
        token in token(),
        options in options(),
        payload in vec(any::<u8>(), 0..200),
        before in vec(any::<u8>(), 0..20),
    ) {
        let mut buffer = before.clone();
        let mut writer = Writer::new(&mut buffer, kind, code, id, token);
        options.iter().for_each(|(number, value)| _ = writer.option_bytes(*number, value));
        let range = writer.payload(&payload).finish();
        prop_assert_eq!(range.start, before.len());
        prop_assert_eq!(&buffer[..range.start], &before);
        let message = Message::parse(&buffer[range]).unwrap();
        prop_assert_eq!((message.kind, message.code, message.id, message.token), (kind, code, id, token));
        prop_assert_eq!(message.payload, &payload);
        let read: Vec<_> = message.options.iter().map(|OptionRef { number, value }| (number, value.to_vec())).collect();
        prop_assert_eq!(read, options);
    }

    #[test]
    fn an_integer_is_written_in_as_few_bytes_as_it_needs(number in any::<u16>(), value in any::<u32>(), shift in 0_u32..32) {
        let value = value >> shift;
        let mut buffer = Vec::new();
        Writer::new(&mut buffer, MessageType::Con, Code::GET, 0, Token::EMPTY).option_uint(number, value);
        let option = Message::parse(&buffer).unwrap().options.iter().next().unwrap();
        prop_assert_eq!((option.number, option.uint()), (number, Some(value)));
        prop_assert!(option.value.first() != Some(&0));
    }

    #[test]
    fn a_block_is_read_as_it_was_written(number in 0..=Block::MAX_NUMBER, more in any::<bool>(), szx in 0_u8..7) {
        let block = Block { number, more, size: BlockSize::from_szx(szx).unwrap() };
        prop_assert!(block.encode() < 1 << 24);
        prop_assert_eq!(Block::decode(block.encode()), Ok(block));
    }

    #[test]
    fn a_token_is_its_bytes(bytes in vec(any::<u8>(), 0..=8)) {
        let token = Token::new(&bytes).unwrap();
        prop_assert_eq!((token.as_bytes(), token.len(), token.is_empty()), (&bytes[..], bytes.len(), bytes.is_empty()));
    }
}
