//! Bodies that are never held whole (RFC 7959): a streamed resource is written chunk by chunk and read block by block.

use lapwing_coap::{
    Code, ContentFormat,
    wire::{Block, BlockSize},
};
use lapwing_lwm2m::client::{ErrorCode, OperationKind, Reply, Why};

use crate::{
    harness::{Ask, Harness, More, seconds},
    objects::path,
};

const OPAQUE: ContentFormat = ContentFormat::OPAQUE;

fn block(number: u32, more: bool, bytes: &[u8]) -> Ask<'_> {
    let block1 = Some(Block { number, more, size: BlockSize::from_szx(2).unwrap() });
    Ask { block1, ..Ask::put("/5/0/0", OPAQUE, bytes) }
}

#[test]
fn a_push_arrives_chunk_by_chunk() {
    let mut harness = Harness::registered_for_long();
    harness.automatic = false;
    let body: Vec<u8> = (0..160).collect();
    harness.ask(block(0, true, &body[..64]));
    let (id, operation) = harness.operation();
    let expected = OperationKind::Receive { path: path("/5/0/0"), format: Some(OPAQUE), size: None };
    assert_eq!(operation.kind, expected);
    assert_eq!(harness.more.pop_front(), Some(More::Chunk(id, body[..64].to_vec(), false)));
    harness.expect_silence();
    harness.client.chunk_done(harness.time(), id, Ok(()));
    assert_eq!(harness.take().code, Code::CONTINUE, "the 2.31 waits for the disk");
    harness.ask(block(1, true, &body[64..128]));
    assert_eq!(harness.more.pop_front(), Some(More::Chunk(id, body[64..128].to_vec(), false)));
    harness.client.chunk_done(harness.time(), id, Ok(()));
    assert_eq!(harness.take().code, Code::CONTINUE);
    harness.ask(block(2, false, &body[128..]));
    assert_eq!(harness.more.pop_front(), Some(More::Chunk(id, body[128..].to_vec(), true)));
    harness.client.chunk_done(harness.time(), id, Ok(()));
    harness.expect_silence();
    harness.complete(id, Ok(Reply::Done));
    assert_eq!(harness.take().code, Code::CHANGED);
}

#[test]
fn a_short_body_is_one_chunk() {
    let mut harness = Harness::registered_for_long();
    harness.automatic = false;
    for (ask, bytes) in [
        (Ask::put("/5/0/0", OPAQUE, b"firmware"), &b"firmware"[..]),
        (Ask::put("/5/0/0", ContentFormat::TLV, b"\xc3\x00abc"), b"abc"),
        (Ask::put("/5/0/0", ContentFormat::TLV, b"\xc0\x00"), b""),
    ] {
        harness.ask(ask);
        let (id, _) = harness.operation();
        assert_eq!(harness.more.pop_front(), Some(More::Chunk(id, bytes.to_vec(), true)));
        harness.client.chunk_done(harness.time(), id, Ok(()));
        harness.complete(id, Ok(Reply::Done));
        assert_eq!(harness.take().code, Code::CHANGED);
    }
}

#[test]
fn a_full_disk_ends_the_transfer() {
    let mut harness = Harness::registered_for_long();
    harness.automatic = false;
    harness.ask(block(0, true, &[1; 64]));
    let (id, _) = harness.operation();
    harness.client.chunk_done(harness.time(), id, Err(ErrorCode::TooLarge));
    assert_eq!(harness.take().code, Code::REQUEST_ENTITY_TOO_LARGE);
    harness.ask(block(1, true, &[1; 64]));
    assert_eq!(harness.take().code, Code::REQUEST_ENTITY_INCOMPLETE);
}

#[test]
fn an_object_that_refuses_is_heard_at_once() {
    let mut harness = Harness::registered_for_long();
    harness.automatic = false;
    harness.ask(block(0, true, &[1; 64]));
    let (id, _) = harness.operation();
    harness.complete(id, Err(ErrorCode::MethodNotAllowed));
    assert_eq!(harness.take().code, Code::METHOD_NOT_ALLOWED);
    harness.client.chunk_done(harness.time(), id, Ok(()));
    harness.expect_silence();
}

#[test]
fn a_new_first_block_aborts_the_old_body() {
    let mut harness = Harness::registered_for_long();
    harness.automatic = false;
    harness.ask(block(0, true, &[1; 64]));
    let (old, _) = harness.operation();
    harness.client.chunk_done(harness.time(), old, Ok(()));
    harness.take();
    harness.more.clear();
    harness.ask(block(0, true, &[2; 64]));
    let (new, _) = harness.operation();
    assert!(harness.more.contains(&More::Abort(old, Why::Restarted)), "{:?}", harness.more);
    assert!(harness.more.contains(&More::Chunk(new, vec![2; 64], false)));
}

#[test]
fn a_body_that_is_not_continued_is_aborted() {
    let mut harness = Harness::registered_for_long();
    harness.automatic = false;
    harness.ask(block(0, true, &[1; 64]));
    let (id, _) = harness.operation();
    harness.client.chunk_done(harness.time(), id, Ok(()));
    harness.more.clear();
    harness.run_for(seconds(248));
    assert_eq!(harness.more.pop_front(), Some(More::Abort(id, Why::TransferTimedOut)));
}

#[test]
fn a_long_value_is_pulled_block_by_block() {
    let mut harness = Harness::registered_for_long();
    harness.automatic = false;
    let body: Vec<u8> = (0..200).collect();
    let size = BlockSize::from_szx(2).unwrap();
    let get = |number| Ask { block2: Some(Block { number, more: false, size }), ..Ask::get("/3441/0/150") };
    harness.ask(get(0));
    let (id, _) = harness.operation();
    harness.complete(id, Ok(Reply::Stream { size: Some(200), etag: vec![7] }));
    let mut received = Vec::new();
    for number in 0..4 {
        if number > 0 {
            harness.ask(get(number));
        }
        let Some(More::Pull(pulled, offset, length)) = harness.more.pop_front() else { panic!("a block is asked for") };
        assert_eq!((pulled, offset, length), (id, u64::from(number) * 64, 64));
        let end = (offset as usize + length).min(body.len());
        harness.client.supply(harness.time(), id, offset, &body[offset as usize..end], end == body.len());
        let answer = harness.take();
        assert_eq!((answer.code, answer.format), (Code::CONTENT, Some(OPAQUE)));
        received.extend(answer.payload);
    }
    assert_eq!(received, body);
    harness.run_for(seconds(248));
    assert_eq!(harness.more.pop_front(), Some(More::Settled(id)));
}
