//! Pulls over HTTP: a thread for each connection, since ureq blocks.

mod answer;
mod client;
mod identity;

use std::io::{self, Read};

use tokio::sync::mpsc;
use ureq::http::{HeaderMap, HeaderName, Response, header};
use ureq::{Agent, Body};

pub(super) use client::Client;
pub use identity::HttpsIdentity;

use super::pull::{Head, Part, Restart, Step};
use super::{Cause, Login, Proxy, PullConfig, Scheme, Uri};
use answer::{Answer, Asked, Verdict};

/// So much is read at once.
const CHUNK: usize = 1 << 16;
/// So many chunks may wait.
const QUEUE: usize = 2;
/// How often a server may send elsewhere.
const REDIRECTS: usize = 10;

/// One request, and its answer as it comes.
pub(super) struct Http {
    /// None once it is shut down.
    agent: Option<Agent>,
    steps: mpsc::Receiver<Step>,
}

impl Http {
    pub(super) fn start(
        client: &Client,
        config: &PullConfig,
        uri: &Uri,
        login: Option<&Login>,
        part: &Part,
    ) -> Result<Self, Cause> {
        let agent = client.agent(config);
        let (sender, steps) = mpsc::channel(QUEUE);
        let request = Request {
            agent: agent.clone(),
            uri: uri.clone(),
            login: login.cloned(),
            proxy: config.proxy.clone(),
            offset: part.offset,
            // What was stored is what a server sent, unless somebody else wrote it.
            etag: part.etag.as_deref().and_then(|etag| std::str::from_utf8(etag).ok()).map(str::to_owned),
            steps: sender,
        };
        let thread = std::thread::Builder::new().name("lapwing-http".into());
        thread.spawn(move || request.run()).map_err(|error| Cause::Lost(error.to_string()))?;
        Ok(Self { agent: Some(agent), steps })
    }

    pub(super) async fn next(&mut self) -> Step {
        let step = self.steps.recv().await;
        step.unwrap_or_else(|| Step::Failed(Cause::Lost("the transfer's thread has died".into())))
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.steps.close();
        if let Some(agent) = self.agent.take() {
            agent.shutdown();
        }
    }
}

/// What the thread owns.
struct Request {
    agent: Agent,
    uri: Uri,
    login: Option<Login>,
    proxy: Proxy,
    offset: u64,
    etag: Option<String>,
    steps: mpsc::Sender<Step>,
}

/// Nobody waits for the answer any more.
struct Cancelled;

impl Request {
    fn run(self) {
        let last = match self.transfer() {
            Ok(Ok(())) => Step::Finished,
            Ok(Err(cause)) => Step::Failed(cause),
            Err(Cancelled) => return,
        };
        // Perhaps nobody wants to know by now.
        let _ = self.steps.blocking_send(last);
    }

    fn transfer(&self) -> Result<Result<(), Cause>, Cancelled> {
        let asked = self.etag.as_deref().filter(|_| self.offset > 0);
        let asked = asked.map(|etag| Asked { offset: self.offset, etag });
        match self.attempt(asked, None)? {
            Ok(Some(why)) => Ok(self.attempt(None, Some(why))?.map(drop)),
            other => Ok(other.map(drop)),
        }
    }

    /// One request. Gives why it was in vain, if the whole file is to be asked for.
    fn attempt(
        &self,
        asked: Option<Asked<'_>>,
        why: Option<Restart>,
    ) -> Result<Result<Option<Restart>, Cause>, Cancelled> {
        let response = match self.follow(asked) {
            Ok(response) => response,
            Err(cause) => return Ok(Err(cause)),
        };
        let answer = head(response.headers(), response.status().as_u16());
        let (offset, size, why, twice) = match answer::judge(&answer, asked.as_ref()) {
            Verdict::Whole { size, restart } => (0, size, restart.or(why), 0),
            Verdict::Part { size } => (self.offset, Some(size), None, 1),
            Verdict::Again(why) => return Ok(Ok(Some(why))),
            Verdict::Failed(cause) => return Ok(Err(cause)),
        };
        let etag = answer::strong(answer.etag).map(|etag| etag.as_bytes().to_vec());
        self.tell(Step::Head(Head { offset, size, etag, local_port: None }, why))?;
        self.pass_on(response, twice).map(|passed| passed.map(|()| None))
    }

