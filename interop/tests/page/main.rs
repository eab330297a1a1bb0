//! The page of the development server in headless Chromium: what a person does with it, at a desk and on a telephone, by
//! mouse and by keyboard, in light and in dark. Pictures are kept in `target/page`.

mod bootstrap;
mod browser;
mod security;
mod update;

use std::fs;
use std::path::Path;
use std::process::Command;

use bed::{Process, built};
use browser::{Browser, Looks, browse, keys};
use serde_json::Value as Json;

/// Selects a part of the row of a resource.
fn row(path: &str, part: &str) -> String {
    format!("[data-path=\"{path}\"] {part}")
}

/// `lapwing demo`: server and agent in one, and beside it a client with the LwM2M test object.
struct Demo {
    page: String,
    endpoint: &'static str,
    _demo: Process,
    _test_object: Process,
    folder: tempfile::TempDir,
}

const CONFIGURATION: &str = r#"
[device]
manufacturer = "Lapwing"
model = "Test Bench"
serial = "LW-0417"
firmware-version = "12.8"
hardware-version = "Rev 2"
power-sources = ["dc", "internal-battery"]
reboot-command = ["true"]
"#;

impl Demo {
    fn start() -> Demo {
        Demo::with(|_| Default::default())
    }

    /// One of which more is configured: what stands before the sections, and what behind.
    fn with(configure: impl FnOnce(&Path) -> (String, String)) -> Demo {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let file = folder.path().join("lapwing.toml");
        let (before, behind) = configure(folder.path());
        fs::write(&file, before + CONFIGURATION + &behind).expect("a configuration");
        let mut command = Command::new(binary());
        command.args(["demo", "--coap", "127.0.0.1:0", "--http", "127.0.0.1:0", "--endpoint", "gateway-1", "--config"]);
        let mut demo = Process::start(command.arg(&file));
        let page = demo.out.next_with("http://");
        demo.out.next_with("registered in");
        let address = ureq::get(&format!("{page}api/server/endpoint")).call().expect("an answer");
        let address: Json = serde_json::from_reader(address.into_body().into_reader()).expect("JSON");
        let coap = address[0]["uri"]["full"].as_str().expect("an address").to_owned();
        let test_object = test_object(&coap, "bench-2");
        Demo { page, endpoint: "gateway-1", _demo: demo, _test_object: test_object, folder }
    }
}

/// The program under test: `LAPWING_BIN`, or the one that was built.
fn binary() -> std::path::PathBuf {
    std::env::var_os("LAPWING_BIN").map_or_else(|| built("lapwing"), Into::into)
}

fn test_object(coap: &str, endpoint: &str) -> Process {
    Process::start(Command::new(built("examples/test_object")).args([coap, endpoint]))
}

#[test]
fn objects_are_listed_read_and_observed() {
    let demo = Demo::start();
    browse(Looks::DESK, |browser| async move {
        browser.open(&demo.page).await;
        browser.shows(".fleet, .gateway-head", "gateway-1").await;
        browser.shows(".rail", "bench-2").await;
        browser.shows(".rail", demo.endpoint).await;
        browser.click(&format!(".rail a[href=\"#/{}\"]", demo.endpoint)).await;
        browser.shows(".gateway-head", "Registered").await;
        browser.shows(".gateway-head", "127.0.0.1:").await;

        // Its objects by name, and the values of the Device, which were read by themselves.
        for name in ["LwM2M Server", "Device", "Connectivity Monitoring"] {
            browser.shows(".objects", name).await;
        }
        browser.shows(&row("/3/0/0", ".what"), "Manufacturer").await;
        browser.shows(&row("/3/0/0", ".value"), "Lapwing").await;
        browser.shows(&row("/3/0/4", ".what"), "Reboot").await;

        // One is read again on request, and the exchange is in the log with its time.
        browser.click(&row("/3/0/13", "[data-action=read]")).await;
        browser
            .until("[...document.querySelectorAll('.message .line')].some((line) => line.innerText === 'GET /3/0/13')")
            .await;
        browser.until("[...document.querySelectorAll('.message')].some((message) => /2.05 Content \\/3\\/0\\/13[^]* ms/.test(message.innerText))").await;

        // A clock that is observed ticks, a number draws a graph.
        browser.click(&row("/3/0/13", "[data-action=observe]")).await;
        browser.shows(&row("/3/0/13", "[data-action=observe]"), "Observing").await;
        let mut times = vec![browser.text(&row("/3/0/13", ".reading")).await];
        for _ in 0..2 {
            let last = Json::from(times.last().expect("there is one").clone());
            let reading = Json::from(row("/3/0/13", ".reading"));
            browser.until(&format!("document.querySelector({reading}).innerText !== {last}")).await;
            times.push(browser.text(&row("/3/0/13", ".reading")).await);
        }
        browser.click(&row("/3/0/10", ".disclose")).await;
        browser.click(&row("/3/0/10", "[data-action=observe]")).await;
        let graph = Json::from(row("/3/0/10", ".graph"));
        browser
            .until(&format!("/^Graph of Memory Free: [3-9] values/.test(document.querySelector({graph}).ariaLabel)"))
            .await;
        browser
            .until(&format!("document.querySelector({graph}).querySelector('.graph-line').points.length >= 5"))
            .await;
        browser.picture("desk").await;

        // Units are shown where the definition has one.
        browser.click(".objects a[href$='/1']").await;
        browser.shows(&row("/1/0/1", ".value"), "300").await;
        browser.shows(&row("/1/0/1", ".value"), "s").await;

        // No longer observed: the gateway was asked, and says no more.
        browser.click(".objects a[href$='/3']").await;
        browser.click(&row("/3/0/13", "[data-action=observe][aria-pressed=true]")).await;
        browser.shows(&row("/3/0/13", ".outcome"), "No longer observing /3/0/13").await;
        nothing_came_from_elsewhere(&browser).await;
    });
}

