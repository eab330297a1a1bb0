use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lapwing_coap::wire::{Code, Message, MessageType, Token, Writer, option};
use lapwing_dtls::credentials::Psk;
use lapwing_dtls::server::Event;
use lapwing_dtls::{AssociationId, Server, ServerConfig};

use crate::Result;

/// How long a subject may take to come up, and to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A request that is asked again and again, each time with another message ID and token.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) name: &'static str,
    path: Vec<&'static str>,
    accept: u32,
}

impl Request {
    pub(crate) fn get(name: &'static str, path: &[&'static str], accept: u32) -> Self {
        Self { name, path: path.to_vec(), accept }
    }

    fn write(&self, number: u32, datagram: &mut Vec<u8>) {
        datagram.clear();
        let token = Token::new(&number.to_be_bytes()).expect("four bytes");
        let mut writer = Writer::new(datagram, MessageType::Con, Code::GET, number as u16, token);
        for segment in &self.path {
            writer.option_str(option::URI_PATH, segment);
        }
        writer.option_uint(option::ACCEPT, self.accept);
        writer.finish();
    }
}

/// The identity and the key of a client over DTLS.
pub(crate) const IDENTITY: &str = "bench";
pub(crate) const KEY: &[u8; 16] = b"sixteen secret b";

/// One end of a way to a subject.
pub(crate) struct Load {
    socket: UdpSocket,
    /// What is between socket and CoAP, if anything.
    dtls: Option<Dtls>,
    /// The number of requests so far: message IDs and tokens are made from it.
    count: u32,
}

impl Load {
    pub(crate) fn new() -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { socket, dtls: None, count: 0 })
    }

    /// One that speaks DTLS with a client that has [`KEY`].
    pub(crate) fn secure() -> Result<Self> {
        Ok(Self { dtls: Some(Dtls::new()?), ..Self::new()? })
    }

    pub(crate) fn address(&self) -> Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }

    /// Takes the registration of a client that is told to come here, and goes on with that client alone.
    pub(crate) fn take_registration(mut self) -> Result<Self> {
        let mut buffer = [0; 2048];
        let (_, peer) = self.socket.peek_from(&mut buffer)?;
        self.socket.connect(peer)?;
        let length = self.receive(&mut buffer)?;
        let register = Message::parse(&buffer[..length])?;
        if register.code != Code::POST || register.options.uri_path().next() != Some("rd") {
            return Err(format!("not a registration: {register:?}").into());
        }
        let mut answer = Vec::new();
        let mut writer = Writer::new(&mut answer, MessageType::Ack, Code::CREATED, register.id, register.token);
        writer.option_str(option::LOCATION_PATH, "rd").option_str(option::LOCATION_PATH, "1").finish();
        self.send(&answer)?;
        Ok(self)
    }

    fn send(&mut self, message: &[u8]) -> Result<()> {
        match &mut self.dtls {
            Some(dtls) => dtls.send(&self.socket, message),
            None => Ok(self.socket.send(message).map(|_| ())?),
        }
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<usize> {
        match &mut self.dtls {
            Some(dtls) => dtls.receive(&self.socket, buffer),
            None => Ok(self.socket.recv(buffer)?),
        }
    }

    /// Goes on with the server at this port, when it answers.
    pub(crate) fn connect(mut self, port: u16) -> Result<Self> {
        self.socket.connect((Ipv4Addr::LOCALHOST, port))?;
        self.socket.set_read_timeout(Some(Duration::from_millis(20)))?;
        let began = Instant::now();
        while self.exchange(&Request::get("GET /", &[], 0), &mut Vec::new()).is_err() {
            if began.elapsed() > PATIENCE {
                return Err(format!("nobody answers at port {port}").into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.socket.set_read_timeout(Some(PATIENCE))?;
        Ok(self)
    }

    /// Asks so many times, one after another.
    pub(crate) fn ask(&mut self, request: &Request, times: u32) -> Result<()> {
        let mut datagram = Vec::new();
        for _ in 0..times {
            self.exchange(request, &mut datagram)?;
        }
        Ok(())
    }

    fn exchange(&mut self, request: &Request, datagram: &mut Vec<u8>) -> Result<()> {
        self.count += 1;
        request.write(self.count, datagram);
        self.send(datagram)?;
        let mut buffer = [0; 2048];
        let length = self.receive(&mut buffer)?;
        let answer = &buffer[..length];
        // An echo is its own answer.
        let piggybacked = answer.len() > 4 && answer[..2] == [0x64, Code::CONTENT.0] && answer[2..8] == datagram[2..8];
        if piggybacked || answer == datagram.as_slice() {
            return Ok(());
        }
        Err(format!("{}: not an answer: {:?}", request.name, Message::parse(answer)).into())
    }
}

struct Dtls {
    server: Server,
    client: Option<AssociationId>,
    began: Instant,
    datagram: Vec<u8>,
}

impl Dtls {
    fn new() -> Result<Self> {
        let mut server = Server::new(Arc::new(ServerConfig::default()), [7; 32]);
        server.add_psk(Psk::new(IDENTITY, *KEY)?);
        Ok(Self { server, client: None, began: Instant::now(), datagram: Vec::new() })
    }

    fn send(&mut self, socket: &UdpSocket, message: &[u8]) -> Result<()> {
        self.server.send(self.client.ok_or("there is no association yet")?, message)?;
        self.flush(socket)
    }

    fn flush(&mut self, socket: &UdpSocket) -> Result<()> {
        while let Some((_, range)) = self.server.poll_transmit(&mut self.datagram) {
            socket.send(&self.datagram[range])?;
            self.datagram.clear();
        }
        Ok(())
    }

    /// The next message, behind a handshake if need be.
    fn receive(&mut self, socket: &UdpSocket, buffer: &mut [u8]) -> Result<usize> {
        loop {
            let length = socket.recv(buffer)?;
            let now = self.began.elapsed();
            self.server.handle_datagram(now, socket.peer_addr()?, &buffer[..length]);
            let mut received = None;
            while let Some(event) = self.server.poll_event() {
                match event {
                    Event::Established { association, .. } => self.client = Some(association),
                    Event::Data { data, .. } => {
                        buffer[..data.len()].copy_from_slice(data);
                        received = Some(data.len());
                    }
                    other => return Err(format!("{other:?}").into()),
                }
            }
            self.flush(socket)?;
            if let Some(length) = received {
                return Ok(length);
            }
        }
    }
}

/// A port that nobody has.
pub(crate) fn free_port() -> Result<u16> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
