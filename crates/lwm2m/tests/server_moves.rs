//! A client over DTLS is who holds its keys, wherever it is: with a Connection ID all that is under way goes on at another address
//! (RFC 9146 section 6), and nobody else can bring that about.

mod server_common;

use std::{collections::BTreeMap, net::SocketAddr};

use lapwing_coap::{
    ContentFormat,
    wire::{Code, MessageType, option},
};
use lapwing_dtls::ClientConfig;
use lapwing_lwm2m::{
    model::{Node, Path, Resource, Value},
    server::{Channel, RegistrationId, Request, RequestError, RequestId, ServerEvent, WriteMode},
};
use server_common::{
    Bench, Msg, seconds,
    secure::{Device, bench, psk},
};

/// Behind a NAT that gives it this port now.
fn port(port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], port))
}

fn path(text: &str) -> Path {
    text.parse().expect("a path")
}

fn read() -> Request {
    Request::Read { path: path("/3441/0/130"), format: Some(ContentFormat::TEXT) }
}

/// Answers what the server has asked; gives how many requests there were.
fn serve(bench: &mut Bench, device: &mut Device) -> usize {
    device.answer_pings(bench);
    let asked: Vec<Msg> = device.take().into_iter().filter(|message| message.code == Code::GET).collect();
    for request in &asked {
        let mut answer = request.answer(Code::CONTENT).format(ContentFormat::TEXT).payload("17");
        if let Some(observe) = request.number(option::OBSERVE) {
            answer = answer.uint(option::OBSERVE, observe + 1);
        }
        device.send(bench, &answer);
    }
    asked.len()
}

fn observe(bench: &mut Bench, device: &mut Device, registration: RegistrationId) -> Vec<u8> {
    let observed = path("/3441/0/120");
    let id = bench.request(registration, Request::Observe { path: observed, format: Some(ContentFormat::TEXT) });
    device.pump(bench);
    let token = device.inbox.back().expect("the request").token.clone();
    serve(bench, device);
    assert!(bench.answer(id).is_ok());
    token
}

fn notification(device: &mut Device, token: &[u8], number: u32) -> Msg {
    let id = device.con(Code::EMPTY, "").id;
    let message = Msg::new(MessageType::Con, Code::CONTENT, id, token).uint(option::OBSERVE, number + 10);
    message.format(ContentFormat::TEXT).payload(number.to_string())
}

fn heard(events: &[ServerEvent]) -> Vec<String> {
    let text = |event: &ServerEvent| match event {
        ServerEvent::Notification { response, .. } => Some(String::from_utf8_lossy(&response.payload).into_owned()),
        _ => None,
    };
    events.iter().filter_map(text).collect()
}

#[test]
fn two_hundred_requests_and_notifications_go_on_while_it_moves() {
    let mut bench = bench(&["a"]);
    let mut device = Device::of(&mut bench, port(40_000), "a");
    let registration = device.register(&mut bench, "a");
    let token = observe(&mut bench, &mut device, registration);
    let mut open: BTreeMap<RequestId, u32> = BTreeMap::new();
    for number in 0..200u32 {
        if number % 5 == 0 {
            // The NAT forgets: what the server sends to the old port is lost, this request among it.
            device.address = port(40_001 + number as u16);
        }
        if number % 40 == 7 {
            assert_eq!(device.update(&mut bench, registration), Code::CHANGED);
        }
        open.insert(bench.request(registration, read()), number);
        let message = notification(&mut device, &token, number);
        device.send(&mut bench, &message);
        serve(&mut bench, &mut device);
        for _ in 0..5 {
            bench.run(seconds(1));
            device.pump(&mut bench);
            serve(&mut bench, &mut device);
        }
    }
    for (id, number) in open {
        let answer = bench.answer(id).unwrap_or_else(|why| panic!("request {number}: {why}"));
        assert_eq!(answer.payload, b"17", "request {number}");
    }
    let events = bench.events();
    assert_eq!(heard(&events), (0..200).map(|number: u32| number.to_string()).collect::<Vec<_>>());
    assert_eq!(device.established.len(), 1, "one handshake");
    let moves = events.iter().filter(|event| matches!(event, ServerEvent::Moved { .. })).count();
    assert_eq!(moves, 40);
    let registration = bench.server.registration("a").expect("registered");
    assert_eq!(registration.address, device.address);
}

