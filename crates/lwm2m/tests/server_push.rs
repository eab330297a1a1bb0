//! Values that the server engine sends without holding them, and representations that clients fetch from it block by block
//! (RFC 7959 sections 2.4 and 2.5).

mod server_common;

use lapwing_coap::{
    Block, BlockSize, ContentFormat,
    wire::{Code, MessageType, option},
};
use lapwing_lwm2m::server::{Part, Request, RequestError, RequestId};
use server_common::{Bench, Msg, address, seconds};

const SIZE: u64 = 10_000;

/// What stands at an offset.
fn bytes(offset: u64, length: usize) -> Vec<u8> {
    (offset..).take(length).map(|at| (at % 251) as u8).collect()
}

fn block1(message: &Msg) -> Block {
    Block::decode(message.number(option::BLOCK1).expect("a block")).expect("a size")
}

/// A push to a client that is registered, and has not answered anything yet.
fn pushing(size: u64) -> (Bench, RequestId) {
    let mut bench = Bench::new();
    let registration = bench.registered(address(1), "a");
    let push = Request::Push { path: "/5/0/0".parse().expect("a path"), size };
    let id = bench.request(registration, push);
    (bench, id)
}

/// Supplies what is wanted, and gives the message that this makes.
fn supply(bench: &mut Bench) -> Msg {
    let [(id, offset, length)] = std::mem::take(&mut bench.pulls)[..] else { panic!("one block is wanted") };
    bench.server.supply(bench.now(), id, offset, &bytes(offset, length));
    bench.poll();
    bench.take_one(address(1))
}

fn go_on(bench: &mut Bench, message: &Msg, size: BlockSize) {
    let block = Block { size, ..block1(message) };
    bench.deliver(address(1), &message.answer(Code::CONTINUE).uint(option::BLOCK1, block.encode()));
}

#[test]
fn a_push_asks_for_its_blocks_as_the_client_takes_them() {
    let (mut bench, id) = pushing(SIZE);
    let mut got = Vec::new();
    loop {
        assert_eq!(bench.pulls, [(id, got.len() as u64, 1024.min(SIZE as usize - got.len()))]);
        let message = supply(&mut bench);
        assert_eq!((message.kind, message.code, message.path().as_str()), (MessageType::Con, Code::PUT, "/5/0/0"));
        assert_eq!(message.number(option::CONTENT_FORMAT), Some(u32::from(ContentFormat::OPAQUE.0)));
        assert_eq!(message.number(option::SIZE1), (got.is_empty()).then_some(SIZE as u32));
        let block = block1(&message);
        assert_eq!(block.offset(), got.len() as u64);
        got.extend_from_slice(&message.payload);
        assert!(bench.pulls.is_empty(), "nothing is asked for before this one was taken");
        if !block.more {
            bench.deliver(address(1), &message.answer(Code::CHANGED).uint(option::BLOCK1, block.encode()));
            break;
        }
        go_on(&mut bench, &message, BlockSize::B1024);
    }
    assert_eq!(got, bytes(0, SIZE as usize));
    assert_eq!(bench.answer(id).expect("an answer").code, Code::CHANGED);
}

#[test]
fn a_short_value_or_none_is_pushed_in_one_message() {
    for size in [0, 1, 1024] {
        let (mut bench, id) = pushing(size);
        let message = supply(&mut bench);
        assert_eq!((message.number(option::BLOCK1), message.payload.len() as u64), (None, size));
        bench.deliver(address(1), &message.answer(Code::CHANGED));
        assert!(bench.answer(id).is_ok(), "{size}");
    }
}

#[test]
fn the_client_may_ask_for_smaller_blocks() {
    let (mut bench, id) = pushing(SIZE);
    let message = supply(&mut bench);
    // From the next one on.
    go_on(&mut bench, &message, BlockSize::B256);
    assert_eq!(bench.pulls, [(id, 1024, 256)]);
    let (mut bench, id) = pushing(SIZE);
    let message = supply(&mut bench);
    // From the beginning.
    let smaller = Block { size: BlockSize::B64, ..block1(&message) }.encode();
    bench.deliver(address(1), &message.answer(Code::REQUEST_ENTITY_TOO_LARGE).uint(option::BLOCK1, smaller));
    assert_eq!(bench.pulls, [(id, 0, 64)]);
}

/// However long all of it takes: the time-out is that of a block.
#[test]
fn a_push_may_take_as_long_as_it_goes_on() {
    let (mut bench, id) = pushing(SIZE);
    for _ in 0..3 {
        let message = supply(&mut bench);
        // It is acknowledged, and done later.
        bench.deliver(address(1), &Msg::new(MessageType::Ack, Code::EMPTY, message.id, &[]));
        bench.run(seconds(60));
        let block = block1(&message);
        let mut later = Msg::new(MessageType::Con, Code::CONTINUE, message.id, &message.token);
        later = later.uint(option::BLOCK1, block.encode());
        bench.deliver(address(1), &later);
        bench.take(address(1));
    }
    assert!(bench.answers.is_empty());
    supply(&mut bench);
    bench.run(seconds(93));
    assert_eq!(bench.answer(id), Err(RequestError::TimedOut));
}

