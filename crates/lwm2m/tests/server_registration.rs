//! The registration interface as it should go (LwM2M core 1.1 section 6.2; OMA LightweightM2M-1.1-int-101, 102, 103, 107).

mod server_common;

use lapwing_coap::{
    ContentFormat,
    wire::{Code, option},
};
use lapwing_lwm2m::{
    model::{Path, Version},
    server::{Deregistration, ServerEvent},
};
use server_common::{Bench, LINKS, Msg, address, seconds};

#[test]
fn a_client_registers_and_is_listed() {
    let mut bench = Bench::new();
    let links =
        "</lwm2m>;rt=\"oma.lwm2m\";ct=\"60 110\",</lwm2m/1/0>,</lwm2m/3>;ver=1.2,</lwm2m/3/0>,</lwm2m/4/0>,</other>;x";
    let location = bench.register(address(1), "ep=urn:gw:1&lt=120&lwm2m=1.1&b=UQ&sms=4912345&site=roof&flag", links);
    let registration = bench.server.registration("urn:gw:1").expect("registered").clone();
    assert_eq!(location, format!("/rd/{}", registration.id));
    assert_eq!(registration.id.as_str().len(), 16);
    assert_eq!(registration.address, address(1));
    assert_eq!(registration.lifetime, 120);
    assert_eq!(registration.version, Version::V1_1);
    assert_eq!(registration.binding, "UQ");
    assert!(registration.queue_mode);
    assert_eq!(registration.sms.as_deref(), Some("4912345"));
    assert_eq!(registration.root, "/lwm2m/");
    assert_eq!(registration.formats, [ContentFormat::CBOR, ContentFormat::SENML_JSON]);
    assert_eq!(registration.attributes["site"], "roof");
    assert_eq!(registration.attributes["flag"], "");
    assert_eq!(registration.links.len(), 6);
    let instances: Vec<Path> = registration.instances().collect();
    assert_eq!(instances, [1, 3, 4].map(|object| Path::object(object).instance(0)));
    // Without ver=, core objects have the version of the enabler (LwM2M core 1.1.1 appendix E).
    assert_eq!(registration.version_of(1), Some(Version::V1_1));
    assert_eq!(registration.version_of(3), Some(Version::V1_2));
    assert_eq!(registration.version_of(4), Some(Version::V1_2));
    assert!(
        matches!(&bench.events()[..], [ServerEvent::Registered { registration: new, previous: None }] if *new == registration)
    );
}

#[test]
fn what_a_register_leaves_out_has_its_default() {
    let mut bench = Bench::new();
    bench.register(address(1), "ep=a", "</1/0>,</3/0>");
    let registration = bench.server.registration("a").expect("registered");
    assert_eq!((registration.lifetime, registration.version), (86_400, Version::V1_0));
    assert_eq!((registration.binding.as_str(), registration.queue_mode), ("U", false));
    assert_eq!((registration.root.as_str(), registration.sms.as_deref()), ("/", None));
    assert_eq!(registration.version_of(3), Some(Version::V1_0));
}

#[test]
fn an_update_changes_what_it_names() {
    let mut bench = Bench::new();
    let location = bench.register(address(1), "ep=a&lt=60&lwm2m=1.1&site=roof", LINKS);
    let before = bench.server.registration("a").expect("registered").clone();
    bench.events();
    bench.run(seconds(10));
    let update = bench.con(Code::POST, &format!("{location}?lt=90&b=U&room=2")).payload("</3/0>,</6/0>");
    let answer = bench.ask(address(1), &update);
    assert_eq!((answer.code, answer.text()), (Code::CHANGED, String::new()));
    let after = bench.server.registration("a").expect("registered").clone();
    assert_eq!((after.id, after.lifetime), (before.id, 90));
    assert_eq!(after.objects.keys().copied().collect::<Vec<_>>(), [3, 6]);
    assert_eq!((after.attributes["site"].as_str(), after.attributes["room"].as_str()), ("roof", "2"));
    assert_eq!(after.updated.elapsed - after.registered.elapsed, seconds(10));
    let events = bench.events();
    let [ServerEvent::Updated { registration, previous, update }] = &events[..] else { panic!("{events:?}") };
    assert_eq!((registration, previous), (&after, &before));
    assert_eq!((update.lifetime, update.moved), (Some(90), false));
    assert_eq!(update.links.as_ref().map(Vec::len), Some(2));

    let bare = bench.con(Code::POST, &location);
    assert_eq!(bench.ask(address(1), &bare).code, Code::CHANGED);
    let last = bench.server.registration("a").expect("registered");
    assert_eq!((last.lifetime, last.objects.len()), (90, 2), "what is not named stays");
}

