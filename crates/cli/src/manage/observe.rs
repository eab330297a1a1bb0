//! `lapwing manage observe`.

use std::sync::Arc;

use anyhow::anyhow;
use lapwing_lwm2m::model::Path;
use serde_json::Value as Json;

use super::spec::Specs;
use super::{Client, render};
use crate::failure::Failure;
use crate::shutdown::Shutdown;
use crate::text::print;

/// Prints the value of `path` and each change, `count` in all or until a signal comes; then the observation is cancelled at the client.
pub(super) fn observe(client: &Client, path: Path, count: Option<u32>) -> Result<(), Failure> {
    // The events first: a change may come right behind the answer.
    let events = client.api.events()?;
    let url = client.url(&path, "/observe");
    let first = client.api.post(&url, "text/plain", "")?;
    let specs = Arc::new(client.specs()?);
    if first["success"].as_bool() != Some(true) {
        return client.answered(path, &first, |_| String::new());
    }
    let mut out = Printer { specs, path, json: client.json, left: count };
    let ended =
        if out.print(&first, &first["content"]) { follow(out, events, client.endpoint.clone()) } else { Ok(()) };
    let cancelled = client.api.cancel(&url);
    ended?;
    cancelled.map(|_| ()).map_err(Failure::from)
}

/// Reads events on a thread of its own, so that a signal is heard while nothing comes.
fn follow(mut out: Printer, events: super::api::Events, endpoint: String) -> Result<(), Failure> {
    let runtime = crate::runtime()?;
    let (sender, receiver) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // Whoever waited may have been told to stop.
        let _ = sender.send(out.follow(events, &endpoint));
    });
    runtime.block_on(async {
        let mut shutdown = Shutdown::new()?;
        tokio::select! {
            () = shutdown.requested() => Ok(()),
            ended = receiver => ended?.map_err(Failure::from),
        }
    })
}

struct Printer {
    specs: Arc<Specs>,
    path: Path,
    json: bool,
    left: Option<u32>,
}

impl Printer {
    fn follow(&mut self, events: super::api::Events, endpoint: &str) -> anyhow::Result<()> {
        for event in events {
            let (name, data) = event?;
            let ours = data["ep"].as_str() == Some(endpoint) && data["res"].as_str() == Some(&self.path.to_string());
            if name == "NOTIFICATION" && ours && !self.print(&data, &data["val"]) {
                return Ok(());
            }
        }
        Err(anyhow!("the server has ended the stream of events"))
    }

    /// Prints a value, as the document it came in or for people. Whether more are wanted.
    fn print(&mut self, document: &Json, node: &Json) -> bool {
        let text = if self.json { document.to_string() } else { render::node(&self.specs, self.path, node) };
        self.left = self.left.map(|left| left.saturating_sub(1));
        print(&text) && self.left != Some(0)
    }
}
