//! An association that the server lost, or that has to follow the client to another address (RFC 9146; LwM2M Transport 1.1
//! section 6.4): who notices, how, and how soon the client is registered again.

use lapwing_coap::Code;
use lapwing_dtls::{self as dtls, Closed};
use lapwing_lwm2m::client::{Command, Event, Failure, FlowEvent, Loss};

use crate::scene::{Scene, seconds};

/// With a Connection ID, a changed address of which nobody was told costs nothing: what the client sends next is heard, and the
/// server's answers follow it.
#[test]
fn a_new_address_behind_a_nat_takes_no_handshake_with_a_connection_id() {
    let mut scene = Scene::new().registered();
    for round in 0..20 {
        scene.rebind();
        assert_eq!(scene.request(Code::GET, "/3/0/9"), None, "the server cannot know where the client is");
        scene.command(Command::Update(None));
        scene.run(seconds(1));
        scene.assert_alive(&format!("{round}"));
    }
    assert_eq!((scene.handshakes.len(), scene.troubles().len()), (1, 0));
}

/// Without one the server drops what comes from the new address. The next Update gets no answer; then the client resumes the session.
#[test]
fn a_new_address_behind_a_nat_is_noticed_without_a_connection_id() {
    let mut scene = Scene::without_connection_id().registered();
    scene.rebind();
    scene.run(seconds(296));
    let took = scene.run_to_registered();
    println!("without a Connection ID, registered again {took:?} after the unanswered Update");
    assert!(took < seconds(100), "{took:?}");
    assert_eq!(scene.troubles(), [&Event::ServerLost { server: 1, reason: Loss::TimedOut }]);
    assert_eq!(scene.resumed_since(1), [true]);
    scene.assert_alive("registered again");
}

#[test]
fn a_client_that_knows_that_it_moved_updates_with_a_connection_id() {
    let mut scene = Scene::new().registered();
    let asked = scene.asked.len();
    scene.move_client();
    scene.run(seconds(1));
    assert_eq!(scene.asked_since(asked), [(Code::POST, "rd/1")], "an Update");
    scene.assert_alive("moved");
    assert_eq!((scene.handshakes.len(), scene.troubles().len(), scene.opens.len()), (1, 0, 1));
}

#[test]
fn a_client_that_knows_that_it_moved_resumes_without_a_connection_id() {
    let mut scene = Scene::without_connection_id().registered();
    scene.move_client();
    let took = scene.run_to_registered();
    assert!(took < seconds(1), "{took:?}");
    assert_eq!(scene.troubles(), [&Event::ServerLost { server: 1, reason: Loss::Moved }]);
    assert_eq!(scene.resumed_since(1), [true]);
    scene.assert_alive("moved");
}

/// A server that has lost the association while the client moved is found out sooner than by the time-out of CoAP.
#[test]
fn a_move_that_the_server_does_not_follow_takes_a_handshake() {
    let mut scene = Scene::new().registered();
    scene.restart_server();
    scene.move_client();
    let took = scene.run_to_registered();
    println!("moved and forgotten: registered again after {took:?}");
    assert!(took < seconds(10), "{took:?}");
    assert_eq!(scene.resumed_since(1), [false], "the server knows no session");
    scene.assert_alive("moved");
}

/// During a handshake there is nothing that could follow: it begins anew.
#[test]
fn a_move_during_the_handshake_begins_it_anew() {
    for milliseconds in [10, 30, 50, 70, 90, 110, 130] {
        let mut scene = Scene::new();
        scene.declare();
        scene.run(std::time::Duration::from_millis(milliseconds));
        scene.move_client();
        let took = scene.run_to_registered();
        assert!(took < seconds(4), "{milliseconds} ms: {took:?}");
        scene.assert_alive("moved");
    }
}

/// Who restarts knows no association. Its records are dropped without a word, so the Update is what tells.
#[test]
fn a_restarted_server_is_noticed_by_the_next_update() {
    let mut scene = Scene::new().registered();
    scene.restart_server();
    scene.command(Command::Update(None));
    let took = scene.run_to_registered();
    println!("restarted server: registered again {took:?} after the Update");
    assert!(took < seconds(95), "{took:?}");
    assert_eq!(scene.troubles(), [&Event::ServerLost { server: 1, reason: Loss::TimedOut }]);
    scene.assert_alive("registered again");
}

