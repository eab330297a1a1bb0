//! Registration over DTLS with a pre-shared key (LightweightM2M-1.1-int-401; LwM2M Transport 1.1 section 5.2), and what becomes of
//! one that cannot be secured.

use lapwing_coap::Code;
use lapwing_dtls::{self as dtls, Closed, alert::AlertDescription};
use lapwing_lwm2m::{
    account::Security,
    client::{Command, Event, Failure, FlowError, FlowEvent, Output, Reason, Status},
    definitions::test_object_v1_0,
    model::TreeObject,
};

use crate::scene::{IDENTITY, KEY, Scene, good, seconds};

#[test]
fn a_client_registers_over_a_pre_shared_key() {
    let mut scene = Scene::new();
    scene.declare();
    scene.run(seconds(1));
    let [(_, established)] = &scene.handshakes[..] else { panic!("{:?}", scene.handshakes) };
    assert_eq!(established.peer, dtls::credentials::PeerIdentity::Psk(IDENTITY.to_vec()));
    let [register] = &scene.asked[..] else { panic!("{:?}", scene.asked) };
    assert_eq!((register.code, register.path.as_str()), (Code::POST, "rd"));
    assert_eq!(register.query, ["ep=gw", "lt=600", "lwm2m=1.1", "b=U"]);
    let events: Vec<_> = scene.events.iter().map(|(_, event)| event).collect();
    assert!(
        matches!(
            events[..],
            [Event::Secured { server: 1, resumed: false, connection_id: true }, Event::Registered { server: 1, .. }]
        ),
        "{events:?}"
    );
    // Three round trips: cookie, handshake, Register.
    assert_eq!(scene.events[1].0.as_millis(), 4 * 40);
    scene.assert_alive("registered");
    scene.run(seconds(400));
    assert_eq!(scene.asked_since(1), [(Code::POST, "rd/1")], "an Update at half of the lifetime");
    scene.assert_alive("updated");
    assert_eq!(scene.handshakes.len(), 1);
}

/// The reasons of failed attempts, and the delays after them.
fn failures(scene: &Scene) -> Vec<Failure> {
    let failure = |event: &Event| match event {
        Event::RegistrationFailed { server: 1, reason, .. } => Some(*reason),
        _ => None,
    };
    scene.events.iter().filter_map(|(_, event)| failure(event)).collect()
}

/// RFC 4279 section 2: the server may say that it does not know the identity.
#[test]
fn an_unknown_identity_is_told_with_its_alert_and_tried_again() {
    let mut scene = Scene::new();
    scene.server.remove_psk(IDENTITY);
    scene.declare();
    scene.run(seconds(5));
    let refused = Failure::Handshake(dtls::Failure::Alert(AlertDescription::UNKNOWN_PSK_IDENTITY));
    assert_eq!(failures(&scene)[0], refused);
    assert_eq!(
        refused.to_string(),
        "no DTLS association: the other end refused the handshake: unknown_psk_identity (115)"
    );
    scene.run(seconds(600));
    let count = failures(&scene).len();
    assert!((8..12).contains(&count), "the back-off of any failed attempt: {count}");
    scene.server.add_psk(dtls::credentials::Psk::new(IDENTITY, KEY).unwrap());
    scene.run(seconds(300));
    scene.assert_alive("the server has learnt the identity");
}

#[test]
fn a_wrong_key_is_told_with_its_alert() {
    let mut scene = Scene::with(
        1,
        good(),
        |config| config.servers[0].security = Security::psk(IDENTITY, *b"another secret!!").unwrap(),
        dtls::ServerConfig::default(),
    );
    scene.declare();
    scene.run(seconds(70));
    let [first, ..] = failures(&scene)[..] else { panic!("{:?}", scene.events) };
    println!("a wrong key: {first}");
    assert!(matches!(first, Failure::Handshake(_)), "{first:?}");
    assert_eq!(scene.asked, []);
}

/// ICMP tells of it: an attempt need not wait until the handshake is given up.
#[test]
fn a_handshake_with_nobody_is_given_up() {
    let mut scene = Scene::with(1, good().loss(1.0), |_| {}, dtls::ServerConfig::default());
    scene.declare();
    scene.run(seconds(2));
    let (flow, _) = scene.flow.unwrap();
    scene.client.handle_flow(scene.now(), flow, FlowEvent::Failed(FlowError::Refused));
    scene.pump();
    assert_eq!(failures(&scene), [Failure::Flow(FlowError::Refused)]);
    scene.run(seconds(67));
    assert_eq!(failures(&scene)[1], Failure::Handshake(dtls::Failure::TimedOut));
}

#[test]
fn the_timer_of_a_flight_is_named() {
    let mut scene = Scene::with(1, good().loss(1.0), |_| {}, dtls::ServerConfig::default());
    scene.declare();
    let mut buffer = Vec::new();
    let Output::Wait(due, reason) = scene.client.poll_output(&mut buffer) else { panic!("something is left to do") };
    assert_eq!((due, reason), (Some(seconds(1)), Reason::Dtls(dtls::Timer::Retransmission)));
}

