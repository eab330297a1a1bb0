//! Requests of the server, and how answers are understood (LwM2M core 1.1 section 6.3; OMA LightweightM2M-1.1-int-201,
//! 203, 205, 215, 221 to 227, 260).

mod server_common;

use std::collections::BTreeMap;

use lapwing_coap::{
    ContentFormat,
    wire::{Code, MessageType, option},
};
use lapwing_lwm2m::{
    attributes::Changes,
    model::{Instance, Node, Path, Resource, Value},
    server::{Content, Request, RequestError, RequestId, WriteMode},
};
use server_common::{Bench, LINKS, Msg, address, seconds};

fn path(text: &str) -> Path {
    text.parse().expect("a path")
}

fn read(text: &str) -> Request {
    Request::Read { path: path(text), format: None }
}

fn string(text: &str) -> Node {
    Node::Resource(Resource::Single(Value::String(text.to_owned())))
}

/// Registers, asks once, answers by `answer`.
fn once(
    request: Request,
    answer: impl FnOnce(&Msg) -> Msg,
) -> (Msg, Result<lapwing_lwm2m::server::Response, RequestError>) {
    let mut bench = Bench::new();
    let registration = bench.registered(address(1), "a");
    bench.exchange(address(1), registration, request, answer)
}

#[test]
fn a_read_is_a_get_and_its_tlv_is_understood() {
    let (seen, result) = once(read("/3/0"), |seen| {
        seen.answer(Code::CONTENT).format(ContentFormat::TLV).payload([0xc3, 0, b'o', b'u', b'r', 0xc1, 9, 85])
    });
    assert_eq!((seen.kind, seen.code, seen.path().as_str()), (MessageType::Con, Code::GET, "/3/0"));
    assert_eq!((seen.number(option::ACCEPT), seen.number(option::OBSERVE)), (None, None));
    let response = result.expect("an answer");
    let device = [(0, Value::String("our".into())), (9, Value::Integer(85))];
    let device: Instance = device.map(|(id, value)| (id, Resource::Single(value))).into();
    assert_eq!(response.content, Content::Node(Node::Instance(device)));
    assert_eq!((response.code, response.format), (Code::CONTENT, Some(ContentFormat::TLV)));
    assert_eq!(response.payload.len(), 8);
}

#[test]
fn a_format_may_be_asked_for_and_is_where_the_client_might_choose_one_that_is_not_understood() {
    let request = Request::Read { path: path("/3/0/0"), format: Some(ContentFormat::TEXT) };
    let (seen, result) = once(request, |seen| seen.answer(Code::CONTENT).format(ContentFormat::TEXT).payload("our"));
    assert_eq!(seen.number(option::ACCEPT), Some(0));
    assert_eq!(result.expect("an answer").content, Content::Node(string("our")));

    let mut bench = Bench::new();
    bench.register(address(1), "ep=a&lwm2m=1.1", "</>;rt=\"oma.lwm2m\";ct=\"112 11542\",</3/0>");
    let registration = bench.server.registration("a").expect("registered").id;
    bench.request(registration, read("/3/0"));
    assert_eq!(bench.take_one(address(1)).number(option::ACCEPT), Some(11542));
}

#[test]
fn an_error_is_an_answer_with_its_diagnostic() {
    let (_, result) = once(read("/3/0/99"), |seen| seen.answer(Code::NOT_FOUND).payload("no such resource"));
    let response = result.expect("an answer");
    assert_eq!((response.code, response.diagnostic()), (Code::NOT_FOUND, Some("no such resource")));
    assert_eq!(response.content, Content::None);
}

#[test]
fn objects_that_are_not_known_are_read_as_opaque() {
    let mut bench = Bench::new();
    bench.register(address(1), "ep=a", "</3/0>,</30999/0>");
    let registration = bench.server.registration("a").expect("registered").id;
    let (_, result) = bench.exchange(address(1), registration, read("/30999/0"), |seen| {
        seen.answer(Code::CONTENT).format(ContentFormat::TLV).payload([0xc2, 7, 1, 2])
    });
    let expected: Instance = [(7, Resource::Single(Value::Opaque(vec![1, 2])))].into();
    assert_eq!(result.expect("an answer").content, Content::Node(Node::Instance(expected)));
}

