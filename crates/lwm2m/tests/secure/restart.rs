//! An association that outlives the process: the client is killed at any moment, comes back without a handshake, uses no record
//! number twice, and nothing that was recorded before has an effect.

use lapwing_coap::Code;
use lapwing_dtls::{self as dtls, Closed};
use lapwing_lwm2m::{
    account::{Record, RecordKey, Security},
    client::{Command, Event, Loss, Status},
};
use sim::Random;

use crate::scene::{Disk, IDENTITY, Scene, good, seconds};

const ASSOCIATION: RecordKey = RecordKey::Association(1);

fn with_reservation(numbers: u32) -> Scene {
    Scene::with(1, good(), |config| config.dtls.reservation = numbers, dtls::ServerConfig::default())
}

#[test]
fn a_killed_client_registers_over_the_stored_association() {
    let mut scene = Scene::new().registered();
    scene.assert_alive("before");
    scene.kill();
    scene.declare();
    let took = scene.run_to_registered();
    assert!(took.as_millis() <= 50, "one round trip: {took:?}");
    assert_eq!((scene.handshakes.len(), scene.troubles().len()), (1, 0));
    scene.assert_alive("after");
    // And so on, from any address.
    for _ in 0..20 {
        scene.kill();
        scene.declare();
        scene.run_to_registered();
        scene.assert_alive("once more");
    }
    assert_eq!(scene.handshakes.len(), 1);
}

/// Everything that was recorded comes again, at every moment after the restart: an Execute among it.
#[test]
fn nothing_recorded_before_has_an_effect() {
    let mut scene = Scene::new().registered();
    assert_eq!(scene.request(Code::POST, "/3/0/4"), Some(Code::CHANGED));
    scene.command(Command::Update(None));
    scene.run(seconds(1));
    scene.assert_alive("before");
    assert_eq!(scene.objects.executed.len(), 1);
    let recorded = scene.received.clone();
    assert!(recorded.len() >= 7, "handshake, answers, requests: {}", recorded.len());
    scene.kill();
    scene.declare();
    let replay = |scene: &mut Scene, when: &str| {
        let (sent, asked, handshakes) = (scene.sizes.len(), scene.asked.len(), scene.handshakes.len());
        for datagram in &recorded {
            scene.inject(datagram);
        }
        assert_eq!(scene.objects.executed.len(), 1, "{when}");
        let quiet = (scene.sizes.len(), scene.asked.len(), scene.handshakes.len());
        assert_eq!(quiet, (sent, asked, handshakes), "{when}: nothing is answered");
        assert_eq!(scene.troubles(), [] as [&Event; 0], "{when}");
    };
    replay(&mut scene, "while the Register is under way");
    assert_eq!(scene.status(), Some(Status::Registering), "no recorded answer is taken");
    scene.run_to_registered();
    replay(&mut scene, "registered");
    scene.command(Command::Update(None));
    replay(&mut scene, "while an Update is under way");
    scene.run(seconds(1));
    scene.assert_alive("after");
    assert_eq!(scene.handshakes.len(), 1);
    assert_eq!(scene.request(Code::POST, "/3/0/4"), Some(Code::CHANGED));
    assert_eq!(scene.objects.executed.len(), 2, "a new one has one");
}

/// The server forgot: what is stored is tried for the time of three messages, then a handshake follows.
#[test]
fn a_forgotten_association_is_replaced_by_a_handshake() {
    let mut scene = Scene::new().registered();
    scene.restart_server();
    let recorded = scene.received.clone();
    scene.kill();
    scene.declare();
    scene.run(seconds(5));
    // Whoever replays what was recorded does not prolong it.
    recorded.iter().for_each(|datagram| scene.inject(datagram));
    let took = scene.run_to_registered() + seconds(5);
    println!("an association that the server lost: registered {took:?} after the start");
    assert!(took < seconds(10), "{took:?}");
    assert_eq!(scene.resumed_since(1), [false]);
    scene.assert_alive("after");
}

/// Without a Connection ID the server knows the association by the client's address: the port is asked for again.
#[test]
fn the_local_port_is_asked_for_again_without_a_connection_id() {
    let mut scene = Scene::without_connection_id().registered();
    let port = scene.flow.unwrap().1.port();
    assert_eq!(scene.opens[0].local_port, None);
    scene.kill();
    scene.declare();
    assert_eq!(scene.opens[1].local_port, Some(port));
    scene.run_to_registered();
    assert_eq!((scene.handshakes.len(), scene.troubles().len()), (1, 0));
    scene.assert_alive("after");
    let twice: std::collections::BTreeSet<u64> = scene.bare_numbers.iter().copied().collect();
    assert_eq!(twice.len(), scene.bare_numbers.len(), "no number twice");
}

