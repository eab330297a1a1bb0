//! Files on their way to clients: `/api/transfers`, and the push and the pull of `/api/clients/EP/...`.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::Arc,
    time::Duration,
};

use axum::{
    Json,
    body::Body,
    extract::{Path as Captures, Query, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use lapwing_lwm2m::{
    model::{Level, Node, Path, Resource},
    server::{Registration, Request, RequestError, Response as Answer},
};
use serde::Deserialize;
use serde_json::Value as JsonValue;
use tokio::{sync::watch, time::interval};

use super::{
    error::ApiError,
    files, guard, json,
    query::{self, Pairs},
};
use crate::{
    Handle,
    handle::Supply,
    hosting::{self, Held, TransferId, TransferKind, TransferState},
};

/// How often it is looked how far a push has come.
const GLANCE: Duration = Duration::from_millis(200);
/// The longest URI that objects 5 and 9 take.
const LONGEST_URI: usize = 255;

/// Whose transfers.
#[derive(Deserialize)]
pub(super) struct Whose {
    ep: Option<String>,
}

/// `GET /api/transfers[?ep=EP]`.
pub(super) async fn list(State(handle): State<Handle>, Query(whose): Query<Whose>) -> Json<JsonValue> {
    let all = handle.hosting().transfers.list();
    let wanted = |endpoint: &str| whose.ep.as_deref().is_none_or(|wanted| wanted == endpoint);
    Json(all.iter().filter(|transfer| wanted(&transfer.endpoint)).map(json::transfer).collect())
}

/// `DELETE /api/transfers/ID`.
pub(super) async fn cancel(
    State(handle): State<Handle>,
    Captures(id): Captures<String>,
) -> Result<Json<JsonValue>, ApiError> {
    let id = id.parse().ok().map(TransferId);
    let cancelled = id.and_then(|id| handle.hosting().transfers.cancel(id));
    let transfer = cancelled.ok_or_else(|| ApiError::new(StatusCode::NOT_FOUND, "There is no such transfer"))?;
    Ok(Json(json::transfer(&transfer)))
}

/// What is asked for, of a client.
pub(super) struct Asked<'a> {
    pub(super) handle: &'a Handle,
    pub(super) registration: &'a Arc<Registration>,
    /// Of the resource.
    pub(super) path: Path,
    pub(super) pairs: &'a Pairs,
}

impl Asked<'_> {
    /// `POST /api/clients/EP/5/0/0/push`: of a hosted file, or of the body.
    pub(super) async fn push(self, headers: &HeaderMap, body: Body) -> Result<Response, ApiError> {
        let Asked { handle, registration, path, pairs } = self;
        let hosting = handle.hosting();
        check(&path)?;
        let busy = || hosting.transfers.pushing(&registration.endpoint, &path);
        let conflict = || ApiError::new(StatusCode::CONFLICT, format!("A push to the instance of {path} is under way"));
        if busy() {
            return Err(conflict());
        }
        let (name, file) = match query::first(pairs, "file") {
            Some(name) => (name.to_owned(), hosting.files.open(&files::parse(name)?)?),
            None => {
                let (file, _) = files::receive(&hosting.files, None, headers, body).await?;
                (query::first(pairs, "name").unwrap_or_default().to_owned(), file)
            }
        };
        if file.size() > Request::LONGEST_PUSH {
            let longest = Request::LONGEST_PUSH;
            return Err(ApiError::invalid_request(format_args!(
                "{} bytes are more than the {longest} that can be pushed; let the client pull them by HTTP",
                file.size()
            )));
        }
        // Another may have begun while the file came in.
        if busy() {
            return Err(conflict());
        }
        let subject = (name.as_str().into(), file.size());
        let id = hosting.transfers.begin(&registration.endpoint, path, TransferKind::Push, subject);
        let timeout = query::patience(pairs);
        let task = tokio::spawn(run(handle.clone(), Arc::clone(registration), (id, path), file, timeout));
        hosting.transfers.attach(id, task.abort_handle());
        let begun = hosting.transfers.get(id).ok_or_else(conflict)?;
        Ok((StatusCode::ACCEPTED, Json(json::transfer(&begun))).into_response())
    }

    /// `POST /api/clients/EP/5/0/1/pull`: the client is told where to fetch a hosted file.
    pub(super) async fn pull(self) -> Result<Response, ApiError> {
        let Asked { handle, registration, path, pairs } = self;
        let hosting = handle.hosting();
        check(&path)?;
        let name =
            query::first(pairs, "file").ok_or_else(|| ApiError::invalid_request("the parameter file is missing"))?;
        let name = files::parse(name)?;
        let size = hosting.files.open(&name)?.size();
        let scheme = query::first(pairs, "scheme").unwrap_or("coap");
        let authority = authority(handle, registration, scheme, query::first(pairs, "host"))?;
        let tag = hosting::tag_of(&registration.endpoint, &path);
        let uri = format!("{scheme}://{authority}/{}/{name}?{}={tag}", hosting::FOLDER, hosting::TAG);
        if uri.len() > LONGEST_URI {
            return Err(ApiError::invalid_request(format_args!("{uri} is longer than {LONGEST_URI} bytes")));
        }
        if hosting.transfers.pushing(&registration.endpoint, &path) {
            let text = format!("A push to the instance of {path} is under way");
            return Err(ApiError::new(StatusCode::CONFLICT, text));
        }
        // Before the client is told, since it may begin before it answers.
        let kind = TransferKind::Pull { uri: uri.as_str().into() };
        let id = hosting.transfers.begin(&registration.endpoint, path, kind, (name.as_str().into(), size));
        let node = Node::Resource(Resource::Single(uri.into()));
        let request = Request::Write { path, mode: Default::default(), format: query::format(pairs)?, node };
        let answer = handle.request(registration.id, request.clone(), Some(query::timeout(pairs))).await;
        match &answer {
            Ok(response) if response.code.is_success() => {}
            other => hosting.transfers.end(id, TransferState::Failed(failure(other))),
        }
        let response = answer.map_err(|error| ApiError::from_request(error, &registration.endpoint))?;
        let mut body = json::answer(registration, &request, &response);
        body["transfer"] = hosting.transfers.get(id).as_ref().map_or(JsonValue::Null, json::transfer);
        Ok(Json(body).into_response())
    }
}

