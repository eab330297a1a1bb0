use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use lapwing_coap::wire::{Code, Message, MessageType, Token, Writer, option};

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

/// One end of a way to a subject.
pub(crate) struct Load {
    socket: UdpSocket,
    /// The number of requests so far: message IDs and tokens are made from it.
    count: u32,
}

impl Load {
    pub(crate) fn new() -> Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { socket, count: 0 })
    }

    pub(crate) fn address(&self) -> Result<SocketAddr> {
        Ok(self.socket.local_addr()?)
    }

    /// Takes the registration of a client that is told to come here, and goes on with that client alone.
    pub(crate) fn take_registration(self) -> Result<Self> {
        let mut buffer = [0; 2048];
        let (length, peer) = self.socket.recv_from(&mut buffer)?;
        let register = Message::parse(&buffer[..length])?;
        if register.code != Code::POST || register.options.uri_path().next() != Some("rd") {
            return Err(format!("not a registration: {register:?}").into());
        }
        let mut answer = Vec::new();
        let mut writer = Writer::new(&mut answer, MessageType::Ack, Code::CREATED, register.id, register.token);
        writer.option_str(option::LOCATION_PATH, "rd").option_str(option::LOCATION_PATH, "1").finish();
        self.socket.connect(peer)?;
        self.socket.send(&answer)?;
        Ok(self)
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
        self.socket.send(datagram)?;
        let mut buffer = [0; 2048];
        let length = self.socket.recv(&mut buffer)?;
        let answer = &buffer[..length];
        // An echo is its own answer.
        let piggybacked = answer.len() > 4 && answer[..2] == [0x64, Code::CONTENT.0] && answer[2..8] == datagram[2..8];
        if piggybacked || answer == datagram.as_slice() {
            return Ok(());
        }
        Err(format!("{}: not an answer: {:?}", request.name, Message::parse(answer)).into())
    }
}

/// A port that nobody has.
pub(crate) fn free_port() -> Result<u16> {
    Ok(UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
