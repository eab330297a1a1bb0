//! Firmware and software, as a person updates them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value as Json;

use crate::browser::{Browser, Looks, browse};
use crate::{CONTRAST, Demo, fits};

/// Waits for a file, then keeps the package.
const INSTALL: &str = "#!/bin/sh
cd \"$(dirname \"$0\")\" || exit 1
while [ ! -e go ]; do sleep 0.05; done
cp \"$1\" installed
";

/// Long enough to be seen on its way.
fn package() -> Vec<u8> {
    (0..16_000_000_u32).map(|at| (at % 251) as u8).collect()
}

/// A gateway whose firmware is installed by a program.
fn demo() -> Demo {
    Demo::with(|folder| {
        let program = folder.join("install");
        fs::write(&program, INSTALL).expect("a program");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it can be run");
        let state = folder.join("updates");
        fs::create_dir(&state).expect("a folder");
        (
            format!("update-state = \"{}\"\n", state.display()),
            format!("[firmware]\nprogram = [\"{}\"]\nconfirm = \"now\"\n", program.display()),
        )
    })
}

async fn choose(browser: &Browser, file: &Path) {
    let input = browser.find(".update input[type=file]").await;
    input.send_keys(file.to_str().expect("a path")).await.expect("the file is chosen");
}

async fn state(browser: &Browser, name: &str) {
    browser.until(&format!("document.querySelector('.update .state')?.innerText === '{name}'")).await;
    browser.until(&format!("document.querySelector('.steps [aria-current=step]').innerText === '{name}'")).await;
}

/// Notes what the bar says from now on.
const WATCH: &str = "window.readings = [];
    new MutationObserver(() => {
        const bar = document.querySelector('.update progress');
        if (bar.checkVisibility()) readings.push([document.querySelector('.transfer-reading').textContent, bar.hasAttribute('value') ? bar.value / bar.max : null]);
    }).observe(document.querySelector('.update'), { subtree: true, childList: true, attributes: true, characterData: true });";

#[test]
fn firmware_is_pushed_and_installed() {
    let demo = demo();
    let file = demo.folder.path().join("gateway 12.9.swu");
    fs::write(&file, package()).expect("a package");
    let go = demo.folder.path().join("go");
    let installed = demo.folder.path().join("installed");
    browse(Looks::DESK, |browser| async move {
        browser.open(&format!("{}#/{}/5", demo.page, demo.endpoint)).await;
        state(&browser, "Idle").await;
        // Nothing is sent without a file.
        browser.click(".update form [type=submit]").await;
        browser.shows(".update .outcome.bad", "Choose a file first").await;
        choose(&browser, &file).await;
        browser.script(WATCH).await;
        browser.picture("firmware").await;
        browser.click(".update form [type=submit]").await;
        browser.until("readings.some(([text, part]) => /^To the gateway: .* of 16.0 MB · [1-9]\\d? %/.test(text) && part > 0 && part < 1)").await;
        browser.picture("firmware-push").await;
        state(&browser, "Downloaded").await;
        browser.until("!document.querySelector('.update form').checkVisibility()").await;

        browser.click(".update > .actions .primary").await;
        state(&browser, "Updating").await;
        browser.until("!document.querySelector('.update progress').hasAttribute('value')").await;
        browser.shows(".transfer-reading", "Updating").await;
        browser.picture("firmware-updating").await;
        fs::write(&go, "").expect("the program goes on");
        state(&browser, "Idle").await;
        browser.shows(".update-result.good", "Updated successfully").await;
        assert!(fs::read(&installed).expect("it was installed") == package());
        browser
            .until("document.querySelector('#announce').innerText === 'Firmware update: Idle. Updated successfully'")
            .await;
    });
}

