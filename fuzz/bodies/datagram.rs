//! What must hold for any bytes that come as a datagram. The fuzzer and the stable tests call the same function.

use lapwing_coap::wire::{Message, MessageType, OptionRef, Options, Writer, describe};

pub(crate) fn check(datagram: &[u8]) {
    match Message::parse(datagram) {
        Ok(message) => well_formed(datagram, &message),
        Err(error) => assert!(
            error.reset().is_none_or(|id| datagram[0] >> 4 == 4 && datagram[2..4] == id.to_be_bytes()),
            "only a confirmable message may be answered by a reset: {error}"
        ),
    }
}

/// Apart from [`check`], since text takes much longer than the rest.
pub(crate) fn check_description(datagram: &[u8]) {
    let line = describe(datagram).to_string();
    assert!(!line.is_empty() && line.len() < 420 && !line.contains(char::is_control), "{line:?}");
}

fn well_formed(datagram: &[u8], message: &Message<'_>) {
    let options = message.options;
    let marker = usize::from(!message.payload.is_empty());
    assert_eq!(4 + message.token.len() + options.as_bytes().len() + marker + message.payload.len(), datagram.len());
    assert!(datagram.ends_with(message.payload));
    assert!(message.kind != MessageType::Rst || datagram.len() == 4, "a reset is empty");
    assert_eq!(Options::parse(options.as_bytes()), Ok(options));
    helpers(options);
    written_again(message);
}

fn helpers(options: Options<'_>) {
    let mut previous = 0;
    let mut first_critical = None;
    for OptionRef { number, value } in options {
        assert!(previous <= number, "option numbers ascend");
        assert!(
            options.first(number).is_some_and(|first| first.len() <= Writer::MAX_OPTION_LENGTH) && value.len() <= 65804
        );
        previous = number;
        first_critical = first_critical.or(Some(number).filter(|number| number % 2 == 1));
    }
    assert_eq!(options.unrecognized_critical(|_| false), first_critical);
    if let Some(number) = options.unrecognized_critical(|_| true) {
        assert!(options.first(number).is_some() && number % 2 == 1);
    }
    assert!(
        options.etags().all(|etag| (1..=8).contains(&etag.len())) && options.if_match().all(|etag| etag.len() <= 8)
    );
    assert!(options.observe().is_none_or(|sequence| sequence < 1 << 24));
    assert!(options.uri_host().is_none_or(|host| !host.is_empty()));
    for block in [options.block1(), options.block2()].into_iter().flatten().flatten() {
        assert!(block.number < 1 << 20 && block.offset() < 1 << 30);
    }
    let texts =
        options.uri_path().chain(options.uri_query()).chain(options.location_path()).chain(options.location_query());
    let _ = (texts.map(str::len).sum::<usize>(), options.uri_port(), options.if_none_match());
    let _ = (options.content_format(), options.accept(), options.max_age(), options.size1(), options.size2());
}

fn written_again(message: &Message<'_>) {
    let mut buffer = Vec::new();
    let mut writer = Writer::new(&mut buffer, message.kind, message.code, message.id, message.token);
    for OptionRef { number, value } in message.options {
        writer.option_bytes(number, value);
    }
    let range = writer.payload(message.payload).finish();
    let again = Message::parse(&buffer[range]).expect("what was written can be parsed");
    assert!(again.options.iter().eq(message.options.iter()), "the same options");
    assert_eq!(Message { options: message.options, ..again }, *message);
}
