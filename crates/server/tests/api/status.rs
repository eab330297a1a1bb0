//! HTTP status codes: whether there was an answer, not what it was.

use std::{
    thread,
    time::{Duration, Instant},
};

use lapwing_coap::{ContentFormat, wire::Code};
use serde_json::json;

use crate::support::{Script, eventually, gateway};

#[test]
fn an_error_of_the_client_is_a_200() {
    let (server, device) = gateway();
    assert_eq!(
        server.get("/api/clients/gw/3/0/99").json(),
        json!({
            "status": "NOT_FOUND(404)", "valid": true, "success": false, "failure": true,
            "errormessage": "nothing is here",
        })
    );
    device.script(Code::GET, "/3/0/9", Script::Answer(Code::SERVICE_UNAVAILABLE, None, vec![]));
    assert_eq!(
        server.get("/api/clients/gw/3/0/9").json(),
        json!({"status": "UNKNOWN(503)", "valid": false, "success": false, "failure": true})
    );
}

#[test]
fn invalid_paths_are_400() {
    let (server, _device) = gateway();
    for (method, path) in [
        ("GET", "/api/clients/"),
        ("PUT", "/api/clients/gw"),
        ("PUT", "/api/clients/gw/3"),
        ("POST", "/api/clients/gw"),
        ("POST", "/api/clients/gw/3/0/6/1"),
    ] {
        server.call(method, path, &[], b"").is_error(400, "Invalid path");
    }
}

#[test]
fn requests_without_sense_are_400() {
    let (server, device) = gateway();
    let json = [("Content-Type", "application/json")];
    let text = br#"{"id": 110, "type": "string", "value": "x"}"#.as_slice();
    let number = br#"{"id": 110, "type": "integer", "value": "1"}"#.as_slice();
    for (method, path, headers, body) in [
        ("GET", "/3/0/x", &json[..], b"".as_slice()),
        ("GET", "/discover", &json, b""),
        ("GET", "/3/0/6/1/discover", &json, b""),
        ("DELETE", "", &json, b""),
        ("DELETE", "/3", &json, b""),
        ("PUT", "/3441/0", &json, text),
        ("PUT", "/3441/0/120", &json, text),
        ("PUT", "/3441/0/110", &json, number),
        ("PUT", "/3441/0/110", &json, b"{"),
        ("PUT", "/3441/0/110", &json, b"{}"),
        ("PUT", "/3441/0/110", &[("Content-Type", "application/xml")], text),
        ("PUT", "/3441/0/110", &[], text),
        ("PUT", "/3441/0/110?replace=false", &json, text),
        ("POST", "/3441/0", &json, br#"{"resources": []}"#),
        ("POST", "/3441?format=TEXT", &json, br#"{"resources": []}"#),
        ("POST", "/3441/0/3", &json, b"\xff"),
        ("POST", "/3441/0/3", &json, b"no arguments"),
    ] {
        let answer = server.call(method, &format!("/api/clients/gw{path}"), headers, body);
        assert!(answer.text.starts_with("Invalid request: "), "{method} {path}: {} {}", answer.status, answer.text);
        answer.is_error(400, "Invalid request: ");
    }
    let oscore = json!({"endpoint": "gw", "oscore": {"rid": "01", "sid": "02", "msec": "03"}});
    server.put("/api/security/clients", &oscore).is_error(501, "Not implemented: ");
    assert_eq!(device.asked(), [], "the client was not asked");
}

#[test]
fn invalid_attributes_are_400() {
    let (server, device) = gateway();
    for query in ["", "?pmin=", "?pmin=x", "?pmin=-1", "?dim=2", "?unheard=1", "?pmin=1&pmin=2"] {
        let answer = server.call("PUT", &format!("/api/clients/gw/3/0/9/attributes{query}"), &[], b"");
        answer.is_error(400, "Invalid attributes: ");
    }
    let oscore = json!({"endpoint": "gw", "oscore": {"rid": "01", "sid": "02", "msec": "03"}});
    server.put("/api/security/clients", &oscore).is_error(501, "Not implemented: ");
    assert_eq!(device.asked(), [], "the client was not asked");
}

#[test]
fn unknown_paths_are_404() {
    let (server, _device) = gateway();
    for path in ["/api", "/api/client", "/api/objectspecs", "/api/server", "/favicon.ico"] {
        server.get(path).is_error(404, "Nothing is here");
    }
}

#[test]
fn unknown_methods_are_405() {
    let (server, _device) = gateway();
    for (method, path) in [
        ("PATCH", "/api/clients/gw/3/0"),
        ("POST", "/api/clients"),
        ("PUT", "/api/objectspecs/gw"),
        ("DELETE", "/api/server/endpoint"),
        ("POST", "/api/event"),
        ("POST", "/"),
    ] {
        let answer = server.call(method, path, &[], b"");
        assert_eq!(answer.status, 405, "{method} {path}");
        assert!(answer.header("allow").is_some_and(|allow| allow.contains("GET")), "{method} {path}");
    }
}

#[test]
fn large_bodies_are_413() {
    let (server, device) = gateway();
    let body = vec![b' '; (1 << 20) + 1];
    let answer = server.call("PUT", "/api/clients/gw/3441/0/110", &[("Content-Type", "text/plain")], &body);
    assert_eq!(answer.status, 413);
    let oscore = json!({"endpoint": "gw", "oscore": {"rid": "01", "sid": "02", "msec": "03"}});
    server.put("/api/security/clients", &oscore).is_error(501, "Not implemented: ");
    assert_eq!(device.asked(), [], "the client was not asked");
}

#[test]
fn a_reset_is_500() {
    let (server, device) = gateway();
    device.script(Code::GET, "/3/0/9", Script::Reset);
    server.get("/api/clients/gw/3/0/9").is_error(500, "Request rejected: ");
}

#[test]
fn a_cancelled_request_is_500() {
    let (server, mut device) = gateway();
    device.script(Code::GET, "/3/0/9", Script::Silence);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| server.get("/api/clients/gw/3/0/9?timeout=9"));
        eventually("the client is asked", || !device.asked().is_empty());
        device.deregister();
        waiting.join().unwrap().is_error(500, "Request cancelled: ");
    });
}

