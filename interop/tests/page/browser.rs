//! A headless Chromium of its own for each test, driven over WebDriver.

use std::fs;
use std::future::Future;
use std::panic::resume_unwind;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bed::{PATIENCE, Process};
use fantoccini::elements::Element;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value as Json, json};

/// What a browser looks like to the page.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Looks {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) dark: bool,
}

impl Looks {
    pub(crate) const DESK: Looks = Looks { width: 1600, height: 1000, dark: false };
    pub(crate) const TELEPHONE: Looks = Looks { width: 380, height: 800, dark: false };

    pub(crate) const fn dark(mut self) -> Looks {
        self.dark = true;
        self
    }
}

/// A browser with one page.
pub(crate) struct Browser {
    client: Client,
}

/// Runs `test` with a browser, and ends the browser whatever comes of it.
pub(crate) fn browse<F>(looks: Looks, test: impl FnOnce(Arc<Browser>) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let profile = tempfile::tempdir().expect("a scratch folder");
    // Port 0 takes a free one, and tells which.
    let mut driver = Process::start(Command::new("chromedriver").arg("--port=0"));
    let port = driver.out.next_that("the port of chromedriver", |line| {
        line.strip_prefix("ChromeDriver was started successfully on port ")?.trim_end_matches('.').parse::<u16>().ok()
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let result = runtime.block_on(async {
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities(looks, &profile.path().to_string_lossy()))
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .expect("a session");
        let browser = Arc::new(Browser { client: client.clone() });
        let result = tokio::spawn(test(browser)).await;
        // Before its driver, or the browser would stay.
        client.close().await.expect("the browser ends");
        result
    });
    if let Err(failure) = result {
        resume_unwind(failure.into_panic());
    }
}

fn capabilities(looks: Looks, profile: &str) -> serde_json::Map<String, Json> {
    let mut arguments = vec![
        "--headless".to_owned(),
        "--no-sandbox".to_owned(),
        "--disable-gpu".to_owned(),
        "--disable-quic".to_owned(),
        "--no-first-run".to_owned(),
        "--disable-background-networking".to_owned(),
        "--disable-component-update".to_owned(),
        "--disable-sync".to_owned(),
        "--hide-scrollbars".to_owned(),
        "--lang=en-GB".to_owned(),
        format!("--user-data-dir={profile}"),
        format!("--window-size={},{}", looks.width, looks.height),
    ];
    if looks.dark {
        arguments.push("--blink-settings=preferredColorScheme=0".to_owned());
    }
    let options = json!({
        "args": arguments,
        // A window cannot be as narrow as a telephone.
        "mobileEmulation": {"deviceMetrics": {
            "width": looks.width, "height": looks.height, "pixelRatio": 1.0, "mobile": false, "touch": false,
        }},
    });
    let capabilities = json!({"browserName": "chrome", "goog:chromeOptions": options});
    capabilities.as_object().expect("an object").clone()
}

impl Browser {
    pub(crate) async fn open(&self, address: &str) {
        self.client.goto(address).await.expect("the page loads");
    }

    /// What a script returns.
    pub(crate) async fn script(&self, script: &str) -> Json {
        self.client.execute(script, vec![]).await.unwrap_or_else(|error| panic!("{script}: {error}"))
    }

    /// Waits until the expression is true, for [`PATIENCE`].
    pub(crate) async fn until(&self, expression: &str) {
        let end = Instant::now() + PATIENCE;
        while self.script(&format!("return Boolean({expression})")).await != Json::Bool(true) {
            if Instant::now() > end {
                self.picture("failed").await;
                panic!("never true: {expression}\n{}", self.text("body").await);
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    pub(crate) async fn find(&self, css: &str) -> Element {
        self.client
            .wait()
            .at_most(PATIENCE)
            .for_element(Locator::Css(css))
            .await
            .unwrap_or_else(|error| panic!("{css}: {error}"))
    }

    /// Scrolls to an element, as people do, and clicks at it.
    pub(crate) async fn click(&self, css: &str) {
        let element = self.find(css).await;
        self.script(&format!("document.querySelector({}).scrollIntoView({{ block: 'center' }})", json!(css))).await;
        element.click().await.unwrap_or_else(|error| panic!("{css}: {error}"));
    }

    /// The text that is shown in an element.
    pub(crate) async fn text(&self, css: &str) -> String {
        self.find(css).await.text().await.unwrap_or_else(|error| panic!("{css}: {error}"))
    }

    /// Waits until the text that is shown in an element contains `part`.
    pub(crate) async fn shows(&self, css: &str, part: &str) {
        let (css, part) = (json!(css), json!(part));
        self.until(&format!("document.querySelector({css})?.innerText.includes({part})")).await;
    }

    /// Replaces what is in an input by typing.
    pub(crate) async fn fill(&self, css: &str, text: &str) {
        let input = self.find(css).await;
        input.clear().await.unwrap_or_else(|error| panic!("{css}: {error}"));
        input.send_keys(text).await.unwrap_or_else(|error| panic!("{css}: {error}"));
    }

    /// Presses keys where the focus is; see [`keys`].
    pub(crate) async fn press(&self, keys: &str) {
        let focused = self.client.active_element().await.expect("something has the focus");
        focused.send_keys(keys).await.expect("it takes keys");
    }

    /// Keeps a picture of the page at `target/page/NAME.png`.
    pub(crate) async fn picture(&self, name: &str) {
        let folder = bed::target().join("page");
        let bytes = self.client.screenshot().await.expect("a picture");
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(folder.join(format!("{name}.png")), bytes))
            .expect("a file");
    }
}

/// Keys by their code points in WebDriver (section 17.4.2).
pub(crate) mod keys {
    pub(crate) const TAB: &str = "\u{e004}";
    pub(crate) const ENTER: &str = "\u{e007}";
    pub(crate) const ESCAPE: &str = "\u{e00c}";
}