/// What the server sends to an address, in bytes.
fn bytes_to(bench: &mut Bench, to: SocketAddr) -> usize {
    bench.records.iter().filter(|(address, _)| *address == to).map(|(_, record)| record.len()).sum()
}

fn write(size: usize) -> Request {
    let node = Node::Resource(Resource::Single(Value::Opaque(vec![7; size])));
    let path = path("/3441/0/150");
    Request::Write { path, mode: WriteMode::Replace, format: Some(ContentFormat::OPAQUE), node }
}

/// The client has got [`write`] of 900 bytes first, and answers it.
fn take_write(bench: &mut Bench, device: &mut Device, id: RequestId) {
    let asked = device.take();
    assert_eq!(asked.first().map(|message| message.payload.len()), Some(900));
    let answer = asked[0].answer(Code::CHANGED);
    device.send(bench, &answer);
    assert!(bench.answer(id).is_ok());
}

/// RFC 9146 section 6: an attacker could send a client's records from a victim's address.
#[test]
fn an_address_gets_at_most_three_times_what_came_from_it_until_it_has_answered() {
    let mut bench = bench(&["a"]);
    let mut device = Device::of(&mut bench, port(40_000), "a");
    let registration = device.register(&mut bench, "a");
    let update = device.con(Code::POST, &format!("/rd/{registration}"));
    device.dtls.send(&update.bytes()).expect("there is an association");
    let mut record = Vec::new();
    device.dtls.poll_transmit(&mut record).expect("a record");
    let victim = SocketAddr::from(([198, 51, 100, 7], 53));
    bench.server.handle_datagram(bench.now(), Channel::Secure, victim, &record);
    bench.poll();
    let id = bench.request(registration, write(900));
    for _ in 0..100 {
        bench.run(seconds(1));
    }
    assert_eq!(bench.answer(id), Err(RequestError::TimedOut));
    let sent = bytes_to(&mut bench, victim);
    assert!(sent > 0 && sent <= 3 * record.len(), "{sent} bytes for {}", record.len());
    // The client itself goes on from where it is, and proves that by its answer.
    bench.records.clear();
    assert_eq!(device.update(&mut bench, registration), Code::CHANGED);
    let id = bench.request(registration, write(900));
    assert_eq!(device.answer_pings(&mut bench), 1);
    for _ in 0..4 {
        bench.run(seconds(1));
        device.pump(&mut bench);
    }
    take_write(&mut bench, &mut device, id);
}

#[test]
fn a_large_request_that_was_under_way_waits_for_the_proof_and_no_longer() {
    let mut bench = bench(&["a"]);
    let mut device = Device::of(&mut bench, port(40_000), "a");
    let registration = device.register(&mut bench, "a");
    device.address = port(40_001);
    let id = bench.request(registration, write(900));
    device.pump(&mut bench);
    // All that it says from there is an empty message, a few bytes.
    let noise = Msg::new(MessageType::Ack, Code::EMPTY, 1, &[]);
    device.send(&mut bench, &noise);
    assert_eq!(device.answer_pings(&mut bench), 1, "the ping does not queue behind the request");
    bench.run(seconds(4));
    device.pump(&mut bench);
    take_write(&mut bench, &mut device, id);
}

