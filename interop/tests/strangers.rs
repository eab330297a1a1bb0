//! libcoap's client, which is nobody's LwM2M server, at the agent's port and at our server.

mod common;

use bed::run;
use common::{Agent, DevelopmentServer};

const COAP_CLIENT: &str = "coap-client-openssl";

/// What libcoap prints for one request: the payload or the error, and its log.
fn ask(arguments: &[&str]) -> String {
    let output = run(COAP_CLIENT, arguments);
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The payload or code of an answer, if there was one: libcoap's log lines, such as a refused connection, are none.
fn answered(printed: &str) -> Option<&str> {
    printed.lines().find(|line| {
        !line.is_empty() && !line.contains(" WARN ") && !line.contains(" ERR ") && !line.contains(" INFO ")
    })
}

fn clients(api: &str) -> serde_json::Value {
    let url = format!("{api}/api/clients");
    let body =
        ureq::get(url).call().and_then(|mut answer| answer.body_mut().read_to_string()).expect("the API answers");
    serde_json::from_str(&body).expect("JSON")
}

#[test]
fn the_agents_port_answers_no_stranger_and_its_registration_goes_on() {
    let server = DevelopmentServer::start();
    let (coap, api) = (server.coap, &server.http);
    let mut agent = Agent::start(&format!("coap://127.0.0.1:{coap}"), "strange", 4, "");
    let port = bed::eventually("the registration", || {
        let all = clients(api);
        all[0]["address"].as_str()?.rsplit_once(':')?.1.parse::<u16>().ok()
    });
    let before = clients(api)[0]["registrationId"].clone();
    let body = "x".repeat(4000);
    for arguments in [vec!["-m", "get"], vec!["-m", "put", "-b", "64", "-e", &body], vec!["-m", "get", "-s", "1"]] {
        for path in ["3/0/0", "bs", ".well-known/core"] {
            let url = format!("coap://127.0.0.1:{port}/{path}");
            let printed = ask(&[&arguments[..], &["-B", "1", &url]].concat());
            assert!(answered(&printed).is_none(), "{url} {arguments:?}: {printed}");
        }
    }
    assert!(agent.process.runs());
    let update = |all: &serde_json::Value| all[0]["lastUpdate"].clone();
    let old = update(&clients(api));
    bed::eventually("the next update", || (update(&clients(api)) != old).then_some(()));
    assert_eq!(clients(api)[0]["registrationId"], before, "the same registration goes on");
}

#[test]
fn our_server_answers_a_stranger_with_the_standards_errors() {
    let server = DevelopmentServer::start();
    let coap = server.coap;
    let at = |path: &str| format!("coap://127.0.0.1:{coap}/{path}");
    let cases: [(&[&str], &str, &str); 6] = [
        (&["-m", "get"], "nowhere", "4.04"),
        (&["-m", "get"], "rd", "4.05"),
        (&["-m", "post", "-e", ""], "rd", "4.00"),
        (&["-m", "delete"], "rd/none", "4.04"),
        (&["-m", "post"], "rd/none", "4.04"),
        (&["-m", "get", "-O", "9,x"], "rd", "4.02"),
    ];
    for (arguments, path, code) in cases {
        let printed = ask(&[arguments, &["-B", "5", &at(path)]].concat());
        assert!(printed.contains(code), "{arguments:?} {path}: wanted {code}, libcoap printed: {printed}");
    }
    let core = ask(&["-m", "get", "-B", "5", &at(".well-known/core")]);
    assert!(core.contains("</rd>"), "{core}");
}
