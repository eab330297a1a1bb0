use super::option::{Definition, Format};
use super::*;
use crate::ContentFormat;

fn parse(bytes: &[u8]) -> Message<'_> {
    Message::parse(bytes).unwrap()
}

/// What is wrong with a datagram whose header is that of CoAP.
fn rejected(bytes: &[u8]) -> FormatError {
    match Message::parse(bytes) {
        Err(ParseError::Rejected { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

/// The datagram of a GET with these bytes after its header.
fn get(rest: &[u8]) -> Vec<u8> {
    [&[0x40, 0x01, 0x12, 0x34], rest].concat()
}

fn write(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut buffer = Vec::new();
    write(&mut Writer::new(&mut buffer, MessageType::Con, Code::GET, 0x1234, Token::EMPTY));
    buffer
}

/// Messages of RFC 7252 appendix A, as their bytes stand there.
#[test]
fn the_examples_of_rfc_7252_appendix_a() {
    let request = b"\x40\x01\x7d\x34\xbbtemperature";
    let message = parse(request);
    assert_eq!((message.kind, message.code, message.id), (MessageType::Con, Code::GET, 0x7d34));
    assert!(message.token.is_empty() && message.payload.is_empty());
    assert!(message.options.uri_path().eq(["temperature"]));

    let message = parse(b"\x60\x45\x7d\x34\xff22.3 C");
    assert_eq!((message.kind, message.code, message.id), (MessageType::Ack, Code::CONTENT, 0x7d34));
    assert_eq!((message.options.iter().count(), message.payload), (0, &b"22.3 C"[..]));

    let message = parse(b"\x41\x01\x7d\x35\x20\xbbtemperature");
    assert_eq!((message.id, message.token), (0x7d35, Token::new(&[0x20]).unwrap()));
    assert!(message.options.uri_path().eq(["temperature"]));

    let message = parse(b"\x61\x45\x7d\x35\x20\xff22.3 C");
    assert_eq!((message.token.as_bytes(), message.payload), (&[0x20][..], &b"22.3 C"[..]));

    let message = parse(b"\x60\x00\x7d\x38");
    assert_eq!((message.kind, message.code, message.id), (MessageType::Ack, Code::EMPTY, 0x7d38));

    let message = parse(b"\x51\x45\xad\x7b\x53\xff22.3 C");
    assert_eq!((message.kind, message.code, message.id), (MessageType::Non, Code::CONTENT, 0xad7b));

    let mut buffer = Vec::new();
    Writer::new(&mut buffer, MessageType::Con, Code::GET, 0x7d34, Token::EMPTY)
        .option_str(option::URI_PATH, "temperature");
    assert_eq!(buffer, request);
}

#[test]
fn what_has_no_header_or_another_version_is_ignored() {
    for length in 0..4 {
        let error = Message::parse(&[0x40, 0x01, 0x12, 0x34][..length]).unwrap_err();
        assert_eq!((error, error.reset()), (ParseError::TooShort(length), None));
    }
    for version in [0, 2, 3] {
        let error = Message::parse(&[version << 6, 0x01, 0x12, 0x34, 0xff]).unwrap_err();
        assert_eq!((error, error.reset()), (ParseError::Version(version), None));
    }
}

#[test]
fn only_a_confirmable_message_that_must_be_rejected_is_reset() {
    let of_kind = |bits: u8| Message::parse(&[0x40 | bits << 4, 0x45, 0x12, 0x34, 0xff]).unwrap_err();
    assert_eq!(of_kind(0).reset(), Some(0x1234));
    assert!((1..4).all(|bits| of_kind(bits).reset().is_none()));
    assert_eq!(of_kind(0).to_string(), "CON [4660] must be rejected: no payload follows the payload marker");
}

#[test]
fn a_token_has_at_most_eight_bytes_and_must_be_whole() {
    for length in 0..=8 {
        let datagram = [&[0x40 | length, 0x01, 0, 0][..], &[0xab; 8][..usize::from(length)]].concat();
        assert_eq!(parse(&datagram).token.as_bytes(), &datagram[4..]);
        let longer = [&datagram[..], &[0xff, 1, 2, 3, 4, 5, 6, 7, 8]].concat();
        assert_eq!(parse(&longer).token, parse(&datagram).token, "whatever follows it");
        if length > 0 {
            assert_eq!(rejected(&datagram[..datagram.len() - 1]), FormatError::TruncatedToken);
        }
    }
    for length in 9..=15 {
        assert_eq!(rejected(&[&[0x40 | length, 0x01, 0, 0][..], &[0; 15]].concat()), FormatError::TokenLength);
    }
}

#[test]
fn an_empty_message_has_nothing_after_its_id() {
    for kind in [0x40, 0x60, 0x70] {
        assert_eq!(parse(&[kind, 0, 0, 1]).code, Code::EMPTY);
        assert_eq!(rejected(&[kind, 0, 0, 1, 0xff]), FormatError::EmptyWithBytes);
        assert_eq!(rejected(&[kind, 0, 0, 1, 0xff, 1]), FormatError::EmptyWithBytes);
        assert_eq!(rejected(&[kind, 0, 0, 1, 0x10]), FormatError::EmptyWithBytes);
        assert_eq!(rejected(&[kind | 1, 0, 0, 1, 7]), FormatError::EmptyWithBytes);
        assert_eq!(rejected(&[kind | 1, 0, 0, 1]), FormatError::EmptyWithBytes);
    }
}

/// RFC 7252 section 4.3, Table 1, for every code there is.
#[test]
fn each_type_carries_the_codes_of_table_1() {
    for byte in 0..=255 {
        let code = Code(byte);
        let may = |kind: u8| match Message::parse(&[0x40 | kind << 4, byte, 0, 1]) {
            Ok(message) => {
                assert_eq!(message.code, code);
                true
            }
            Err(ParseError::Rejected { why: FormatError::ReservedClass, .. }) => {
                assert!(matches!(byte >> 5, 1 | 6 | 7));
                false
            }
            Err(ParseError::Rejected { why: FormatError::TypeAndCode, .. }) => false,
            Err(error) => panic!("{error}"),
        };
        let expected = match byte {
            0x00 => [true, false, true, true],
            0x01..=0x1f => [true, true, false, false],
            // Section 12.1 counts class 3, which has no codes yet, among the responses.
            0x40..=0xbf => [true, true, true, false],
            _ => [false; 4],
        };
        assert_eq!([may(0), may(1), may(2), may(3)], expected, "{code}");
    }
}

#[test]
fn option_deltas_and_lengths_have_their_extended_forms() {
    let value = |length: usize| vec![b'x'; length];
    let check = |bytes: &[u8], number: u16, length: usize| {
        let datagram = get(&[bytes, &value(length)].concat());
        let message = parse(&datagram);
        assert!(message.options.iter().eq([OptionRef { number, value: &value(length) }]), "{bytes:x?}");
        assert_eq!(write(|writer| _ = writer.option_bytes(number, &value(length))), datagram);
    };
    check(&[0xc0], 12, 0);
    check(&[0xd0, 0], 13, 0);
    check(&[0xd0, 255], 268, 0);
    check(&[0xe0, 0, 0], 269, 0);
    check(&[0xe0, 0xfe, 0xf2], 65535, 0);
    check(&[0x1c], 1, 12);
    check(&[0x1d, 0], 1, 13);
    check(&[0x1d, 255], 1, 268);
    check(&[0x1e, 0, 0], 1, 269);
    check(&[0x1e, 0xff, 0xff], 1, 65804);
    check(&[0xdd, 1, 2], 14, 15);
    check(&[0xee, 0, 1, 0, 2], 270, 271);
}

#[test]
fn reserved_and_cut_off_options_are_format_errors() {
    assert_eq!(rejected(&get(&[0xf0])), FormatError::ReservedDelta);
    assert_eq!(rejected(&get(&[0xfe, 0, 0])), FormatError::ReservedDelta);
    assert_eq!(rejected(&get(&[0x0f, 0, 0, 0])), FormatError::ReservedLength);
    assert_eq!(rejected(&get(&[0xdf, 0, 0, 0])), FormatError::ReservedLength);
    for cut in [&[0xd0][..], &[0xe0], &[0xe0, 0], &[0x0d], &[0x0e], &[0x0e, 0], &[0x01], &[0x1d, 0], &[0xdd, 0]] {
        assert_eq!(rejected(&get(cut)), FormatError::TruncatedOption, "{cut:x?}");
    }
    assert_eq!(rejected(&get(&[0xe0, 0xfe, 0xf3])), FormatError::OptionNumber);
    assert_eq!(rejected(&get(&[0xe0, 0xfe, 0xf2, 0x10])), FormatError::OptionNumber);
    assert_eq!(rejected(&get(&[0xe0, 0xff, 0xff])), FormatError::OptionNumber);
    assert_eq!(rejected(&get(&[0xff])), FormatError::EmptyPayload);
    assert_eq!(rejected(&get(&[0xb1, b'3', 0xff])), FormatError::EmptyPayload);
}

#[test]
fn a_payload_may_contain_anything() {
    let datagram = get(&[0xb1, b'3', 0xff, 0xff, 0xf0, 0xd0]);
    assert_eq!(parse(&datagram).payload, [0xff, 0xf0, 0xd0]);
}

#[test]
fn kept_options_can_be_read_again_but_no_payload_marker_can_be_among_them() {
    let datagram = get(&[0xb1, b'3', 0x01, b'0', 0xff, 1]);
    let kept = parse(&datagram).options.as_bytes();
    assert_eq!(kept, [0xb1, b'3', 0x01, b'0']);
    assert!(Options::parse(kept).unwrap().uri_path().eq(["3", "0"]));
    assert_eq!(Options::parse(&datagram[4..]), Err(FormatError::ReservedDelta));
    assert_eq!(Options::parse(&kept[..3]), Err(FormatError::TruncatedOption));
    assert_eq!(Options::default().iter().next(), None);
}

#[test]
fn each_helper_reads_its_option() {
    let block = Block { number: 3, more: true, size: BlockSize::B64 };
    let datagram = write(|writer| {
        writer
            .option_bytes(option::IF_MATCH, b"")
            .option_bytes(option::IF_MATCH, b"12")
            .option_str(option::URI_HOST, "host")
            .option_bytes(option::ETAG, b"a")
            .option_bytes(option::ETAG, b"b")
            .option_bytes(option::IF_NONE_MATCH, b"")
            .option_uint(option::OBSERVE, 0)
            .option_uint(option::URI_PORT, 5683)
            .option_str(option::LOCATION_PATH, "rd")
            .option_str(option::URI_PATH, "")
            .option_str(option::URI_PATH, "0")
            .option_uint(option::CONTENT_FORMAT, 11542)
            .option_uint(option::MAX_AGE, u32::MAX)
            .option_str(option::URI_QUERY, "a=1")
            .option_str(option::URI_QUERY, "b")
            .option_uint(option::ACCEPT, 0)
            .option_str(option::LOCATION_QUERY, "x")
            .option_block(option::BLOCK2, block)
            .option_block(option::BLOCK1, block)
            .option_uint(option::SIZE2, 0)
            .option_uint(option::SIZE1, 65536)
            .payload(b"p");
    });
    let Message { options, payload, .. } = parse(&datagram);
    assert_eq!(payload, b"p");
    assert!(options.if_match().eq([&b""[..], b"12"]));
    assert_eq!((options.uri_host(), options.uri_port()), (Some("host"), Some(5683)));
    assert_eq!(options.etag(), Some(&b"a"[..]));
    assert!(options.etags().eq([b"a", b"b"]));
    assert!(options.if_none_match());
    assert_eq!(options.observe(), Some(0));
    assert!(options.location_path().eq(["rd"]));
    assert!(options.uri_path().eq(["", "0"]));
    assert_eq!(options.content_format(), Some(ContentFormat::TLV));
    assert_eq!(options.max_age(), Some(u32::MAX));
    assert!(options.uri_query().eq(["a=1", "b"]));
    assert_eq!(options.accept(), Some(ContentFormat::TEXT));
    assert!(options.location_query().eq(["x"]));
    assert_eq!((options.block1(), options.block2()), (Ok(Some(block)), Ok(Some(block))));
    assert_eq!((options.size1(), options.size2()), (Some(65536), Some(0)));
}

#[test]
fn each_helper_finds_nothing_where_there_is_nothing() {
    let datagram = get(&[0x60, 0xe0, 0xfe, 0xec]);
    let options = parse(&datagram).options;
    assert!(options.iter().map(|option| option.number).eq([6, 65535]));
    assert_eq!(options.if_match().count() + options.etags().count() + options.uri_path().count(), 0);
    assert_eq!(options.uri_query().count() + options.location_path().count() + options.location_query().count(), 0);
    assert_eq!((options.uri_host(), options.uri_port(), options.etag()), (None, None, None));
    assert_eq!((options.content_format(), options.accept(), options.max_age()), (None, None, None));
    assert_eq!(
        (options.block1(), options.block2(), options.size1(), options.size2()),
        (Ok(None), Ok(None), None, None)
    );
    assert!(!options.if_none_match());
}

/// RFC 7252 section 3.2: superfluous leading zeros are understood; section 5.4.3: too long a value is not.
#[test]
fn integers_may_have_leading_zeros_but_not_too_many_bytes() {
    let max_age = |value: &[u8]| {
        let datagram = write(|writer| _ = writer.option_bytes(option::MAX_AGE, value));
        parse(&datagram).options.max_age()
    };
    assert_eq!([max_age(&[]), max_age(&[0]), max_age(&[0, 0, 0, 9])], [Some(0), Some(0), Some(9)]);
    assert_eq!(max_age(&[0, 0, 0, 0, 9]), None);
    let datagram = write(|writer| _ = writer.option_bytes(option::OBSERVE, &[0, 0, 0, 1]));
    assert_eq!(parse(&datagram).options.observe(), None);
    for (value, length) in [(0, 0), (1, 1), (255, 1), (256, 2), (65535, 2), (65536, 3), (1 << 24, 4), (u32::MAX, 4)] {
        let datagram = write(|writer| _ = writer.option_uint(option::MAX_AGE, value));
        assert_eq!(
            (datagram.len() - 5 - usize::from(option::MAX_AGE > 12), max_age_of(&datagram)),
            (length, Some(value))
        );
    }
}

fn max_age_of(datagram: &[u8]) -> Option<u32> {
    parse(datagram).options.max_age()
}

/// RFC 7959 section 2.2.
#[test]
fn block_options_have_20_bits_of_number_and_no_size_exponent_7() {
    for (value, number, more, size) in [
        (0, 0, false, 16),
        (0x0e, 0, true, 1024),
        (0x16, 1, false, 1024),
        (0xff_fffe, 0xf_ffff, true, 1024),
        (2, 0, false, 64),
    ] {
        let block = Block::decode(value).unwrap();
        assert_eq!((block.number, block.more, block.size.bytes()), (number, more, size));
        assert_eq!(block.encode(), value);
        assert_eq!(block.offset(), u64::from(number) * size as u64);
    }
    assert_eq!(Block::decode(7), Err(ReservedBlockSize));
    for bytes in [&[0x07][..], &[0x0f], &[0xff, 0xff, 0xff]] {
        let datagram =
            write(|writer| _ = writer.option_bytes(option::BLOCK2, bytes).option_bytes(option::BLOCK1, bytes));
        let options = parse(&datagram).options;
        assert_eq!((options.block1(), options.block2()), (Err(ReservedBlockSize), Err(ReservedBlockSize)));
    }
    let datagram = write(|writer| _ = writer.option_bytes(option::BLOCK2, &[0, 0, 0, 7]));
    assert_eq!(parse(&datagram).options.block2(), Ok(None), "an option that is too long counts as absent");
    let sizes = [16, 32, 64, 128, 256, 512, 1024];
    for (szx, bytes) in sizes.into_iter().enumerate() {
        let size = BlockSize::from_szx(szx as u8).unwrap();
        assert_eq!((size.bytes(), usize::from(size.szx())), (bytes, szx));
        assert_eq!((BlockSize::at_most(bytes), BlockSize::at_most(2 * bytes - 1)), (Some(size), Some(size)));
    }
    assert_eq!((BlockSize::from_szx(7), BlockSize::at_most(15)), (None, None));
    assert_eq!(BlockSize::at_most(usize::MAX), Some(BlockSize::B1024));
}

#[test]
#[should_panic(expected = "more than 20 bits")]
fn a_block_number_of_21_bits_cannot_be_written() {
    let _ = Block { number: 1 << 20, more: false, size: BlockSize::B16 }.encode();
}

#[test]
fn a_segment_that_is_not_utf_8_cannot_be_mistaken_for_a_path_without_it() {
    let datagram = write(|writer| _ = writer.option_str(11, "3").option_bytes(11, &[0xff]).option_str(11, "0"));
    let options = parse(&datagram).options;
    assert!(options.uri_path().eq(["3", "\u{fffd}", "0"]));
    assert_eq!(options.unrecognized_critical(|_| true), Some(option::URI_PATH));
}

/// RFC 7252 sections 5.4.1 (unknown), 5.4.3 (length) and 5.4.5 (repeated).
#[test]
fn critical_options_that_must_not_be_ignored_are_found() {
    let found = |options: &[(u16, &[u8])]| {
        let datagram =
            write(|writer| options.iter().for_each(|(number, value)| _ = writer.option_bytes(*number, value)));
        parse(&datagram).options.unrecognized_critical(|number| number != option::PROXY_URI && number < 2000)
    };
    assert_eq!(found(&[]), None);
    assert_eq!(found(&[(11, b"3"), (11, b"0"), (15, b"a"), (15, b"b"), (17, &[0]), (1001, b"not registered")]), None);
    assert_eq!(found(&[(11, b"3"), (35, b"coap://a")]), Some(35), "not understood");
    assert_eq!(found(&[(2001, b"")]), Some(2001), "not understood");
    assert_eq!(found(&[(60, &[0; 5]), (2002, b"")]), None, "elective");
    assert_eq!(found(&[(17, &[0, 0, 0])]), Some(17), "too long");
    assert_eq!(found(&[(3, b"")]), Some(3), "too short");
    assert_eq!(found(&[(11, &[b'x'; 256])]), Some(11), "too long");
    assert_eq!(found(&[(11, &[0xc3, 0x28])]), Some(11), "no text");
    assert_eq!(found(&[(17, &[0]), (17, &[0])]), Some(17), "repeated");
    assert_eq!(found(&[(12, &[0]), (12, &[0])]), None, "elective");
    assert_eq!(found(&[(5, b""), (17, &[0]), (23, &[1])]), None);
}

/// RFC 7252 section 5.4.6 and its table 4, and the registry's other options.
#[test]
fn option_properties_follow_from_their_numbers() {
    use option::{is_critical, is_no_cache_key, is_unsafe};
    let critical: Vec<u16> = option::ALL.iter().copied().filter(|number| is_critical(*number)).collect();
    assert_eq!(critical, [1, 3, 5, 7, 9, 11, 15, 17, 19, 21, 23, 27, 31, 35, 39]);
    let unsafe_: Vec<u16> = option::ALL.iter().copied().filter(|number| is_unsafe(*number)).collect();
    assert_eq!(unsafe_, [3, 6, 7, 11, 14, 15, 19, 23, 27, 31, 35, 39, 258]);
    let no_cache_key: Vec<u16> = option::ALL.iter().copied().filter(|number| is_no_cache_key(*number)).collect();
    assert_eq!(no_cache_key, [28, 60, 252]);
    assert!(option::ALL.is_sorted());
    let definition = option::definition(option::ETAG).unwrap();
    let expected =
        Definition { number: 4, name: "ETag", format: Format::Opaque, min_length: 1, max_length: 8, repeatable: true };
    assert_eq!(definition, expected);
    assert_eq!(option::definition(2), None);
}

#[test]
fn codes_have_a_class_and_a_detail() {
    assert_eq!((Code::NOT_FOUND.class(), Code::NOT_FOUND.detail(), Code::NOT_FOUND.0), (4, 4, 0x84));
    assert_eq!((Code::CONTENT.to_string(), Code::CONTINUE.to_string()), ("2.05".into(), "2.31".into()));
    assert_eq!((Code::GET.to_string(), format!("{:?}", Code(0x1f))), ("0.01".into(), "Code(0.31)".into()));
    assert!(Code::FETCH.is_request() && !Code::EMPTY.is_request() && !Code::EMPTY.is_response());
    assert!(Code::CHANGED.is_success() && Code::BAD_OPTION.is_client_error() && Code::BAD_GATEWAY.is_server_error());
    assert!(Code::CHANGED.is_response() && Code::BAD_OPTION.is_response() && Code::BAD_GATEWAY.is_response());
    assert_eq!((Code::new(2, 5), Code::from(0x45), u8::from(Code::CONTENT)), (Code::CONTENT, Code::CONTENT, 0x45));
}

#[test]
fn tokens_compare_by_their_bytes() {
    assert_eq!(Token::new(&[1, 2]).unwrap(), Token::new(&[1, 2]).unwrap());
    assert_ne!(Token::new(&[1, 0]).unwrap(), Token::new(&[1]).unwrap());
    assert_eq!(Token::new(&[0; 9]), Err(TokenTooLong(9)));
    assert_eq!(Token::from([1, 2, 3, 4, 5, 6, 7, 0xff]).to_string(), "01020304050607ff");
    assert_eq!((Token::EMPTY.len(), Token::default()), (0, Token::EMPTY));
}

#[test]
fn a_writer_appends_and_gives_the_range() {
    let mut buffer = b"before".to_vec();
    let range = Writer::empty(&mut buffer, MessageType::Rst, 0xabcd);
    assert_eq!((range.clone(), &buffer[range]), (6..10, &[0x70, 0, 0xab, 0xcd][..]));
    let mut writer = Writer::new(&mut buffer, MessageType::Non, Code::POST, 1, Token::from([9; 8]));
    writer.payload(b"").payload_with(|_| {}).payload(b"ab").payload(b"").payload_with(|buffer| buffer.push(b'c'));
    assert_eq!(writer.written(), 4 + 8 + 1 + 3);
    let range = writer.finish();
    assert_eq!(range, 10..26);
    assert_eq!(parse(&buffer[range]).payload, b"abc");
    assert_eq!(parse(&write(|writer| _ = writer.payload(b""))).payload, b"", "and no marker");
}

#[test]
#[should_panic(expected = "option 11 after option 12")]
fn options_must_be_written_in_order() {
    write(|writer| _ = writer.option_uint(12, 0).option_str(11, "3"));
}

#[test]
#[should_panic(expected = "option 11 after the payload")]
fn no_option_can_be_written_after_the_payload() {
    write(|writer| _ = writer.payload(b"x").option_str(11, "3"));
}

#[test]
#[should_panic(expected = "option 11 has 65805 bytes")]
fn no_option_can_be_longer_than_its_length_can_say() {
    write(|writer| _ = writer.option_bytes(11, &[0; Writer::MAX_OPTION_LENGTH + 1]));
}

#[test]
fn descriptions_say_what_a_log_needs() {
    let datagram = write(|writer| {
        writer
            .option_uint(option::OBSERVE, 0)
            .option_str(option::URI_PATH, "3")
            .option_str(option::URI_PATH, "0")
            .option_str(option::URI_QUERY, "pmin=1")
            .option_str(option::URI_QUERY, "pmax=\n")
            .option_uint(option::ACCEPT, 11542)
            .option_block(option::BLOCK2, Block { number: 0, more: false, size: BlockSize::B1024 });
    });
    assert_eq!(
        describe(&datagram).to_string(),
        "CON [4660] GET /3/0?pmin=1&pmax=\\n observe=0 accept=TLV block2=0/0/1024"
    );

    let mut buffer = Vec::new();
    Writer::new(&mut buffer, MessageType::Ack, Code::CREATED, 7, Token::new(&[0xab, 1]).unwrap())
        .option_bytes(option::ETAG, &[0xca, 0xfe])
        .option_str(option::LOCATION_PATH, "rd")
        .option_str(option::LOCATION_PATH, "a1")
        .option_uint(option::CONTENT_FORMAT, 9999)
        .option_bytes(2048, &[1])
        .payload(b"secret");
    let expected = "ACK [7] 2.01 Created token=ab01 location=/rd/a1 etag=cafe format=9999 option2048=01 payload=6";
    assert_eq!(describe(&buffer).to_string(), expected);

    assert_eq!(describe(&[0x60, 0, 0, 9]).to_string(), "ACK [9]");
    assert_eq!(describe(&[0x40, 0, 0, 9]).to_string(), "CON [9]");
    assert_eq!(describe(&[0x40, 0x1f, 0, 9]).to_string(), "CON [9] 0.31 /");
    assert_eq!(describe(&[0x80, 1, 0, 9]).to_string(), "4 bytes: CoAP version 2 is unknown");
}

#[test]
fn descriptions_are_cut_off_within_no_character() {
    for shift in 0..3 {
        let datagram =
            write(|writer| _ = writer.option_str(option::URI_PATH, &("x".repeat(shift) + &"\u{20ac}".repeat(200))));
        let line = describe(&datagram).to_string();
        assert!((395..=402).contains(&line.len()) && line.ends_with("\u{20ac}.."), "{line}");
    }
}
