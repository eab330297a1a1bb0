//! The association of a pull over coaps.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use lapwing_dtls::credentials::{CertificateUsage, MatchingType, Pinned, UnknownTime};
use lapwing_dtls::{Client, ClientConfig, Event, Failure};
use lapwing_lwm2m::Now;
use lapwing_lwm2m::account::Security;
use lapwing_lwm2m::client::dtls_config;

use super::coap::seed;
use super::{Cause, Loan, PullConfig, Uri};

/// What comes of an association.
pub(super) enum Heard {
    Established,
    /// The datagram that was asked to be filled.
    Data,
    Failed(Cause),
}

pub(super) struct Secure {
    client: Client,
    /// What is tried next, should the server's certificate not be believed.
    others: VecDeque<ClientConfig>,
    /// Whether the server knows this client wherever it is.
    movable: bool,
}

impl Secure {
    /// With the credentials of the account for this server, or else those that are configured for any.
    pub(super) fn new(config: &PullConfig, uri: &Uri) -> Result<Self, Cause> {
        let server = uri.server();
        let lender = config.credentials.as_ref();
        let lent = lender.map_or(Loan::Refused, |lender| lender.lend(server.host(), server.port()));
        let securities: Vec<Security> = match (lent, &config.coaps_identity) {
            (Loan::Granted(security), _) => vec![*security],
            (Loan::Later, _) => return Err(Cause::Lost("the accounts of this client are not known yet".into())),
            (Loan::Refused, Some(identity)) => {
                let anchor = |der: &Vec<u8>| Pinned { matching: MatchingType::Exact, data: der.clone() };
                let usage = CertificateUsage::TrustAnchorAssertion;
                let with = |der| Security::certificate(identity.clone(), usage, anchor(der));
                let securities: Result<_, _> = config.authorities.iter().map(with).collect();
                securities.map_err(|error| Cause::Configuration(error.to_string()))?
            }
            (Loan::Refused, None) => Vec::new(),
        };
        let anchors = &config.authorities;
        let configs = securities.iter().filter_map(|one| dtls_config(one, server, anchors, UnknownTime::Refuse));
        let mut others: VecDeque<_> = configs.collect();
        let first = others.pop_front().ok_or(Cause::NoCredentials)?;
        Ok(Self { client: Client::new(Arc::new(first), seed()?), others, movable: false })
    }

    pub(super) fn connect(&mut self, now: Now) {
        self.client.set_time(now.unix);
        self.client.connect(now.elapsed, None);
    }

    /// The server sees another address from now on: one that does not know Connection IDs needs a handshake.
    pub(super) fn moved(&mut self, now: Now) {
        if !self.movable {
            let session = self.client.session().cloned();
            self.client.connect(now.elapsed, session);
        }
    }

    pub(super) fn send(&mut self, datagram: &[u8]) {
        if let Err(error) = self.client.send(datagram) {
            tracing::debug!(%error, "a request was not sent");
        }
    }

    pub(super) fn handle_datagram(&mut self, now: Now, datagram: &[u8]) {
        self.client.set_time(now.unix);
        self.client.handle_datagram(now.elapsed, datagram);
    }

    pub(super) fn handle_timeout(&mut self, now: Now) {
        self.client.set_time(now.unix);
        self.client.handle_timeout(now.elapsed);
    }

    pub(super) fn timeout(&self) -> Option<Duration> {
        Some(self.client.poll_timeout()?.0)
    }

    pub(super) fn poll_transmit(&mut self, buffer: &mut Vec<u8>) -> Option<Range<usize>> {
        self.client.poll_transmit(buffer)
    }

    pub(super) fn close(&mut self) {
        self.client.close();
    }

    /// The next thing that came, data in `datagram`. Poll until there is none.
    pub(super) fn poll(&mut self, now: Now, datagram: &mut Vec<u8>) -> Option<Heard> {
        loop {
            let failure = match self.client.poll_event()? {
                Event::Established(established) => {
                    self.movable = !established.peer_connection_id.is_empty();
                    return Some(Heard::Established);
                }
                Event::Data(data) => {
                    datagram.clear();
                    datagram.extend_from_slice(data);
                    return Some(Heard::Data);
                }
                Event::Failed(failure) => failure,
                Event::Closed(lapwing_dtls::Closed::Replaced) => continue,
                Event::Closed(lapwing_dtls::Closed::Certificate(error)) => Failure::Certificate(error),
                Event::Closed(why) => return Some(Heard::Failed(Cause::Lost(why.to_string()))),
                _ => continue,
            };
            match (failure, self.others.pop_front()) {
                (Failure::Certificate(_), Some(next)) => match seed() {
                    Ok(seed) => {
                        self.client = Client::new(Arc::new(next), seed);
                        self.connect(now);
                    }
                    Err(cause) => return Some(Heard::Failed(cause)),
                },
                (Failure::TimedOut, _) => return Some(Heard::Failed(Cause::Lost(failure.to_string()))),
                (Failure::Certificate(error), None) => {
                    return Some(Heard::Failed(Cause::Certificate(error.to_string())));
                }
                _ => return Some(Heard::Failed(Cause::Refused(failure.to_string()))),
            }
        }
    }
}
