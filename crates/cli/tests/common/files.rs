//! A file over HTTP, with an ETag and ranges (RFC 9110 sections 13.1.5 and 14).

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// So many bytes are sent at once while it is slow, and so long apart.
const PIECE: usize = 1024;
const PACE: Duration = Duration::from_millis(25);

/// The server, until the test ends.
pub(crate) struct HttpFile {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    content: Vec<u8>,
    slow: AtomicBool,
    /// The first byte that each request asked for.
    asked: Mutex<Vec<usize>>,
}

impl HttpFile {
    pub(crate) fn start(content: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared { content, slow: AtomicBool::new(false), asked: Mutex::default() });
        let server = Self { address, shared: Arc::clone(&shared) };
        thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&shared);
                // What becomes of it is seen at the client.
                thread::spawn(move || shared.serve(stream?));
            }
        });
        server
    }

    pub(crate) fn uri(&self) -> String {
        format!("http://{}/image", self.address)
    }

    pub(crate) fn slow(&self, slow: bool) {
        self.shared.slow.store(slow, Ordering::SeqCst);
    }

    pub(crate) fn asked(&self) -> Vec<usize> {
        self.shared.asked.lock().unwrap().clone()
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        let (mut range, mut unchanged) = (0, false);
        for line in BufReader::new(&stream).lines() {
            let line = line?.to_ascii_lowercase();
            if let Some(first) = line.strip_prefix("range: bytes=") {
                range = first.trim_end_matches('-').parse().unwrap_or(0);
            }
            unchanged |= line == "if-range: \"1\"";
            if line.is_empty() {
                break;
            }
        }
        let (first, total) = (if unchanged { range } else { 0 }, self.content.len());
        self.asked.lock().unwrap().push(first);
        let status = match first {
            0 => "200 OK".to_owned(),
            _ => format!("206 Part\r\nContent-Range: bytes {first}-{}/{total}", total - 1),
        };
        write!(stream, "HTTP/1.1 {status}\r\nETag: \"1\"\r\nContent-Length: {}\r\n\r\n", total - first)?;
        for piece in self.content[first..].chunks(PIECE) {
            stream.write_all(piece)?;
            if self.slow.load(Ordering::SeqCst) {
                thread::sleep(PACE);
            }
        }
        Ok(())
    }
}