/// The policy forbids it; this looks whether the page even tried, or broke a rule of its own.
async fn nothing_came_from_elsewhere(browser: &Browser) {
    let foreign = browser
        .script("return performance.getEntriesByType('resource').map((entry) => entry.name).filter((name) => !name.startsWith(location.origin))")
        .await;
    assert_eq!(foreign, Json::Array(vec![]));
}

#[test]
fn values_are_written_executed_created_and_deleted() {
    let demo = Demo::start();
    browse(Looks::DESK, |browser| async move {
        browser.open(&format!("{}#/bench-2/3441", demo.page)).await;
        browser.shows(&row("/3441/0/110", ".value"), "initial value").await;

        browser.click(&row("/3441/0/110", "[data-action=write]")).await;
        browser.fill(&row("/3441/0/110", "form input"), "written in a browser").await;
        browser.click(&row("/3441/0/110", "form [type=submit]")).await;
        browser.shows(&row("/3441/0/110", ".outcome"), "String Value is written").await;
        browser.shows(&row("/3441/0/110", ".value"), "written in a browser").await;

        // What cannot be is said at the input, before anything is sent.
        browser.click(&row("/3441/0/120", "[data-action=write]")).await;
        browser.fill(&row("/3441/0/120", "form input"), "many").await;
        browser.click(&row("/3441/0/120", "form [type=submit]")).await;
        browser.shows(&row("/3441/0/120", ".field-error"), "whole number").await;
        browser.fill(&row("/3441/0/120", "form input"), "-7").await;
        browser.click(&row("/3441/0/120", "form [type=submit]")).await;
        browser.shows(&row("/3441/0/120", ".value"), "-7").await;

        // An observed value moves when the gateway changes it, here by what is executed.
        browser.click(&row("/3441/0/120", "[data-action=observe]")).await;
        browser.shows(&row("/3441/0/120", "[data-action=observe]"), "Observing").await;
        browser.click(&row("/3441/0/1", "[data-action=execute]")).await;
        browser.click(&row("/3441/0/1", "form [type=submit]")).await;
        browser.shows(&row("/3441/0/1", ".outcome"), "Randomize values is executed").await;
        let value = Json::from(row("/3441/0/120", ".reading"));
        browser.until(&format!("document.querySelector({value}).innerText !== '-7'")).await;
        browser.click(&row("/3441/0/3", "[data-action=execute]")).await;
        browser.fill(&row("/3441/0/3", "form input"), "no arguments").await;
        browser.click(&row("/3441/0/3", "form [type=submit]")).await;
        browser.shows(&row("/3441/0/3", "form .outcome"), "Invalid Execute request").await;
        browser.fill(&row("/3441/0/3", "form input"), "0='abc',1").await;
        browser.click(&row("/3441/0/3", "form [type=submit]")).await;
        browser.shows(&row("/3441/0/3", ".outcome"), "is executed").await;
        browser.picture("write-and-execute").await;

        browser.click(".object-head [aria-expanded=false]").await;
        browser.fill(".fields.create input[type=number]", "5").await;
        browser.picture("create").await;
        browser.click(".form-place form:has(.create) [type=submit]").await;
        browser.shows(".instances", "Instance 5").await;
        browser.click("[aria-label=\"Instance 5\"] .button.danger").await;
        browser.click("[aria-label=\"Instance 5\"] .sure .danger").await;
        browser.until("!document.querySelector('[aria-label=\"Instance 5\"]')").await;
    });
}

