use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lapwing_coap::ContentFormat;

use super::body::{Body, BodyError, Digest};
use super::meter::{Meter, Metered};
use super::place::Place;
use super::{Cause, Head, Login, Pulled, Source, Uri};
use crate::driver::Disk;
use crate::object::{Aborted, Error, Incoming};

/// Why a package is not there, whole and synced.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransferError {
    /// It could not be fetched.
    #[error(transparent)]
    Pull(#[from] Cause),
    /// It could not be stored.
    #[error("the package cannot be stored: {0}")]
    Body(#[from] BodyError),
    /// The server did not go on with its push.
    #[error("the server did not go on")]
    Aborted(#[from] Aborted),
    /// More or fewer bytes came than the header of a TLV said.
    #[error("the package is not as long as its header says")]
    Length,
}

impl TransferError {
    /// The Update Result of Firmware Update (5/0/5): 2, 4, 5, 7, 8 or 9.
    pub(crate) fn firmware_result(&self) -> u8 {
        match self {
            Self::Pull(cause) => cause.firmware_result(),
            Self::Body(BodyError::NoSpace { .. } | BodyError::Full) => 2,
            Self::Body(BodyError::Disk(_)) => 8,
            Self::Aborted(_) | Self::Body(BodyError::Replaced) => 4,
            Self::Length => 5,
        }
    }

    /// The Update Result of Software Management (9/x/9): 50, 52, 53, 56 or 57.
    pub(crate) fn software_result(&self) -> u8 {
        match self {
            Self::Pull(cause) => cause.software_result(),
            Self::Body(BodyError::NoSpace { .. } | BodyError::Full) => 50,
            Self::Body(BodyError::Disk(_)) => 57,
            Self::Aborted(_) | Self::Body(BodyError::Replaced) => 52,
            Self::Length => 53,
        }
    }
}

/// What a server is told that pushes.
impl From<TransferError> for Error {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::Body(BodyError::NoSpace { .. } | BodyError::Full) => Self::TooLarge,
            TransferError::Body(BodyError::Disk(error)) => error.into(),
            TransferError::Aborted(_) | TransferError::Body(BodyError::Replaced) => Self::Incomplete,
            TransferError::Length => Self::bad_request("the value is not as long as its header says"),
            TransferError::Pull(cause) => Self::internal(cause.to_string()),
        }
    }
}

/// Stores a package that is being pushed into `body`, whose first block [`Incoming::next`] has given.
///
/// A block is asked for when the one before is written; this returns when all of them are synced. What to do with
/// [`BodyError::Replaced`] is nothing: somebody else has begun or discarded a package meanwhile.
pub(crate) async fn receive<D: Disk>(
    mut body: Body<D>,
    incoming: &mut Incoming,
    meter: &Meter,
) -> Result<Digest, TransferError> {
    let metered = meter.begin();
    loop {
        body = body.write(incoming.block()).await?;
        metered.at(body.length(), incoming.size());
        if incoming.next().await?.is_none() {
            break;
        }
    }
    let tlv = incoming.format().is_some_and(|format| [ContentFormat::TLV, ContentFormat::OLD_TLV].contains(&format));
    if tlv && incoming.size() != Some(incoming.received()) {
        return Err(TransferError::Length);
    }
    Ok(body.finish().await?)
}

/// Fetches the package at `uri` into `place`: all of it, or what is missing of what is there of it.
///
/// Whatever ends it, the future being dropped as well, what came stays for the next time that the same URI is asked for, until
/// [`Place::discard`] or another package takes its place.
pub(crate) async fn pull<D: Disk>(
    place: &Arc<Place<D>>,
    source: &dyn Source,
    uri: &str,
    login: Option<Login>,
    meter: &Meter,
) -> Result<Digest, TransferError> {
    let from: Uri = uri.parse()?;
    let mut body = place.resume(uri).await?;
    let mut transfer = source.fetch(from.clone(), login, body.as_ref().and_then(Body::part));
    let (whose, metered) = (&meter.whose, meter.begin());
    let mut size = None;
    loop {
        match transfer.next().await {
            Pulled::Head(head) => {
                body = Some(begin(place, body, uri, &head).await?);
                size = head.size;
                said(whose, &from, &head, &metered);
            }
            Pulled::Data(bytes) => {
                let written = taken(&mut body)?.write(bytes).await?;
                metered.at(written.length(), size);
                body = Some(written);
            }
            Pulled::Restarted(why) => {
                tracing::warn!("{whose}: {from} comes again from its first byte: {why}");
                body = None;
            }
            Pulled::Retrying { cause, pause, left } => {
                let pause = pause.min(left);
                let (again, over) = (Seconds(pause), Seconds(left));
                let is = if body.is_some() { "is interrupted" } else { "cannot be fetched now" };
                tracing::warn!(
                    "{whose}: {from} {is}: {cause}; tried again in {again}, given up in {over} if no byte comes"
                );
                metered.interrupted(&cause, pause, left);
                body = synced(body).await?;
            }
            Pulled::Done => return Ok(taken(&mut body)?.finish().await?),
            Pulled::Failed(cause) => {
                synced(body).await?;
                return Err(cause.into());
            }
        }
    }
}

/// Rounded up: what is left is not 0 s before it is.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0.as_millis().div_ceil(1000))
    }
}

fn said(whose: &str, from: &Uri, head: &Head, metered: &Metered) {
    let Head { offset, size, .. } = head;
    metered.at(*offset, *size);
    let length = size.map_or_else(|| "a package of unknown length".to_owned(), |size| format!("{size} bytes"));
    match offset {
        0 => tracing::info!("{whose}: fetching {length} from {from}"),
        _ => tracing::info!("{whose}: fetching {length} from {from}, of which {offset} are there"),
    }
}

/// The body to which what follows a head belongs.
async fn begin<D: Disk>(
    place: &Arc<Place<D>>,
    body: Option<Body<D>>,
    uri: &str,
    head: &Head,
) -> Result<Body<D>, BodyError> {
    let mut body = match body {
        Some(body) if body.length() == head.offset => body,
        _ => place.create(head.size).await?,
    };
    body.comes_with(uri, head)?;
    Ok(body)
}

async fn synced<D: Disk>(body: Option<Body<D>>) -> Result<Option<Body<D>>, BodyError> {
    match body {
        Some(body) => body.sync().await.map(Some),
        None => Ok(None),
    }
}

/// Before the head there is no body.
fn taken<D: Disk>(body: &mut Option<Body<D>>) -> Result<Body<D>, Cause> {
    body.take().ok_or_else(|| Cause::Protocol("data came before the head".to_owned()))
}
