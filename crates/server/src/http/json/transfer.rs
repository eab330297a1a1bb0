//! A transfer as JSON.

use serde_json::{Value as Json, json};

use crate::hosting::{Transfer, TransferKind, TransferState};

/// A file on its way to a client.
pub(crate) fn transfer(transfer: &Transfer) -> Json {
    let (kind, uri) = match &transfer.kind {
        TransferKind::Push => ("push", None),
        TransferKind::Pull { uri } => ("pull", Some(uri)),
    };
    let (state, error) = match &transfer.state {
        TransferState::Waiting => ("waiting", None),
        TransferState::Running => ("running", None),
        TransferState::Done => ("done", None),
        TransferState::Failed(why) => ("failed", Some(why)),
        TransferState::Cancelled => ("cancelled", None),
    };
    let mut json = json!({
        "id": transfer.id.0,
        "ep": &*transfer.endpoint,
        "kind": kind,
        "path": transfer.path.to_string(),
        "file": &*transfer.file,
        "size": transfer.size,
        "bytes": transfer.bytes,
        "state": state,
    });
    if let Some(uri) = uri {
        json["uri"] = json!(&**uri);
    }
    if let Some(error) = error {
        json["error"] = json!(error);
    }
    json
}
