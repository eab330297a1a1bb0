//! What strangers and a registered client can make the server hold, counted by the allocator: at most 192 KiB a peer, and 1,024
//! peers without a registration.

mod server_common;

use std::{
    alloc::System,
    net::{Ipv4Addr, SocketAddr},
};

use cap::Cap;
use lapwing_coap::wire::{Code, MessageType, option};
use server_common::{Bench, LINKS, Msg, address};

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

const PEER: usize = 192 * 1024;
const STRANGERS: usize = 1_024;

/// What one could send to make a server hold something: requests of each kind, answers that nobody asked for, uploads that are
/// begun and never ended, blocks out of order.
fn junk(round: u32) -> Msg {
    let token = round.to_be_bytes();
    let message = |kind, code| Msg::new(kind, code, round as u16, &token);
    let register = |more: bool, number: u32| {
        let block = number << 4 | u32::from(more) << 3 | 6;
        message(MessageType::Con, Code::POST).uri("/rd?ep=x").uint(option::BLOCK1, block).payload([b'x'; 1_024])
    };
    match round % 8 {
        0 => message(MessageType::Con, Code::GET).uri("/.well-known/core"),
        1 => message(MessageType::Non, Code::GET).uri("/.well-known/core").uint(option::OBSERVE, 0),
        2 => message(MessageType::Con, Code::POST).uri("/rd?ep=x").payload([b'<'; 1_200]),
        3 => message(MessageType::Con, Code::CONTENT).payload([b'y'; 1_200]),
        4 => message(MessageType::Con, Code::EMPTY),
        5 => register(true, 0),
        6 => register(true, round / 8 % 63 + 1),
        _ => message(MessageType::Con, Code::DELETE).uri("/rd/aaaaaaaaaaaaaaaa"),
    }
}

/// An upload that goes on to the limit of what is reassembled.
fn upload(bench: &mut Bench, from: SocketAddr) {
    for number in 0..63u32 {
        let block = number << 4 | 0x0e;
        let request = bench.con(Code::POST, "/rd?ep=x").uint(option::BLOCK1, block).payload([b'x'; 1_024]);
        let request = Msg { token: vec![1], ..request };
        bench.deliver(from, &request);
        bench.sent.clear();
    }
}

fn held(bench: &mut Bench, before: usize) -> usize {
    bench.sent = Vec::new();
    bench.events = Vec::new();
    ALLOCATOR.allocated().saturating_sub(before)
}

// One test, since the allocator counts for the whole process.
#[test]
fn memory_stays_within_its_bounds() {
    // A first peer makes room in tables that all share.
    let mut bench = Bench::with(|config| config.log = 0);
    bench.registered(address(1), "a");
    let registered = address(2);
    let before = ALLOCATOR.allocated();
    bench.registered(registered, "b");
    assert!(held(&mut bench, before) < 16 * 1_024, "a quiet client: {} bytes", held(&mut bench, before));

    let mut most = 0;
    for round in 0..20_000 {
        bench.deliver(registered, &junk(round));
        most = most.max(held(&mut bench, before));
    }
    upload(&mut bench, registered);
    most = most.max(held(&mut bench, before));
    assert!((32 * 1_024..PEER).contains(&most), "a registered peer that sends junk: {most} bytes");
    drop(bench);

    let mut bench = Bench::with(|config| config.log = 0);
    let before = ALLOCATOR.allocated();
    for number in 0..2 * STRANGERS as u32 {
        let from = SocketAddr::from((Ipv4Addr::from_bits(0x0a00_0000 + number), 5683));
        for round in 0..300 {
            bench.deliver(from, &junk(round));
        }
        upload(&mut bench, from);
    }
    assert_eq!(bench.server.strangers(), STRANGERS);
    let all = held(&mut bench, before);
    assert!(all < STRANGERS * PEER, "{all} bytes for all strangers");
    assert!(all > STRANGERS * 64 * 1_024, "{all} bytes: the uploads are held, so the bound is tried");
    assert_eq!(bench.server.registrations().count(), 0);
    let id = bench.registered(address(3), "c");
    assert!(bench.server.forget(bench.now(), id), "{LINKS}");
}
