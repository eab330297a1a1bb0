//! The bootstrap interface of a server (LwM2M core 1.1 section 6.1.7), against clients made of raw CoAP messages: what is
//! sent and in which order, and what a client can do to a session.

mod bootstrap_common;
mod server_common;

use std::{net::SocketAddr, time::Duration};

use bootstrap_common::{Bench, EP, account, configuration, gw, plan};
use lapwing_coap::{
    ContentFormat,
    wire::{Code, MessageType, option},
};
use lapwing_dtls::credentials::Psk;
use lapwing_lwm2m::{
    definitions::{security, server},
    model::{Instance, Node, Path},
    server::{
        Remote, RequestError, SecurityInfo,
        bootstrap::{Configuration, ConfigurationError, Happening, OnRefusal, Plan, Task},
    },
};
use server_common::{Msg, address, seconds};

fn summary(task: &Msg) -> String {
    format!("{} {}", task.code, task.path())
}

#[test]
fn a_configuration_is_brought_task_by_task_and_ends_with_a_finish() {
    let mut bench = Bench::new();
    bench.plan("gw", plan());
    let mut task = bench.begin(gw(), EP);
    let mut seen = vec![summary(&task)];
    for code in [Code::DELETED, Code::DELETED, Code::CHANGED, Code::CHANGED] {
        assert_eq!(task.kind, MessageType::Con);
        task = bench.next(gw(), &task, code);
        seen.push(summary(&task));
    }
    assert_eq!(seen, ["0.04 /0", "0.04 /1", "0.03 /0/1", "0.03 /1/0", "0.02 /bs"]);
    assert_eq!(task.payload, b"");
    assert_eq!(bench.server.sessions(), 1);
    bench.deliver(gw(), &task.answer(Code::CHANGED));
    assert_eq!(bench.happened(), ["requested", "begun", "finished"]);
    assert_eq!((bench.server.sessions(), bench.take(gw())), (0, vec![]));
}

#[test]
fn writes_are_in_tlv_and_in_the_preferred_format_only_where_that_is_one_for_instances() {
    // Appendix C of LwM2M core 1.1 has the types; 0x03 is what a Short Server ID of 101 is in TLV: type, id, value.
    let plan = Plan::script([Task::write("/1/0".parse().unwrap(), Instance::from([(0, 101.into())]).into())]);
    for (query, format) in [("", 11_542), ("&pct=112", 11_542), ("&pct=0", 11_542), ("&pct=1542", 1_542)] {
        let mut bench = Bench::new();
        bench.plan("gw", plan.clone());
        let write = bench.begin(gw(), &format!("{EP}{query}"));
        assert_eq!(write.number(option::CONTENT_FORMAT), Some(format), "{query}");
        assert_eq!(write.payload, [0xc1, 0, 101]);
    }
}

#[test]
fn every_operation_can_be_scripted_at_every_level() {
    // Section 6.1.7.3 to 6.1.7.6: Discover, Read, Write of an object, an instance and a resource, Delete, Finish.
    let instance = Instance::from([(server::LIFETIME, 60.into())]);
    let mut bench = Bench::new();
    let path = |text: &str| text.parse::<Path>().unwrap();
    bench.plan(
        "gw",
        Plan::script([
            Task::Discover(Path::ROOT),
            Task::Discover(path("/0")),
            Task::read(path("/1")),
            Task::write(path("/1"), Node::Object([(3, instance.clone())].into())),
            Task::write(path("/1/3"), instance.into()),
            Task::write(path("/1/3/1"), Node::single(90)),
            Task::Delete(path("/1/3")),
            Task::Delete(Path::ROOT),
        ]),
    );
    let root = bench.begin(gw(), EP);
    assert_eq!((root.values(option::URI_PATH), root.number(option::ACCEPT)), (vec![], Some(40)));
    let links = root.answer(Code::CONTENT).format(ContentFormat::LINK_FORMAT).payload("</>;lwm2m=\"1.1\",</0/0>");
    bench.deliver(gw(), &links);
    let mut task = bench.take_one(gw());
    let mut seen = Vec::new();
    loop {
        let format = task.number(option::CONTENT_FORMAT);
        seen.push((summary(&task), format, task.payload.clone()));
        if task.path() == "/bs" {
            break;
        }
        let read = task.code == Code::GET && task.number(option::ACCEPT) == Some(11_542);
        let answer = match (task.code, read) {
            (Code::GET, true) => task.answer(Code::CONTENT).format(ContentFormat::TLV).payload([0x03, 3, 0xc1, 1, 60]),
            (Code::GET, false) => task.answer(Code::CONTENT).format(ContentFormat::LINK_FORMAT).payload("</0/0>"),
            _ => task.answer(Code::CHANGED),
        };
        bench.deliver(gw(), &answer);
        task = bench.take_one(gw());
    }
    let tlv = Some(11_542);
    let expected: Vec<(&str, _, &[u8])> = vec![
        ("0.01 /0", None, &[]),
        ("0.01 /1", None, &[]),
        ("0.03 /1", tlv, &[0x03, 3, 0xc1, 1, 60]),
        ("0.03 /1/3", tlv, &[0xc1, 1, 60]),
        ("0.03 /1/3/1", tlv, &[0xc1, 1, 90]),
        ("0.04 /1/3", None, &[]),
        ("0.04 /", None, &[]),
        ("0.02 /bs", None, &[]),
    ];
    let expected: Vec<_> =
        expected.into_iter().map(|(task, format, body)| (task.to_owned(), format, body.to_vec())).collect();
    assert_eq!(seen, expected);
    let read = bench.events.iter().find_map(|event| match &event.what {
        Happening::Answered { task, response } if *task == Task::read(path("/1")).step() => {
            Some(response.content.clone())
        }
        _ => None,
    });
    let node = Node::Object([(3, Instance::from([(server::LIFETIME, 60.into())]))].into());
    assert_eq!(read, Some(lapwing_lwm2m::server::Content::Node(node)));
}

