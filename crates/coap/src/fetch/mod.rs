//! Fast download of one resource, sans-IO: a window of requests for blocks under CUBIC.
//!
//! RFC 7959 asks for one block after the other: at a round trip of 300 ms that is 3 KiB/s, whatever the link could carry. A
//! [`Fetch`] keeps several requests under way. RFC 7252 sections 4.7 and 4.8.1 allow it to whoever controls congestion by other
//! means than NSTART = 1; the means here are CUBIC (RFC 9438) with HyStart++ (RFC 9406) and Veno's test for losses that are no
//! congestion, paced, with the loss detection of QUIC (RFC 9002), as RFC 8085 section 3.1 demands of bulk transfers.
//! docs/adr/coap-window.md says why. Where the other end is found to have Q-Block2 (RFC 9177), one request asks for several blocks
//! ([`Config::q_block2`]; docs/adr/q-block2.md).
//!
//! The first request is confirmable and goes alone. Those of the window are not confirmable: each has a token and a message ID of
//! its own, so that an answer always tells its round-trip time, and a request that is lost is made anew by the rules above, not by
//! a timer of two seconds. Where the other end cannot follow (4.08, 4.29, 5.03, another ETag) the fetch goes on with one
//! confirmable request at a time, which is plain RFC 7959.
//!
//! After each call that takes `&mut self`, poll [`Fetch::poll_event`] and [`Fetch::poll_transmit`] until each gives `None`, then
//! wait until [`Fetch::poll_timeout`]. `now` is the time elapsed since any fixed moment; it must not go back.
//!
//! # Beside a peer
//!
//! A fetch may share a connection, a DTLS association included, with a [`Peer`](crate::peer::Peer). Give each datagram to the fetch
//! first, and to the peer when [`Fetch::handle_datagram`] says that it was not for the fetch. Tokens cannot be confused: those of a
//! fetch have seven bytes, those of a peer have eight. Message IDs must come from one source: that is
//! [`Peer::next_message_id`](crate::peer::Peer::next_message_id).
//!
//! A download by more than 65,536 requests within EXCHANGE_LIFETIME uses message IDs again, which a server that looks only at them
//! may take for duplicates. Should it fall silent because of that, the fetch ends with [`Failure::TimedOut`]; from another local
//! port it goes on at once.
//!
//! ```
//! use std::time::Duration;
//! use lapwing_coap::{fetch::{Config, Event, Fetch, MessageIds, Resource}, Message};
//!
//! let now = Duration::ZERO;
//! let resource = Resource { path: &["firmware"], ..Resource::default() };
//! let mut fetch = Fetch::new(now, Config::default(), &resource, None, [7; 32]);
//! let mut ids = MessageIds::new(1);
//! let mut buffer = Vec::new();
//! let range = fetch.poll_transmit(now, || ids.next(|_| false), &mut buffer).unwrap();
//! assert_eq!(Message::parse(&buffer[range]).unwrap().options.uri_path().next(), Some("firmware"));
//! // Send it, and give each datagram that comes to `fetch.handle_datagram`. Then:
//! while let Some(event) = fetch.poll_event() {
//!     if let Event::Data { bytes, .. } = event {
//!         let length = bytes.len(); // Write them.
//!         fetch.consumed(now, length);
//!     }
//! }
//! ```

mod answer;
mod body;
mod config;
mod cubic;
mod dialect;
mod event;
mod flights;
mod hystart;
mod pacer;
mod ranges;
mod rtt;
mod send;
mod timeout;

use std::{collections::VecDeque, time::Duration};

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

pub use crate::message::{MessageIds, Transmission};
pub use config::{Config, Resource, Resume};
pub use event::{Counters, Event, Failure, Head, Restart};
pub use timeout::Timer;

use crate::{
    block::Etag,
    message::Outbox,
    wire::{BlockSize, Token},
};
use body::Body;
use cubic::Cubic;
use dialect::Dialect;
use flights::Flights;
use pacer::Pacer;
use rtt::Rtt;
use send::Confirmable;

