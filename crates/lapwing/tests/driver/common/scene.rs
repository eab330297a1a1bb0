//! A registered client with an object that takes packages, and its server, which observes.

use std::time::Duration;

use lapwing::{Client, Object, RunError};
use lapwing_coap::wire::{Code, MessageType, Token, option};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::{Line, Received, Server, line, run};

pub(crate) struct Scene {
    pub(crate) server: Server,
    running: JoinHandle<Result<(), RunError>>,
    /// Observations: the token, the path and what was notified.
    observed: Vec<(Token, String, Vec<String>)>,
    /// Updates of the registration, which are answered.
    pub(crate) updates: Vec<Received>,
}

impl Scene {
    pub(crate) async fn new(object: impl Object) -> Self {
        Self::of(Client::builder("gw").server("coap://server.example").lifetime(0).object(object).build().unwrap())
            .await
    }

    /// With a client that has more.
    pub(crate) async fn of(client: Client) -> Self {
        let (net, server): (Line, Server) = line();
        let running = run(client, net);
        let mut scene = Self { server, running, observed: Vec::new(), updates: Vec::new() };
        scene.server.register().await;
        scene
    }

    /// The process ends, whatever it was doing.
    pub(crate) async fn kill(self) {
        self.running.abort();
        let _ = self.running.await;
    }

    /// The answer to a request; notifications that come before it are noted.
    pub(crate) async fn answer(&mut self, token: Token) -> Received {
        loop {
            let message = self.server.next().await;
            if message.token == token {
                if message.kind == MessageType::Con {
                    self.server.acknowledge(&message);
                }
                return message;
            }
            self.note(message);
        }
    }

    fn note(&mut self, message: Received) {
        if (message.kind, message.code) == (MessageType::Ack, Code::EMPTY) {
            return;
        }
        if message.code == Code::POST && message.path.first().is_some_and(|first| first == "rd") {
            self.server.send(MessageType::Ack, Code::CHANGED, message.id, message.token, &[], b"");
            return self.updates.push(message);
        }
        let observed = self.observed.iter_mut().find(|(token, ..)| *token == message.token);
        let (_, _, values) = observed.unwrap_or_else(|| panic!("{message:?}"));
        values.push(message.text().to_owned());
        self.server.acknowledge(&message);
    }

    /// Takes whatever comes for so long.
    pub(crate) async fn wait(&mut self, duration: Duration) {
        let until = Instant::now() + duration;
        while Instant::now() < until {
            // The server itself is surprised by long silence.
            let soon = until.min(Instant::now() + Duration::from_secs(100));
            if let Ok(message) = timeout_at(soon, self.server.next()).await {
                self.note(message);
            }
        }
    }

    pub(crate) async fn observe(&mut self, path: &str) {
        let token = self.server.request_with(Code::GET, path, &[(option::OBSERVE, &[])], b"");
        let answer = self.answer(token).await;
        assert_eq!((answer.code, answer.observe.is_some()), (Code::CONTENT, true));
        self.observed.push((token, path.to_owned(), Vec::new()));
    }

    /// What was notified of an observed resource so far.
    pub(crate) fn notified(&self, path: &str) -> &[String] {
        &self.observed.iter().find(|(_, observed, _)| observed == path).unwrap().2
    }

    /// The content of a resource, or why there is none.
    pub(crate) async fn try_read(&mut self, path: &str) -> Result<String, Code> {
        let token = self.server.request(Code::GET, path, b"");
        let answer = self.answer(token).await;
        if answer.code == Code::CONTENT { Ok(answer.text().to_owned()) } else { Err(answer.code) }
    }

    pub(crate) async fn read(&mut self, path: &str) -> String {
        self.try_read(path).await.unwrap_or_else(|code| panic!("{path}: {code}"))
    }

    pub(crate) async fn write(&mut self, path: &str, text: &str) -> Code {
        let token = self.server.request(Code::PUT, path, text.as_bytes());
        self.answer(token).await.code
    }

    pub(crate) async fn execute(&mut self, path: &str, arguments: &str) -> Code {
        let token = self.server.request(Code::POST, path, arguments.as_bytes());
        self.answer(token).await.code
    }

    /// Sends a block of 64 bytes or, as the last, of fewer, of a body in this format.
    pub(crate) async fn block_of(
        &mut self,
        path: &str,
        number: u32,
        more: bool,
        format: &[u8],
        content: &[u8],
        size: Option<u32>,
    ) -> Code {
        let block = number << 4 | u32::from(more) << 3 | 2;
        let (block, size) = (block.to_be_bytes(), size.map(u32::to_be_bytes));
        let shortest = |bytes: &'_ [u8; 4]| bytes.iter().take_while(|byte| **byte == 0).count();
        let mut options: Vec<(u16, &[u8])> =
            vec![(option::CONTENT_FORMAT, format), (option::BLOCK1, &block[shortest(&block)..])];
        if let Some(size) = &size {
            options.push((option::SIZE1, &size[shortest(size)..]));
        }
        let token = self.server.request_with(Code::PUT, path, &options, content);
        self.answer(token).await.code
    }

    /// Pushes a package of 192 bytes, all of which are `fill`.
    pub(crate) async fn push(&mut self, path: &str, fill: u8) {
        for (number, code) in [(0, Code::CONTINUE), (1, Code::CONTINUE), (2, Code::CHANGED)] {
            assert_eq!(self.block_of(path, number, number < 2, &[42], &[fill; 64], Some(192)).await, code);
        }
    }
}