#[test]
fn a_client_deregisters_once() {
    let mut bench = Bench::new();
    let location = bench.register(address(1), "ep=a", LINKS);
    bench.events();
    let delete = bench.con(Code::DELETE, &location);
    assert_eq!(bench.ask(address(1), &delete).code, Code::DELETED);
    assert!(bench.server.registration("a").is_none());
    let events = bench.events();
    assert!(matches!(&events[..], [ServerEvent::Deregistered { why: Deregistration::Asked, .. }]), "{events:?}");
    let again = bench.con(Code::DELETE, &location);
    assert_eq!(bench.ask(address(1), &again).code, Code::NOT_FOUND);
    assert_eq!(bench.events().len(), 0);
}

#[test]
fn a_new_register_of_an_endpoint_replaces_the_old_one() {
    let mut bench = Bench::new();
    let old = bench.register(address(1), "ep=a", LINKS);
    bench.events();
    let new = bench.register(address(2), "ep=a", "</3/0>");
    assert_ne!(old, new);
    assert_eq!(bench.server.registrations().count(), 1);
    let events = bench.events();
    let [
        ServerEvent::Deregistered { registration: gone, why: Deregistration::Replaced },
        ServerEvent::Registered { registration, previous: Some(previous) },
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!((gone, &registration.address), (previous, &address(2)));
    let update = bench.con(Code::POST, &old);
    assert_eq!(bench.ask(address(1), &update).code, Code::NOT_FOUND);
}

#[test]
fn a_retransmitted_register_is_one_registration() {
    let mut bench = Bench::new();
    let register = bench.con(Code::POST, "/rd?ep=a").format(ContentFormat::LINK_FORMAT).payload(LINKS);
    let first = bench.ask(address(1), &register);
    let second = bench.ask(address(1), &register);
    assert_eq!(first, second);
    assert_eq!(bench.events().len(), 1);
}

#[test]
fn a_register_may_come_in_blocks() {
    let mut bench = Bench::new();
    let links: String = (0..200).map(|instance| format!("</3441/{instance}>,")).collect::<String>() + "</3/0>";
    let blocks: Vec<&[u8]> = links.as_bytes().chunks(1024).collect();
    let mut last = None;
    for (number, block) in blocks.iter().enumerate() {
        let more = number + 1 < blocks.len();
        let value = (number as u32) << 4 | u32::from(more) << 3 | 6;
        let mut request = bench.con(Code::POST, "/rd?ep=a").uint(option::BLOCK1, value).payload(block);
        request.token = vec![9];
        let request = request.format(ContentFormat::LINK_FORMAT);
        let answer = bench.ask(address(1), &request);
        assert_eq!(answer.code, if more { Code::CONTINUE } else { Code::CREATED }, "{}", answer.text());
        last = Some(answer);
    }
    assert!(last.is_some_and(|answer: Msg| answer.location().starts_with("/rd/")));
    assert_eq!(bench.server.registration("a").expect("registered").objects[&3441].instances.len(), 200);
}

#[test]
fn a_registration_lapses_after_its_lifetime_and_grace() {
    let mut bench = Bench::new();
    let location = bench.register(address(1), "ep=a&lt=100", LINKS);
    bench.register(address(2), "ep=forever&lt=0", LINKS);
    bench.register(address(3), "ep=long&lt=86400", LINKS);
    bench.events();
    bench.run(seconds(90));
    let update = bench.con(Code::POST, &location);
    assert_eq!(bench.ask(address(1), &update).code, Code::CHANGED);
    bench.events();
    // A tenth of the lifetime is granted beyond it.
    bench.run(seconds(109));
    assert!(bench.events().is_empty());
    bench.run(seconds(1));
    let events = bench.events();
    let [ServerEvent::Deregistered { registration, why: Deregistration::Expired }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(&*registration.endpoint, "a");
    let late = bench.con(Code::POST, &location);
    assert_eq!(bench.ask(address(1), &late).code, Code::NOT_FOUND);
    // At most 45 s, and never for a lifetime of 0.
    bench.run(seconds(86_400 + 44 - 200));
    assert!(bench.events().is_empty());
    bench.run(seconds(1));
    assert!(matches!(&bench.events()[..], [ServerEvent::Deregistered { why: Deregistration::Expired, .. }]));
    bench.run(seconds(10 * 365 * 86_400));
    assert!(bench.events().is_empty());
    assert_eq!(bench.server.registrations().count(), 1);
}

#[test]
fn a_shorter_lifetime_counts_from_its_update() {
    let mut bench = Bench::new();
    let location = bench.register(address(1), "ep=a&lt=1000", LINKS);
    let update = bench.con(Code::POST, &format!("{location}?lt=20"));
    assert_eq!(bench.ask(address(1), &update).code, Code::CHANGED);
    bench.run(seconds(21));
    assert!(bench.server.registration("a").is_some());
    bench.run(seconds(1));
    assert!(bench.server.registration("a").is_none());
}
