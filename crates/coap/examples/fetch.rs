//! Fetches a resource over UDP and tells how fast it came:
//!
//! ```sh
//! cargo run -p lapwing-coap --example fetch -- 127.0.0.1:5683 firmware.bin
//! cargo run -p lapwing-coap --example fetch -- 127.0.0.1:5683 firmware.bin --single --seconds 60
//! ```

use std::{
    env,
    error::Error,
    fs,
    io::{self, Write},
    net::{ToSocketAddrs, UdpSocket},
    time::{Duration, Instant},
};

use lapwing_coap::fetch::{Config, Event, Fetch, MessageIds, Resource};

/// What the command line says.
struct Arguments {
    server: String,
    path: String,
    /// One block at a time.
    single: bool,
    /// Stop after so much time.
    limit: Duration,
    /// Where to write the body.
    output: Option<String>,
}

fn arguments() -> Option<Arguments> {
    let mut words = env::args().skip(1);
    let (server, path) = (words.next()?, words.next()?);
    let mut arguments = Arguments { server, path, single: false, limit: Duration::MAX, output: None };
    while let Some(word) = words.next() {
        match &*word {
            "--single" => arguments.single = true,
            "--seconds" => arguments.limit = Duration::from_secs(words.next()?.parse().ok()?),
            "--output" => arguments.output = Some(words.next()?),
            _ => return None,
        }
    }
    Some(arguments)
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = arguments().ok_or("usage: fetch HOST:PORT PATH [--single] [--seconds N] [--output FILE]")?;
    let server = arguments.server.to_socket_addrs()?.next().ok_or("no address")?;
    let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.connect(server)?;
    let mut seed = [0; 32];
    io::Read::read_exact(&mut fs::File::open("/dev/urandom")?, &mut seed)?;
    let mut config = Config::default();
    config.window = !arguments.single;
    let path: Vec<&str> = arguments.path.split('/').filter(|segment| !segment.is_empty()).collect();
    let resource = Resource { path: &path, ..Resource::default() };
    let mut output: Box<dyn Write> = match &arguments.output {
        Some(file) => Box::new(fs::File::create(file)?),
        None => Box::new(io::sink()),
    };
    run(&socket, Fetch::new(Duration::ZERO, config, &resource, None, seed), arguments.limit, &mut *output)
}

fn run(socket: &UdpSocket, mut fetch: Fetch, limit: Duration, output: &mut dyn Write) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let mut ids = MessageIds::new(start.elapsed().subsec_nanos() as u16);
    let (mut received, mut outgoing, mut incoming) = (0, Vec::new(), vec![0; 2048]);
    let mut ended = false;
    while !ended && start.elapsed() < limit {
        let now = start.elapsed();
        while let Some(event) = fetch.poll_event() {
            match event {
                Event::Data { bytes, .. } => {
                    output.write_all(bytes)?;
                    let length = bytes.len();
                    received += length;
                    fetch.consumed(now, length);
                }
                other => {
                    println!("{:8.3} s {other:?}", now.as_secs_f64());
                    ended |= matches!(other, Event::Finished | Event::Failed(_));
                }
            }
        }
        while let Some(range) = fetch.poll_transmit(now, || ids.next(|_| false), &mut outgoing) {
            socket.send(&outgoing[range])?;
            outgoing.clear();
        }
        if ended {
            break;
        }
        let due = fetch.poll_timeout().map_or(limit, |(at, _)| at).min(limit);
        let wait = due.saturating_sub(start.elapsed());
        if wait.is_zero() {
            fetch.handle_timeout(start.elapsed());
            socket.set_nonblocking(true)?;
        } else {
            socket.set_nonblocking(false)?;
            socket.set_read_timeout(Some(wait.max(Duration::from_micros(1))))?;
        }
        match socket.recv(&mut incoming) {
            Ok(length) => {
                fetch.handle_datagram(start.elapsed(), &incoming[..length]);
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                fetch.handle_timeout(start.elapsed());
            }
            Err(error) => return Err(error.into()),
        }
    }
    let took = start.elapsed().as_secs_f64();
    println!("{received} bytes in {took:.2} s: {:.0} bytes/s", received as f64 / took);
    println!("round trip {:?}, window {} bytes, {:?}", fetch.round_trip(), fetch.window(), fetch.counters());
    Ok(())
}