fn check(path: &Path) -> Result<(), ApiError> {
    if path.level() == Level::Resource {
        return Ok(());
    }
    Err(ApiError::invalid_request(format_args!("{path} is no resource")))
}

/// Pushes a file, and tells how far that has come.
async fn run(
    handle: Handle,
    registration: Arc<Registration>,
    (id, path): (TransferId, Path),
    file: Held,
    timeout: Option<Duration>,
) {
    let transfers = &handle.hosting().transfers;
    let (sender, mut taken) = watch::channel(0);
    let push = handle.push(registration.id, path, Supply { file, taken: sender }, timeout);
    tokio::pin!(push);
    let mut glance = interval(GLANCE);
    let answer = loop {
        tokio::select! {
            answer = &mut push => break answer,
            _ = glance.tick() => {
                if taken.has_changed().unwrap_or(false) {
                    transfers.advance(id, *taken.borrow_and_update());
                }
            }
        }
    };
    let state = match &answer {
        Ok(response) if response.code.is_success() => TransferState::Done,
        other => {
            // How far it came is part of why it ended.
            transfers.advance(id, *taken.borrow());
            TransferState::Failed(failure(other))
        }
    };
    tracing::info!(endpoint = %registration.endpoint, %path, ?state, "a push has ended");
    transfers.end(id, state);
}

/// One line about an answer that is none to be glad of.
fn failure(answer: &Result<Answer, RequestError>) -> String {
    match answer {
        Ok(response) => match response.diagnostic() {
            Some(text) => format!("{} {text}", response.code),
            None => format!("the client answered {}", response.code),
        },
        Err(error) => error.to_string(),
    }
}

/// Host and port under which a client reaches this server: as far as can be known here, unless `host` is given.
fn authority(
    handle: &Handle,
    registration: &Registration,
    scheme: &str,
    host: Option<&str>,
) -> Result<String, ApiError> {
    let listens = match scheme {
        "coap" => handle.coap_address(),
        "coaps" => {
            handle.coaps_address().ok_or_else(|| ApiError::invalid_request("this server does not listen for coaps"))?
        }
        "http" => handle.hosting().http,
        _ => return Err(ApiError::invalid_request(format_args!("{scheme} is none of coap, coaps and http"))),
    };
    if let Some(host) = host {
        if scheme == "http" && !guard::is_private(host) {
            return Err(ApiError::invalid_request(format_args!(
                "{host} is a public name, by which this server gives nothing over http; let it be an address, or choose another scheme"
            )));
        }
        let named = format!("{scheme}://{host}:{}/", listens.port());
        return match named.parse::<axum::http::Uri>() {
            Ok(uri) if uri.host() == Some(host) => Ok(format!("{host}:{}", listens.port())),
            _ => Err(ApiError::invalid_request(format_args!("{host} is no host; an IPv6 address stands in brackets"))),
        };
    }
    let client = registration.address;
    if listens.ip().is_loopback() && !is_loopback(client.ip()) {
        return Err(ApiError::invalid_request(format_args!(
            "{client} cannot reach {listens}, where this server listens for {scheme}; let it listen elsewhere, or choose another scheme"
        )));
    }
    let reached = if listens.ip().is_unspecified() { own_address(client) } else { Some(listens.ip()) };
    let ip =
        reached.ok_or_else(|| ApiError::invalid_request("this server's own address is not known; give it as host"))?;
    Ok(SocketAddr::new(ip, listens.port()).to_string())
}

/// An IPv4 address may come in the clothes of IPv6.
fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// The address that this machine sends from to `peer`. Nothing is sent.
fn own_address(peer: SocketAddr) -> Option<IpAddr> {
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    let unspecified: IpAddr =
        if peer.is_ipv4() { std::net::Ipv4Addr::UNSPECIFIED.into() } else { std::net::Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((unspecified, 0)).ok()?;
    socket.connect(peer).ok()?;
    Some(socket.local_addr().ok()?.ip())
}