#[test]
fn the_definition_is_that_of_the_registered_version_or_the_newest() {
    // Resource 22 of object 3 came with 1.0, but version 9.9 is not known.
    for links in ["</3>;ver=1.0,</3/0>", "</3>;ver=9.9,</3/0>"] {
        let mut bench = Bench::new();
        bench.register(address(1), "ep=a&lwm2m=1.1", links);
        let registration = bench.server.registration("a").expect("registered").id;
        let (_, result) = bench.exchange(address(1), registration, read("/3/0/9"), |seen| {
            seen.answer(Code::CONTENT).format(ContentFormat::TLV).payload([0xc1, 9, 5])
        });
        let expected = Node::Resource(Resource::Single(Value::Integer(5)));
        assert_eq!(result.expect("an answer").content, Content::Node(expected), "{links}");
    }
}

#[test]
fn an_answer_that_cannot_be_understood_is_told_apart() {
    for (format, payload) in [
        (ContentFormat::TLV, &[0xc1, 9][..]),
        (ContentFormat::SENML_JSON, b"[]"),
        (ContentFormat::TEXT, b"text is no instance"),
    ] {
        let (_, result) = once(read("/3/0"), |seen| seen.answer(Code::CONTENT).format(format).payload(payload));
        let Err(RequestError::Unreadable { code, format: of, payload: kept, .. }) = result else {
            panic!("{result:?}")
        };
        assert_eq!((code, of, &kept[..]), (Code::CONTENT, Some(format), payload));
    }
    let (_, result) = once(read("/3/0"), |seen| seen.answer(Code::CONTENT).payload([0xc1, 9, 5]));
    assert!(matches!(result, Err(RequestError::Unreadable { .. })), "an instance without a format: {result:?}");
}

#[test]
fn a_write_is_a_put_or_a_post_in_tlv_or_as_asked() {
    let write = |mode, format| Request::Write { path: path("/3/0/14"), mode, format, node: string("+01:00") };
    for (mode, format, code, content_format, payload) in [
        (WriteMode::Replace, None, Code::PUT, 11542, &b"\xc6\x0e+01:00"[..]),
        (WriteMode::Update, None, Code::POST, 11542, b"\xc6\x0e+01:00"),
        (WriteMode::Replace, Some(ContentFormat::TEXT), Code::PUT, 0, b"+01:00"),
    ] {
        let (seen, result) = once(write(mode, format), |seen| seen.answer(Code::CHANGED));
        assert_eq!((seen.code, seen.path().as_str(), &seen.payload[..]), (code, "/3/0/14", payload));
        assert_eq!(seen.number(option::CONTENT_FORMAT), Some(content_format));
        assert_eq!(result.map(|response| response.code), Ok(Code::CHANGED));
    }
}

#[test]
fn an_execute_carries_its_arguments_as_text() {
    let execute = |arguments: &str| Request::Execute { path: path("/3/0/4"), arguments: arguments.into() };
    let (seen, _) = once(execute("0='x',1"), |seen| seen.answer(Code::CHANGED));
    assert_eq!((seen.code, seen.text().as_str()), (Code::POST, "0='x',1"));
    assert_eq!(seen.number(option::CONTENT_FORMAT), Some(0));
    let (seen, _) = once(execute(""), |seen| seen.answer(Code::CHANGED));
    assert_eq!((seen.payload.len(), seen.number(option::CONTENT_FORMAT)), (0, None));
}

#[test]
fn a_create_names_its_instance_or_learns_it_from_the_location() {
    let create = |instance| Request::Create {
        object: 3441,
        instance,
        format: None,
        resources: [(110, Resource::Single(Value::String("x".into())))].into(),
    };
    let (seen, result) = once(create(None), |seen| {
        seen.answer(Code::CREATED).option(option::LOCATION_PATH, b"3441").option(option::LOCATION_PATH, b"7")
    });
    assert_eq!((seen.code, seen.path().as_str(), &seen.payload[..]), (Code::POST, "/3441", &b"\xc1\x6ex"[..]));
    assert_eq!(result.expect("an answer").location, Some(path("/3441/7")));
    let (seen, result) = once(create(Some(7)), |seen| seen.answer(Code::CREATED));
    assert_eq!((seen.path().as_str(), &seen.payload[..]), ("/3441", &b"\x03\x07\xc1\x6ex"[..]));
    assert_eq!(result.expect("an answer").location, None);
}

