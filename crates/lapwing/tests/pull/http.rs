//! HTTP: ranges (RFC 9110 sections 13.1.5 and 14), redirects, refusals, logins and slow servers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use lapwing::transfer::{Cause, Login, Part, Proxy, Puller, Restart};

use super::common::http_server::{File, Request, Server};
use super::common::{Got, all, body, config};

fn puller() -> Puller {
    Puller::new(config())
}

async fn pull(uri: &str) -> (Got, Result<(), Cause>) {
    all(puller().pull(uri.parse().unwrap(), None, None)).await
}

/// Gives the file, but cuts the connections off as the list says, one after the other.
fn cutting(file: &Arc<File>, cuts: Vec<usize>) -> Server {
    let (file, turn) = (Arc::clone(file), AtomicUsize::new(0));
    Server::start(move |request, out| file.give(request, out, cuts.get(turn.fetch_add(1, Ordering::SeqCst)).copied()))
}

#[tokio::test]
async fn brings_a_file_of_any_length() {
    for length in [0, 1, 65_535, 65_536, 65_537, 3_000_000] {
        let file = File::new(body(length, 1), None);
        let server = cutting(&file, vec![]);
        let (got, result) = pull(&server.uri("/image")).await;
        assert_eq!(result, Ok(()));
        assert_eq!(got.head.unwrap().size, Some(length as u64));
        assert!(got.body == file.body);
    }
}

#[tokio::test]
async fn goes_on_after_a_cut_at_any_point() {
    let file = File::new(body(300_000, 2), Some("\"two\""));
    let cuts = vec![0, 1, 2, 1_000, 0, 65_536, 65_537, 100_000, 1, 1, 40_000];
    let server = cutting(&file, cuts.clone());
    let (got, result) = pull(&server.uri("/image")).await;
    assert_eq!(result, Ok(()));
    assert!(got.body == file.body);
    assert_eq!((got.restarts, got.lost.len()), (vec![], cuts.len()));
    // One byte each time, to have the ETag compared even when nothing is missing.
    assert!(file.given() <= 300_000 + cuts.len(), "{} bytes were given", file.given());
    let last = server.requests.lock().unwrap().last().unwrap().clone();
    assert_eq!(last.header("if-range"), Some("\"two\""));
}

#[tokio::test]
async fn goes_on_with_a_part_after_a_restart() {
    let file = File::new(body(200_000, 3), Some("\"three\""));
    let server = cutting(&file, vec![]);
    let uri = server.uri("/image");
    let mut got = Got::default();
    got.pull(&mut puller().pull(uri.parse().unwrap(), None, None), 70_000).await.unwrap();
    let part = got.part();
    // The whole file may be there already, but for the last word.
    for length in [got.body.len(), 200_000] {
        let before = file.given();
        got.body = file.body[..length].to_vec();
        let mut part = part.clone();
        part.offset = length as u64;
        let mut again = puller().pull(uri.parse().unwrap(), None, Some(part));
        got.pull(&mut again, usize::MAX).await.unwrap();
        assert!(got.body == file.body);
        assert_eq!(file.given() - before, 200_000 - length + 1);
    }
    assert_eq!(got.restarts, []);
}

#[tokio::test]
async fn starts_over_when_the_part_may_be_another_files() {
    let file = |etag| File::new(body(100_000, 4), etag);
    let whole = |etag: &'static str| {
        let file = file(Some(etag));
        Server::start(move |_, out| file.give(&Request::default(), out, None))
    };
    let refusing = {
        let file = file(Some("\"four\""));
        Server::start(move |request, out| match request.first() {
            Some(_) => write!(out, "HTTP/1.1 416 No\r\nContent-Length: 0\r\n\r\n"),
            None => file.give(request, out, None),
        })
    };
    // It ignores If-Range, and the file has changed.
    let careless = {
        let file = file(Some("\"five\""));
        Server::start(move |request, out| {
            let mut request = request.clone();
            request.headers.retain(|header| header.0 != "if-range");
            file.give(&request, out, None)
        })
    };
    for (server, why) in [
        (cutting(&file(None), vec![]), Restart::NoEtag),
        (cutting(&file(Some("W/\"four\"")), vec![]), Restart::NoEtag),
        (cutting(&file(Some("\"five\"")), vec![]), Restart::Changed),
        (whole("\"four\""), Restart::NotResumable),
        (refusing, Restart::Changed),
        (careless, Restart::Changed),
    ] {
        let mut got = Got { body: vec![7; 5000], ..Got::default() };
        let mut part = Part::default();
        (part.offset, part.etag) = (5000, Some(b"\"four\"".to_vec()));
        let mut pull = puller().pull(server.uri("/image").parse().unwrap(), None, Some(part));
        got.pull(&mut pull, usize::MAX).await.unwrap();
        assert!(got.body == body(100_000, 4), "{why:?}");
        assert_eq!(got.restarts, [why]);
    }
}

