//! A source of packages in virtual time, which has one file.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lapwing::BoxFuture;
use lapwing::transfer::{Cause, Head, Login, Part, Pulled, Restart, Source, Transfer, Uri};
use tokio::time::sleep;

/// So many bytes come at once.
pub(crate) const CHUNK: usize = 64;
/// And so long apart.
pub(crate) const PACE: Duration = Duration::from_secs(1);
/// How long the source waits when nothing comes.
pub(crate) const GIVE_UP: Duration = Duration::from_secs(60);

/// What lies at every URI, and what came of it.
#[derive(Default)]
pub(crate) struct File {
    pub(crate) content: Vec<u8>,
    /// Without one nothing is gone on with.
    pub(crate) etag: Option<Vec<u8>>,
    /// What the head says of its size.
    pub(crate) size: Option<u64>,
    /// After so many bytes nothing comes any more.
    pub(crate) silent_at: Option<usize>,
    /// There is no file.
    pub(crate) missing: Option<Cause>,
    /// Where each transfer began, and how many bytes it brought.
    pub(crate) transfers: Vec<(String, usize, usize)>,
}

/// The source. Clones have the same file.
#[derive(Clone, Default)]
pub(crate) struct Files(Arc<Mutex<File>>);

impl Files {
    /// With an ETag and a size.
    pub(crate) fn new(content: &[u8]) -> Self {
        let files = Self::default();
        files.put(content, b"1");
        files
    }

    pub(crate) fn put(&self, content: &[u8], etag: &[u8]) {
        self.with(|file| {
            (file.content, file.etag) = (content.to_vec(), Some(etag.to_vec()));
            file.size = Some(content.len() as u64);
        });
    }

    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut File) -> T) -> T {
        change(&mut self.0.lock().unwrap())
    }

    /// Where each transfer began, and how many bytes it brought.
    pub(crate) fn transfers(&self) -> Vec<(usize, usize)> {
        self.with(|file| file.transfers.iter().map(|(_, from, bytes)| (*from, *bytes)).collect())
    }
}

impl Source for Files {
    fn fetch(&self, uri: Uri, _: Option<Login>, part: Option<Part>) -> Box<dyn Transfer> {
        let transfer = self.with(|file| {
            file.transfers.push((uri.to_string(), 0, 0));
            file.transfers.len() - 1
        });
        Box::new(Fetching { files: self.clone(), transfer, part, at: None, chunk: Vec::new() })
    }
}

struct Fetching {
    files: Files,
    transfer: usize,
    part: Option<Part>,
    /// What comes next, once the head has come.
    at: Option<usize>,
    chunk: Vec<u8>,
}

impl Fetching {
    fn begin(&mut self) -> Pulled<'static> {
        let (etag, size, missing) = self.files.with(|file| (file.etag.clone(), file.size, file.missing.clone()));
        if let Some(cause) = missing {
            return Pulled::Failed(cause);
        }
        let offset = match self.part.take() {
            Some(part) if part.etag == etag => part.offset,
            Some(_) => return Pulled::Restarted(Restart::Changed),
            None => 0,
        };
        self.at = Some(offset as usize);
        self.files.with(|file| file.transfers[self.transfer].1 = offset as usize);
        Pulled::Head(Head::new(offset, size, etag))
    }

    async fn go_on(&mut self, at: usize) -> Pulled<'_> {
        let (rest, silent) = self.files.with(|file| (file.content[at..].to_vec(), file.silent_at));
        if silent.is_some_and(|silent| at >= silent) {
            sleep(GIVE_UP).await;
            return Pulled::Failed(Cause::GaveUp { after: GIVE_UP, last: None });
        }
        if rest.is_empty() {
            return Pulled::Done;
        }
        sleep(PACE).await;
        self.chunk = rest[..CHUNK.min(rest.len())].to_vec();
        self.at = Some(at + self.chunk.len());
        self.files.with(|file| file.transfers[self.transfer].2 += self.chunk.len());
        Pulled::Data(&self.chunk)
    }
}

impl Transfer for Fetching {
    fn next(&mut self) -> BoxFuture<'_, Pulled<'_>> {
        Box::pin(async {
            match self.at {
                Some(at) => self.go_on(at).await,
                None => self.begin(),
            }
        })
    }
}