#[test]
fn the_clients_own_account_of_the_server_keeps_its_place() {
    // Section 6.1.7.3: the one of which a Discover tells no Short Server ID.
    let configuration = configuration().auto_id();
    let configuration = configuration.instance(0, 7, account(true, 1)).instance(0, 9, account(false, 102));
    let mut bench = Bench::new();
    bench.plan("gw", Plan::apply(configuration).unwrap());
    let discover = bench.begin(gw(), EP);
    let links = "</>;lwm2m=\"1.1\",</0/0>;ssid=5;uri=\"coap://h\",</0/1>,</1/0>;ssid=5";
    bench.deliver(gw(), &discover.answer(Code::CONTENT).format(ContentFormat::LINK_FORMAT).payload(links));
    let mut task = bench.take_one(gw());
    let mut written = Vec::new();
    while task.path() != "/bs" {
        written.push(summary(&task));
        task = bench.next(gw(), &task, Code::CHANGED);
    }
    assert_eq!(written, ["0.04 /0", "0.04 /1", "0.03 /0/0", "0.03 /0/1", "0.03 /0/2", "0.03 /1/0"]);
}

#[test]
fn without_knowing_its_own_account_the_server_leaves_the_client_alone() {
    let refused = |discover: &Msg| discover.answer(Code::METHOD_NOT_ALLOWED);
    let silent = |discover: &Msg| discover.answer(Code::CONTENT).format(ContentFormat::LINK_FORMAT).payload("</1/0>");
    type Answering = fn(&Msg) -> Msg;
    let cases: [(Answering, &str); 2] = [
        (refused, "discover / was answered 4.05"),
        (silent, "the client did not tell which of its Security instances is this server's"),
    ];
    for (answer, why) in cases {
        let mut bench = Bench::new();
        bench.plan("gw", Plan::apply(configuration().auto_id()).unwrap());
        let discover = bench.begin(gw(), EP);
        bench.deliver(gw(), &answer(&discover));
        assert_eq!(bench.happened(), ["requested", "begun", why]);
        assert_eq!(bench.take(gw()), []);
    }
}

#[test]
fn who_has_no_plan_is_refused_and_may_ask_again() {
    let mut bench = Bench::new();
    for (uri, code) in [
        (EP, Code::BAD_REQUEST),
        ("/bs", Code::BAD_REQUEST),
        ("/bs?ep=gw&ep=gw", Code::BAD_REQUEST),
        ("/bs?ep=gw&pct=many", Code::BAD_REQUEST),
        ("/bs/0?ep=gw", Code::NOT_FOUND),
        ("/rd?ep=gw", Code::NOT_FOUND),
    ] {
        assert_eq!(bench.ask(gw(), Code::POST, uri).code, code, "{uri}");
    }
    assert_eq!(bench.ask(gw(), Code::GET, EP).code, Code::METHOD_NOT_ALLOWED);
    assert_eq!(bench.ask(gw(), Code::GET, "/.well-known/core").text(), "</bs>");
    assert_eq!(bench.happened(), ["requested", "there is no configuration for this endpoint"]);
    bench.plan("gw", plan());
    bench.begin(gw(), EP);
}