/// The download of one resource.
#[derive(Debug)]
pub struct Fetch {
    config: Config,
    rng: ChaCha8Rng,
    /// The options of each request, up to Block2.
    options: Vec<u8>,
    /// The first bytes of each token.
    prefix: [u8; 4],
    /// The part that is there already: its ETag is to be compared with that of the first answer.
    resume: Option<Option<Etag>>,
    head: Option<Head>,
    body: Body,
    /// The size of the blocks that are asked for.
    size: BlockSize,
    /// Beyond this, a block was refused while others before it were missing: perhaps it is beyond the end.
    halt: Option<u64>,
    pace: Pace,
    dialect: Dialect,
    /// How often it may still be asked whether the other end has Q-Block2.
    questions: u8,
    /// Probe time-outs since anything was answered by Q-Block2.
    unheard: u8,
    /// What shows the other end that this one is where its requests come from (RFC 9175).
    echo: Vec<u8>,
    flights: Flights,
    confirmable: Option<Confirmable>,
    /// Probe time-outs in a row.
    silences: u32,
    /// A probe is to be sent.
    probe: bool,
    rtt: Rtt,
    cubic: Cubic,
    pacer: Pacer,
    outbox: Outbox,
    /// The other end wants no request before this time.
    quiet_until: Option<Duration>,
    /// When something new came.
    progress: Duration,
    restarts: u8,
    notices: VecDeque<Event<'static>>,
    state: State,
    counters: Counters,
}

/// How many requests go out at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    /// One, until so many more blocks have come.
    Single(u32),
    /// As many as the congestion window has room for.
    Window,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    /// It has failed, which was not told yet.
    Failing(Failure),
    Over,
}

impl Fetch {
    /// How often a body may begin anew.
    const RESTARTS: u8 = 3;
    /// What TCP's window grows by on most paths, in bytes. A window that counts bytes shares a path with TCP only if it grows like
    /// it (RFC 4828 section 1 argues so for small packets).
    const SEGMENT: usize = 1460;
    /// At most this many blocks stand for a segment.
    const BLOCKS_A_SEGMENT: usize = 2;

    /// Begins to fetch `resource`, or what is missing of it. `seed` must be unpredictable: tokens and time-outs are drawn from it
    /// (RFC 7252 section 5.3.1).
    ///
    /// # Panics
    /// When an option's value in `resource` has more than 65,804 bytes; one of more than 255 is answered 4.02.
    pub fn new(
        now: Duration,
        config: Config,
        resource: &Resource<'_>,
        resume: Option<Resume<'_>>,
        seed: [u8; 32],
    ) -> Self {
        let mut rng = ChaCha8Rng::from_seed(seed);
        let resume = resume.filter(|resume| resume.offset > 0);
        let config = Config { buffer: config.buffer.next_power_of_two().max(Body::SMALLEST), ..config };
        let segment = Self::SEGMENT.min(Self::BLOCKS_A_SEGMENT * config.block_size.bytes());
        let mut fetch = Self {
            options: send::options(resource),
            prefix: rng.next_u32().to_be_bytes(),
            resume: resume.map(|resume| Etag::new(resume.etag)),
            head: None,
            body: Body::new(resume.map_or(0, |resume| resume.offset), config.buffer),
            size: config.block_size,
            halt: None,
            pace: Pace::Single(if config.window { 1 } else { u32::MAX }),
            dialect: Dialect::Block2,
            questions: if config.q_block2 { Self::QUESTIONS } else { 0 },
            unheard: 0,
            echo: Vec::new(),
            flights: Flights::default(),
            confirmable: None,
            silences: 0,
            probe: false,
            rtt: Rtt::default(),
            cubic: Cubic::new(segment),
            pacer: Pacer::new(now),
            outbox: Outbox::default(),
            quiet_until: None,
            progress: now,
            restarts: 0,
            notices: VecDeque::new(),
            state: State::Running,
            counters: Counters::default(),
            config,
            rng,
        };
        fetch.check_length();
        fetch.set_rate(now);
        fetch
    }

