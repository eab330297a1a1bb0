//! The bootstrap server's part of the page: a configuration is made, a device comes for it, and the session is told.

use std::{fs, process::Command};

use bed::Process;
use serde_json::Value as Json;

use crate::{
    binary,
    browser::{Browser, Looks, browse},
};

/// `lapwing serve --bootstrap`.
struct Serving {
    page: String,
    coap: String,
    bootstraps: String,
    _server: Process,
}

impl Serving {
    fn start() -> Serving {
        let mut command = Command::new(binary());
        command.arg("serve");
        for interface in ["--coap", "--http", "--bootstrap", "--bootstraps"] {
            command.args([interface, "127.0.0.1:0"]);
        }
        let mut server = Process::start(&mut command);
        let page = server.out.next_with("http://");
        let coap = server.out.next_with("coap://");
        let bootstraps = server.out.next_with("bootstrap coaps://").replace("bootstrap ", "");
        Serving { page, coap, bootstraps, _server: server }
    }
}

fn field(name: &str) -> String {
    format!(".bootstrap form [data-field={name}] input")
}

async fn choose(browser: &Browser, css: &str, value: &str) {
    let (css, value) = (Json::from(css), Json::from(value));
    browser
        .script(&format!(
            "const choice = document.querySelector({css}); choice.value = {value}; choice.dispatchEvent(new Event('change'))"
        ))
        .await;
}

#[test]
fn a_device_is_bootstrapped_with_what_the_page_has() {
    let serving = Serving::start();
    browse(Looks::DESK, |browser| async move {
        browser.open(&serving.page).await;
        browser.click("#bootstrap-link").await;
        browser.shows(".bootstrap", "No endpoint has a configuration yet").await;
        browser.shows(".bootstrap", &serving.bootstraps).await;

        // What is missing is said before anything is sent, and by the server what no client could live with.
        browser.click(".bootstrap .object-head .primary").await;
        browser.fill(&field("endpoint"), "gateway-9").await;
        browser.fill(".bootstrap form > .fields [data-field=identity] input", "bs-9").await;
        browser.fill(".bootstrap form > .fields [data-field=key] textarea", "0g").await;
        browser.click(".bootstrap form [type=submit]").await;
        browser.shows(".bootstrap form > .fields [data-field=key] .field-error", "Hexadecimal").await;
        browser.fill(".bootstrap form > .fields [data-field=key] textarea", "000102030405060708090a0b0c0d0e0f").await;
        choose(&browser, ".bootstrap-server [data-field=mode] select", "NO_SEC").await;
        browser.click(".bootstrap form [type=submit]").await;
        browser.shows(".bootstrap form .outcome", "/0/1/0 is missing").await;
        browser.fill(&field("uri"), &serving.coap).await;
        browser.picture("bootstrap-form").await;
        browser.click(".bootstrap form [type=submit]").await;
        browser.shows("[data-endpoint=gateway-9]", "bs-9").await;
        browser.shows("[data-endpoint=gateway-9]", &serving.coap).await;

        // A device with nothing but the account of this bootstrap server.
        let folder = tempfile::tempdir().expect("a scratch folder");
        let key = folder.path().join("key");
        fs::write(&key, "000102030405060708090a0b0c0d0e0f").expect("a key file");
        let mut agent = Command::new(binary());
        agent.args([
            "run",
            "--endpoint",
            "gateway-9",
            "--bootstrap-server",
            &serving.bootstraps,
            "--psk-identity",
            "bs-9",
        ]);
        let _agent = Process::start(agent.arg("--psk-key-file").arg(&key));
        browser.shows(".session[data-endpoint=gateway-9]", "finished").await;
        browser.shows(".session[data-endpoint=gateway-9]", "Send WRITE request on /1/0 using TLV").await;
        browser.shows(".rail", "gateway-9").await;
        browser.picture("bootstrap").await;

        // What is there can be edited, with all that it had; and deleted, once one is sure.
        browser.click("[data-endpoint=gateway-9] .actions .button").await;
        browser.fill(&field("lifetime"), "77").await;
        browser.click(".bootstrap form [type=submit]").await;
        browser.shows(".bootstrap > .outcome", "gateway-9 is saved").await;
        let lifetime = browser
            .script("return fetch('/api/bootstrap').then((answer) => answer.json()).then((all) => all['gateway-9'].servers[0].lifetime)")
            .await;
        assert_eq!(lifetime, 77);
        browser.click("[data-endpoint=gateway-9] .actions .danger").await;
        browser.click("[data-endpoint=gateway-9] .sure .danger").await;
        browser.shows(".bootstrap", "No endpoint has a configuration yet").await;
        // A page that is opened later tells of the sessions before.
        browser.open(&format!("{}#bootstrap", serving.page)).await;
        browser.shows(".session[data-endpoint=gateway-9]", "finished").await;
    });
}
