//! `GET /api/event`: what happens, as server-sent events.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::{Query, State},
    response::sse::{Event, KeepAlive, Sse},
};
use futures_util::{Stream, StreamExt, stream};
use lapwing_coap::wire::Message;
use lapwing_lwm2m::server::{Content, LogEntry, Registration, ServerEvent, Update, bootstrap};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::json as shapes;
use crate::{
    BootstrapHandle, Handle, Subscription,
    bootstrap::{Told, told},
    hosting::Transfer,
};

const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// So many blocks of a body are in the log, and then one in so many.
const BLOCKS: u32 = 16;
const BLOCKS_OF_MANY: u32 = 1_024;

#[derive(Deserialize)]
pub(super) struct Parameters {
    ep: Option<String>,
}

/// `GET /api/event`: of all clients, or with `ep` of one, then with its messages.
pub(super) async fn events(
    State(handle): State<Handle>,
    Query(parameters): Query<Parameters>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let source = Source {
        events: handle.subscribe(),
        log: parameters.ep.is_some().then(|| handle.subscribe_log()),
        bootstrap: handle.bootstrap().map(BootstrapHandle::subscribe),
        transfers: handle.hosting().transfers.subscribe(),
        told: VecDeque::new(),
        endpoint: parameters.ep,
    };
    // The comment lets a script know that what happens from now on reaches it.
    let begun = stream::once(async { Ok(Event::default().comment("open")) });
    let events = stream::unfold(source, |mut source| async move { source.next().await.map(|event| (event, source)) });
    let events = events.map(|(name, data)| Ok(Event::default().event(name).data(data.to_string())));
    Sse::new(begun.chain(events)).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

struct Source {
    events: Subscription<ServerEvent>,
    log: Option<Subscription<Arc<LogEntry>>>,
    bootstrap: Option<Subscription<bootstrap::Event>>,
    transfers: Subscription<Transfer>,
    /// What is told of the last event of a bootstrap session.
    told: VecDeque<Told>,
    endpoint: Option<String>,
}

impl Source {
    /// The next event with its data; `None` once the server has stopped.
    async fn next(&mut self) -> Option<(&'static str, Json)> {
        loop {
            let described = match self.told.pop_front() {
                Some(told) => Some((Arc::clone(&told.endpoint), "BSSESSION", shapes::told(&told))),
                None => tokio::select! {
                    event = self.events.next() => described(&event?),
                    transfer = self.transfers.next() => transfer.as_ref().map(transferred),
                    entry = next_of(&mut self.log) => logged(entry?.as_ref()),
                    event = next_of(&mut self.bootstrap) => {
                        self.told.extend(told(&event?));
                        None
                    }
                },
            };
            let (endpoint, name, data) = described.unwrap_or_default();
            let wanted = self.endpoint.as_deref().is_none_or(|wanted| wanted == &*endpoint);
            if !name.is_empty() && wanted {
                return Some((name, data));
            }
        }
    }
}

/// The next item of a subscription; without one, never.
async fn next_of<T: Clone>(subscription: &mut Option<Subscription<T>>) -> Option<T> {
    match subscription {
        Some(subscription) => subscription.next().await,
        None => std::future::pending().await,
    }
}

/// Whose event it is, its name and its data; `None` for what the API has no event for.
fn described(event: &ServerEvent) -> Option<(Arc<str>, &'static str, Json)> {
    Some(match event {
        ServerEvent::Registered { registration, .. } => {
            (registration.endpoint.clone(), "REGISTRATION", shapes::registration(registration))
        }
        ServerEvent::Updated { registration, update, .. } => updated(registration, update),
        // As if it had sent an Update that names nothing: the API that this one follows has no other word.
        ServerEvent::Moved { registration, .. } => updated(registration, &Update::default()),
        ServerEvent::Deregistered { registration, .. } => {
            (registration.endpoint.clone(), "DEREGISTRATION", shapes::registration(registration))
        }
        ServerEvent::Notification { registration, path, response } => {
            // What cannot be understood is in the log; the API has no word for it.
            let Content::Node(_) = response.content else { return None };
            let data = json!({
                "ep": &*registration.endpoint,
                "kind": "single",
                "res": path.to_string(),
                "val": shapes::content(registration, path, &response.content),
            });
            (registration.endpoint.clone(), "NOTIFICATION", data)
        }
        _ => return None,
    })
}

fn updated(registration: &Registration, update: &Update) -> (Arc<str>, &'static str, Json) {
    let data = json!({
        "registration": shapes::registration(registration),
        "update": shapes::update(registration, update),
    });
    (registration.endpoint.clone(), "UPDATED", data)
}

/// Whether a message is for a block that nobody wants to read of: firmware has hundreds of thousands. Told are the first few, then one in
/// many, and the last.
fn is_one_of_many(message: &Message<'_>) -> bool {
    let block1 = message.options.block1().ok().flatten().filter(|block| block.more);
    // Who asks for a block does not know whether it is the last one.
    let block2 = message.options.block2().ok().flatten().filter(|block| block.more || message.code.is_request());
    block1.or(block2).is_some_and(|block| block.number >= BLOCKS && !block.number.is_multiple_of(BLOCKS_OF_MANY))
}

fn transferred(transfer: &Transfer) -> (Arc<str>, &'static str, Json) {
    (Arc::clone(&transfer.endpoint), "TRANSFER", shapes::transfer(transfer))
}

fn logged(entry: &LogEntry) -> Option<(Arc<str>, &'static str, Json)> {
    let endpoint = entry.endpoint.clone()?;
    if entry.message().is_some_and(|message| is_one_of_many(&message)) {
        return None;
    }
    let data = shapes::message(entry, &endpoint)?;
    Some((endpoint, "COAPLOG", data))
}