/// With another port there is nothing that the server could know.
#[test]
fn another_port_means_a_handshake_at_once() {
    let mut scene = Scene::without_connection_id().registered();
    scene.kill();
    scene.port_taken = true;
    scene.declare();
    assert!(scene.run_to_registered() < seconds(1));
    assert_eq!(scene.handshakes.len(), 2);
    scene.assert_alive("after");
    // Nor is anything stored that could not be taken up again.
    let mut scene = Scene::without_connection_id();
    scene.tells_port = false;
    let mut scene = scene.registered();
    assert_eq!(scene.stored, 0);
    scene.kill();
    scene.declare();
    scene.run_to_registered();
    assert_eq!(scene.handshakes.len(), 2);
}

/// What was made with another key, or with another server, is not used.
#[test]
fn an_association_of_another_account_is_not_taken_up() {
    let mut scene = Scene::new().registered();
    scene.config.servers[0].security = Security::psk(IDENTITY, *b"a new secret key").unwrap();
    scene.server.add_psk(dtls::credentials::Psk::new(IDENTITY, *b"a new secret key").unwrap());
    scene.kill();
    scene.declare();
    assert!(scene.run_to_registered() < seconds(1));
    assert_eq!(scene.resumed_since(1), [false], "another key");
    scene.config.servers[0].uri = format!("coaps://localhost:{}", scene.there.port()).parse().unwrap();
    scene.kill();
    scene.declare();
    assert!(scene.run_to_registered() < seconds(1));
    assert_eq!(scene.resumed_since(2), [false], "another server");
    scene.kill();
    scene.declare();
    scene.run_to_registered();
    assert_eq!(scene.handshakes.len(), 3, "the same account");
}

#[test]
fn a_damaged_record_means_a_handshake() {
    let mut scene = Scene::new().registered();
    let whole = scene.records.get(&ASSOCIATION).unwrap().clone();
    for length in 0..whole.len() {
        scene.saved.insert(Record::new(ASSOCIATION, whole[..length].to_vec()));
        scene.kill();
        scene.declare();
        assert_eq!(scene.opens.last().unwrap().local_port, None);
        scene.pump();
    }
    scene.saved.insert(Record::new(ASSOCIATION, whole[..whole.len() - 1].to_vec()));
    scene.kill();
    scene.declare();
    assert!(scene.run_to_registered() < seconds(1));
    assert_eq!(scene.handshakes.len(), 2);
}

/// What is closed is not to be taken up again: the record goes before the association does.
#[test]
fn a_deregistration_removes_the_record() {
    let mut scene = Scene::new().registered();
    scene.command(Command::Deregister);
    assert!(scene.records[&ASSOCIATION].is_empty(), "before the server has answered");
    scene.run(seconds(1));
    assert_eq!(scene.closed, [Closed::CloseNotify]);
    scene.kill();
    scene.declare();
    assert!(scene.run_to_registered() < seconds(1));
    assert_eq!(scene.handshakes.len(), 2);
}

/// Half of the reserved numbers are used: more are reserved, and until they are durable only the other half leaves.
#[test]
fn nothing_is_sent_beyond_what_is_reserved() {
    let mut scene = with_reservation(64).registered();
    let stored = scene.stored;
    scene.disk = Disk::Waits;
    let mut sent = 0;
    while scene.request(Code::GET, "/3/0/9").is_some() {
        sent += 1;
        assert!(sent < 100, "more than was reserved");
    }
    println!("{sent} answers within the reservation");
    assert!((55..64).contains(&sent), "{sent}");
    assert_eq!(scene.persisting.len(), 1, "asked for once");
    let before = scene.sizes.len();
    scene.run(seconds(60));
    assert_eq!((scene.sizes.len(), scene.status()), (before, Some(Status::Registered)));
    scene.store();
    scene.run(seconds(2));
    assert!(scene.sizes.len() > before, "what waited leaves");
    scene.assert_alive("stored");
    assert_eq!(scene.stored, stored + 1);
    assert_eq!((scene.handshakes.len(), scene.troubles().len()), (1, 0));
}