/// A server that shuts down in order says so (RFC 5246 section 7.2.1).
#[test]
fn a_closed_association_is_made_anew_at_once() {
    for connection_id in [Some(0), None] {
        let mut scene = Scene::with(
            1,
            crate::scene::good(),
            |config| config.dtls.connection_id = connection_id,
            Default::default(),
        );
        scene = scene.registered();
        scene.run(seconds(60));
        let association = scene.association.unwrap();
        scene.server.close(association);
        scene.pump();
        let took = scene.run_to_registered();
        assert!(took < seconds(1), "{took:?}");
        let closed = Loss::Closed(Closed::CloseNotify);
        assert_eq!(scene.troubles(), [&Event::ServerLost { server: 1, reason: closed }]);
        assert_eq!(closed.to_string(), "DTLS association closed by the other end");
        assert_eq!(scene.resumed_since(1), [true]);
        scene.assert_alive("registered again");
    }
}

/// Whoever does so as soon as there is one is asked ever more rarely.
#[test]
fn a_server_that_keeps_closing_is_left_alone_for_longer_each_time() {
    let mut scene = Scene::new();
    scene.declare();
    for closures in 1..=10 {
        scene.run_to_registered();
        let association = scene.association.unwrap();
        scene.server.close(association);
        scene.pump();
        scene.run(seconds(1));
        let troubles = scene.troubles();
        let [.., Event::ServerLost { .. }, Event::RegistrationFailed { reason, retry_in: Some(delay), .. }] =
            troubles[..]
        else {
            panic!("{troubles:?}")
        };
        assert_eq!(*reason, Failure::Closed(Closed::CloseNotify));
        let full = seconds(2_u64.pow(closures).min(300));
        assert!(*delay <= full && *delay >= full.mul_f64(0.75), "{closures}: {delay:?}");
    }
    scene.run_to_registered();
    scene.assert_alive("left alone");
}

/// The registration has lapsed and the association has not: it carries the new Register.
#[test]
fn a_forgotten_registration_is_renewed_over_the_same_association() {
    let mut scene = Scene::new().registered();
    scene.registrations.clear();
    scene.command(Command::Update(None));
    let took = scene.run_to_registered();
    assert!(took < seconds(1), "{took:?}");
    assert_eq!(scene.troubles(), [&Event::ServerLost { server: 1, reason: Loss::Forgotten }]);
    assert_eq!(scene.handshakes.len(), 1);
    scene.assert_alive("registered again");
    // Without a Connection ID it cannot follow to the new flow.
    let mut scene = Scene::without_connection_id().registered();
    scene.registrations.clear();
    scene.command(Command::Update(None));
    scene.run_to_registered();
    assert_eq!((scene.resumed_since(1), &scene.closed[..]), (vec![true], &[Closed::CloseNotify][..]));
    scene.assert_alive("registered again");
}

/// Hours pass at once: the registration is long gone, the NAT has another address, and the association goes on.
#[test]
fn a_suspended_client_goes_on_with_its_association() {
    let mut scene = Scene::new().registered();
    scene.registrations.clear();
    scene.rebind();
    scene.suspend(seconds(12 * 3_600));
    let took = scene.run_to_registered();
    assert!(took < seconds(1), "{took:?}");
    assert_eq!(scene.handshakes.len(), 1);
    scene.assert_alive("woken");
}

#[test]
fn a_flow_that_went_is_opened_anew() {
    for (connection_id, handshakes) in [(Some(0), 1), (None, 2)] {
        let mut scene = Scene::with(
            1,
            crate::scene::good(),
            |config| config.dtls.connection_id = connection_id,
            Default::default(),
        );
        scene = scene.registered();
        let (flow, address) = scene.flow.take().unwrap();
        scene.world.remove(address);
        scene.client.handle_flow(scene.now(), flow, FlowEvent::Closed);
        scene.pump();
        scene.run_to_registered();
        assert_eq!(scene.handshakes.len(), handshakes, "{connection_id:?}");
        scene.assert_alive("registered again");
    }
}

/// A handshake on the old network need not be waited for.
#[test]
fn a_changed_network_begins_the_handshake_anew() {
    let mut scene = Scene::with(1, crate::scene::good().loss(1.0), |_| {}, dtls::ServerConfig::default());
    scene.declare();
    scene.run(seconds(20));
    scene.world.set_cable(crate::scene::good());
    scene.command(Command::NetworkChanged);
    assert!(scene.run_to_registered() < seconds(1));
    assert_eq!(scene.opens.len(), 2);
    scene.assert_alive("registered");
}
