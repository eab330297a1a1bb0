//! From a [`Task`] to a message, and which account of the client is this server's.

use lapwing_coap::{ContentFormat, link::Link, wire::Code};

use super::Task;
use crate::{
    definitions::security,
    model::{InstanceId, Level, Path},
    server::{
        Content, RequestError, Response,
        exchange::{Kind, Prepared, latest_or_opaque},
    },
};

/// The message of a task. `session` is the content format where the task names none.
pub(super) fn prepare(task: &Task, session: ContentFormat) -> Result<Prepared, RequestError> {
    let path = task.step().path;
    let mut prepared = Prepared::get(path, "/", latest_or_opaque(path.object_id().unwrap_or_default()));
    match task {
        Task::Discover(_) => {
            prepared.shape.kind = Kind::Links;
            prepared.accept = Some(ContentFormat::LINK_FORMAT);
        }
        Task::Read { format, .. } => {
            prepared.shape.kind = Kind::Node;
            prepared.accept = Some(format.unwrap_or(session));
        }
        Task::Write { node, format, .. } => {
            prepared.code = Code::PUT;
            prepared.encode(Some(format.unwrap_or(session)), node.node())?;
        }
        Task::Delete(_) => prepared.code = Code::DELETE,
        Task::Finish => {
            prepared.code = Code::POST;
            prepared.path = "bs".to_owned();
        }
    }
    Ok(prepared)
}

/// The format of a task's payload.
pub(super) fn payload_format(task: &Task, session: ContentFormat) -> Option<ContentFormat> {
    match task {
        Task::Write { format, .. } => Some(format.unwrap_or(session)),
        _ => None,
    }
}

/// The preferred format if whole instances can be written in it here, else TLV, which every client knows.
pub(super) fn usable(preferred: Option<ContentFormat>) -> ContentFormat {
    preferred.filter(|format| *format == ContentFormat::OLD_TLV).unwrap_or(ContentFormat::TLV)
}

/// The client's Security instance for this server: the one that a Bootstrap-Discover lists without a Short Server ID
/// (LwM2M core 1.1 section 6.1.7.3).
pub(super) fn own_account(response: &Response) -> Option<InstanceId> {
    let Content::Links(links) = &response.content else { return None };
    let own = |link: &Link| {
        let path: Path = link.target.parse().ok()?;
        let account = path.object_id() == Some(security::OBJECT_ID) && path.level() == Level::Instance;
        if account && link.attribute("ssid").is_none() { path.instance_id() } else { None }
    };
    links.iter().find_map(own)
}