#[test]
fn replayed_and_forged_datagrams_move_nobody_and_do_nothing() {
    let mut bench = bench(&["a"]);
    let mut device = Device::of(&mut bench, port(40_000), "a");
    let registration = device.register(&mut bench, "a");
    let token = observe(&mut bench, &mut device, registration);
    let message = notification(&mut device, &token, 1);
    device.send(&mut bench, &message);
    assert_eq!(device.update(&mut bench, registration), Code::CHANGED);
    let before = bench.server.registration("a").expect("registered").clone();
    let recorded = device.sent.clone();
    bench.forget();
    let attacker = SocketAddr::from(([198, 51, 100, 7], 53));
    let mut forged = 0;
    for from in [device.address, attacker] {
        for datagram in &recorded {
            bench.server.handle_datagram(bench.now(), Channel::Secure, from, datagram);
            bench.poll();
            for position in 0..datagram.len() {
                let mut datagram = datagram.clone();
                datagram[position] ^= 1 << (position % 8);
                bench.server.handle_datagram(bench.now(), Channel::Secure, from, &datagram);
                bench.poll();
                forged += 1;
            }
            // Nor is plain CoAP a way round.
            bench.server.handle_datagram(bench.now(), Channel::Plain, from, datagram);
            bench.poll();
        }
    }
    assert!(forged > 1_000);
    assert!(
        bench
            .events()
            .iter()
            .all(|event| !matches!(event, ServerEvent::Notification { .. } | ServerEvent::Moved { .. }))
    );
    assert_eq!(*bench.server.registration("a").expect("registered"), before);
    // What a flood of half-begun handshakes leaves behind is gone after its time; the client goes on.
    bench.records.clear();
    device.dtls.handle_timeout(bench.now);
    assert_eq!(device.update(&mut bench, registration), Code::CHANGED);
    let id = bench.request(registration, read());
    device.pump(&mut bench);
    serve(&mut bench, &mut device);
    assert!(bench.answer(id).is_ok());
    assert_eq!(device.established.len(), 1);
}

#[test]
fn a_record_that_comes_late_from_the_old_address_moves_nobody_back() {
    let mut bench = bench(&["a"]);
    let mut device = Device::of(&mut bench, port(40_000), "a");
    let registration = device.register(&mut bench, "a");
    let late = device.con(Code::POST, &format!("/rd/{registration}"));
    device.dtls.send(&late.bytes()).expect("there is an association");
    let mut record = Vec::new();
    device.dtls.poll_transmit(&mut record).expect("a record");
    let old = std::mem::replace(&mut device.address, port(40_001));
    assert_eq!(device.update(&mut bench, registration), Code::CHANGED);
    bench.server.handle_datagram(bench.now(), Channel::Secure, old, &record);
    bench.poll();
    device.pump(&mut bench);
    // It is authentic, and answered: where the client is.
    assert!(device.take().iter().any(|answer| answer.id == late.id && answer.code == Code::CHANGED));
    assert_eq!(bench.server.registration("a").map(|held| held.address), Some(device.address));
}

#[test]
fn without_connection_id_another_address_needs_another_handshake_and_then_an_update() {
    let mut bench = bench(&["a"]);
    let mut config = ClientConfig::psk(psk("a-id"));
    config.connection_id = None;
    let mut device = Device::new(port(40_000), config);
    device.connect(&mut bench);
    let registration = device.register(&mut bench, "a");
    let token = observe(&mut bench, &mut device, registration);
    bench.forget();
    device.address = port(40_001);
    let open = bench.request(registration, read());
    let update = device.con(Code::POST, &format!("/rd/{registration}"));
    device.send(&mut bench, &update);
    assert!(device.take().is_empty(), "nobody knows whose record that is");

    device.connect(&mut bench);
    assert_eq!(device.established.len(), 2);
    // Until its Update the client may just be fetching something: its registration is still where it was.
    let early = bench.request(registration, read());
    let message = notification(&mut device, &token, 1);
    device.send(&mut bench, &message);
    assert_eq!(device.take().last().map(|answer| answer.kind), Some(MessageType::Rst));
    assert!(heard(&bench.events()).is_empty());

    // With the Update all that was under way there is over. It can be asked again, and its observation is asked for anew.
    assert_eq!(device.update(&mut bench, registration), Code::CHANGED);
    for request in [open, early] {
        assert_eq!(bench.answer(request), Err(RequestError::NotConnected));
    }
    assert_eq!(serve(&mut bench, &mut device), 1);
    assert_eq!(heard(&bench.events()), ["17"]);
    let id = bench.request(registration, read());
    device.pump(&mut bench);
    serve(&mut bench, &mut device);
    assert!(bench.answer(id).is_ok());
}