/// Killed at any moment, with a disk that is slow, fails, or stores without being able to tell.
fn killed_at_any_moment(seed: u64, lies: bool) -> usize {
    let mut random = Random::seeded(seed);
    let mut scene = with_reservation(8);
    scene.declare();
    for _ in 0..400 {
        match random.below(12) {
            0 => {
                if random.chance(0.5) {
                    scene.store_unheard();
                }
                scene.kill();
                scene.declare();
            }
            1 => scene.disk = if lies { Disk::Lies } else { Disk::Stores },
            2 => scene.disk = Disk::Waits,
            3 => scene.disk = Disk::Fails,
            4 => scene.store(),
            5 => scene.run(seconds(20)),
            6 => scene.command(Command::Update(None)),
            _ if scene.association.is_some() => drop(scene.ask(Code::GET, "/3/0/9")),
            _ => {}
        }
        scene.run(random.up_to(seconds(1)));
    }
    // With a disk that works, all is well again.
    scene.disk = Disk::Stores;
    scene.store();
    scene.run(seconds(700));
    scene.assert_alive("at the end");
    scene.sizes.len()
}

/// The scene fails at a record number that is used twice with the same keys.
#[test]
fn no_record_number_is_used_twice_whenever_the_process_ends() {
    let records: usize = (0..40).map(|seed| killed_at_any_moment(seed, false)).sum();
    println!("{records} records");
    assert!(records > 10_000, "{records}");
}

/// The proof that the test above can fail.
#[test]
#[should_panic = "twice"]
fn a_disk_that_says_that_it_has_stored_and_has_not_is_found_out() {
    for seed in 0..40 {
        killed_at_any_moment(seed, true);
    }
}

/// The client runs on: when the numbers that it has are used up, a handshake makes a new association.
#[test]
fn a_failing_store_costs_handshakes_and_nothing_else() {
    let mut scene = with_reservation(32);
    scene.disk = Disk::Fails;
    let mut scene = scene.registered();
    for _ in 0..100 {
        if scene.request(Code::GET, "/3/0/9").is_none() {
            scene.run(seconds(2));
        }
    }
    scene.assert_alive("a disk that fails");
    assert!((3..=5).contains(&scene.handshakes.len()), "{}", scene.handshakes.len());
    let lost = Event::ServerLost { server: 1, reason: Loss::NotStored };
    assert!(scene.troubles().iter().all(|event| **event == lost), "{:?}", scene.troubles());
    scene.command(Command::Deregister);
    scene.run(seconds(2));
    assert_eq!(scene.status(), Some(Status::Stopped));
}

/// After a restart nothing can be stored: what is there cannot be used, and a handshake makes a new association.
#[test]
fn a_store_that_fails_at_the_start_means_a_handshake() {
    let mut scene = Scene::new().registered();
    scene.disk = Disk::Fails;
    scene.kill();
    scene.declare();
    assert!(scene.run_to_registered() < seconds(1));
    assert_eq!(scene.handshakes.len(), 2);
    scene.assert_alive("after");
}

/// Whoever wants no association stored has none.
#[test]
fn no_reservation_stores_nothing() {
    let mut scene = with_reservation(0).registered();
    assert_eq!((scene.stored, scene.records.len()), (0, 0));
    scene.kill();
    scene.declare();
    scene.run_to_registered();
    assert_eq!(scene.handshakes.len(), 2);
}

fn resuming() -> Scene {
    Scene::with(1, good(), |config| config.resume = true, dtls::ServerConfig::default()).registered()
}

/// An Update is all that the server sees of the restart.
#[test]
fn a_killed_client_goes_on_with_its_registration_over_the_stored_association() {
    let mut scene = resuming();
    for _ in 0..3 {
        let asked = scene.asked.len();
        let registration = scene.registrations.first().unwrap().clone();
        scene.kill();
        scene.declare();
        scene.run(seconds(1));
        assert_eq!(scene.asked_since(asked), [(Code::POST, registration.as_str())]);
        assert!(
            matches!(scene.events.last(), Some((_, Event::Resumed { server: 1, .. }))),
            "{:?}",
            scene.events.last()
        );
        scene.assert_alive("after");
    }
    assert_eq!((scene.handshakes.len(), scene.troubles().len()), (1, 0));
}

/// A server that does not know the association cannot know the registration as this client's: there is a Register after the handshake.
#[test]
fn after_a_handshake_the_client_registers() {
    let mut scene = resuming();
    scene.restart_server();
    scene.kill();
    scene.declare();
    let asked = scene.asked.len();
    let took = scene.run_to_registered();
    assert!(took < seconds(10), "{took:?}");
    assert_eq!(scene.asked_since(asked), [(Code::POST, "rd")]);
    scene.assert_alive("after");
    // That one is what a further restart goes on with.
    let asked = scene.asked.len();
    scene.kill();
    scene.declare();
    scene.run(seconds(1));
    let registration = scene.registrations.first().unwrap().as_str();
    assert_eq!(scene.asked_since(asked), [(Code::POST, registration)]);
}