#[tokio::test]
async fn a_part_without_an_etag_is_of_no_use() {
    let file = File::new(body(10_000, 5), Some("\"five\""));
    let server = cutting(&file, vec![]);
    let mut part = Part::default();
    part.offset = 5000;
    let mut got = Got { body: vec![7; 5000], ..Got::default() };
    got.pull(&mut puller().pull(server.uri("/a").parse().unwrap(), None, Some(part)), usize::MAX).await.unwrap();
    assert!(got.body == file.body);
    assert_eq!(got.restarts, [Restart::NoEtag]);
    // So is what came before a cut.
    let file = File::new(body(10_000, 5), None);
    let (got, result) = pull(&cutting(&file, vec![4000]).uri("/a")).await;
    assert_eq!((result, got.restarts), (Ok(()), vec![Restart::NoEtag]));
    assert!(got.body == file.body);
}

#[tokio::test]
async fn refusals_are_told_apart() {
    for (status, result) in [(404, 7), (410, 7), (401, 4), (403, 4), (500, 4)] {
        let server = Server::start(move |_, out| write!(out, "HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n"));
        let cause = pull(&server.uri("/image")).await.1.unwrap_err();
        assert_eq!((cause.firmware_result(), server.asked()), (result, 1), "{cause}");
    }
    let cause = pull("http://no-such-host.invalid/image").await.1.unwrap_err();
    assert_eq!(cause.firmware_result(), if matches!(cause, Cause::Unresolvable(_)) { 7 } else { 4 }, "{cause}");
}