#[test]
fn delete_discover_and_write_attributes() {
    let (seen, result) = once(Request::Delete { path: path("/3441/0") }, |seen| seen.answer(Code::DELETED));
    assert_eq!((seen.code, seen.path().as_str()), (Code::DELETE, "/3441/0"));
    assert_eq!(result.map(|response| response.code), Ok(Code::DELETED));

    let (seen, result) = once(Request::Discover { path: path("/3") }, |seen| {
        seen.answer(Code::CONTENT).format(ContentFormat::LINK_FORMAT).payload("</3>;pmin=10,</3/0/6>;dim=2")
    });
    assert_eq!((seen.code, seen.number(option::ACCEPT)), (Code::GET, Some(40)));
    let Content::Links(links) = result.expect("an answer").content else { panic!("links") };
    assert_eq!(links.iter().map(|link| link.target.as_str()).collect::<Vec<_>>(), ["/3", "/3/0/6"]);

    let changes = Changes::parse(["pmin=5", "pmax="]).expect("attributes");
    let (seen, _) = once(Request::WriteAttributes { path: path("/3/0/9"), changes }, |seen| seen.answer(Code::CHANGED));
    assert_eq!(
        (seen.code, seen.path().as_str(), seen.queries()),
        (Code::PUT, "/3/0/9", vec!["pmin=5".into(), "pmax".into()])
    );
    assert_eq!((seen.payload.len(), seen.number(option::CONTENT_FORMAT)), (0, None));
}

#[test]
fn requests_go_under_the_root_that_the_client_named() {
    let mut bench = Bench::new();
    bench.register(address(1), "ep=a", "</my%20things>;rt=\"oma.lwm2m\",</my%20things/3/0>");
    let registration = bench.server.registration("a").expect("registered").id;
    bench.request(registration, read("/3/0"));
    assert_eq!(bench.take_one(address(1)).path(), "/my things/3/0");
}

#[test]
fn requests_that_make_no_sense_never_leave() {
    let mut bench = Bench::new();
    let registration = bench.registered(address(1), "a");
    for request in [
        read("/"),
        Request::Write {
            path: path("/3"),
            mode: WriteMode::Replace,
            format: None,
            node: Node::Object(BTreeMap::new()),
        },
        Request::Write { path: path("/3/0"), mode: WriteMode::Replace, format: None, node: string("x") },
        Request::Write {
            path: path("/3/0"),
            mode: WriteMode::Replace,
            format: Some(ContentFormat::TEXT),
            node: Node::Instance(Instance::new()),
        },
        Request::Execute { path: path("/3/0"), arguments: String::new() },
        Request::Delete { path: path("/3") },
        Request::Discover { path: path("/3/0/6/1") },
        Request::WriteAttributes { path: path("/"), changes: Changes::default() },
    ] {
        let id = bench.request(registration, request.clone());
        assert!(matches!(bench.answer(id), Err(RequestError::Invalid(_))), "{request:?}");
    }
    let id = bench.request(registration, Request::CancelObservation { path: path("/3/0/9") });
    assert_eq!(bench.answer(id), Err(RequestError::NotObserved(path("/3/0/9"))));
    assert_eq!(bench.take(address(1)), []);
}

#[test]
fn a_separate_response_is_acknowledged_and_counts() {
    let mut bench = Bench::new();
    let registration = bench.registered(address(1), "a");
    let id = bench.request(registration, read("/3/0/9"));
    let seen = bench.take_one(address(1));
    bench.deliver(address(1), &Msg::new(MessageType::Ack, Code::EMPTY, seen.id, &[]));
    bench.run(seconds(20));
    let separate = Msg::new(MessageType::Con, Code::CONTENT, 9_999, &seen.token);
    bench.deliver(address(1), &separate.format(ContentFormat::TEXT).payload("85"));
    let acknowledgement = bench.take_one(address(1));
    assert_eq!(
        (acknowledgement.kind, acknowledgement.code, acknowledgement.id),
        (MessageType::Ack, Code::EMPTY, 9_999)
    );
    let expected = Node::Resource(Resource::Single(Value::Integer(85)));
    assert_eq!(bench.answer(id).expect("an answer").content, Content::Node(expected));
}

