//! The page's view of security: a device is let in, comes over DTLS, and is told apart; keys are shown on request only.

use std::{fs, process::Command};

use bed::Process;
use serde_json::Value as Json;

use crate::{
    CONTRAST, binary,
    browser::{Looks, browse},
    fits,
};

const KEY: &str = "000102030405060708090a0b0c0d0e0f";

/// `lapwing serve`, its page, and where devices register over DTLS.
fn serve() -> (Process, String, String) {
    let mut server =
        Process::start(Command::new(binary()).args(["serve", "--coap", "127.0.0.1:0", "--http", "127.0.0.1:0"]));
    let page = server.out.next_with("http://");
    let coaps = server.out.next_with("coaps://");
    (server, page, coaps)
}

#[test]
fn a_device_is_let_in_and_comes_over_dtls() {
    let (_server, page, coaps) = serve();
    let folder = tempfile::tempdir().expect("a scratch folder");
    let key = folder.path().join("psk.hex");
    fs::write(&key, KEY).expect("a key");
    browse(Looks::DESK, |browser| async move {
        browser.open(&page).await;
        browser.click(".top-link[href='#security']").await;
        browser.shows(".security", "No device has credentials yet").await;
        browser.shows(".security", &coaps).await;
        browser.shows(".own-identity", "pre-shared keys only").await;

        // What is wrong is said at the input; a key is at hand.
        browser.click(".security .object-head .primary").await;
        let field = |name: &str| format!(".security form [data-field={name}] :is(input, textarea)");
        browser
            .until(&format!("/^[0-9a-f]{{32}}$/.test(document.querySelector({}).value)", Json::from(field("key"))))
            .await;
        browser.fill(&field("endpoint"), "gateway-7").await;
        browser.fill(&field("identity"), "its identity").await;
        browser.fill(&field("key"), "0g").await;
        browser.click(".security form [type=submit]").await;
        browser.shows(".security form [data-field=key] .field-error", "Hexadecimal").await;
        browser.fill(&field("key"), KEY).await;
        browser.click(".security form [type=submit]").await;
        browser.shows(".security", "gateway-7 is saved").await;
        browser.shows("[data-endpoint=gateway-7]", "its identity").await;
        let hidden = browser.script("return document.documentElement.outerHTML").await;
        assert!(!hidden.as_str().expect("text").contains(KEY), "the key is shown unasked");
        browser.click("[data-endpoint=gateway-7] [aria-label='Show the key of gateway-7']").await;
        browser.shows("[data-endpoint=gateway-7]", KEY).await;
        browser.picture("security").await;
        assert_eq!(browser.script(CONTRAST).await, Json::Array(vec![]));

        let _device = Process::start(
            Command::new(binary())
                .args([
                    "run",
                    "--server",
                    &coaps,
                    "--endpoint",
                    "gateway-7",
                    "--psk-identity",
                    "its identity",
                    "--psk-key-file",
                ])
                .arg(&key),
        );
        browser.shows(".rail", "gateway-7").await;
        browser.click(".rail a[href='#/gateway-7']").await;
        browser.shows(".gateway-head", "psk:its identity").await;
        browser.picture("secure-gateway").await;

        // Another key ends its session; without an entry it may come without DTLS.
        browser.click(".top-link[href='#security']").await;
        browser.click("[data-endpoint=gateway-7] [aria-label='Change gateway-7']").await;
        browser.shows(".security form", "New key").await;
        browser.click(".security form [type=submit]").await;
        browser.shows(".security", "gateway-7 is saved").await;
        browser.click("[data-endpoint=gateway-7] [aria-label='Delete gateway-7']").await;
        browser.click("[data-endpoint=gateway-7] .sure .danger").await;
        browser.shows(".security", "gateway-7 may register without DTLS now").await;
        browser.shows(".security", "No device has credentials yet").await;
    });
}

#[test]
fn security_fits_a_telephone() {
    let (_server, page, _) = serve();
    browse(Looks::TELEPHONE, |browser| async move {
        for entry in [
            r#"{"endpoint":"urn:imei:490154203237518","tls":{"mode":"x509"}}"#.to_owned(),
            format!(
                r#"{{"endpoint":"gateway-7","tls":{{"mode":"psk","details":{{"identity":"an identity of some length","key":"{KEY}"}}}}}}"#
            ),
        ] {
            ureq::put(&format!("{page}api/security/clients")).send(&entry).expect("taken");
        }
        browser.open(&format!("{page}#security")).await;
        browser.shows(".entries", "urn:imei:490154203237518").await;
        fits(&browser).await;
        browser.click(".security .object-head .primary").await;
        browser.find(".security form").await;
        fits(&browser).await;
        browser.picture("telephone-security").await;
    });
}
