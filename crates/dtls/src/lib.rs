//! DTLS 1.2 for Lapwing, sans-IO, client and server, as wide as LwM2M needs and no wider (RFC 6347, RFC 7925).
//!
//! Nothing in this crate reads a clock, opens a socket or spawns a task: datagrams and the elapsed time go in, datagrams and
//! events come out. It knows nothing of CoAP. There is no cryptographic primitive of our own in it.
//!
//! - [`Client`]: one server, and one association with it.
//! - [`Server`]: the clients of one socket.
//! - [`record`]: records, with and without a Connection ID, and the replay window (RFC 6347 section 4.1, RFC 9146).
//! - [`handshake`]: handshake messages, their fragments and extensions (RFC 6347 section 4.2, RFC 5246 section 7.4).
//! - [`crypto`]: what is made of RustCrypto's primitives: secrets, protection of records.
//! - [`credentials`]: who an end is.
//! - [`alert`]: alerts (RFC 5246 section 7.2).
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use lapwing_dtls::{Client, ClientConfig, Event, Server, ServerConfig, credentials::Psk, server};
//!
//! let psk = Psk::new("a client", *b"sixteen secret b")?;
//! let mut server = Server::new(Arc::new(ServerConfig::default()), [1; 32]); // really: unpredictable
//! server.add_psk(psk.clone());
//! let mut client = Client::new(Arc::new(ClientConfig::psk(psk)), [2; 32]);
//! let (now, address) = (Duration::ZERO, "192.0.2.1:5684".parse()?);
//! client.connect(now, None);
//! // Datagrams go to and fro; here nothing is lost and no time passes.
//! let mut buffer = Vec::new();
//! while let Some(datagram) = client.poll_transmit(&mut buffer) {
//!     server.handle_datagram(now, address, &buffer[datagram]);
//!     while let Some((_, datagram)) = server.poll_transmit(&mut buffer) {
//!         client.handle_datagram(now, &buffer[datagram]);
//!     }
//! }
//! assert!(matches!(client.poll_event(), Some(Event::Established(_))));
//! assert!(matches!(server.poll_event(), Some(server::Event::Established { .. })));
//! client.send(b"for the server only")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! With raw public keys, or certificates, only the configuration is another:
//!
//! ```
//! use lapwing_dtls::{ClientConfig, ServerConfig, crypto::PrivateKey};
//! use lapwing_dtls::credentials::{ClientTrust, Identity, MatchingType, Pinned, ServerTrust};
//!
//! # let (pkcs8_of_client, pkcs8_of_server) = ([1; 32], [2; 32]);
//! // In DER, as 0/x/5 of LwM2M has the client's.
//! let client = Identity::raw_public_key(PrivateKey::from_der(&pkcs8_of_client)?);
//! let server = Identity::raw_public_key(PrivateKey::from_der(&pkcs8_of_server)?);
//! // As 0/x/4 has the server's.
//! let data = server.public_key().to_der();
//! let trust = ServerTrust::RawPublicKey(Pinned { matching: MatchingType::Exact, data });
//! let client = ClientConfig::certificate(client, trust);
//!
//! let mut config = ServerConfig::default();
//! config.identities.push(server);
//! // Which key is whose is for the layer above to know, by `Established::peer`.
//! config.client_trust = ClientTrust { raw_public_keys: true, ..ClientTrust::default() };
//! # use std::{sync::Arc, time::Duration};
//! # let mut server = lapwing_dtls::Server::new(Arc::new(config), [1; 32]);
//! # let mut client = lapwing_dtls::Client::new(Arc::new(client), [2; 32]);
//! # client.connect(Duration::ZERO, None);
//! # let mut buffer = Vec::new();
//! # while let Some(datagram) = client.poll_transmit(&mut buffer) {
//! #     server.handle_datagram(Duration::ZERO, "192.0.2.1:5684".parse()?, &buffer[datagram]);
//! #     while let Some((_, datagram)) = server.poll_transmit(&mut buffer) {
//! #         client.handle_datagram(Duration::ZERO, &buffer[datagram]);
//! #     }
//! # }
//! # assert!(client.is_established());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod agreed;
pub mod alert;
mod association;
mod client;
mod config;
pub mod credentials;
pub mod crypto;
mod event;
mod exchange;
mod export;
mod flight;
pub mod handshake;
mod outbox;
mod protection;
pub mod record;
pub mod server;
mod session;
mod wire;

pub use client::{Client, Event, Timer};
pub use config::{ClientConfig, ClientCredentials, DEFAULT_MAX_DATAGRAM, Retransmission, ServerConfig};
pub use crypto::CipherSuite;
pub use event::{Closed, Counters, Established, Failure, SendError};
pub use export::Export;
pub use record::ConnectionId;
pub use server::{AssociationId, Server};
pub use session::Session;
