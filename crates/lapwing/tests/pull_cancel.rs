//! A pull that is dropped leaves nothing behind, and one of any length needs little memory. Alone in its process, since it counts what the process has.
#![cfg(feature = "http")]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use lapwing::transfer::{Proxy, PullConfig, Pulled, Puller};

fn files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// The threads of pulls, by their name.
fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.map(|task| fs::read_to_string(task.path().join("comm")).unwrap_or_default());
    names.filter(|name| name.trim() == "lapwing-http").count()
}

/// Memory in bytes.
fn resident() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

fn config() -> PullConfig {
    let mut config = PullConfig::default();
    config.proxy = Proxy::Direct;
    config.system_authorities = false;
    config
}

/// Answers after so long, with a file of this length, and goes silent after so much of it.
fn stalling(wait: Option<Duration>, length: u64, until: u64) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            if let Some(wait) = wait {
                thread::sleep(wait);
                let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
                let (mut given, chunk) = (0, vec![7; 1 << 16]);
                while given < until && stream.write_all(&chunk).is_ok() {
                    given += chunk.len() as u64;
                }
            }
            // Until the client goes away.
            let _ = stream.read(&mut [0; 16]);
        }
    });
    format!("http://{address}/")
}

#[tokio::test]
async fn leaves_nothing_behind_and_needs_little() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mute = stalling(None, 0, 0);
    let stops = stalling(Some(Duration::ZERO), 1 << 20, 1 << 18);
    let flows = stalling(Some(Duration::ZERO), 1 << 30, 1 << 30);
    let coap = format!("coap://{}/", silent.local_addr().unwrap());
    let puller = Puller::new(config());
    // What is made once, and stays.
    tokio::time::sleep(Duration::from_millis(10)).await;
    let before = files();
    for (uri, polled) in [(&mute, 200), (&stops, 200), (&flows, 20), (&coap, 100), (&mute, 0), (&flows, 0)] {
        let mut pull = puller.pull(uri.parse().unwrap(), None, None);
        let until = Instant::now() + Duration::from_millis(polled);
        while tokio::time::timeout_at(until.into(), pull.next()).await.is_ok() {}
        drop(pull);
        let deadline = Instant::now() + Duration::from_secs(3);
        while files() > before || threads() > 0 {
            assert!(Instant::now() < deadline, "{uri}: {} files, {} threads stay", files() - before, threads());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    let idle = resident();
    let uri = stalling(Some(Duration::ZERO), 300 << 20, 300 << 20);
    let mut pull = puller.pull(uri.parse().unwrap(), None, None);
    let (mut received, mut most) = (0, 0);
    loop {
        match pull.next().await {
            Pulled::Data(bytes) => received += bytes.len(),
            Pulled::Done => break,
            Pulled::Head(_) => {}
            other => panic!("{other:?}"),
        }
        most = most.max(resident());
    }
    assert_eq!(received, 300 << 20);
    assert!(most - idle < 4 << 20, "{} KiB more for 300 MiB", (most - idle) >> 10);
}