/// RFC 6347 section 4.2.8: a client that has lost its state begins anew from the address of its old association.
#[test]
fn a_new_handshake_from_the_same_address_takes_over_the_right_to_update_and_nothing_else() {
    let mut bench = bench(&["a"]);
    let mut device = Device::of(&mut bench, port(40_000), "a");
    let registration = device.register(&mut bench, "a");
    let open = bench.request(registration, read());
    let mut rebooted = Device::of(&mut bench, port(40_000), "a");
    assert_eq!(bench.answer(open), Err(RequestError::NotConnected));
    assert_eq!(bench.server.registration("a").map(|held| held.id), Some(registration));
    assert_eq!(rebooted.update(&mut bench, registration), Code::CHANGED);
    let id = bench.request(registration, read());
    rebooted.pump(&mut bench);
    serve(&mut bench, &mut rebooted);
    assert!(bench.answer(id).is_ok());
    // The one before has no keys that open anything any more.
    let update = device.con(Code::DELETE, &format!("/rd/{registration}"));
    device.send(&mut bench, &update);
    assert!(bench.server.registration("a").is_some());
}

#[test]
fn a_client_that_closes_its_session_stays_registered_and_may_come_back() {
    let mut bench = bench(&["a"]);
    let mut device = Device::of(&mut bench, port(40_000), "a");
    let registration = device.register(&mut bench, "a");
    let session = device.dtls.session().cloned();
    assert!(session.is_some());
    observe(&mut bench, &mut device, registration);
    let observed = Request::Observe { path: path("/3441/0/110"), format: None };
    let id = bench.request(registration, observed.clone());
    device.dtls.close();
    device.pump(&mut bench);
    assert_eq!(bench.answer(id), Err(RequestError::NotConnected));
    assert_eq!(bench.server.observations("a").count(), 1, "it never was observed");
    for request in [observed, read(), Request::CancelObservation { path: path("/3441/0/120") }] {
        let id = bench.request(registration, request);
        assert_eq!(bench.answer(id), Err(RequestError::NotConnected));
    }
    assert_eq!(bench.server.observations("a").count(), 1, "what cannot be cancelled at the client stays");
    device.address = port(40_002);
    device.dtls.connect(bench.now, session);
    device.pump(&mut bench);
    assert!(device.established.last().is_some_and(|established| established.resumed));
    assert_eq!(device.update(&mut bench, registration), Code::CHANGED);
    assert_eq!(bench.server.registration("a").map(|held| held.address), Some(port(40_002)));
    assert_eq!(serve(&mut bench, &mut device), 1, "its observation is asked for anew");
}

/// RFC 9146 section 6: what answers a request that went to the old address shows nothing of the new one. Whoever sends a client's
/// records on from a victim's address has such answers, too.
#[test]
fn an_answer_to_what_was_asked_before_it_moved_proves_no_address() {
    let mut bench = bench(&["a"]);
    let mut device = Device::of(&mut bench, port(40_000), "a");
    let registration = device.register(&mut bench, "a");
    let early = bench.request(registration, read());
    device.pump(&mut bench);
    let asked = device.take().pop().expect("the request");
    let answer = asked.answer(Code::CONTENT).format(ContentFormat::TEXT).payload("17");
    device.dtls.send(&answer.bytes()).expect("there is an association");
    let mut record = Vec::new();
    device.dtls.poll_transmit(&mut record).expect("a record");
    let victim = SocketAddr::from(([198, 51, 100, 7], 53));
    bench.server.handle_datagram(bench.now(), Channel::Secure, victim, &record);
    bench.poll();
    assert!(bench.answer(early).is_ok(), "it is authentic");
    let late = bench.request(registration, write(900));
    for _ in 0..100 {
        bench.run(seconds(1));
    }
    assert_eq!(bench.answer(late), Err(RequestError::TimedOut));
    let sent = bytes_to(&mut bench, victim);
    assert!(sent > 0 && sent <= 3 * record.len(), "{sent} bytes for {}", record.len());
}
