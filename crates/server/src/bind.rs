//! Both sides of the server, bound and run.

use std::{fmt, future::Future, io, net::SocketAddr};

use lapwing_lwm2m::server::{SecurityError, SecurityInfo, ServerConfig};
use tokio::net::TcpListener;

use crate::{Handle, driver::Driver, http, sockets::Sockets};

/// Which side of the server an address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// Where clients register (UDP).
    Coap,
    /// Where clients register over DTLS (UDP).
    Coaps,
    /// The page and the API (TCP).
    Http,
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Interface::Coap => "CoAP",
            Interface::Coaps => "CoAP over DTLS",
            Interface::Http => "HTTP",
        })
    }
}

/// An address could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for {interface} at {address}")]
#[non_exhaustive]
pub struct BindError {
    /// What was to listen there.
    pub interface: Interface,
    /// The address that was asked for.
    pub address: SocketAddr,
    /// What the system says; `AddrInUse` when something listens there already.
    pub source: io::Error,
}

/// Builds a [`Server`].
#[derive(Debug, Clone)]
pub struct Builder {
    coap: SocketAddr,
    coaps: Option<SocketAddr>,
    http: SocketAddr,
    config: ServerConfig,
}

impl Builder {
    /// Where clients register; port 0 takes any free one. Default 127.0.0.1:5683.
    #[must_use]
    pub fn coap(mut self, address: SocketAddr) -> Builder {
        self.coap = address;
        self
    }

    /// Where clients register over DTLS; port 0 takes any free one. Default nowhere. Who may is said by
    /// [`Server::set_security`] and [`Handle::set_security`]; who the server is to clients without a pre-shared key, and whose
    /// certificates it trusts, by [`ServerConfig::dtls`].
    #[must_use]
    pub fn coaps(mut self, address: SocketAddr) -> Builder {
        self.coaps = Some(address);
        self
    }

    /// Where the page and the API are; port 0 takes any free one. Default 127.0.0.1:8080. There are no accounts: who
    /// reaches this address may manage every client.
    #[must_use]
    pub fn http(mut self, address: SocketAddr) -> Builder {
        self.http = address;
        self
    }

    /// Limits and times.
    #[must_use]
    pub fn config(mut self, config: ServerConfig) -> Builder {
        self.config = config;
        self
    }

    /// Binds all of it. Clients may send from then on; they are answered once [`Server::run`] runs.
    ///
    /// # Errors
    /// One of the addresses is taken, not of this machine, or not permitted; it says which.
    pub async fn bind(mut self) -> Result<Server, BindError> {
        let error = |interface, address| move |source| BindError { interface, address, source };
        let coaps = self.coaps.map(|address| (Interface::Coaps, address));
        let sockets = Sockets::bind((Interface::Coap, self.coap), coaps).await?;
        if coaps.is_some() {
            self.config.dtls.get_or_insert_default();
        }
        let listener = TcpListener::bind(self.http).await.map_err(error(Interface::Http, self.http))?;
        let http = listener.local_addr().map_err(error(Interface::Http, self.http))?;
        let (driver, handle) = Driver::new(sockets, self.config).map_err(error(Interface::Coap, self.coap))?;
        Ok(Server { driver, handle, listener, http })
    }
}

/// A development server, bound and ready to run.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let server = lapwing_server::Server::builder().coap("127.0.0.1:0".parse()?).bind().await?;
/// println!("clients register at coap://{}", server.coap_address());
/// server.run(async { tokio::signal::ctrl_c().await.unwrap_or(()) }).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Server {
    driver: Driver,
    handle: Handle,
    listener: TcpListener,
    http: SocketAddr,
}

impl Server {
    /// A builder with the default addresses.
    pub fn builder() -> Builder {
        Builder {
            coap: SocketAddr::from(([127, 0, 0, 1], 5683)),
            coaps: None,
            http: SocketAddr::from(([127, 0, 0, 1], 8080)),
            config: ServerConfig::default(),
        }
    }

    /// Where clients register over plain CoAP, with the port that was taken.
    pub fn coap_address(&self) -> SocketAddr {
        self.handle.coap_address()
    }

    /// Where clients register over DTLS, with the port that was taken; `None` where there is no such socket.
    pub fn coaps_address(&self) -> Option<SocketAddr> {
        self.handle.coaps_address()
    }

    /// Says what an endpoint has to show before it may register, before the server runs; then [`Handle::set_security`] does.
    ///
    /// # Errors
    /// The identity is another endpoint's.
    pub fn set_security(&mut self, endpoint: &str, info: SecurityInfo) -> Result<(), SecurityError> {
        self.driver.set_security(endpoint, info)
    }

    /// Where the page and the API are, with the port that was taken.
    pub fn http_address(&self) -> SocketAddr {
        self.http
    }

    /// To ask clients and to hear what happens, before and while it runs.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs both sides until `shutdown` is done. Open requests then fail; clients are not told, as a server that goes for
    /// a while should not make them register anew. Needs no more than a current_thread runtime.
    ///
    /// # Errors
    /// The sockets fail.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let router = http::router(self.handle);
        tokio::select! {
            result = self.driver.run() => result,
            result = axum::serve(self.listener, router).into_future() => result,
            () = shutdown => Ok(()),
        }
    }
}
