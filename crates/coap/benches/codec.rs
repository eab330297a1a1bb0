//! Nanoseconds and allocations for a message: `cargo bench -p lapwing-coap --bench codec`.

use divan::{AllocProfiler, Bencher, black_box};
use lapwing_coap::ContentFormat;
use lapwing_coap::link::Links;
use lapwing_coap::wire::{Block, BlockSize, Code, Message, MessageType, Token, Writer, describe, option};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

/// The GET that a LwM2M server sends to read a resource.
fn get(buffer: &mut Vec<u8>) {
    Writer::new(buffer, MessageType::Con, Code::GET, 0x1234, Token::from([0xab; 8]))
        .option_str(option::URI_PATH, "3")
        .option_str(option::URI_PATH, "0")
        .option_str(option::URI_PATH, "0")
        .option_uint(option::ACCEPT, ContentFormat::TLV.0.into())
        .finish();
}

/// The answer to it, with a block of 1,024 bytes.
fn content(buffer: &mut Vec<u8>) {
    Writer::new(buffer, MessageType::Ack, Code::CONTENT, 0x1234, Token::from([0xab; 8]))
        .option_bytes(option::ETAG, &[1, 2, 3, 4])
        .option_uint(option::CONTENT_FORMAT, ContentFormat::TLV.0.into())
        .option_block(option::BLOCK2, Block { number: 3, more: true, size: BlockSize::B1024 })
        .payload(&[0x55; 1024])
        .finish();
}

fn written(write: fn(&mut Vec<u8>)) -> Vec<u8> {
    let mut buffer = Vec::new();
    write(&mut buffer);
    buffer
}

/// The goal is 25 ns without an allocation.
#[divan::bench]
fn decode_get(bencher: Bencher<'_, '_>) {
    let datagram = written(get);
    bencher.bench_local(|| Message::parse(black_box(&datagram)).unwrap());
}

/// Decodes, and reads everything from it that a request is dispatched by.
#[divan::bench]
fn decode_get_and_read_its_options(bencher: Bencher<'_, '_>) {
    let datagram = written(get);
    bencher.bench_local(|| {
        let message = Message::parse(black_box(&datagram)).unwrap();
        let length: usize = message.options.uri_path().map(str::len).sum();
        (length, message.options.accept(), message.options.observe(), message.options.block2())
    });
}

#[divan::bench]
fn decode_content_with_a_block(bencher: Bencher<'_, '_>) {
    let datagram = written(content);
    bencher.bench_local(|| Message::parse(black_box(&datagram)).unwrap());
}

#[divan::bench]
fn find_unrecognized_critical_options(bencher: Bencher<'_, '_>) {
    let datagram = written(get);
    let message = Message::parse(&datagram).unwrap();
    let understood = |number| matches!(number, option::URI_PATH | option::URI_QUERY | option::ACCEPT);
    bencher.bench_local(|| black_box(&message).options.unrecognized_critical(understood));
}

#[divan::bench]
fn encode_get(bencher: Bencher<'_, '_>) {
    let mut buffer = Vec::with_capacity(64);
    bencher.bench_local(|| {
        buffer.clear();
        get(black_box(&mut buffer));
    });
}

#[divan::bench]
fn encode_content_with_a_block(bencher: Bencher<'_, '_>) {
    let mut buffer = Vec::with_capacity(2048);
    bencher.bench_local(|| {
        buffer.clear();
        content(black_box(&mut buffer));
    });
}

#[divan::bench]
fn describe_get(bencher: Bencher<'_, '_>) {
    let datagram = written(get);
    bencher.bench_local(|| describe(black_box(&datagram)).to_string());
}

#[divan::bench]
fn decode_links_of_a_registration(bencher: Bencher<'_, '_>) {
    let payload = b"</>;rt=\"oma.lwm2m\";ct=112,</1/0>,</3>;ver=1.2,</3/0>,</4/0>,</3441/0>,</3441/1>";
    bencher.bench_local(|| Links::parse(black_box(payload)).unwrap().iter().count());
}
