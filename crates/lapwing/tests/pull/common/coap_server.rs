use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use lapwing_coap::wire::option;
use lapwing_coap::{Block, BlockSize, Code, Message, MessageType, Writer};
use lapwing_dtls::{Server as Dtls, ServerConfig, server::Event};

/// A file, as a server without state gives it.
pub(crate) struct File {
    pub(crate) body: Vec<u8>,
    pub(crate) etag: Vec<u8>,
    /// Bytes of body that went out.
    pub(crate) given: AtomicU64,
    /// What happens instead of the next answers: how many are right, and then what.
    pub(crate) trouble: Mutex<Vec<(usize, Trouble)>>,
    pub(crate) answers: AtomicU64,
    pub(crate) from: Mutex<Vec<SocketAddr>>,
    pub(crate) uris: Mutex<Vec<String>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The rest is answered with this code.
    Refuse(Code),
    /// One answer is a reset.
    Reset,
    /// Nothing more is answered.
    Silence,
}

impl File {
    pub(crate) fn new(body: Vec<u8>, etag: &[u8], trouble: Vec<(usize, Trouble)>) -> Arc<Self> {
        Arc::new(Self {
            body,
            etag: etag.to_vec(),
            given: AtomicU64::new(0),
            trouble: Mutex::new(trouble),
            answers: AtomicU64::new(0),
            from: Mutex::default(),
            uris: Mutex::default(),
        })
    }

    pub(crate) fn given(&self) -> usize {
        self.given.load(Ordering::SeqCst) as usize
    }

    /// The answer to a request, if there is one.
    fn answer(&self, from: SocketAddr, datagram: &[u8]) -> Option<Vec<u8>> {
        let request = Message::parse(datagram).ok().filter(|request| request.code == Code::GET)?;
        let mut bytes = Vec::new();
        self.note(from, &request);
        let answers = self.answers.fetch_add(1, Ordering::SeqCst) as usize;
        let kind = if request.kind == MessageType::Con { MessageType::Ack } else { MessageType::Non };
        let mut trouble = self.trouble.lock().unwrap();
        match trouble.first().copied().filter(|(after, _)| answers >= *after) {
            Some((_, Trouble::Silence)) => return None,
            Some((_, Trouble::Refuse(code))) => {
                Writer::new(&mut bytes, kind, code, request.id, request.token).finish();
                return Some(bytes);
            }
            Some((_, Trouble::Reset)) => {
                trouble.remove(0);
                Writer::empty(&mut bytes, MessageType::Rst, request.id);
                return Some(bytes);
            }
            None => {}
        }
        let first = Block { number: 0, more: false, size: BlockSize::B1024 };
        let asked = request.options.block2().ok()?.unwrap_or(first);
        let start = asked.offset() as usize;
        let end = (start + asked.size.bytes()).min(self.body.len());
        if start > 0 && start >= self.body.len() {
            Writer::new(&mut bytes, kind, Code::BAD_REQUEST, request.id, request.token).finish();
            return Some(bytes);
        }
        self.given.fetch_add((end - start) as u64, Ordering::SeqCst);
        let mut writer = Writer::new(&mut bytes, kind, Code::CONTENT, request.id, request.token);
        if !self.etag.is_empty() {
            writer.option_bytes(option::ETAG, &self.etag);
        }
        writer.option_block(option::BLOCK2, Block { more: end < self.body.len(), ..asked });
        if request.options.size2().is_some() {
            writer.option_uint(option::SIZE2, self.body.len() as u32);
        }
        writer.payload(&self.body[start..end]).finish();
        Some(bytes)
    }

    fn note(&self, from: SocketAddr, request: &Message<'_>) {
        let mut seen = self.from.lock().unwrap();
        if seen.last() != Some(&from) {
            seen.push(from);
        }
        let path: Vec<&str> = request.options.uri_path().collect();
        let query: Vec<&str> = request.options.uri_query().collect();
        let uri = format!("{}?{}", path.join("|"), query.join("|"));
        let mut uris = self.uris.lock().unwrap();
        if uris.last() != Some(&uri) {
            uris.push(uri);
        }
    }
}

/// Serves a file until the test ends.
pub(crate) fn serve(file: &Arc<File>) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    serve_at(file, socket);
    address
}

pub(crate) fn serve_at(file: &Arc<File>, socket: UdpSocket) {
    let file = Arc::clone(file);
    thread::spawn(move || {
        let mut buffer = vec![0; 2048];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            if let Some(answer) = file.answer(from, &buffer[..length]) {
                let _ = socket.send_to(&answer, from);
            }
        }
    });
}

/// Serves a file over DTLS, as `prepare` sets the server up.
pub(crate) fn serve_secure(file: &Arc<File>, config: ServerConfig, prepare: impl FnOnce(&mut Dtls)) -> SocketAddr {
    let file = Arc::clone(file);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let address = socket.local_addr().unwrap();
    let mut server = Dtls::new(Arc::new(config), [9; 32]);
    let unix = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    server.set_time(Some(unix));
    prepare(&mut server);
    thread::spawn(move || {
        let start = Instant::now();
        let (mut buffer, mut out) = (vec![0; 2048], Vec::new());
        loop {
            let received = socket.recv_from(&mut buffer);
            server.handle_timeout(start.elapsed());
            let mut answers = Vec::new();
            if let Ok((length, from)) = received {
                server.handle_datagram(start.elapsed(), from, &buffer[..length]);
                while let Some(event) = server.poll_event() {
                    if let Event::Data { association, data, .. } = event {
                        answers.extend(file.answer(from, data).map(|answer| (association, answer)));
                    }
                }
            }
            for (association, answer) in answers {
                server.send(association, &answer).unwrap();
            }
            while let Some((to, range)) = server.poll_transmit(&mut out) {
                let _ = socket.send_to(&out[range], to);
            }
            out.clear();
        }
    });
    address
}