#[test]
fn a_large_answer_is_put_together() {
    let mut bench = Bench::new();
    let registration = bench.registered(address(1), "a");
    let id = bench.request(registration, Request::Discover { path: path("/3441") });
    let links: String = (0..200).map(|instance| format!("</3441/{instance}>,")).collect::<String>() + "</3441/200>";
    let blocks: Vec<&[u8]> = links.as_bytes().chunks(1024).collect();
    for (number, block) in blocks.iter().enumerate() {
        let seen = bench.take_one(address(1));
        assert_eq!(seen.number(option::BLOCK2).unwrap_or(0) >> 4, number as u32);
        let more = number + 1 < blocks.len();
        let value = (number as u32) << 4 | u32::from(more) << 3 | 6;
        let answer = seen.answer(Code::CONTENT).option(option::ETAG, b"e").format(ContentFormat::LINK_FORMAT);
        bench.deliver(address(1), &answer.uint(option::BLOCK2, value).payload(block));
    }
    let response = bench.answer(id).expect("an answer");
    assert!(matches!(&response.content, Content::Links(links) if links.len() == 201));
    assert_eq!(response.payload, links.as_bytes());
}

#[test]
fn silence_ends_in_a_time_out_as_asked_or_as_the_message_layer_has_it() {
    let mut bench = Bench::new();
    let registration = bench.registered(address(1), "a");
    let soon = bench.server.request(bench.now(), registration, read("/3/0"), Some(seconds(5)));
    bench.poll();
    let seen = bench.take_one(address(1));
    bench.run(seconds(4));
    assert_eq!(bench.answers.len(), 0);
    bench.run(seconds(1));
    assert_eq!(bench.answer(soon), Err(RequestError::TimedOut));
    // A late answer has no request.
    bench.take(address(1));
    let late = Msg::new(MessageType::Con, Code::CONTENT, 5, &seen.token).format(ContentFormat::TLV);
    bench.deliver(address(1), &late);
    assert_eq!(bench.take_one(address(1)).kind, MessageType::Rst);

    let later = bench.request(registration, read("/3/0"));
    bench.run(seconds(100));
    assert_eq!(bench.answer(later), Err(RequestError::TimedOut));
    // The first transmission and four more (RFC 7252 section 4.8).
    assert_eq!(bench.take(address(1)).len(), 5);
}

#[test]
fn a_reset_and_the_end_of_the_registration_end_requests() {
    let (_, result) = once(read("/3/0"), |seen| Msg::new(MessageType::Rst, Code::EMPTY, seen.id, &[]));
    assert_eq!(result, Err(RequestError::Reset));

    let mut bench = Bench::new();
    let registration = bench.registered(address(1), "a");
    let open: Vec<RequestId> = (0..3).map(|_| bench.request(registration, read("/3/0"))).collect();
    let location = format!("/rd/{registration}");
    let delete = bench.con(Code::DELETE, &location);
    bench.ask(address(1), &delete);
    for id in open {
        assert_eq!(bench.answer(id), Err(RequestError::RegistrationEnded));
    }
    let id = bench.request(registration, read("/3/0"));
    assert_eq!(bench.answer(id), Err(RequestError::NotRegistered));
    bench.run(seconds(200));
    assert_eq!(bench.answers.len(), 0, "each request ends once");
}

#[test]
fn a_cancelled_request_has_no_answer() {
    let mut bench = Bench::new();
    let registration = bench.registered(address(1), "a");
    let id = bench.request(registration, read("/3/0"));
    let seen = bench.take_one(address(1));
    assert!(bench.server.cancel(bench.now(), id));
    assert!(!bench.server.cancel(bench.now(), id));
    bench.poll();
    bench.deliver(address(1), &seen.answer(Code::NOT_FOUND));
    bench.run(seconds(200));
    assert_eq!((bench.answers.len(), bench.take(address(1)).len()), (0, 0));
}

#[test]
fn a_forgotten_registration_is_4_04_at_its_update() {
    let mut bench = Bench::new();
    let registration = bench.registered(address(1), "a");
    assert!(bench.server.forget(bench.now(), registration));
    assert!(!bench.server.forget(bench.now(), registration));
    let update = bench.con(Code::POST, &format!("/rd/{registration}"));
    assert_eq!(bench.ask(address(1), &update).code, Code::NOT_FOUND);
    bench.register(address(1), "ep=a", LINKS);
}

/// Whoever asks may be as patient as can be told.
#[test]
fn a_request_may_wait_without_end() {
    let mut bench = Bench::new();
    let registration = bench.registered(address(1), "a");
    bench.server.request(bench.now(), registration, read("/3/0"), Some(std::time::Duration::MAX));
    bench.poll();
    assert_eq!(bench.take_one(address(1)).path(), "/3/0");
    bench.run(seconds(200));
    assert_eq!(bench.answers.len(), 1, "the message layer gives up all the same");
}
