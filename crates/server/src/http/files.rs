//! `/api/files`: the hosted files; and `/files/NAME`: one of them, for clients.

use std::{io, ops::Range, time::UNIX_EPOCH};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{Path as Captures, RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::{Stream, StreamExt, stream};
use serde_json::{Value as JsonValue, json};

use super::{
    error::ApiError,
    range::{Wanted, wanted},
};
use crate::{
    Handle,
    hosting::{self, FileError, FileName, Files, Held, Hosted, Transfers},
};

/// How much is read or written at a time.
const CHUNK: usize = 128 << 10;

/// `GET /api/files`.
pub(super) async fn list(State(handle): State<Handle>) -> Result<Json<JsonValue>, ApiError> {
    let files = &handle.hosting().files;
    let (hosted, used, limits) = (files.list()?, files.used()?, files.limits());
    Ok(Json(json!({
        "files": hosted.iter().map(shape).collect::<Vec<_>>(),
        "used": used,
        "limits": {"count": limits.count, "bytes": limits.bytes},
    })))
}

/// `PUT /api/files/NAME`.
pub(super) async fn put(
    State(handle): State<Handle>,
    Captures(name): Captures<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let name = parse(&name)?;
    let files = &handle.hosting().files;
    let (_, replaced) = receive(files, Some(name.clone()), &headers, body).await?;
    let hosted = files.list()?.into_iter().find(|file| file.name == name).ok_or(FileError::NotFound)?;
    let status = if replaced { StatusCode::OK } else { StatusCode::CREATED };
    tracing::info!(%name, size = hosted.size, "a file is hosted");
    Ok((status, Json(shape(&hosted))).into_response())
}

/// `DELETE /api/files/NAME`.
pub(super) async fn delete(
    State(handle): State<Handle>,
    Captures(name): Captures<String>,
) -> Result<StatusCode, ApiError> {
    handle.hosting().files.remove(&parse(&name)?)?;
    Ok(StatusCode::OK)
}

fn shape(file: &Hosted) -> JsonValue {
    let modified = file.modified.duration_since(UNIX_EPOCH).unwrap_or_default();
    json!({
        "name": file.name.as_str(),
        "size": file.size,
        "modified": u64::try_from(modified.as_millis()).unwrap_or(u64::MAX),
        "etag": digits(&file.etag),
        "path": format!("/{}/{}", hosting::FOLDER, file.name),
    })
}

/// A name in a request.
pub(super) fn parse(name: &str) -> Result<FileName, ApiError> {
    name.parse().map_err(ApiError::invalid_request)
}

/// Takes a body into a file, a chunk at a time. Without a name it is there only for who holds it. Tells whether it replaced one, too.
pub(super) async fn receive(
    files: &Files,
    name: Option<FileName>,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Held, bool), ApiError> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let mut upload = files.begin(name, declared)?;
    let mut body = body.into_data_stream();
    let mut chunk = Vec::new();
    loop {
        let came =
            body.next().await.transpose().map_err(|error| {
                ApiError::new(StatusCode::BAD_REQUEST, format!("The file did not come whole: {error}"))
            })?;
        let over = came.is_none();
        chunk.extend_from_slice(&came.unwrap_or_default());
        if chunk.len() >= CHUNK || over {
            (upload, chunk) = blocking(move || {
                upload.write(&chunk)?;
                chunk.clear();
                Ok((upload, chunk))
            })
            .await?;
        }
        if over {
            return blocking(move || upload.finish()).await;
        }
    }
}

/// Does what waits for the disk on another thread.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|error| FileError::Io(io::Error::other(error)))??)
}

/// `GET /files/NAME`.
pub(super) async fn file(
    State(handle): State<Handle>,
    Captures(name): Captures<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let hosting = handle.hosting();
    let (name, held) = hosting.open([hosting::FOLDER, &name].into_iter())?;
    let size = held.size();
    let etag = format!("\"{}\"", digits(held.etag()));
    let mut response = match wanted(&headers, &etag, size) {
        Wanted::Nothing => StatusCode::NOT_MODIFIED.into_response(),
        Wanted::Beyond => {
            let range = header_value(format!("bytes */{size}"));
            (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, range)]).into_response()
        }
        found => {
            let (status, part) = match found {
                Wanted::Part(part) => (StatusCode::PARTIAL_CONTENT, part),
                _ => (StatusCode::OK, 0..size),
            };
            let length = header_value((part.end - part.start).to_string());
            let range = header_value(format!("bytes {}-{}/{size}", part.start, part.end.saturating_sub(1)));
            let tag = query.as_deref().and_then(|query| hosting::tag(query.split('&'))).map(str::to_owned);
            let transfers = hosting.transfers.clone();
            let reader = Reader { held, name, tag, transfers, rest: part };
            let mut response = (status, Body::from_stream(reader.stream())).into_response();
            response.headers_mut().insert(header::CONTENT_LENGTH, length);
            if status == StatusCode::PARTIAL_CONTENT {
                response.headers_mut().insert(header::CONTENT_RANGE, range);
            }
            response
        }
    };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, header_value(etag));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    // A browser that opens it keeps it, and runs nothing of it.
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    Ok(response)
}

/// Of what is made of digits and the like.
fn header_value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// An entity-tag as text.
fn digits(etag: &[u8; 8]) -> String {
    format!("{:016x}", u64::from_be_bytes(*etag))
}

/// A part of a file on its way out.
struct Reader {
    held: Held,
    name: FileName,
    /// For which transfer it is fetched.
    tag: Option<String>,
    transfers: Transfers,
    /// What is still to be sent.
    rest: Range<u64>,
}

impl Reader {
    fn stream(self) -> impl Stream<Item = io::Result<Bytes>> {
        stream::try_unfold(self, |mut reader| async move {
            if reader.rest.is_empty() {
                return Ok(None);
            }
            let begin = reader.rest.start;
            let length = usize::try_from(reader.rest.end - begin).unwrap_or(CHUNK).min(CHUNK);
            let held = reader.held.clone();
            let read = tokio::task::spawn_blocking(move || {
                let mut bytes = vec![0; length];
                // Who has cut the file short meanwhile cuts the answer short.
                (held.read(begin, &mut bytes)? == length).then_some(bytes).ok_or(io::ErrorKind::UnexpectedEof.into())
            });
            let bytes: io::Result<Vec<u8>> = read.await.map_err(io::Error::other)?;
            reader.rest.start += length as u64;
            // Nobody asks again after the last byte.
            reader.transfers.served(reader.tag.as_deref(), &reader.name, begin, reader.rest.start);
            Ok(Some((Bytes::from(bytes?), reader)))
        })
    }
}
