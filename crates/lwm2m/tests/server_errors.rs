//! What the standard has a server answer to requests that are wrong (LwM2M core 1.1 section 6.2, RFC 7252 section 5).

mod server_common;

use lapwing_coap::{
    ContentFormat,
    wire::{Code, MessageType, option},
};
use server_common::{Bench, LINKS, Msg, address};

/// Registers `a` at address 1, then answers the request of a stranger; nothing may have changed.
fn refused(build: impl FnOnce(&mut Bench, &str) -> Msg) -> Msg {
    let mut bench = Bench::new();
    let location = bench.register(address(1), "ep=a&lwm2m=1.1", LINKS);
    let before = bench.server.registration("a").expect("registered").clone();
    bench.events();
    let request = build(&mut bench, &location);
    let answer = bench.ask(address(9), &request);
    assert_eq!(bench.events().len(), 0);
    assert_eq!(bench.server.registrations().count(), 1);
    assert_eq!(bench.server.registration("a"), Some(&before));
    answer
}

#[test]
fn registers_that_make_no_sense_are_4_00() {
    for (query, links) in [
        ("", LINKS),
        ("ep=", LINKS),
        ("ep", LINKS),
        ("ep=b&ep=c", LINKS),
        ("ep=b&lt=", LINKS),
        ("ep=b&lt=x", LINKS),
        ("ep=b&lt=-1", LINKS),
        ("ep=b&lt=%2B5", LINKS),
        ("ep=b&lt=4294967296", LINKS),
        ("ep=b&b=X", LINKS),
        ("ep=b&b=UU", LINKS),
        ("ep=b&Q=1", LINKS),
        ("ep=b&lwm2m=one", LINKS),
        ("ep=b&lwm2m=", LINKS),
        ("ep=b&=5", LINKS),
        ("ep=b", ""),
        ("ep=b", "</other>"),
        ("ep=b", "</1/0>,"),
        ("ep=b", "</1/0>;;"),
        ("ep=b", "</1/0"),
        ("ep=b", "1/0"),
        ("ep=b", "</3>;ver=x,</3/0>"),
        ("ep=b", "</>;rt=\"oma.lwm2m\";ct=70000,</3/0>"),
    ] {
        let answer = refused(|bench, _| {
            bench.con(Code::POST, &format!("/rd?{query}")).format(ContentFormat::LINK_FORMAT).payload(links)
        });
        assert_eq!(answer.code, Code::BAD_REQUEST, "{query} {links}");
        assert!(!answer.payload.is_empty(), "the answer tells what is wrong: {query} {links}");
    }
}

#[test]
fn an_enabler_version_that_is_not_spoken_is_4_12() {
    for version in ["0.9", "1.3", "2.0"] {
        let answer = refused(|bench, _| bench.con(Code::POST, &format!("/rd?ep=b&lwm2m={version}")).payload(LINKS));
        assert_eq!(answer.code, Code::PRECONDITION_FAILED, "{version}");
    }
    for version in ["1.0", "1.1", "1.2"] {
        Bench::new().register(address(1), &format!("ep=b&lwm2m={version}"), LINKS);
    }
}

#[test]
fn another_content_format_is_4_15() {
    for (code, path) in [(Code::POST, "/rd?ep=b"), (Code::POST, "LOCATION")] {
        let answer = refused(|bench, location| {
            bench.con(code, &path.replace("LOCATION", location)).format(ContentFormat::TEXT).payload(LINKS)
        });
        assert_eq!(answer.code, Code::UNSUPPORTED_CONTENT_FORMAT, "{path}");
    }
}

#[test]
fn unknown_registrations_and_resources_are_4_04() {
    for (code, path) in [
        (Code::POST, "/rd/aaaaaaaaaaaaaaaa"),
        (Code::DELETE, "/rd/aaaaaaaaaaaaaaaa"),
        (Code::POST, "/rd/1"),
        (Code::DELETE, "/rd/A.B"),
        (Code::POST, "LOCATION/x"),
        (Code::GET, "/"),
        (Code::GET, "/3/0"),
        (Code::POST, "/dp"),
        (Code::POST, "/bs?ep=b"),
        (Code::GET, "/.well-known"),
        (Code::GET, "/.well-known/core/x"),
    ] {
        let answer = refused(|bench, location| bench.con(code, &path.replace("LOCATION", location)));
        assert_eq!(answer.code, Code::NOT_FOUND, "{code} {path}");
    }
}