/// RFC 5246 section 7.2.1, after the answer; then the server has nothing left of the client.
#[test]
fn a_deregistration_closes_the_association() {
    let mut scene = Scene::new().registered();
    scene.command(Command::Deregister);
    scene.run(seconds(2));
    assert_eq!(scene.asked_since(1), [(Code::DELETE, "rd/1")]);
    assert_eq!((&scene.closed[..], scene.server.associations()), (&[Closed::CloseNotify][..], 0));
    assert_eq!(scene.status(), Some(Status::Stopped));
    assert!(matches!(scene.events.last(), Some((_, Event::Stopped))), "{:?}", scene.events);
    scene.command(Command::Register);
    scene.run(seconds(2));
    assert_eq!(scene.resumed_since(1), [true], "the session is resumed");
    scene.assert_alive("registered anew");
}

#[test]
fn a_client_that_stops_while_it_shakes_hands_stops() {
    let mut scene = Scene::with(1, good().loss(1.0), |_| {}, dtls::ServerConfig::default());
    scene.declare();
    scene.run(seconds(2));
    scene.command(Command::Deregister);
    let sent = scene.sizes.len();
    scene.run(seconds(200));
    assert_eq!((scene.status(), scene.sizes.len()), (Some(Status::Stopped), sent));
}

/// Neither a stranger nor whoever changes records on their way has any effect.
#[test]
fn what_is_not_authentic_has_no_effect() {
    let mut scene = Scene::new().registered();
    let mut random = sim::Random::seeded(3);
    let genuine = scene.received.clone();
    let (asked, sent) = (scene.asked.len(), scene.sizes.len());
    for round in 0..20_000 {
        let mut datagram = genuine[round % genuine.len()].clone();
        match round % 3 {
            0 => {
                let at = random.below(datagram.len());
                datagram[at] ^= 1 << random.below(8);
            }
            1 => datagram.truncate(random.below(datagram.len())),
            // As it was: a replay.
            _ => {}
        }
        scene.inject(&datagram);
    }
    // A plain CoAP request, and a plain alert.
    scene.inject(&[0x40, 2, 0, 1, 0xb1, b'3', 1, b'0', 1, b'4']);
    scene.inject(&[21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 2, 40]);
    scene.run(seconds(5));
    assert_eq!((scene.asked.len(), scene.sizes.len()), (asked, sent), "nothing is sent");
    assert_eq!((scene.objects.executed.len(), scene.troubles().len()), (0, 0));
    scene.assert_alive("after the forgeries");
}

/// The longest endpoint's name and 200 instances: no datagram is longer than configured, since blocks are as small as need be.
#[test]
fn no_datagram_is_longer_than_configured() {
    for (max_datagram, most) in [(1_232, 512), (600, 128), (300, 32)] {
        let mut scene = Scene::with(
            1,
            good(),
            |config| {
                config.endpoint = "e".repeat(if max_datagram > 300 { 252 } else { 30 });
                config.dtls.max_datagram = max_datagram;
            },
            dtls::ServerConfig::default(),
        );
        let mut tree = scene.objects.tree();
        let mut test = TreeObject::new(&test_object_v1_0::V1_0);
        for instance in 0..200 {
            test = test.with_instance(instance, [test_object_v1_0::STRING_VALUE]);
        }
        tree.insert(test);
        scene.client.declare(scene.now(), tree);
        scene.pump();
        scene.run(seconds(30));
        scene.assert_alive("registered");
        scene.objects.set("/3/0/0", "x".repeat(3_000));
        assert_eq!(scene.request(Code::GET, "/3/0/0"), Some(Code::CONTENT));
        let longest = *scene.sizes.iter().max().unwrap();
        assert!(longest <= max_datagram, "{longest} of {max_datagram}");
        let blocks: Vec<_> = scene.asked.iter().filter(|asked| asked.path == "rd").map(|asked| asked.size).collect();
        assert_eq!(blocks.iter().max(), Some(&most), "{max_datagram}: {blocks:?}");
        assert_eq!(scene.troubles(), [] as [&Event; 0]);
    }
}

/// Disable (1/x/4): nothing is left at the server, and the session shortens the way back.
#[test]
fn a_disabled_client_closes_and_comes_back() {
    let mut scene =
        Scene::with(1, good(), |config| config.servers[0].disable_timeout = Some(30), dtls::ServerConfig::default())
            .registered();
    assert_eq!(scene.request(Code::POST, "/1/0/4"), Some(Code::CHANGED));
    scene.run(seconds(5));
    assert_eq!((scene.status(), &scene.closed[..]), (Some(Status::Disabled), &[Closed::CloseNotify][..]));
    scene.run(seconds(30));
    assert_eq!(scene.resumed_since(1), [true]);
    scene.assert_alive("back");
}
