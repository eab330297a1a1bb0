//! Agents that are registered at Leshan's server, which the tests of a suite share: each takes an endpoint name of its own.

use std::sync::LazyLock;

use bed::leshan::{Options, Server};
use serde_json::{Value, json};

use super::{Agent, models};

/// The suite's server.
pub(crate) static LESHAN: LazyLock<Server> =
    LazyLock::new(|| Server::start("127.0.0.1", Options { models: Some(models()), ..Options::default() }));

/// The server's address for agents.
pub(crate) fn leshan() -> String {
    format!("coap://127.0.0.1:{}", LESHAN.coap)
}

/// An agent registered at Leshan, and what one asks of it.
pub(crate) struct Registered {
    pub(crate) agent: Agent,
    pub(crate) registration: Value,
}

pub(crate) fn register(endpoint: &str, lifetime: u32) -> Registered {
    register_with(endpoint, lifetime, "[device]\nmanufacturer = \"Lapwing\"\n")
}

pub(crate) fn register_with(endpoint: &str, lifetime: u32, configuration: &str) -> Registered {
    Registered::new(Agent::start(&leshan(), endpoint, lifetime, configuration))
}

impl Registered {
    /// When it has registered.
    pub(crate) fn new(agent: Agent) -> Self {
        let registration = LESHAN.event("registered", &agent.endpoint)["client"].clone();
        Self { agent, registration }
    }

    pub(crate) fn ask(&self, operation: &str, path: &str, more: Value) -> Value {
        LESHAN.ask(&self.agent.endpoint, operation, path, more)
    }

    /// Asks, and demands that answer code.
    pub(crate) fn get(&self, code: &str, operation: &str, path: &str, more: Value) -> Value {
        let shown: String = more.to_string().chars().take(200).collect();
        let answer = self.ask(operation, path, more);
        assert_eq!(answer["code"], code, "{operation} {path} {shown}: {answer}");
        answer
    }

    pub(crate) fn read(&self, path: &str, format: &str) -> Value {
        self.get("2.05", "read", path, json!({"format": format}))["content"].clone()
    }

    /// Writes a single value as text.
    pub(crate) fn write(&self, code: &str, path: &str, value: impl Into<Value>) {
        self.get(code, "write", path, json!({"content": value.into(), "format": "TEXT"}));
    }

    pub(crate) fn execute(&self, code: &str, path: &str) {
        self.get(code, "execute", path, json!({}));
    }

    pub(crate) fn event(&self, name: &str) -> Value {
        LESHAN.event(name, &self.agent.endpoint)
    }

    /// The next notification, which is of `path`.
    pub(crate) fn notified(&self, path: &str) -> Value {
        let event = self.event("notify");
        assert_eq!(event["path"], path, "{event}");
        event["content"].clone()
    }

    /// Observes a path; its value.
    pub(crate) fn observe(&self, path: &str) -> Value {
        self.get("2.05", "observe", path, json!({}))["content"].clone()
    }

    /// The next notification of `path`; those of other paths stay.
    pub(crate) fn told(&self, path: &str) -> Value {
        LESHAN.notification(&self.agent.endpoint, path)["content"].clone()
    }

    /// The numbers that notifications of `path` bring, up to `last`.
    pub(crate) fn told_until(&self, path: &str, last: i64) -> Vec<i64> {
        let mut all = Vec::new();
        while all.last() != Some(&last) {
            all.push(self.told(path).as_i64().expect("a number"));
        }
        all
    }

    pub(crate) fn links(&self) -> Vec<String> {
        links(&self.registration)
    }
}

/// The links of a registration or of an answer to Discover.
pub(crate) fn links(of: &Value) -> Vec<String> {
    of["links"].as_array().expect("links").iter().map(|link| link.as_str().expect("a link").to_owned()).collect()
}