#[test]
fn other_methods_are_4_05() {
    for (code, path) in [
        (Code::GET, "/rd"),
        (Code::PUT, "/rd"),
        (Code::DELETE, "/rd"),
        (Code::FETCH, "/rd"),
        (Code::GET, "LOCATION"),
        (Code::PUT, "LOCATION"),
        (Code::PATCH, "LOCATION"),
        (Code::POST, "/.well-known/core"),
    ] {
        let answer = refused(|bench, location| bench.con(code, &path.replace("LOCATION", location)));
        assert_eq!(answer.code, Code::METHOD_NOT_ALLOWED, "{code} {path}");
    }
}

#[test]
fn an_update_cannot_rename_or_change_the_enabler() {
    for query in ["ep=b", "lwm2m=1.0", "lt=x"] {
        let answer = refused(|bench, location| bench.con(Code::POST, &format!("{location}?{query}")));
        assert_eq!(answer.code, Code::BAD_REQUEST, "{query}");
    }
    for links in ["</3/0", "</other>"] {
        let answer = refused(|bench, location| bench.con(Code::POST, location).payload(links));
        assert_eq!(answer.code, Code::BAD_REQUEST, "{links}");
    }
}

#[test]
fn an_unknown_critical_option_is_4_02() {
    let answer = refused(|bench, _| bench.con(Code::POST, "/rd?ep=b").payload(LINKS).option(65_001, b"x"));
    assert_eq!(answer.code, Code::BAD_OPTION);
}

#[test]
fn a_body_in_blocks_is_only_for_registering() {
    for (path, code) in [("/elsewhere", Code::NOT_FOUND), ("/.well-known/core", Code::METHOD_NOT_ALLOWED)] {
        let answer = refused(|bench, _| bench.con(Code::PUT, path).uint(option::BLOCK1, 0x0e).payload([b'x'; 1024]));
        assert_eq!(answer.code, code, "{path}");
    }
}

#[test]
fn too_many_registrations_are_5_03() {
    let mut bench = Bench::with(|config| config.registrations = 2);
    bench.register(address(1), "ep=a", LINKS);
    bench.register(address(2), "ep=b", LINKS);
    let third = bench.con(Code::POST, "/rd?ep=c").payload(LINKS);
    assert_eq!(bench.ask(address(3), &third).code, Code::SERVICE_UNAVAILABLE);
    bench.register(address(4), "ep=b", LINKS);
    assert_eq!(bench.server.registrations().count(), 2);
}

#[test]
fn the_resources_are_listed() {
    let answer = refused(|bench, _| bench.con(Code::GET, "/.well-known/core"));
    assert_eq!((answer.code, answer.text().as_str()), (Code::CONTENT, "</rd>;rt=\"core.rd\";ct=40"));
    assert_eq!(answer.number(option::CONTENT_FORMAT), Some(40));
    let answer = refused(|bench, _| bench.con(Code::GET, "/.well-known/core").uint(option::ACCEPT, 60));
    assert_eq!(answer.code, Code::NOT_ACCEPTABLE);
}

#[test]
fn a_ping_is_answered_with_a_reset_and_noise_with_nothing() {
    let mut bench = Bench::new();
    bench.deliver(address(9), &Msg::new(MessageType::Con, Code::EMPTY, 77, &[]));
    let pong = bench.take_one(address(9));
    assert_eq!((pong.kind, pong.id), (MessageType::Rst, 77));
    for noise in [&b""[..], b"\x40", b"\x80\x01\x00\x01", b"\x50\x45\x00\x01\xff", &[0xff; 40]] {
        bench.deliver_bytes(address(9), noise);
        assert_eq!(bench.take(address(9)), [], "{noise:x?}");
    }
    // A confirmable one that is no message is rejected (RFC 7252 section 4.2).
    bench.deliver_bytes(address(9), b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(bench.take_one(address(9)).kind, MessageType::Rst);
}