#[test]
fn an_endpoint_that_has_to_show_a_key_is_not_bootstrapped_over_plain_coap() {
    let mut bench = Bench::new();
    bench.plan("gw", plan());
    let info = SecurityInfo::Psk(Psk::new("bs", *b"key").unwrap());
    assert_eq!(bench.server.set_security(bench.now(), "gw", Some(info.clone())), Ok(None));
    assert_eq!(bench.ask(gw(), Code::POST, EP).code, Code::BAD_REQUEST);
    assert_eq!(bench.happened(), ["requested", "the client did not prove to be this endpoint"]);
    assert_eq!(bench.take(gw()), []);
    assert_eq!(bench.server.set_security(bench.now(), "gw", None), Ok(Some(info)));
    bench.begin(gw(), EP);
}

#[test]
fn a_refused_task_is_the_clients_decision_unless_the_plan_stops_then() {
    let mut bench = Bench::new();
    bench.plan("gw", plan());
    let first = bench.begin(gw(), EP);
    assert_eq!(summary(&bench.next(gw(), &first, Code::METHOD_NOT_ALLOWED)), "0.04 /1");
    bench.server.cancel(bench.now(), "gw");
    bench.poll();
    assert_eq!(bench.happened(), ["requested", "begun", "it was cancelled"]);

    bench.plan("gw", plan().on_refusal(OnRefusal::Stop));
    let first = bench.begin(gw(), EP);
    bench.deliver(gw(), &first.answer(Code::METHOD_NOT_ALLOWED));
    assert_eq!(bench.happened(), ["requested", "begun", "delete /0 was answered 4.05"]);
    assert_eq!((bench.take(gw()), bench.server.sessions()), (vec![], 0));
}

#[test]
fn a_refused_finish_fails_the_session_unless_corrections_follow() {
    // Section 6.1.7.2: 4.06 when the client finds the configuration inconsistent; it stays open for corrections.
    let mut bench = Bench::new();
    bench.plan("gw", Plan::script([]));
    let finish = bench.begin(gw(), EP);
    bench.deliver(gw(), &finish.answer(Code::NOT_ACCEPTABLE));
    assert_eq!(bench.happened(), ["requested", "begun", "the client refused to finish with 4.06"]);

    let correction = Task::write("/1/0/1".parse().unwrap(), Node::single(60));
    bench.plan("gw", Plan::script([Task::Finish, correction, Task::Finish]));
    let finish = bench.begin(gw(), EP);
    let write = bench.next(gw(), &finish, Code::NOT_ACCEPTABLE);
    assert_eq!(summary(&write), "0.03 /1/0/1");
    let finish = bench.next(gw(), &write, Code::CHANGED);
    bench.deliver(gw(), &finish.answer(Code::CHANGED));
    assert_eq!(bench.happened(), ["requested", "begun", "finished"]);
    // One that is accepted at once needs no corrections.
    let finish = bench.begin(gw(), EP);
    bench.deliver(gw(), &finish.answer(Code::CHANGED));
    assert_eq!(bench.happened(), ["requested", "begun", "finished"]);
    assert_eq!(bench.take(gw()), []);
}

#[test]
fn silence_ends_a_session_in_time() {
    // RFC 7252 section 4.8.2: MAX_TRANSMIT_WAIT is 93 s.
    let mut bench = Bench::new();
    bench.plan("gw", plan());
    bench.begin(gw(), EP);
    bench.run(seconds(94));
    assert_eq!(bench.happened(), ["requested", "begun", "delete /0: the client did not answer in time"]);
    assert_eq!(bench.server.sessions(), 0);

    // One that acknowledges and then says nothing, too.
    let delete = bench.begin(gw(), EP);
    bench.deliver(gw(), &Msg::new(MessageType::Ack, Code::EMPTY, delete.id, &[]));
    bench.run(seconds(94));
    assert_eq!(bench.happened(), ["requested", "begun", "delete /0: the client did not answer in time"]);
    // The answer that comes too late is none.
    bench.take(gw());
    let late = Msg::new(MessageType::Con, Code::DELETED, 9, &delete.token);
    bench.deliver(gw(), &late);
    assert_eq!(bench.take_one(gw()).kind, MessageType::Rst);
    assert_eq!(bench.happened(), Vec::<String>::new());
}