#[test]
fn an_error_of_the_gateway_is_explained_where_it_happened() {
    let demo = Demo::start();
    browse(Looks::DESK, |browser| async move {
        browser.open(&format!("{}#/{}/3", demo.page, demo.endpoint)).await;
        // The clock of this machine is not to be set by this configuration.
        browser.click(&row("/3/0/13", "[data-action=write]")).await;
        browser.click(&row("/3/0/13", "form [type=submit]")).await;
        browser.shows(&row("/3/0/13", "form .outcome"), "4.05 Method Not Allowed").await;
        browser.shows(&row("/3/0/13", "form .outcome"), "This cannot be done here").await;
        browser.until("document.querySelector('#announce').innerText.includes('Method Not Allowed')").await;
        browser
            .until("document.querySelector('.message.failed .line').innerText.includes('4.05 Method Not Allowed')")
            .await;
        browser.picture("error").await;
    });
}

#[test]
fn everything_can_be_done_by_keyboard() {
    let demo = Demo::start();
    browse(Looks::DESK, |browser| async move {
        browser.open(&format!("{}#/bench-2/3441", demo.page)).await;
        browser.shows(&row("/3441/0/110", ".value"), "initial value").await;
        browser.press(keys::TAB).await;
        assert_eq!(browser.script("return document.activeElement.className").await, "skip");
        browser.press(keys::ENTER).await;

        // Every stop on the way can be seen and has a name.
        let mut stops = 0;
        while browser.script("return document.activeElement.ariaLabel").await != "Write String Value" {
            stops += 1;
            assert!(stops < 100, "the button cannot be reached");
            browser.press(keys::TAB).await;
            let stop = browser.script(FOCUS).await;
            assert_eq!(stop["outlined"], true, "the focus cannot be seen: {stop}");
            assert_ne!(stop["name"], "", "it has no name: {stop}");
        }
        browser.press(keys::ENTER).await;
        browser.until("document.activeElement.matches('form input')").await;
        browser.press("typed").await;
        browser.press(keys::ENTER).await;
        browser.shows(&row("/3441/0/110", ".value"), "typed").await;
        let back = "document.activeElement.ariaLabel === 'Write String Value'";
        browser.until(back).await;
        // Escape leaves a form without a trace.
        browser.press(keys::ENTER).await;
        browser.until("document.activeElement.matches('form input')").await;
        browser.picture("keyboard").await;
        browser.press(keys::ESCAPE).await;
        browser.until(back).await;
        browser.until("!document.querySelector('.resource form')").await;
    });
}

/// What has the focus: its name, and whether one sees that.
const FOCUS: &str = "const focus = document.activeElement; const style = getComputedStyle(focus);
    return { name: focus.ariaLabel || focus.innerText || focus.labels?.[0]?.innerText || '', element: focus.outerHTML.slice(0, 200),
             outlined: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 };";

#[test]
fn a_telephone_is_wide_enough() {
    let demo = Demo::start();
    browse(Looks::TELEPHONE, |browser| async move {
        browser.open(&demo.page).await;
        browser.click(".brand").await;
        browser.shows(".fleet", "bench-2").await;
        fits(&browser).await;
        browser.picture("telephone-overview").await;
        browser.click(".fleet a[href='#/gateway-1']").await;
        browser.shows(&row("/3/0/0", ".value"), "Lapwing").await;
        fits(&browser).await;
        browser.picture("telephone").await;
        browser.click(&row("/3/0/10", ".disclose")).await;
        browser.click(&row("/3/0/10", "[data-action=observe]")).await;
        browser.shows(&row("/3/0/10", "[data-action=observe]"), "Observing").await;
        fits(&browser).await;
        browser.click(".log-toggle").await;
        browser.shows(".log-body", "GET /3/0/10").await;
        fits(&browser).await;
        browser.picture("telephone-log").await;
        browser.click(".log-toggle").await;

        browser.open(&format!("{}#/bench-2/3441", demo.page)).await;
        browser.click(&row("/3441/0/1120", "[data-action=write]")).await;
        browser.find(&row("/3441/0/1120", "form")).await;
        browser.click(".object-head [aria-expanded=false]").await;
        browser.find(".fields.create").await;
        fits(&browser).await;
        browser.picture("telephone-forms").await;
    });
}

