use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// What a client asks for.
#[derive(Debug, Default, Clone)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0 == name).map(|header| header.1.as_str())
    }

    pub(crate) fn path(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }

    /// The first byte that is asked for.
    pub(crate) fn first(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }

    fn read(stream: impl Read) -> io::Result<Self> {
        let mut request = Self::default();
        for line in BufReader::new(stream).lines() {
            let line = line?;
            if request.line.is_empty() {
                request.line = line;
            } else if let Some((name, value)) = line.split_once(':') {
                request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
            } else {
                return Ok(request);
            }
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// What is done with each request: the connection is closed afterwards.
type Handler = dyn Fn(&Request, &mut dyn Write) -> io::Result<()> + Send + Sync;

/// A server on the loopback, until the test ends.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(crate) fn start(handler: impl Fn(&Request, &mut dyn Write) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::with_tls(None, handler)
    }

    pub(crate) fn with_tls(
        tls: Option<Arc<rustls::ServerConfig>>,
        handler: impl Fn(&Request, &mut dyn Write) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self { address: listener.local_addr().unwrap(), requests: Arc::default() };
        let (requests, handler): (_, Arc<Handler>) = (Arc::clone(&server.requests), Arc::new(handler));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (tls, requests, handler) = (tls.clone(), Arc::clone(&requests), Arc::clone(&handler));
                thread::spawn(move || {
                    // What becomes of it is seen at the client.
                    let _ = serve(stream?, tls, &requests, &*handler);
                    io::Result::Ok(())
                });
            }
        });
        server
    }

    pub(crate) fn uri(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn asked(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

fn serve(
    stream: TcpStream,
    tls: Option<Arc<rustls::ServerConfig>>,
    requests: &Mutex<Vec<Request>>,
    handler: &Handler,
) -> io::Result<()> {
    if let Some(tls) = tls {
        let connection = rustls::ServerConnection::new(tls).map_err(io::Error::other)?;
        let mut stream = rustls::StreamOwned::new(connection, stream);
        let request = Request::read(&mut stream)?;
        requests.lock().unwrap().push(request.clone());
        handler(&request, &mut stream)?;
        stream.conn.send_close_notify();
        return stream.flush();
    }
    let request = Request::read(&stream)?;
    requests.lock().unwrap().push(request.clone());
    let handled = handler(&request, &mut &stream);
    // What was written arrives, and then the end.
    stream.shutdown(Shutdown::Write)?;
    io::copy(&mut &stream, &mut io::sink())?;
    handled
}

/// A file as good servers give it, cut off after so many bytes of body if need be.
pub(crate) struct File {
    pub(crate) body: Vec<u8>,
    pub(crate) etag: Option<String>,
    pub(crate) given: AtomicU64,
}

impl File {
    pub(crate) fn new(body: Vec<u8>, etag: Option<&str>) -> Arc<Self> {
        Arc::new(Self { body, etag: etag.map(str::to_owned), given: AtomicU64::new(0) })
    }

    pub(crate) fn give(&self, request: &Request, out: &mut dyn Write, cut: Option<usize>) -> io::Result<()> {
        let strong = self.etag.as_deref().filter(|etag| etag.starts_with('"'));
        let unchanged = request.header("if-range").is_none_or(|etag| Some(etag) == strong);
        let total = self.body.len();
        let first = request.first().filter(|_| unchanged);
        let etag = self.etag.as_ref().map(|etag| format!("ETag: {etag}\r\n")).unwrap_or_default();
        let part = match first {
            Some(first) if first >= total => {
                return write!(out, "HTTP/1.1 416 No\r\nContent-Range: bytes */{total}\r\nContent-Length: 0\r\n\r\n");
            }
            Some(first) => {
                let last = total - 1;
                write!(out, "HTTP/1.1 206 Part\r\n{etag}Content-Range: bytes {first}-{last}/{total}\r\n")?;
                &self.body[first..]
            }
            None => {
                write!(out, "HTTP/1.1 200 OK\r\n{etag}")?;
                &self.body[..]
            }
        };
        write!(out, "Content-Length: {}\r\n\r\n", part.len())?;
        let part = &part[..cut.unwrap_or(usize::MAX).min(part.len())];
        self.given.fetch_add(part.len() as u64, Ordering::SeqCst);
        out.write_all(part)
    }

    pub(crate) fn given(&self) -> usize {
        self.given.load(Ordering::SeqCst) as usize
    }
}
