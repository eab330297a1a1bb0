//! libcoap's client, which is nobody's LwM2M server, at the agent's port and at our server.

mod common;

use std::process::Command;

use bed::{Process, built, run};
use common::Agent;

const COAP_CLIENT: &str = "coap-client-openssl";

/// What libcoap prints for one request: the payload or the error; `seconds` bounds its wait.
fn ask(arguments: &[&str]) -> String {
    let output = run(COAP_CLIENT, arguments);
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Our server on free ports: the process, its CoAP port and the address of its API.
fn serve() -> (Process, u16, String) {
    let mut server = Process::start(Command::new(built("lapwing")).args([
        "serve",
        "--coap",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
    ]));
    let coap =
        server.out.next_that("the CoAP address", |line| line.rsplit_once("coap://127.0.0.1:")?.1.trim().parse().ok());
    let api = server
        .out
        .next_that("the page's address", |line| Some(format!("http://{}", line.split_once("http://")?.1.trim())));
    (server, coap, api)
}

fn clients(api: &str) -> serde_json::Value {
    let url = format!("{}/api/clients", api.trim_end_matches('/'));
    let body =
        ureq::get(url).call().and_then(|mut answer| answer.body_mut().read_to_string()).expect("the API answers");
    serde_json::from_str(&body).expect("JSON")
}

#[test]
fn the_agents_port_answers_no_stranger_and_its_registration_goes_on() {
    let (_server, coap, api) = serve();
    let mut agent = Agent::start(&format!("coap://127.0.0.1:{coap}"), "strange", 4, "");
    let port = bed::eventually("the registration", || {
        let all = clients(&api);
        all[0]["address"].as_str()?.rsplit_once(':')?.1.parse::<u16>().ok()
    });
    let before = clients(&api)[0]["registrationId"].clone();
    let body = "x".repeat(4000);
    for arguments in [vec!["-m", "get"], vec!["-m", "put", "-b", "64", "-e", &body], vec!["-m", "get", "-s", "1"]] {
        for path in ["3/0/0", "bs", ".well-known/core"] {
            let url = format!("coap://127.0.0.1:{port}/{path}");
            let printed = ask(&[&arguments[..], &["-B", "1", &url]].concat());
            assert!(
                !printed.chars().any(|c| c.is_ascii_digit() && printed.contains(&format!("{c}.0"))),
                "an answer: {printed}"
            );
        }
    }
    assert!(agent.process.runs());
    let update = |all: &serde_json::Value| all[0]["lastUpdate"].clone();
    let old = update(&clients(&api));
    bed::eventually("the next update", || (update(&clients(&api)) != old).then_some(()));
    assert_eq!(clients(&api)[0]["registrationId"], before, "the same registration goes on");
}

#[test]
fn our_server_answers_a_stranger_with_the_standards_errors() {
    let (_server, coap, _) = serve();
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