    /// The next event, until there is none.
    pub fn poll_event(&mut self) -> Option<Event<'_>> {
        if let Some(notice) = self.notices.pop_front() {
            return Some(notice);
        }
        if self.body.has_data() {
            return self.body.hand_out().map(|(offset, bytes)| Event::Data { offset, bytes });
        }
        match self.state {
            State::Failing(failure) => {
                self.state = State::Over;
                Some(Event::Failed(failure))
            }
            State::Running if self.body.is_handed_out() => {
                self.state = State::Over;
                Some(Event::Finished)
            }
            _ => None,
        }
    }

    /// So many more bytes of those that were handed out may be forgotten. While too many are not, no more are asked for.
    pub fn consumed(&mut self, now: Duration, bytes: usize) {
        self.body.consume(bytes as u64);
        if self.flights.out() == 0 && self.quiet_until.is_none() {
            // It may have waited for this, and not for the other end.
            self.progress = self.progress.max(now);
        }
    }

    /// The datagrams go another way from now on: what is under way counts as gone, and what was known of the old path is forgotten
    /// (RFC 9000 section 9.4).
    pub fn path_changed(&mut self, now: Duration) {
        for request in self.flights.lose_all() {
            self.body.want(request.block());
        }
        self.confirmable = None;
        if self.pace == Pace::Window {
            self.pace = Pace::Single(1);
        }
        self.forget_q_block2();
        self.rtt = Rtt::default();
        self.cubic = Cubic::new(self.segment());
        (self.silences, self.probe, self.progress) = (0, false, now);
        self.set_rate(now);
    }

    /// What has happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// The congestion window in bytes.
    #[must_use]
    pub fn window(&self) -> usize {
        self.cubic.window()
    }

    /// The smoothed round-trip time, once there is one.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        (!self.rtt.is_unknown()).then(|| self.rtt.smoothed())
    }

    /// How many bytes are held: at most [`Config::buffer`] and some 300 KiB.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.body.memory() + self.flights.memory() + self.outbox.memory()
    }

    fn segment(&self) -> usize {
        Self::SEGMENT.min(Self::BLOCKS_A_SEGMENT * self.size.bytes())
    }

    fn token(&self, number: u32) -> Token {
        let ([a, b, c, d], [_, x, y, z]) = (self.prefix, number.to_be_bytes());
        Token::new(&[a, b, c, d, x, y, z]).unwrap_or_default()
    }

    /// The number of the request with this token, if it is one of this fetch.
    fn number(&self, token: &Token) -> Option<u32> {
        let &[a, b, c, d, x, y, z] = token.as_bytes() else { return None };
        ([a, b, c, d] == self.prefix).then(|| u32::from_be_bytes([0, x, y, z]))
    }

    fn check_length(&mut self) {
        if self.body.is_too_long(self.size) {
            self.fail(Failure::TooLong);
        }
    }

    fn fail(&mut self, failure: Failure) {
        if self.state == State::Running {
            self.state = State::Failing(failure);
        }
    }

    /// Goes on with one request at a time: for a while the first time, then for good.
    fn fall_back(&mut self) {
        const TRIAL: u32 = 64;
        if self.pace == Pace::Window {
            self.counters.fallbacks += 1;
        }
        let left = if self.counters.fallbacks > 1 { u32::MAX } else { TRIAL };
        self.pace = match self.pace {
            Pace::Single(before) => Pace::Single(before.max(left)),
            Pace::Window => Pace::Single(left),
        };
        self.probe = false;
    }

    /// Begins anew with the first byte.
    fn restart(&mut self, now: Duration, why: Restart) {
        self.restarts += 1;
        if self.restarts > Self::RESTARTS {
            self.fail(Failure::Unstable);
            return;
        }
        if self.pace == Pace::Window {
            self.pace = Pace::Single(1);
        }
        self.body = Body::new(0, self.config.buffer);
        self.flights.clear();
        self.forget_question();
        (self.resume, self.head, self.halt, self.confirmable) = (None, None, None, None);
        (self.silences, self.probe, self.progress) = (0, false, now);
        self.notices.clear();
        self.notices.push_back(Event::Restarted(why));
    }
}