#[test]
fn firmware_is_hosted_fetched_and_cancelled() {
    let demo = demo();
    ureq::put(format!("{}api/files/gateway-12.9.swu", demo.page)).send(&package()[..]).expect("it is hosted");
    browse(Looks::TELEPHONE.dark(), |browser| async move {
        browser.open(&format!("{}#/{}/5", demo.page, demo.endpoint)).await;
        state(&browser, "Idle").await;
        for scheme in ["coap", "http"] {
            browser.script(WATCH).await;
            browser.click(".update option[value='gateway-12.9.swu']").await;
            browser.until("!document.querySelector('.update input[type=file]').checkVisibility()").await;
            browser.click(&format!(".update option[value={scheme}]")).await;
            fits(&browser).await;
            browser.click(".update form [type=submit]").await;
            browser.until("readings.some(([text]) => /^Fetched by the gateway: .* of 16.0 MB/.test(text))").await;
            state(&browser, "Downloaded").await;
            fits(&browser).await;
            browser.picture(&format!("firmware-{scheme}")).await;
            browser.click(".update > .actions .button:not(.primary)").await;
            state(&browser, "Idle").await;
            browser.shows(".update-result", "Cancelled").await;
        }
        assert_eq!(browser.script(CONTRAST).await, Json::Array(vec![]));
    });
}

/// Takes a text as the software, and says what it is called.
const KETTLE: &str = "#!/bin/sh
cd \"$(dirname \"$0\")\" || exit 1
echo \"$1\" >> asked
case $1 in
verify) grep -q '^kettle ' \"$2\" || exit 53; echo 'name: kettle'; sed 's/kettle /version: /' \"$2\" ;;
install) cp \"$2\" kettle ;;
remove) rm -f kettle ;;
status) exit 3 ;;
esac
";

#[test]
fn software_is_pushed_installed_activated_and_removed() {
    let demo = Demo::with(|folder| {
        let program = folder.join("kettle-software");
        fs::write(&program, KETTLE).expect("a program");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it can be run");
        let state = folder.join("state");
        fs::create_dir(&state).expect("a folder");
        (
            format!("update-state = \"{}\"\n", state.display()),
            format!("[[software]]\nkind = \"script\"\nprogram = [\"{}\"]\n", program.display()),
        )
    });
    let (bad, good) = (demo.folder.path().join("bad"), demo.folder.path().join("kettle-2.1"));
    fs::write(&bad, "teapot").expect("a package");
    fs::write(&good, "kettle 2.1\n").expect("a package");
    let asked = demo.folder.path().join("asked");
    browse(Looks::DESK, |browser| async move {
        browser.open(&format!("{}#/{}/9", demo.page, demo.endpoint)).await;
        state(&browser, "Initial").await;
        // One that is refused: where it was refused, and why.
        choose(&browser, &bad).await;
        browser.click(".update form [type=submit]").await;
        browser.shows(".update-result.bad", "The package is damaged").await;
        state(&browser, "Initial").await;
        choose(&browser, &good).await;
        browser.click(".update form [type=submit]").await;
        state(&browser, "Delivered").await;
        browser.shows(".update-result.good", "Downloaded and verified").await;
        browser.shows(".update-head", "kettle 2.1").await;
        press(&browser, "Install").await;
        state(&browser, "Installed").await;
        browser.shows(".update-result.good", "Installed successfully").await;
        browser.picture("software").await;
        press(&browser, "Activate").await;
        press(&browser, "Deactivate").await;
        browser.until(&button("Activate")).await;
        // To remove it is asked twice.
        press(&browser, "Uninstall").await;
        press(&browser, "Uninstall it").await;
        state(&browser, "Initial").await;
        let verbs = fs::read_to_string(&asked).expect("it was asked");
        let verbs: Vec<&str> = verbs.lines().filter(|verb| *verb != "status").collect();
        assert_eq!(verbs, ["verify", "verify", "install", "activate", "deactivate", "remove"]);
    });
}

/// The button of the card with this label, once it is there.
fn button(label: &str) -> String {
    format!(
        "[...document.querySelectorAll('.update .button')].find((button) => button.innerText === '{label}' && button.checkVisibility())"
    )
}

async fn press(browser: &Browser, label: &str) {
    browser.until(&button(label)).await;
    browser.script(&format!("{}.click()", button(label))).await;
}
