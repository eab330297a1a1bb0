//! Who may call, and the page.

use lapwing_coap::wire::Code;

use crate::support::gateway;

#[test]
fn foreign_origins_are_refused() {
    let (server, device) = gateway();
    let own = format!("http://{}", server.http);
    let reboot = "/api/clients/gw/3/0/4";
    for headers in [
        [("Origin", "https://example.com")],
        [("Origin", "null")],
        [("Origin", "http://127.0.0.1:1")],
        [("Sec-Fetch-Site", "cross-site")],
        [("Sec-Fetch-Site", "same-site")],
    ] {
        for (method, path) in [("POST", reboot), ("GET", "/api/clients"), ("GET", "/api/event")] {
            let answer = server.call(method, path, &headers, b"");
            answer.is_error(403, "Refused: ");
            assert_eq!(answer.header("access-control-allow-origin"), None);
        }
    }
    assert_eq!(device.asked(), [], "the client was not asked");
    let allowed = server.call("POST", reboot, &[("Origin", &own), ("Sec-Fetch-Site", "same-origin")], b"");
    assert_eq!(allowed.json()["status"], "CHANGED(204)");
    assert_eq!(allowed.header("access-control-allow-origin"), None);
    assert_eq!(device.last().code, Code::POST);
}

#[test]
fn public_host_names_are_refused() {
    let (server, _device) = gateway();
    server.call("GET", "/api/clients", &[("Host", "rebound.example.com")], b"").is_error(403, "Refused: ");
    server.call("GET", "/", &[("Host", "rebound.example.com:8080")], b"").is_error(403, "Refused: ");
    for host in ["localhost:8080", "lab-server", "gateway.local", "[::1]:80"] {
        assert_eq!(server.call("GET", "/api/clients", &[("Host", host)], b"").status, 200, "{host}");
    }
}

#[test]
fn the_page_is_served() {
    let (server, _device) = gateway();
    let page = server.get("/");
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    let policy = page.header("content-security-policy").unwrap();
    for rule in ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(rule), "{policy}");
    }
    assert!(page.text.starts_with("<!doctype html>"));
    // Everything that the page names is there, with its type.
    let named = page.text.split("\"/page/").skip(1).map(|rest| rest.split('"').next().unwrap());
    let mut count = 0;
    for name in named {
        let file = server.get(&format!("/page/{name}"));
        assert_eq!(file.status, 200, "{name}");
        let kind = match name.rsplit_once('.').unwrap().1 {
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            _ => "image/svg+xml",
        };
        assert_eq!(file.header("content-type"), Some(kind), "{name}");
        count += 1;
    }
    assert!(count >= 5, "{count}");
    assert_eq!(server.get("/page/unheard.js").status, 404);
}
