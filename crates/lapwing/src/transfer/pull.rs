use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::coap::Coap;
use super::http::{Client, Http};
use super::{Cause, Login, PullConfig, Scheme, Source, Transfer, Uri};
use crate::object::BoxFuture;

/// Fetches packages.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use lapwing::transfer::{Pulled, PullConfig, Puller};
///
/// let puller = Puller::new(PullConfig::default());
/// let mut pull = puller.pull("coap://files.example/image".parse()?, None, None);
/// let mut image = Vec::new();
/// loop {
///     match pull.next().await {
///         Pulled::Restarted(_) => image.clear(),
///         Pulled::Data(bytes) => image.extend_from_slice(bytes),
///         Pulled::Done => break,
///         Pulled::Failed(cause) => return Err(cause.into()),
///         _ => {}
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Puller {
    config: Arc<PullConfig>,
    http: Arc<Client>,
    /// Each value is another network.
    network: watch::Sender<u64>,
}

impl Puller {
    /// With this configuration. Nothing of it is looked at before it is needed.
    #[must_use]
    pub fn new(config: PullConfig) -> Self {
        Self { config: Arc::new(config), http: Arc::default(), network: watch::Sender::default() }
    }

    /// This machine's addresses or routes have changed: no pull waits for a connection that may be dead.
    pub fn network_changed(&self) {
        self.network.send_modify(|generation| *generation = generation.wrapping_add(1));
    }

    /// A pull of what lies at `uri`, or of what is missing of it. `login` (http and https) goes before the one in the URI. Nothing happens
    /// until [`Pull::next`] is polled.
    #[must_use]
    pub fn pull(&self, uri: Uri, login: Option<Login>, part: Option<Part>) -> Pull {
        let part = part.unwrap_or_default();
        let login = login.or_else(|| uri.login().cloned());
        Pull {
            puller: self.clone(),
            network: self.network.subscribe(),
            uri,
            login,
            offset: if part.etag.is_some() { part.offset } else { 0 },
            // What is there without an ETag is of no use.
            useless: part.etag.is_none() && part.offset > 0,
            size: None,
            etag: part.etag,
            local_port: part.local_port,
            way: None,
            due: None,
            free_at: Instant::now(),
            retry_at: None,
            pause: self.config.first_pause,
            last: None,
            restarts: 0,
            attempts: 0,
            after_restart: None,
            chunk: Vec::new(),
            over: false,
        }
    }
}

impl Source for Puller {
    fn fetch(&self, uri: Uri, login: Option<Login>, part: Option<Part>) -> Box<dyn Transfer> {
        Box::new(self.pull(uri, login, part))
    }
}

impl Transfer for Pull {
    fn next(&mut self) -> BoxFuture<'_, Pulled<'_>> {
        Box::pin(Pull::next(self))
    }
}

impl fmt::Debug for Puller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Puller").field("config", &self.config).finish_non_exhaustive()
    }
}

/// What is there of a package, to go on with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Part {
    /// How many bytes, from the first.
    pub offset: u64,
    /// The ETag they came with ([`Head::etag`]); without one the package comes anew.
    pub etag: Option<Vec<u8>>,
    /// [`Head::local_port`]: some CoAP servers go on only with who comes from the same port.
    pub local_port: Option<u16>,
}

impl Part {
    /// So many bytes, which came with this [`Head`].
    #[must_use]
    pub fn new(offset: u64, head: &Head) -> Self {
        Self { offset, etag: head.etag.clone(), local_port: head.local_port }
    }
}

/// What a server says of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Head {
    /// Where what comes next belongs: 0, or how many bytes are there.
    pub offset: u64,
    /// The length of the whole package in bytes. CoAP gives it as an indication only.
    pub size: Option<u64>,
    /// What tells this package from a later one at the same URI: a strong ETag of HTTP as it is written, at most 256 bytes, or one of CoAP.
    /// Store it with the offset and the URI: [`Part`] needs it.
    pub etag: Option<Vec<u8>>,
    /// The local port of a CoAP transfer.
    pub local_port: Option<u16>,
}

impl Head {
    /// Of a package of this size, of which so many bytes are there, and which this strong ETag tells from a later one.
    #[must_use]
    pub const fn new(offset: u64, size: Option<u64>, etag: Option<Vec<u8>>) -> Self {
        Self { offset, size, etag, local_port: None }
    }
}

