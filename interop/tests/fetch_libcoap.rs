//! Our windowed download (`coap::fetch`) from libcoap's server, over a real socket.

use std::io;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use bed::PATIENCE;
use bed::files::Libcoap;
use lapwing_coap::fetch::{Config, Counters, Event, Failure, Fetch, MessageIds, Resource, Restart, Resume};

const LENGTH: usize = 3_000_001;

fn body() -> Vec<u8> {
    (0..LENGTH).map(|place| (place ^ place >> 8 ^ place >> 16) as u8).collect()
}

/// A socket that speaks to this server alone.
fn connected(server: &Libcoap) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(server.address).expect("connected");
    socket
}

/// What has come of a fetch.
#[derive(Default)]
struct Fetched {
    body: Vec<u8>,
    etag: Vec<u8>,
    restarted: Option<Restart>,
    failed: Option<Failure>,
    finished: bool,
    counters: Counters,
}

/// Fetches until the end, or until so many bytes are there.
fn fetch(socket: &UdpSocket, ids: &mut MessageIds, resume: Option<Resume<'_>>, enough: usize) -> Fetched {
    let (start, mut buffer, mut incoming) = (Instant::now(), Vec::new(), [0; 2048]);
    let resource = Resource { path: &["firmware"], ..Resource::default() };
    let mut fetch = Fetch::new(Duration::ZERO, Config::default(), &resource, resume, [3; 32]);
    let mut fetched = Fetched::default();
    while start.elapsed() < PATIENCE {
        let now = start.elapsed();
        while let Some(event) = fetch.poll_event() {
            match event {
                Event::Head(head) => fetched.etag = head.etag().unwrap_or_default().to_vec(),
                Event::Data { bytes, .. } => {
                    fetched.body.extend_from_slice(bytes);
                    let length = bytes.len();
                    fetch.consumed(now, length);
                }
                Event::Restarted(why) => (fetched.restarted, fetched.body) = (Some(why), Vec::new()),
                Event::Failed(why) => fetched.failed = Some(why),
                other => fetched.finished = other == Event::Finished,
            }
        }
        fetched.counters = fetch.counters();
        if fetched.finished || fetched.failed.is_some() || fetched.body.len() >= enough {
            break;
        }
        while let Some(range) = fetch.poll_transmit(now, || ids.next(|_| false), &mut buffer) {
            socket.send(&buffer[range]).expect("sent");
            buffer.clear();
        }
        let wait = fetch.poll_timeout().map_or(PATIENCE, |(at, _)| at.saturating_sub(start.elapsed()));
        socket.set_read_timeout(Some(wait.max(Duration::from_micros(100)))).expect("a time-out");
        match socket.recv(&mut incoming) {
            Ok(length) => assert!(fetch.handle_datagram(start.elapsed(), &incoming[..length]) || resume.is_some()),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) => panic!("{error}"),
        }
        fetch.handle_timeout(start.elapsed());
    }
    fetched
}

#[test]
fn a_whole_body_comes_through_the_window() {
    let server = Libcoap::start(&body());
    let fetched = fetch(&connected(&server), &mut MessageIds::new(1), None, usize::MAX);
    assert!(fetched.finished, "{:?} after {} bytes", fetched.failed, fetched.body.len());
    assert!(fetched.body == body());
    assert_eq!((fetched.restarted, fetched.counters.fallbacks), (None, 0));
}

/// libcoap goes on at any block, for the port that it gave the first block to. To another one it gives the blocks of its example
/// server without an ETag, or with a new one: the body may be another, so that the fetch starts over.
#[test]
fn an_interrupted_body_goes_on_from_the_same_port_and_starts_over_from_another() {
    let server = Libcoap::start(&body());
    let (socket, mut ids) = (connected(&server), MessageIds::new(1));
    let first = fetch(&socket, &mut ids, None, LENGTH / 2);
    let offset = first.body.len();
    assert!(!first.finished && !first.etag.is_empty());
    let resume = Resume { offset: offset as u64, etag: &first.etag };

    let rest = fetch(&socket, &mut ids, Some(resume), usize::MAX);
    assert!(rest.finished, "{:?} after {} bytes", rest.failed, rest.body.len());
    assert_eq!(rest.restarted, None);
    assert!(rest.body == body()[offset..]);
    assert!(rest.counters.received < (LENGTH - offset + 64 * 1024) as u64, "only what is missing: {:?}", rest.counters);

    let whole = fetch(&connected(&server), &mut ids, Some(resume), usize::MAX);
    assert!(matches!(whole.restarted, Some(Restart::NoEtag | Restart::Changed)), "{:?}", whole.restarted);
    assert!(whole.finished, "{:?} after {} bytes", whole.failed, whole.body.len());
    assert!(whole.body == body());
}