#[tokio::test]
async fn a_busy_server_is_asked_again() {
    let file = File::new(body(1000, 6), None);
    let turn = AtomicUsize::new(0);
    let server = Server::start(move |request, out| match turn.fetch_add(1, Ordering::SeqCst) {
        0..3 => write!(out, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"),
        _ => file.give(request, out, None),
    });
    let (got, result) = pull(&server.uri("/image")).await;
    assert_eq!((result, got.body.len(), got.lost.len()), (Ok(()), 1000, 3));
}

#[tokio::test]
async fn follows_redirects_and_no_loop_of_them() {
    let file = File::new(body(1000, 7), None);
    let server = Server::start(move |request, out| match request.path() {
        "/image" => file.give(request, out, None),
        "/loop" => write!(out, "HTTP/1.1 302 Away\r\nLocation: /loop\r\nContent-Length: 0\r\n\r\n"),
        "/file" => write!(out, "HTTP/1.1 302 Away\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"),
        _ => write!(out, "HTTP/1.1 307 Away\r\nLocation: /image\r\nContent-Length: 0\r\n\r\n"),
    });
    assert_eq!(pull(&server.uri("/moved")).await.0.body.len(), 1000);
    let cause = pull(&server.uri("/loop")).await.1.unwrap_err();
    assert!(matches!(cause, Cause::Refused(_)), "{cause}");
    assert!(server.asked() < 16);
    assert!(pull(&server.uri("/file")).await.1.is_err());
}

#[tokio::test]
async fn the_login_goes_to_the_server_and_not_to_where_it_sends() {
    let other = Server::start(|_, out| write!(out, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"));
    let away = other.uri("/");
    let server = Server::start(move |request, out| match request.header("authorization") {
        Some("Basic bWU6cEBzcw==") => {
            write!(out, "HTTP/1.1 302 Away\r\nLocation: {away}\r\nContent-Length: 0\r\n\r\n")
        }
        _ => write!(out, "HTTP/1.1 401 Who\r\nContent-Length: 0\r\n\r\n"),
    });
    let in_uri = server.uri("/image").replace("://", "://me:p%40ss@");
    assert!(matches!(pull(&in_uri).await.1, Err(Cause::NotFound(_))));
    let uri = server.uri("/image").parse().unwrap();
    let given = all(puller().pull(uri, Some(Login::new("me", "p@ss")), None)).await;
    assert!(matches!(given.1, Err(Cause::NotFound(_))));
    assert!(other.requests.lock().unwrap().iter().all(|request| request.header("authorization").is_none()));
    assert!(matches!(pull(&server.uri("/image")).await.1, Err(Cause::Refused(_))));
}

#[tokio::test]
async fn slow_and_silent_servers_are_given_up() {
    let mut config = config();
    config.give_up = Duration::from_millis(1500);
    config.read_timeout = Duration::from_millis(300);
    let puller = Puller::new(config);
    // A byte of the head now and then, and never the last.
    let dripping = Server::start(|_, out| {
        write!(out, "HTTP/1.1 200 OK\r\nX-Slow: ")?;
        loop {
            out.write_all(b"a")?;
            out.flush()?;
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let silent = Server::start(|_, _| {
        loop {
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    let endless = Server::start(|_, out| {
        write!(out, "HTTP/1.1 200 OK\r\nX-Long: ")?;
        loop {
            out.write_all(&[b'a'; 4096])?;
        }
    });
    for server in [dripping, silent] {
        let began = Instant::now();
        let cause = all(puller.pull(server.uri("/").parse().unwrap(), None, None)).await.1.unwrap_err();
        assert!(matches!(&cause, Cause::GaveUp { last: Some(_), .. }), "{cause}");
        assert!((1500..4000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    }
    let cause = all(puller.pull(endless.uri("/").parse().unwrap(), None, None)).await.1.unwrap_err();
    assert!(matches!(cause, Cause::Protocol(_)), "{cause}");
}

#[tokio::test]
async fn keeps_to_its_bandwidth() {
    let file = File::new(body(200_000, 8), None);
    let server = cutting(&file, vec![]);
    let mut config = config();
    config.max_rate = Some(200_000);
    let began = Instant::now();
    let (got, result) = all(Puller::new(config).pull(server.uri("/").parse().unwrap(), None, None)).await;
    assert_eq!(result, Ok(()));
    assert!(got.body == file.body);
    assert!((600..3000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
}

#[tokio::test]
async fn goes_through_a_proxy() {
    let asked = Server::start(|_, out| write!(out, "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"));
    let mut config = config();
    config.proxy = Proxy::At(format!("http://{}", asked.address));
    config.give_up = Duration::from_millis(200);
    let cause = all(Puller::new(config).pull("http://files.invalid/image".parse().unwrap(), None, None)).await.1;
    assert!(matches!(cause, Err(Cause::GaveUp { last: Some(_), .. })), "{cause:?}");
    let request = asked.requests.lock().unwrap()[0].clone();
    assert_eq!(request.line, "CONNECT files.invalid:80 HTTP/1.1");
}

#[tokio::test]
async fn a_change_of_the_network_is_not_waited_out() {
    let file = File::new(body(50_000, 9), Some("\"nine\""));
    let turn = AtomicUsize::new(0);
    let given = Arc::clone(&file);
    let server = Server::start(move |request, out| match turn.fetch_add(1, Ordering::SeqCst) {
        0 => {
            given.give(request, out, Some(20_000))?;
            out.flush()?;
            std::thread::sleep(Duration::from_secs(100));
            Ok(())
        }
        _ => given.give(request, out, None),
    });
    let mut config = config();
    config.read_timeout = Duration::from_secs(100);
    let puller = Puller::new(config);
    let mut pull = puller.pull(server.uri("/").parse().unwrap(), None, None);
    let mut got = Got::default();
    got.pull(&mut pull, 20_000).await.unwrap();
    let began = Instant::now();
    let change = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        puller.network_changed();
    };
    tokio::join!(got.pull(&mut pull, usize::MAX), change).0.unwrap();
    assert!(began.elapsed() < Duration::from_secs(4));
    assert!(got.body == file.body);
    assert_eq!((got.restarts, file.given()), (vec![], 50_001));
}