/// What has come of a pull.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pulled<'a> {
    /// The server has begun to answer. Comes before any [`Pulled::Data`], and again after each lost connection.
    Head(Head),
    /// The next bytes, at most some 2 MiB. Each follows the one before.
    Data(&'a [u8]),
    /// What has come so far, the [`Part`] as well, is of no use: the package comes again from its first byte. A [`Pulled::Head`] follows.
    Restarted(Restart),
    /// The connection is lost, and a new one is made after a while: what has come stays good.
    Retrying {
        /// What happened.
        cause: Cause,
        /// How long until the next attempt.
        pause: Duration,
        /// How long until the pull is given up, should no byte come ([`PullConfig::give_up`]).
        left: Duration,
    },
    /// The package is whole. Nothing follows.
    Done,
    /// The pull is over without the whole package. What has come stays good for another pull of the same URI. Nothing follows.
    Failed(Cause),
}

/// Why a package comes again from its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Restart {
    /// The file is another one now.
    #[error("the file has changed")]
    Changed,
    /// It has no strong ETag, so that nobody can tell whether the part that is there belongs to it.
    #[error("the file has no strong ETag to go on by")]
    NoEtag,
    /// The server gives the file as a whole only, or has lost the transfer.
    #[error("the server does not go on within a file")]
    NotResumable,
}

/// What comes of one connection.
#[derive(Debug)]
pub(super) enum Step {
    /// The head, and why it does not go on where it was to.
    Head(Head, Option<Restart>),
    Data(Vec<u8>),
    Finished,
    Failed(Cause),
}

enum Way {
    Http(Http),
    Coap(Box<Coap>),
}

/// The transfer of one package: connections one after the other, until it is whole.
///
/// There is no task and no queue of its own that could outgrow anything: as long as [`Pull::next`] is not polled the server waits. Dropping it ends the transfer at
/// once, with its sockets; only a connection of HTTP that is just being made goes on until it is, up to
/// [`PullConfig::connect_timeout`].
pub struct Pull {
    puller: Puller,
    network: watch::Receiver<u64>,
    uri: Uri,
    login: Option<Login>,
    offset: u64,
    useless: bool,
    size: Option<u64>,
    etag: Option<Vec<u8>>,
    local_port: Option<u16>,
    way: Option<Way>,
    /// When it is given up, while it waits.
    due: Option<Instant>,
    /// When the next bytes may come, as far as the bandwidth is limited.
    free_at: Instant,
    retry_at: Option<Instant>,
    pause: Duration,
    last: Option<Cause>,
    restarts: u8,
    /// Attempts since a byte came.
    attempts: usize,
    /// The head that follows a restart.
    after_restart: Option<Head>,
    chunk: Vec<u8>,
    over: bool,
}

/// What `next` gives, as long as it lends nothing.
enum Next {
    Told(Pulled<'static>),
    Chunk,
}

impl Pull {
    /// How often a package may begin anew.
    const RESTARTS: u8 = 10;

    /// The next thing that comes. When the future is dropped before it is ready, nothing is lost. After [`Pulled::Done`] and
    /// [`Pulled::Failed`] it is never ready again.
    pub async fn next(&mut self) -> Pulled<'_> {
        if self.over {
            std::future::pending::<()>().await;
        }
        sleep_until(self.free_at).await;
        let give_up = self.puller.config.give_up;
        let due = *self.due.get_or_insert_with(|| Instant::now() + give_up);
        let mut network = self.network.clone();
        let next = loop {
            tokio::select! {
                next = timeout_at(due, self.advance()) => break next,
                Ok(()) = network.changed() => self.network_changed(),
            }
        };
        let next = next.unwrap_or_else(|_| {
            let last = self.last.take().map(Box::new);
            self.fail(Cause::GaveUp { after: give_up, last })
        });
        match next {
            Next::Told(told) => told,
            Next::Chunk => Pulled::Data(&self.chunk),
        }
    }

    /// As [`Puller::network_changed`], for this one.
    pub fn network_changed(&mut self) {
        self.network.mark_unchanged();
        // A connection of TCP does not move: another is made at once.
        let moved = match &mut self.way {
            Some(Way::Coap(coap)) => coap.network_changed().is_ok(),
            _ => false,
        };
        if !moved {
            self.way = None;
        }
        self.retry_at = None;
        self.pause = self.puller.config.first_pause;
    }