    /// Asks, and asks again where the server sends to (RFC 9110 section 15.4).
    fn follow(&self, asked: Option<Asked<'_>>) -> Result<Response<Body>, Cause> {
        let (mut uri, mut login) = (self.uri.clone(), self.login.as_ref().cloned());
        for _ in 0..=REDIRECTS {
            let response = self.ask(&uri, login.as_ref(), asked)?;
            let location = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
            let (301..=303 | 307 | 308, Some(location)) = (response.status().as_u16(), location) else {
                return Ok(response);
            };
            let next =
                uri.join(location).map_err(|_| Cause::Refused("it sends to where nothing can be fetched".into()))?;
            match (uri.scheme(), next.scheme()) {
                (Scheme::Http, Scheme::Http | Scheme::Https) | (Scheme::Https, Scheme::Https) => {}
                _ => return Err(Cause::Refused("it sends from http to CoAP, or from https to what is less".into())),
            }
            login = next.login().cloned().or(login.filter(|_| next.same_origin(&uri)));
            uri = next;
        }
        Err(Cause::Refused("it sends from one place to the next without end".into()))
    }

    fn ask(&self, uri: &Uri, login: Option<&Login>, asked: Option<Asked<'_>>) -> Result<Response<Body>, Cause> {
        let proxy = client::proxy(&self.proxy, uri.scheme() == Scheme::Https)?;
        let mut request = self.agent.get(uri.request()).config().proxy(proxy).build();
        if let Some(login) = login {
            request = request.header(header::AUTHORIZATION, client::authorization(login).as_str());
        }
        if let Some(asked) = asked {
            request = request.header(header::RANGE, format!("bytes={}-", asked.first()));
            request = request.header(header::IF_RANGE, asked.etag);
        }
        request.call().map_err(cause)
    }

    /// Passes the body on, except for the first bytes that are there already.
    fn pass_on(&self, response: Response<Body>, mut twice: usize) -> Result<Result<(), Cause>, Cancelled> {
        let mut body = response.into_body().into_with_config().limit(u64::MAX).reader();
        let mut buffer = vec![0; CHUNK];
        loop {
            let length = match body.read(&mut buffer) {
                Ok(0) => return Ok(Ok(())),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Ok(Err(cause(ureq::Error::from(error)))),
            };
            let fresh = &buffer[twice.min(length)..length];
            twice = twice.saturating_sub(length);
            if !fresh.is_empty() {
                self.tell(Step::Data(fresh.to_vec()))?;
            }
        }
    }

    fn tell(&self, step: Step) -> Result<(), Cancelled> {
        self.steps.blocking_send(step).map_err(|_| Cancelled)
    }
}

fn head(headers: &HeaderMap, status: u16) -> Answer<'_> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    Answer {
        status,
        etag: text(header::ETAG),
        content_range: text(header::CONTENT_RANGE),
        content_length: text(header::CONTENT_LENGTH).and_then(|length| length.trim().parse().ok()),
        chunked: text(header::TRANSFER_ENCODING).is_some_and(|coding| coding.to_ascii_lowercase().contains("chunked")),
        retry_after: text(header::RETRY_AFTER),
    }
}

/// What an error of ureq means.
fn cause(error: ureq::Error) -> Cause {
    let text = error.to_string();
    match error {
        ureq::Error::HostNotFound => Cause::Unresolvable(text),
        ureq::Error::Io(error) => io_cause(&error),
        ureq::Error::Rustls(error) => tls_cause(&error),
        ureq::Error::Timeout(what) => Cause::Lost(format!("no answer in time ({what})")),
        ureq::Error::BadUri(_) | ureq::Error::Http(_) | ureq::Error::Protocol(_) => Cause::Protocol(text),
        ureq::Error::LargeResponseHeader(..) => Cause::Protocol(text),
        ureq::Error::Pem(_) | ureq::Error::InvalidProxyUrl => Cause::Configuration(text),
        ureq::Error::Tls(_) | ureq::Error::TlsRequired => Cause::Refused(text),
        _ => Cause::Lost(text),
    }
}

fn io_cause(error: &io::Error) -> Cause {
    if let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return tls_cause(error);
    }
    // The standard library has no kind for it.
    if error.to_string().contains("lookup address") {
        return Cause::resolving(error);
    }
    Cause::Lost(error.to_string())
}

fn tls_cause(error: &rustls::Error) -> Cause {
    use rustls::{CertificateError, Error};
    match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => Cause::Certificate(
            "it is self-signed, or of an authority that is neither the system's nor a configured one".into(),
        ),
        Error::InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
            Cause::Certificate("it is not valid yet: is the clock right?".into())
        }
        Error::InvalidCertificate(why) => Cause::Certificate(format!("{why:?}")),
        Error::AlertReceived(alert) => Cause::Refused(format!("the TLS handshake, with {alert:?}")),
        Error::InvalidMessage(_) | Error::PeerIncompatible(_) | Error::PeerMisbehaved(_) => {
            Cause::Protocol(format!("TLS: {error}"))
        }
        _ => Cause::Lost(format!("TLS: {error}")),
    }
}