#[test]
fn answers_that_are_none_end_a_session() {
    let read = Plan::script([Task::read("/1".parse().unwrap())]);
    for (answer, why) in
        [(MessageType::Rst, RequestError::Reset.to_string()), (MessageType::Ack, "could not be understood".to_owned())]
    {
        let mut bench = Bench::new();
        bench.plan("gw", read.clone());
        let task = bench.begin(gw(), EP);
        let message = match answer {
            MessageType::Rst => Msg::new(MessageType::Rst, Code::EMPTY, task.id, &[]),
            _ => task.answer(Code::CONTENT).format(ContentFormat::TLV).payload([0xff, 0xff]),
        };
        bench.deliver(gw(), &message);
        let happened = bench.happened();
        assert_eq!(happened.len(), 3);
        assert!(happened[2].contains(&why), "{happened:?}");
        assert_eq!((bench.take(gw()), bench.server.sessions()), (vec![], 0));
    }
}

#[test]
fn who_asks_anew_begins_anew_and_the_old_session_is_over() {
    let mut bench = Bench::new();
    bench.plan("gw", plan());
    let first = bench.begin(gw(), EP);
    let moved = address(2);
    let again = bench.begin(moved, EP);
    assert_eq!(summary(&again), "0.04 /0");
    assert_eq!(bench.happened(), ["requested", "begun", "requested", "the client asked anew", "begun"]);
    // What comes for the old one moves nothing.
    bench.deliver(gw(), &first.answer(Code::DELETED));
    assert_eq!((bench.take(gw()), bench.take(moved)), (vec![], vec![]));
    assert_eq!(bench.server.sessions(), 1);
    assert_eq!(summary(&bench.next(moved, &again, Code::DELETED)), "0.04 /1");
}

#[test]
fn a_repeated_request_is_one_request() {
    // RFC 7252 section 4.5.
    let mut bench = Bench::new();
    bench.plan("gw", plan());
    let request = bench.con(Code::POST, EP);
    for _ in 0..3 {
        bench.deliver(gw(), &request);
    }
    assert_eq!(bench.happened(), ["requested", "begun"]);
}

#[test]
fn endless_requests_take_no_more_room_than_one() {
    let mut bench = Bench::new();
    bench.plan("gw", plan());
    for _ in 0..5_000 {
        let request = bench.con(Code::POST, EP);
        bench.deliver(gw(), &request);
        bench.take(gw());
    }
    assert_eq!(bench.server.sessions(), 1);
    let memory = bench.server.peer_memory(Remote::Plain(gw())).unwrap();
    assert!(memory.total() <= 192 * 1024 + 8 * 1024, "{memory:?}");
    // Strangers who ask for what is not there leave nothing but the bound of peers.
    for host in 0..3_000u32 {
        let request = bench.con(Code::POST, "/bs?ep=nobody");
        bench.deliver(SocketAddr::from((host.to_be_bytes(), 5683)), &request);
    }
    assert_eq!((bench.server.sessions(), bench.server.strangers()), (1, 1_024));
}

#[test]
fn damaged_messages_leave_nothing_behind() {
    let mut bench = Bench::new();
    bench.plan("gw", plan());
    let delete = bench.begin(gw(), EP);
    let valid = [
        bench.con(Code::POST, EP).bytes(),
        bench.con(Code::POST, "/bs?ep=gw&pct=112&vendor=acme").bytes(),
        bench.con(Code::POST, EP).uint(option::BLOCK1, 0x0e).payload([b'x'; 1_024]).bytes(),
        delete.answer(Code::DELETED).bytes(),
        delete.answer(Code::CONTENT).format(ContentFormat::TLV).payload([0x03, 3, 0xc1, 1, 60]).bytes(),
        Msg::new(MessageType::Rst, Code::EMPTY, delete.id, &[]).bytes(),
    ];
    let mut damaged = sim::Mutator::seeded(7, valid);
    let mut most = 0;
    for round in 0..30_000u32 {
        bench.deliver_bytes(gw(), damaged.next());
        bench.run(Duration::from_millis(u64::from(round % 50)));
        bench.sent.clear();
        bench.events.clear();
        let memory = bench.server.peer_memory(Remote::Plain(gw())).expect("remembered");
        most = most.max(memory.total());
        // One for `gw`: other names have no plan.
        assert!(bench.server.sessions() <= 1);
    }
    assert!(most <= 192 * 1024 + 8 * 1024, "{most} bytes");
    // It is served as before.
    assert_eq!(summary(&bench.begin(gw(), EP)), "0.04 /0");
}

