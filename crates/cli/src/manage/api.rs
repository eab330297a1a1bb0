//! HTTP to the server's API.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::time::Duration;

use anyhow::{Context, anyhow};
use serde_json::Value as Json;
use ureq::http::Response;
use ureq::{Agent, Body};

use super::parse;

/// How much longer than the client's answer the API's may take.
const MARGIN: Duration = Duration::from_secs(10);

/// One server's API.
pub(super) struct Api {
    agent: Agent,
    base: String,
    timeout: u32,
}

impl Api {
    pub(super) fn new(base: &str, timeout: u32) -> Self {
        // No proxy: the API is on this machine or in its neighbourhood.
        let config = Agent::config_builder().http_status_as_error(false).proxy(None);
        Self { agent: config.build().new_agent(), base: base.trim_end_matches('/').to_owned(), timeout }
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    /// Asks the server itself.
    pub(super) fn get(&self, path: &str) -> anyhow::Result<Json> {
        let request = self.agent.get(format!("{}{path}", self.base));
        self.json(request.config().timeout_global(Some(MARGIN)).build().call())
    }

    /// Asks a client.
    pub(super) fn get_of(&self, path: &str, query: Option<&str>) -> anyhow::Result<Json> {
        let request = self.agent.get(self.url(path, query));
        self.json(request.config().timeout_global(self.patience()).build().call())
    }

    pub(super) fn put(&self, path: &str, query: Option<&str>, node: &Json) -> anyhow::Result<Json> {
        let request = self.agent.put(self.url(path, query)).content_type("application/json");
        self.json(request.config().timeout_global(self.patience()).build().send(node.to_string()))
    }

    /// Writes attributes, which are the whole query: this row takes no timeout.
    pub(super) fn put_attributes(&self, path: &str, attributes: &str) -> anyhow::Result<Json> {
        let request = self.agent.put(format!("{}{path}?{attributes}", self.base));
        self.json(request.config().timeout_global(self.patience()).build().send_empty())
    }

    pub(super) fn post(&self, path: &str, content_type: &str, body: &str) -> anyhow::Result<Json> {
        let request = self.agent.post(self.url(path, None)).content_type(content_type);
        self.json(request.config().timeout_global(self.patience()).build().send(body))
    }

    pub(super) fn delete(&self, path: &str) -> anyhow::Result<Json> {
        let request = self.agent.delete(self.url(path, None));
        self.json(request.config().timeout_global(self.patience()).build().call())
    }

    /// Has the server ask a client.
    pub(super) fn ask(&self, path: &str, query: &str) -> anyhow::Result<Json> {
        let request = self.agent.post(self.url(path, Some(query)));
        self.json(request.config().timeout_global(self.patience()).build().send_empty())
    }

    /// Sends a file, however long that takes.
    pub(super) fn upload(&self, method: &str, path: &str, file: File) -> anyhow::Result<Json> {
        let url = format!("{}{path}", self.base);
        let request = if method == "PUT" { self.agent.put(url) } else { self.agent.post(url) };
        self.json(request.content_type("application/octet-stream").send(file))
    }

    /// Removes something of the server's own.
    pub(super) fn forget(&self, path: &str) -> anyhow::Result<()> {
        let request = self.agent.delete(format!("{}{path}", self.base));
        self.answered(request.config().timeout_global(Some(MARGIN)).build().call()).map(drop)
    }

    /// Cancels an observation at the client.
    pub(super) fn cancel(&self, path: &str) -> anyhow::Result<Json> {
        let request = self.agent.delete(self.url(path, Some("active")));
        self.json(request.config().timeout_global(self.patience()).build().call())
    }

    /// The server's events from now on, without end.
    pub(super) fn events(&self) -> anyhow::Result<Events> {
        let response = self.agent.get(format!("{}/api/event", self.base)).call();
        let response = self.answered(response)?;
        Ok(Events { lines: BufReader::new(response.into_body().into_reader()) })
    }

    fn url(&self, path: &str, query: Option<&str>) -> String {
        let more = query.map(|query| format!("&{query}")).unwrap_or_default();
        format!("{}{path}?timeout={}{more}", self.base, self.timeout)
    }

    fn patience(&self) -> Option<Duration> {
        Some(Duration::from_secs(self.timeout.into()) + MARGIN)
    }

    fn json(&self, response: Result<Response<Body>, ureq::Error>) -> anyhow::Result<Json> {
        let mut response = self.answered(response)?;
        parse(&response.body_mut().read_to_string().context("reading the API's answer")?)
    }

    /// A response that is not an error; errors are one line of text.
    fn answered(&self, response: Result<Response<Body>, ureq::Error>) -> anyhow::Result<Response<Body>> {
        let mut response = match response {
            Ok(response) => response,
            Err(error) => {
                return Err(anyhow!("no answer from the API at {} ({error}); is `lapwing serve` running?", self.base));
            }
        };
        if response.status().is_success() {
            return Ok(response);
        }
        let text = response.body_mut().read_to_string().unwrap_or_default();
        let reason = match text.trim() {
            "" => response.status().to_string(),
            reason => reason.to_owned(),
        };
        Err(anyhow!("{reason}"))
    }
}

/// Server-sent events (HTML standard section 9.2), as far as this API uses them.
pub(super) struct Events {
    lines: BufReader<ureq::BodyReader<'static>>,
}

impl Iterator for Events {
    /// The event's name and its data.
    type Item = anyhow::Result<(String, Json)>;

    fn next(&mut self) -> Option<Self::Item> {
        let (mut name, mut data) = (String::new(), String::new());
        loop {
            let mut line = String::new();
            match self.lines.read_line(&mut line) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => return Some(Err(error.into())),
            }
            let line = line.trim_end_matches(['\n', '\r']);
            match line.split_once(':') {
                _ if line.is_empty() && !data.is_empty() => return Some(parse(&data).map(|data| (name, data))),
                _ if line.is_empty() => name.clear(),
                Some(("event", value)) => name = value.trim_start().to_owned(),
                Some(("data", value)) => data.push_str(value.trim_start()),
                _ => {}
            }
        }
    }
}

/// Percent-encodes a segment of a path (RFC 3986 section 2.3).
pub(super) fn encoded(segment: &str) -> String {
    let mut encoded = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(byte.into()),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