#[test]
fn what_does_not_fit_ends_a_push_and_what_was_not_asked_for_does_nothing() {
    let (mut bench, id) = pushing(SIZE);
    bench.server.supply(bench.now(), id, 1024, &bytes(1024, 1024));
    bench.poll();
    assert!(bench.take(address(1)).is_empty() && bench.answers.is_empty());
    bench.server.supply(bench.now(), id, 0, &bytes(0, 1000));
    bench.poll();
    assert!(matches!(bench.answer(id), Err(RequestError::Failed(_))));
    bench.server.supply(bench.now(), id, 0, &bytes(0, 1024));
    bench.poll();
    assert!(bench.take(address(1)).is_empty());

    let (bench, id) = pushing(Request::LONGEST_PUSH);
    assert_eq!(bench.pulls, [(id, 0, 1024)]);
    let (mut bench, id) = pushing(Request::LONGEST_PUSH + 1);
    assert!(matches!(bench.answer(id), Err(RequestError::Invalid(_))));
}

/// A server on which `/files/f` has [`SIZE`] bytes.
fn hosting() -> Bench {
    Bench::with(|config| config.hosts = true)
}

fn get(bench: &mut Bench, uri: &str, number: u32, size: BlockSize) -> Msg {
    let block = Block { number, more: false, size }.encode();
    let request = bench.con(Code::GET, uri).uint(option::BLOCK2, block);
    bench.deliver(address(2), &request);
    request
}

#[test]
fn a_fetch_is_answered_with_one_block_and_holds_nothing() {
    let mut bench = hosting();
    for (number, size, offset, length) in [
        (0, BlockSize::B1024, 0, 1024),
        (9, BlockSize::B1024, 9216, 784),
        (100, BlockSize::B64, 6400, 64),
        (3, BlockSize::B1024, 3072, 1024),
    ] {
        let request = get(&mut bench, "/files/f?to=1", number, size);
        let fetch = bench.fetches.pop().expect("it is asked for");
        assert_eq!((&fetch.path[..], &fetch.query[..]), (&["files".into(), "f".into()][..], &["to=1".into()][..]));
        assert_eq!((fetch.address, fetch.endpoint.as_deref(), fetch.offset), (address(2), None, offset));
        assert_eq!(fetch.length, size.bytes());
        let part = Part { etag: b"tag", size: SIZE, bytes: &bytes(offset, length) };
        bench.server.answer_fetch(bench.now(), fetch.id, Ok(part));
        bench.poll();
        let answer = bench.take_one(address(2));
        assert_eq!((answer.kind, answer.id, answer.code), (MessageType::Ack, request.id, Code::CONTENT));
        assert_eq!((answer.values(option::ETAG), answer.number(option::SIZE2)), (vec![&b"tag"[..]], Some(SIZE as u32)));
        let block = Block { number, more: offset + (length as u64) < SIZE, size };
        assert_eq!(answer.number(option::BLOCK2), Some(block.encode()));
        assert_eq!(answer.payload, bytes(offset, length));
        bench.server.answer_fetch(bench.now(), fetch.id, Err(Code::NOT_FOUND));
        bench.poll();
        assert!(bench.take(address(2)).is_empty(), "once is enough");
    }
    let memory = bench.server.peer_memory(lapwing_lwm2m::server::Remote::Plain(address(2))).expect("it is known");
    assert_eq!((memory.snapshots, memory.bodies_in), (0, 0));
}

#[test]
fn a_fetch_beyond_the_end_or_of_nothing_is_refused() {
    let mut bench = hosting();
    for (number, part, code) in [
        (10, Ok(&[][..]), Code::BAD_REQUEST),
        (0, Ok(b"too little"), Code::INTERNAL_SERVER_ERROR),
        (0, Err(Code::NOT_FOUND), Code::NOT_FOUND),
    ] {
        get(&mut bench, "/files/f", number, BlockSize::B1024);
        let fetch = bench.fetches.pop().expect("it is asked for");
        let part = part.map(|bytes| Part { etag: b"tag", size: SIZE, bytes });
        bench.server.answer_fetch(bench.now(), fetch.id, part);
        bench.poll();
        assert_eq!(bench.take_one(address(2)).code, code);
    }
    // What is the registration interface's own is not handed out, nor any other method.
    for (code, uri, answer) in [
        (Code::GET, "/.well-known/core", Code::CONTENT),
        (Code::GET, "/rd", Code::METHOD_NOT_ALLOWED),
        (Code::PUT, "/files/f", Code::NOT_FOUND),
    ] {
        let request = bench.con(code, uri);
        assert_eq!(bench.ask(address(2), &request).code, answer, "{uri}");
    }
    assert!(bench.fetches.is_empty());
    // And nothing is where nothing is hosted.
    let mut bench = Bench::new();
    let request = bench.con(Code::GET, "/files/f");
    assert_eq!(bench.ask(address(2), &request).code, Code::NOT_FOUND);
    assert!(bench.fetches.is_empty());
}
