//! Whatever a server does: a pull that is done has brought the file as it was at one time, or it has failed. What nobody can find out is
//! left out: another file with the same ETag, or a Content-Length that is too small.

use std::io::{self, Write};
use std::sync::Mutex;
use std::time::Duration;

use lapwing::transfer::Puller;

use super::common::http_server::{Request, Server};
use super::common::{Dice, all, body, config};

struct Liar {
    dice: Dice,
    version: u32,
}

impl Liar {
    const LENGTH: usize = 150_000;

    fn answer(&mut self, request: &Request, out: &mut dyn Write) -> io::Result<()> {
        if self.dice.below(6) == 0 {
            self.version += 1;
        }
        let whole = body(Self::LENGTH, self.version);
        let total = whole.len();
        let etag = match self.dice.below(8) {
            0 => String::new(),
            1 => format!("ETag: W/\"{}\"\r\n", self.version),
            _ => format!("ETag: \"{}\"\r\n", self.version),
        };
        let lie = self.dice.below(14);
        match lie {
            0 => return write!(out, "HTTP/1.1 416 No\r\nContent-Range: bytes */{total}\r\nContent-Length: 0\r\n\r\n"),
            1 => return write!(out, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"),
            2 => return out.write_all(b"HTTP/1.1 200"),
            3 => return Ok(()),
            _ => {}
        }
        // It may look at If-Range or not.
        let same = request.header("if-range").is_some_and(|etag| etag == format!("\"{}\"", self.version));
        let first = request.first().filter(|first| *first < total && (same || lie == 4 || lie > 10));
        let cut = self.dice.below(2 * total as u64) as usize;
        let more = if lie == 5 { 10 } else { 0 };
        match first {
            Some(first) if lie != 6 => {
                let shift = if lie == 7 { 1 } else { 0 };
                let (from, last) = (first + shift, total - 1);
                write!(out, "HTTP/1.1 206 Part\r\n{etag}Content-Range: bytes {from}-{last}/{total}\r\n")?;
                write!(out, "Content-Length: {}\r\n\r\n", total - first + more)?;
                out.write_all(&whole[first..][..cut.min(total - first)])
            }
            // Without a length the end of the connection is the end of the body.
            _ if lie == 8 => {
                write!(out, "HTTP/1.1 200 OK\r\n{etag}\r\n")?;
                out.write_all(&whole[..cut.min(total)])
            }
            _ if lie == 9 => {
                write!(out, "HTTP/1.1 200 OK\r\n{etag}Transfer-Encoding: chunked\r\n\r\n")?;
                for chunk in whole[..cut.min(total)].chunks(7000) {
                    write!(out, "{:x}\r\n", chunk.len())?;
                    out.write_all(chunk)?;
                    out.write_all(b"\r\n")?;
                }
                if cut >= total { out.write_all(b"0\r\n\r\n") } else { Ok(()) }
            }
            _ => {
                write!(out, "HTTP/1.1 200 OK\r\n{etag}Content-Length: {}\r\n\r\n", total + more)?;
                out.write_all(&whole[..cut.min(total)])
            }
        }
    }
}

#[tokio::test]
async fn a_pull_brings_the_file_or_fails() {
    let (mut done, mut failed) = (0, 0);
    for seed in 1..=60 {
        let liar = Mutex::new(Liar { dice: Dice(seed), version: 0 });
        let server = Server::start(move |request, out| liar.lock().unwrap().answer(request, out));
        let mut config = config();
        config.give_up = Duration::from_secs(2);
        let (got, result) = all(Puller::new(config).pull(server.uri("/image").parse().unwrap(), None, None)).await;
        match result {
            Ok(()) => {
                done += 1;
                let is_one = (0..200).any(|version| got.body == body(Liar::LENGTH, version));
                assert!(is_one, "seed {seed}: {} bytes that no file ever had", got.body.len());
            }
            Err(_) => failed += 1,
        }
    }
    assert!(done > 10 && failed > 5, "{done} done, {failed} failed: that shows little");
}