    async fn advance(&mut self) -> Next {
        if let Some(head) = self.after_restart.take() {
            return self.head(head);
        }
        loop {
            if let Some(at) = self.retry_at {
                sleep_until(at).await;
                self.retry_at = None;
            }
            let step = match &mut self.way {
                Some(Way::Http(http)) => http.next().await,
                Some(Way::Coap(coap)) => coap.next().await,
                None => match self.open().await {
                    Ok(way) => {
                        self.way = Some(way);
                        continue;
                    }
                    Err(cause) => Step::Failed(cause),
                },
            };
            match step {
                Step::Head(head, why) if head.offset != self.offset || std::mem::take(&mut self.useless) => {
                    return self.restart(head, why.unwrap_or(Restart::NoEtag));
                }
                Step::Head(head, _) => return self.head(head),
                Step::Data(chunk) => return self.data(chunk),
                Step::Finished => return self.finish(),
                Step::Failed(cause) => return self.lost(cause),
            }
        }
    }

    /// A connection, or what can be made one by polling.
    async fn open(&mut self) -> Result<Way, Cause> {
        let etag = self.etag.clone();
        let part = Part { offset: self.offset, etag, local_port: self.local_port };
        let config = &self.puller.config;
        match self.uri.scheme() {
            Scheme::Http | Scheme::Https => {
                Http::start(&self.puller.http, config, &self.uri, self.login.as_ref(), &part).map(Way::Http)
            }
            Scheme::Coap | Scheme::Coaps => {
                Coap::open(config, &self.uri, &part, self.attempts).await.map(|coap| Way::Coap(Box::new(coap)))
            }
        }
    }

    fn restart(&mut self, head: Head, why: Restart) -> Next {
        self.restarts += 1;
        if self.restarts > Self::RESTARTS {
            return self.fail(Cause::Unstable);
        }
        (self.offset, self.size) = (0, None);
        self.after_restart = Some(head);
        Next::Told(Pulled::Restarted(why))
    }

    fn head(&mut self, head: Head) -> Next {
        self.size = head.size;
        self.etag.clone_from(&head.etag);
        self.local_port = head.local_port.or(self.local_port);
        Next::Told(Pulled::Head(head))
    }

    fn data(&mut self, chunk: Vec<u8>) -> Next {
        self.offset += chunk.len() as u64;
        (self.due, self.last, self.pause) = (None, None, self.puller.config.first_pause);
        self.attempts = 0;
        if let (Some(rate), Some(Way::Http(_))) = (self.puller.config.max_rate, &self.way) {
            // CoAP keeps to the rate by what it asks for.
            let takes = Duration::from_secs_f64(chunk.len() as f64 / rate.max(1) as f64);
            self.free_at = self.free_at.max(Instant::now()) + takes;
        }
        self.chunk = chunk;
        Next::Chunk
    }

    fn finish(&mut self) -> Next {
        match (self.size, self.uri.scheme()) {
            // Size2 is an indication only (RFC 7959 section 4); the last block is what tells the end.
            (Some(size), Scheme::Http | Scheme::Https) if size != self.offset => {
                self.lost(Cause::Lost(format!("{} bytes came of {size}", self.offset)))
            }
            _ => {
                (self.way, self.over) = (None, true);
                Next::Told(Pulled::Done)
            }
        }
    }

    fn lost(&mut self, cause: Cause) -> Next {
        let Some(least) = cause.pause() else { return self.fail(cause) };
        if let Some(Way::Coap(coap)) = &self.way {
            self.local_port = coap.port_to_keep();
        }
        let pause = self.pause.max(least);
        self.pause = (self.pause * 2).min(self.puller.config.longest_pause);
        (self.way, self.retry_at) = (None, Some(Instant::now() + pause));
        self.last = Some(cause.clone());
        self.attempts += 1;
        let left = self.due.map_or(self.puller.config.give_up, |due| due.saturating_duration_since(Instant::now()));
        Next::Told(Pulled::Retrying { cause, pause, left })
    }

    fn fail(&mut self, cause: Cause) -> Next {
        (self.way, self.over) = (None, true);
        Next::Told(Pulled::Failed(cause))
    }
}

impl fmt::Debug for Pull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pull").field("uri", &self.uri).field("offset", &self.offset).finish_non_exhaustive()
    }
}
