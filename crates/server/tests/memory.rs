//! A file is nowhere held in memory: not while it is uploaded, fetched or pushed. By itself in a process, whose memory is looked at.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use lapwing_coap::{
    Block, ContentFormat,
    wire::{Code, Message, MessageType, Token, Writer, option},
};
use lapwing_server::Server;

/// Many times what may be held.
const SIZE: usize = 32 << 20;
const HELD: u64 = 8 << 20;
const PATIENCE: Duration = Duration::from_secs(300);

/// The most that this process had in memory so far, in bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("this is Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it tells");
    1024 * line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number")
}

/// What stands at an offset.
fn byte(at: usize) -> u8 {
    (at % 251) as u8
}

/// Sends a request whose body is given chunk by chunk, and looks at the body of the answer as it comes; gives the head.
fn http(address: SocketAddr, head: &str, body: usize, mut look: impl FnMut(usize, &[u8])) -> String {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    write!(stream, "{head} HTTP/1.0\r\nContent-Length: {body}\r\n\r\n").expect("it listens");
    let mut chunk = vec![0; 1 << 16];
    for begin in (0..body).step_by(chunk.len()) {
        let length = chunk.len().min(body - begin);
        chunk[..length].iter_mut().enumerate().for_each(|(at, place)| *place = byte(begin + at));
        stream.write_all(&chunk[..length]).expect("it takes the body");
    }
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut one = [0];
        stream.read_exact(&mut one).expect("a head");
        head.push(one[0]);
    }
    let mut come = 0;
    loop {
        let length = stream.read(&mut chunk).expect("the rest");
        if length == 0 {
            return String::from_utf8(head).expect("text");
        }
        look(come, &chunk[..length]);
        come += length;
    }
}

/// A client that takes whatever is written to it, and counts.
fn device(server: SocketAddr) -> thread::JoinHandle<usize> {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.connect(server).expect("an address");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut register = Vec::new();
    let mut writer = Writer::new(&mut register, MessageType::Con, Code::POST, 1, Token::new(b"r").expect("a token"));
    writer.option_str(option::URI_PATH, "rd");
    writer.option_uint(option::CONTENT_FORMAT, u32::from(ContentFormat::LINK_FORMAT.0));
    writer.option_str(option::URI_QUERY, "ep=gw").option_str(option::URI_QUERY, "lwm2m=1.1");
    writer.payload(b"</5/0>").finish();
    socket.send(&register).expect("it leaves");
    thread::spawn(move || {
        let (mut datagram, mut taken) = (vec![0; 2048], 0);
        loop {
            let length = socket.recv(&mut datagram).expect("a block in time");
            let message = Message::parse(&datagram[..length]).expect("a message");
            if !message.code.is_request() {
                continue;
            }
            let block = message.options.block1().expect("an option").expect("a block");
            if block.offset() == taken as u64 {
                assert!(message.payload.iter().enumerate().all(|(at, got)| *got == byte(taken + at)), "at {taken}");
                taken += message.payload.len();
            }
            let code = if block.more { Code::CONTINUE } else { Code::CHANGED };
            let mut answer = Vec::new();
            let mut writer = Writer::new(&mut answer, MessageType::Ack, code, message.id, message.token);
            writer.option_block(option::BLOCK1, Block { ..block }).finish();
            socket.send(&answer).expect("it leaves");
            if !block.more {
                return taken;
            }
        }
    })
}

#[test]
fn a_file_is_uploaded_fetched_and_pushed_without_being_held() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let given = folder.path().to_owned();
    let (tell, told) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let free = SocketAddr::from(([127, 0, 0, 1], 0));
            let server = Server::builder().coap(free).http(free).files(given).expect("a folder");
            let server = server.bind().await.expect("free ports");
            tell.send((server.coap_address(), server.http_address())).expect("the test waits");
            server.run(std::future::pending()).await
        })
    });
    let (coap, http_at) = told.recv().expect("it is bound");
    http(http_at, "GET /api/files", 0, |_, _| ());
    let before = peak();
    let held = |what| {
        let grown = peak() - before;
        println!("{what}: {} KiB more than before", grown >> 10);
        assert!(grown < HELD, "{what}: {grown} bytes are held");
    };

    assert!(http(http_at, "PUT /api/files/f", SIZE, |_, _| ()).contains(" 201 "));
    held("uploaded");
    let mut come = 0;
    let head = http(http_at, "GET /files/f", 0, |offset, bytes| {
        assert!(bytes.iter().enumerate().all(|(at, got)| *got == byte(offset + at)), "at {offset}");
        come = offset + bytes.len();
    });
    assert_eq!((head.contains(" 200 "), come), (true, SIZE));
    held("fetched");

    let device = device(coap);
    let deadline = Instant::now() + PATIENCE;
    // The body itself is pushed: so it passes through a file, too.
    while !http(http_at, "GET /api/clients/gw", 0, |_, _| ()).contains(" 200 ") {
        assert!(Instant::now() < deadline, "it does not register");
        thread::sleep(Duration::from_millis(10));
    }
    assert!(http(http_at, "POST /api/clients/gw/5/0/0/push", SIZE, |_, _| ()).contains(" 202 "));
    assert_eq!(device.join().expect("it ends well"), SIZE);
    held("pushed");
}