#[test]
fn a_malformed_answer_is_500() {
    let (server, device) = gateway();
    let malformed = Script::Answer(Code::CONTENT, Some(ContentFormat::TLV), vec![0xff, 0xff]);
    device.script(Code::GET, "/3/0/9", malformed);
    server.get("/api/clients/gw/3/0/9").is_error(500, "Invalid Response: ");
    device.script(Code::GET, "/3/0/9", Script::Answer(Code::CONTENT, Some(ContentFormat(12_345)), vec![1]));
    server.get("/api/clients/gw/3/0/9").is_error(500, "Invalid Response: ");
}

#[test]
fn timeout_is_obeyed() {
    let (server, device) = gateway();
    device.script(Code::GET, "/3/0/9", Script::Silence);
    for (query, at_least, at_most) in
        [("?timeout=0", 0, 900), ("?timeout=1", 1_000, 3_000), ("?timeout=x", 5_000, 8_000)]
    {
        let begin = Instant::now();
        server.get(&format!("/api/clients/gw/3/0/9{query}")).is_error(504, "Request timeout");
        let took = begin.elapsed();
        let expected = Duration::from_millis(at_least)..Duration::from_millis(at_most);
        assert!(expected.contains(&took), "{query} took {took:?}");
    }
}

#[test]
fn rows_left_out_are_501() {
    let (server, device) = gateway();
    for (method, path) in [
        ("GET", "/api/clients/gw/composite?paths=/3/0,/1"),
        ("PUT", "/api/clients/gw/composite"),
        ("POST", "/api/clients/gw/composite/observe?paths=/3/0"),
        ("DELETE", "/api/clients/gw/composite/observe?paths=/3/0"),
        ("GET", "/api/clients/gw/3?format=SENML_JSON"),
        ("GET", "/api/clients/gw/3?format=senml_cbor"),
        ("GET", "/api/clients/gw/3?format=JSON"),
        ("GET", "/api/clients/gw/3?format=CBOR"),
    ] {
        server.call(method, path, &[], b"").is_error(501, "Not implemented: ");
    }
    let oscore = json!({"endpoint": "gw", "oscore": {"rid": "01", "sid": "02", "msec": "03"}});
    server.put("/api/security/clients", &oscore).is_error(501, "Not implemented: ");
    assert_eq!(device.asked(), [], "the client was not asked");
}