/// Nothing is cut off, and what is to be touched is large enough for it (WCAG 2.2, success criterion 2.5.8).
async fn fits(browser: &Browser) {
    let wide = browser
        .script(
            "return [...document.querySelectorAll('main *, header *, aside *')]
                 .filter((element) => !element.closest('.sr-only, .objects, svg, thead'))
                 .filter((element) => element.getBoundingClientRect().right > innerWidth + 0.5)
                 .map((element) => element.outerHTML.slice(0, 120))",
        )
        .await;
    assert_eq!(wide, Json::Array(vec![]), "it is wider than the screen");
    assert_eq!(browser.script("return document.documentElement.scrollWidth").await, 380);
    let small = browser
        .script(
            "return [...document.querySelectorAll('.button, input, select, .log-toggle')]
                 .map((element) => [element.getBoundingClientRect(), element.outerHTML.slice(0, 120)])
                 .filter(([box]) => box.width > 0 && (box.width < 24 || box.height < 24)).map(([, html]) => html)",
        )
        .await;
    assert_eq!(small, Json::Array(vec![]), "it is too small to touch");
}

#[test]
fn text_can_be_read_in_light_and_dark() {
    let demo = Demo::start();
    let address = format!("{}#/{}/3", demo.page, demo.endpoint);
    for (looks, name) in [(Looks::DESK, "light"), (Looks::DESK.dark(), "dark")] {
        let address = address.clone();
        browse(looks, move |browser| async move {
            browser.open(&address).await;
            browser.shows(&row("/3/0/0", ".value"), "Lapwing").await;
            browser.click(&row("/3/0/10", "[data-action=observe]")).await;
            browser.shows(&row("/3/0/10", "[data-action=observe]"), "Observing").await;
            let dark = browser.script("return matchMedia('(prefers-color-scheme: dark)').matches").await;
            assert_eq!(dark, looks.dark);
            // The flash of a value that has just moved fades within two seconds.
            tokio::time::sleep(std::time::Duration::from_secs(2)).await;
            browser.picture(name).await;
            let poor = browser.script(CONTRAST).await;
            assert_eq!(poor, Json::Array(vec![]), "{name}");
        });
    }
    drop(demo);
}

/// Texts whose contrast to what is behind them is below 4.5 (WCAG 2.2, success criterion 1.4.3).
const CONTRAST: &str = "
    const parse = (color) => { const [r, g, b, a = 1] = color.match(/[\\d.]+/g).map(Number); return { r, g, b, a }; };
    const light = ({ r, g, b }) => [r, g, b].map((part) => part / 255)
        .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
        .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const color = parse(getComputedStyle(at).backgroundColor);
            if (color.a === 1) return color;
        }
        return { r: 255, g: 255, b: 255, a: 1 };
    };
    const own = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== '');
    return [...document.querySelectorAll('body *')].filter((element) => own(element) && element.checkVisibility())
        .filter((element) => !element.closest('.sr-only, noscript, .skip'))
        .map((element) => {
            const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x);
            return [(a + 0.05) / (b + 0.05), element.outerHTML.slice(0, 100)];
        })
        .filter(([contrast]) => contrast < 4.5).map(([contrast, html]) => `${contrast.toFixed(2)} ${html}`);";

#[test]
fn gateways_come_and_go_before_ones_eyes() {
    let mut server =
        Process::start(Command::new(binary()).args(["serve", "--coap", "127.0.0.1:0", "--http", "127.0.0.1:0"]));
    let page = server.out.next_with("http://");
    let page = page[page.find("http://").expect("it is there")..].trim().to_owned();
    let coap = server.out.next_with("coap://");
    let coap = coap[coap.find("coap://").expect("it is there")..].trim().to_owned();
    browse(Looks::DESK, |browser| async move {
        browser.open(&page).await;
        browser.shows(".welcome", "No gateway has registered yet").await;
        browser.shows(".command", &format!("lapwing run --server {coap} --endpoint my-gateway")).await;
        browser.picture("empty").await;
        let client = test_object(&coap, "latecomer");
        browser.shows(".fleet", "latecomer").await;
        browser.until("document.querySelector('#announce').innerText === 'latecomer registered'").await;
        browser.click(".fleet a[href='#/latecomer']").await;
        browser.shows(".gateway-head", "Registered").await;
        client.signal("INT");
        browser.shows(".gateway-head", "Not registered").await;
        browser.until("document.querySelector('section.object').inert").await;
        browser.picture("gone").await;
        let _again = test_object(&coap, "latecomer");
        browser.until("document.querySelector('.gateway-head .state').innerText === 'Registered'").await;
        browser.until("!document.querySelector('section.object').inert").await;
        drop(server);
        browser.shows("#link-state", "The server does not answer").await;
    });
}