#[test]
fn there_are_so_many_sessions_and_no_more() {
    let mut bench = Bench::with(|config| config.sessions = 2);
    for endpoint in ["a", "b", "c"] {
        bench.plan(endpoint, plan());
    }
    bench.begin(address(1), "/bs?ep=a");
    bench.begin(address(2), "/bs?ep=b");
    assert_eq!(bench.ask(address(3), Code::POST, "/bs?ep=c").code, Code::SERVICE_UNAVAILABLE);
    // There is room for one in the place of its own.
    bench.begin(address(2), "/bs?ep=b");
    assert_eq!(bench.server.sessions(), 2);
    bench.run(seconds(94));
    bench.begin(address(3), "/bs?ep=c");
}

#[test]
fn two_endpoints_at_one_address_have_a_session_each() {
    let mut bench = Bench::new();
    bench.plan("a", plan());
    bench.plan("b", Plan::script([]));
    let delete = bench.begin(gw(), "/bs?ep=a");
    let answer = bench.ask(gw(), Code::POST, "/bs?ep=b");
    assert_eq!(answer.code, Code::CHANGED);
    // One message at a time for each remote (NSTART, RFC 7252 section 4.7).
    assert_eq!(bench.take(gw()), []);
    bench.deliver(gw(), &delete.answer(Code::DELETED));
    let mut tasks: Vec<String> = bench.take(gw()).iter().map(summary).collect();
    assert_eq!(tasks.pop().as_deref(), Some("0.02 /bs"));
    assert_eq!(bench.server.sessions(), 2);
}

#[test]
fn a_plan_that_is_taken_away_ends_its_session() {
    let mut bench = Bench::new();
    bench.plan("gw", plan());
    bench.begin(gw(), EP);
    bench.server.set_plan(bench.now(), "gw", None);
    bench.poll();
    assert_eq!(bench.happened(), ["requested", "begun", "it was cancelled"]);
    assert!(bench.server.plan("gw").is_none());
}

#[test]
fn a_configuration_with_which_no_client_could_live_is_refused() {
    let mut without_key = account(false, 101);
    without_key.retain(|(id, _)| *id != security::SECRET_KEY);
    let mut est = account(false, 101);
    est[2].1 = 4.into();
    let whole = configuration();
    type Expected = fn(&ConfigurationError) -> bool;
    let cases: [(Configuration, Expected); 6] = [
        (whole.clone().instance(0, 1, without_key), |why| matches!(why, ConfigurationError::Missing { .. })),
        (whole.clone().instance(0, 1, est), |why| matches!(why, ConfigurationError::Est(_))),
        (whole.clone().instance(1, 1, [(0, 7.into()), (1, 60.into())]), |why| {
            matches!(why, ConfigurationError::NoSecurity { ssid: 7, .. })
        }),
        (whole.clone().instance(0, 2, account(false, 101)), |why| {
            matches!(why, ConfigurationError::Twice { ssid: 101, .. })
        }),
        (whole.clone().delete("/3/0/1".parse().unwrap()), |why| matches!(why, ConfigurationError::Delete(_))),
        (whole.instance(1, 0, [(0, 101.into()), (1, "long".into())]), |why| {
            matches!(why, ConfigurationError::Mismatch { .. })
        }),
    ];
    for (wrong, expected) in cases {
        let why = Plan::apply(wrong).unwrap_err();
        assert!(expected(&why), "{why}");
    }
}

#[test]
fn no_key_is_in_what_is_printed() {
    let mut bench = Bench::new();
    bench.plan("gw", plan());
    let mut task = bench.begin(gw(), EP);
    while task.path() != "/bs" {
        task = bench.next(gw(), &task, Code::CHANGED);
    }
    let printed = format!("{:?} {:?} {:?}", plan(), bench.server, bench.events);
    let octets = format!("{:?}", b"very secret");
    assert!(printed.contains("Sent") && printed.contains("/0/1"), "{printed}");
    assert!(!printed.contains("very secret") && !printed.contains(octets.trim_matches(['[', ']'])), "{printed}");
}
