//! From the first attempt to the de-registration. (LwM2M Core 1.1 sections 6.2.1 to 6.2.3)

use std::io;
use std::time::Duration;

use lapwing::{Event, Status};
use lapwing_coap::wire::{Code, MessageType, option};
use tokio::time::timeout;

use crate::common::{self, bench};

#[tokio::test(start_paused = true)]
async fn a_name_is_looked_up_anew_for_each_attempt() {
    let (line, mut server) = common::line();
    for _ in 0..3 {
        line.outcomes.lock().unwrap().push_back(io::Error::other("no such host"));
    }
    let (client, _) = bench::client();
    let handle = client.handle();
    let mut events = handle.events();
    assert_eq!(handle.status(), []);
    common::run(client, line.clone());
    server.register().await;
    for _ in 0..3 {
        let event = events.next().await;
        assert!(matches!(event, Some(Event::RegistrationFailed { server: 1, retry_in: Some(_), .. })), "{event:?}");
    }
    let event = events.next().await;
    assert!(matches!(event, Some(Event::Registered { server: 1, .. })), "{event:?}");
    assert_eq!(handle.status(), [(1, Status::Registered)]);
    let lookups = line.lookups.lock().unwrap().clone();
    assert_eq!(lookups.len(), 4);
    assert!(lookups.iter().all(|(host, port, _)| (host.as_str(), *port) == ("server.example", 5683)), "{lookups:?}");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_de_registers() {
    let (line, mut server) = common::line();
    let (client, _) = bench::client();
    let handle = client.handle();
    let mut events = handle.events();
    let running = common::run(client, line);
    server.register().await;
    handle.shutdown();
    let deregister = server.next().await;
    assert_eq!((deregister.code, deregister.path.join("/").as_str()), (Code::DELETE, "rd/1"));
    server.send(MessageType::Ack, Code::DELETED, deregister.id, deregister.token, &[], b"");
    running.await.unwrap().unwrap();
    let mut last = None;
    while let Some(event) = events.next().await {
        last = Some(event);
    }
    assert_eq!(last, Some(Event::Stopped));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_long_for_a_dead_server() {
    let (line, mut server) = common::line();
    let (client, _) = bench::client();
    let handle = client.handle();
    let running = common::run(client, line);
    server.register().await;
    handle.shutdown();
    timeout(Duration::from_secs(6), running).await.expect("it stops after 5 s").unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_handle_updates_and_de_registers_and_registers() {
    let (line, mut server) = common::line();
    let (client, _) = bench::client();
    let handle = client.handle();
    common::run(client, line);
    server.register().await;
    // The answer has to be there before an update means anything.
    server.silence(Duration::from_secs(1)).await;

    handle.update(None);
    let update = server.next().await;
    assert_eq!((update.code, update.path.join("/").as_str()), (Code::POST, "rd/1"));
    server.send(MessageType::Ack, Code::CHANGED, update.id, update.token, &[], b"");

    handle.deregister();
    let deregister = server.next().await;
    assert_eq!(deregister.code, Code::DELETE);
    server.send(MessageType::Ack, Code::DELETED, deregister.id, deregister.token, &[], b"");
    server.silence(Duration::from_secs(1000)).await;
    assert_eq!(handle.status(), [(1, Status::Stopped)]);

    handle.register();
    server.register().await;
}

/// The server has the registration, or will have it, and would keep it until its lifetime ends.
#[tokio::test(start_paused = true)]
async fn a_shutdown_while_registering_de_registers_too() {
    let (line, mut server) = common::line();
    let (client, _) = bench::client();
    let handle = client.handle();
    let running = common::run(client, line);
    let register = server.next().await;
    handle.shutdown();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let location: [(u16, &[u8]); 2] = [(option::LOCATION_PATH, b"rd"), (option::LOCATION_PATH, b"7")];
    server.send(MessageType::Ack, Code::CREATED, register.id, register.token, &location, b"");
    let deregister = server.next().await;
    assert_eq!((deregister.code, deregister.path.join("/").as_str()), (Code::DELETE, "rd/7"));
    server.send(MessageType::Ack, Code::DELETED, deregister.id, deregister.token, &[], b"");
    running.await.unwrap().unwrap();
}

/// Without DTLS a server knows a client by its address.
#[tokio::test(start_paused = true)]
async fn a_client_whose_address_changes_registers_anew_at_once() {
    let (line, mut server) = common::line();
    let (client, _) = bench::client();
    let handle = client.handle();
    common::run(client, line.clone());
    server.register().await;
    server.silence(Duration::from_secs(1)).await;

    // A hint without a change does no harm.
    handle.network_changed();
    server.silence(Duration::from_secs(100)).await;

    *line.local.lock().unwrap() = ([198, 51, 100, 7], 40_000).into();
    handle.network_changed();
    let asked = server.began.elapsed();
    let register = server.next().await;
    assert_eq!((register.code, register.path.join("/").as_str()), (Code::POST, "rd"));
    assert!(register.at < asked + Duration::from_millis(100), "{register:?}");
}

#[tokio::test(start_paused = true)]
async fn a_network_that_comes_up_is_tried_at_once() {
    let (line, mut server) = common::line();
    // About 16 s are to pass before the fifth attempt.
    for _ in 0..4 {
        line.outcomes.lock().unwrap().push_back(io::Error::from(io::ErrorKind::NetworkUnreachable));
    }
    let (client, _) = bench::client();
    let handle = client.handle();
    let mut events = handle.events();
    common::run(client, line);
    for _ in 0..4 {
        assert!(matches!(events.next().await, Some(Event::RegistrationFailed { .. })));
    }
    let came_up = server.began.elapsed();
    handle.network_changed();
    let register = server.next().await;
    assert!(register.at < came_up + Duration::from_millis(100), "{came_up:?} {register:?}");
}
