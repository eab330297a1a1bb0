//! Both sides of the server, bound and run.

use std::{fmt, future::Future, io, net::SocketAddr, path::PathBuf};

use lapwing_dtls::{
    ServerConfig as DtlsConfig,
    credentials::{CertificateType, Identity},
};
use lapwing_lwm2m::server::{
    SecurityError, SecurityInfo, ServerConfig,
    bootstrap::{self as engine, Plan},
};
use tokio::net::TcpListener;

use crate::{
    BootstrapHandle, FileLimits, Handle,
    bootstrap::{self, Bootstrap},
    driver::Driver,
    hosting::{self, Files, Hosting, Transfers},
    http,
    management::{self, Management},
    sockets::Sockets,
};

/// Which side of the server an address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// Where clients register (UDP).
    Coap,
    /// Where clients register over DTLS (UDP).
    Coaps,
    /// Where clients ask for a bootstrap (UDP).
    Bootstrap,
    /// Where clients ask for a bootstrap over DTLS (UDP).
    Bootstraps,
    /// The page and the API (TCP).
    Http,
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Interface::Coap => "CoAP",
            Interface::Coaps => "CoAP over DTLS",
            Interface::Bootstrap => "bootstraps over CoAP",
            Interface::Bootstraps => "bootstraps over DTLS",
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
    bootstrap: Option<SocketAddr>,
    bootstraps: Option<SocketAddr>,
    http: SocketAddr,
    config: ServerConfig,
    bootstrap_config: engine::Config,
    files: Option<PathBuf>,
    file_limits: FileLimits,
}

impl Builder {
    /// Where clients register; port 0 takes any free one. Default 127.0.0.1:5683.
    #[must_use]
    pub fn coap(mut self, address: SocketAddr) -> Builder {
        self.coap = address;
        self
    }

    /// Where clients register over DTLS; port 0 takes any free one. Default nowhere. Who may is said by
    /// [`Server::set_security`] and [`Handle::set_security`]; see [`Builder::identity`], too.
    #[must_use]
    pub fn coaps(mut self, address: SocketAddr) -> Builder {
        self.coaps = Some(address);
        self
    }

    /// Where clients ask for a bootstrap; port 0 takes any free one. Default nowhere: there is no bootstrap server then. What
    /// they get is said by [`Server::set_plan`] and [`BootstrapHandle::set_plan`].
    #[must_use]
    pub fn bootstrap(mut self, address: SocketAddr) -> Builder {
        self.bootstrap = Some(address);
        self
    }

    /// Where clients ask for a bootstrap over DTLS, where there is a bootstrap server; port 0 takes any free one. Default
    /// nowhere. Who may is said by [`Server::set_bootstrap_security`] and [`BootstrapHandle::set_security`].
    #[must_use]
    pub fn bootstraps(mut self, address: SocketAddr) -> Builder {
        self.bootstraps = Some(address);
        self
    }

    /// Limits and times of the bootstrap server.
    #[must_use]
    pub fn bootstrap_config(mut self, config: engine::Config) -> Builder {
        self.bootstrap_config = config;
        self
    }

    /// Who the server is to clients without a pre-shared key: to those with a raw public key by the key alone, to those with a
    /// certificate by that of `identity`, if it has one. Default nobody: such clients cannot come.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Builder {
        let mut identities = vec![Identity::raw_public_key(identity.key().clone())];
        if identity.certificate_type() == CertificateType::X509 {
            identities.push(identity);
        }
        for dtls in self.secure_sides() {
            dtls.identities.clone_from(&identities);
            // The security stores know which of them is whose.
            dtls.client_trust.raw_public_keys = true;
        }
        self
    }

    /// Certificates in DER whose holders may issue those of clients. Default none.
    #[must_use]
    pub fn trust(mut self, anchors: Vec<Vec<u8>>) -> Builder {
        for dtls in self.secure_sides() {
            dtls.client_trust.anchors.clone_from(&anchors);
        }
        self
    }

    fn secure_sides(&mut self) -> [&mut DtlsConfig; 2] {
        [self.config.dtls.get_or_insert_default(), self.bootstrap_config.dtls.get_or_insert_default()]
    }

    /// Where the page and the API are; port 0 takes any free one. Default 127.0.0.1:8080. There are no accounts: who
    /// reaches this address may manage every client.
    #[must_use]
    pub fn http(mut self, address: SocketAddr) -> Builder {
        self.http = address;
        self
    }

    /// Where hosted files lie, and stay; made if need be. What is in it is hosted, unless its name is none that could be uploaded.
    /// Default none: uploaded files are then in a folder of their own below the system's for temporary files, and gone with the
    /// server.
    ///
    /// # Errors
    /// The folder cannot be made or looked into.
    pub fn files(mut self, folder: PathBuf) -> io::Result<Builder> {
        hosting::prepare(&folder)?;
        self.files = Some(folder);
        Ok(self)
    }

    /// How much may be hosted.
    #[must_use]
    pub fn file_limits(mut self, limits: FileLimits) -> Builder {
        self.file_limits = limits;
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
        let (bootstrap, asked) = match self.bootstrap {
            Some(address) => {
                let (driver, handle) = self.bind_bootstrap(address).await?;
                (Some(driver), Some(handle))
            }
            None => (None, None),
        };
        let files = Files::new(self.files, self.file_limits);
        let hosting = Hosting { files, transfers: Transfers::new(), http };
        let started = management::start(sockets, self.config, asked, hosting);
        let (driver, handle) = started.map_err(error(Interface::Coap, self.coap))?;
        Ok(Server { driver, bootstrap, handle, listener, http })
    }

    async fn bind_bootstrap(&self, plain: SocketAddr) -> Result<(Driver<Bootstrap>, BootstrapHandle), BindError> {
        let secure = self.bootstraps.map(|address| (Interface::Bootstraps, address));
        let sockets = Sockets::bind((Interface::Bootstrap, plain), secure).await?;
        let mut config = self.bootstrap_config.clone();
        if secure.is_some() {
            config.dtls.get_or_insert_default();
        }
        let error = |source| BindError { interface: Interface::Bootstrap, address: plain, source };
        bootstrap::start(sockets, config).map_err(error)
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
    driver: Driver<Management>,
    bootstrap: Option<Driver<Bootstrap>>,
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
            bootstrap: None,
            bootstraps: None,
            http: SocketAddr::from(([127, 0, 0, 1], 8080)),
            config: ServerConfig::default(),
            bootstrap_config: engine::Config::default(),
            files: None,
            file_limits: FileLimits::default(),
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
        let now = self.driver.now();
        self.driver.engine.set_security(now, endpoint, info)
    }

    /// Sets what an endpoint gets from the bootstrap server, before it runs; then [`BootstrapHandle::set_plan`] does. Without a
    /// bootstrap server nothing happens.
    pub fn set_plan(&mut self, endpoint: &str, plan: Plan) {
        if let Some(driver) = &mut self.bootstrap {
            let now = driver.now();
            driver.engine.set_plan(now, endpoint, plan);
        }
    }

    /// Says what an endpoint has to show before it is bootstrapped, before the server runs; then
    /// [`BootstrapHandle::set_security`] does. Without a bootstrap server nothing happens.
    ///
    /// # Errors
    /// The identity is another endpoint's.
    pub fn set_bootstrap_security(&mut self, endpoint: &str, info: SecurityInfo) -> Result<(), SecurityError> {
        let Some(driver) = &mut self.bootstrap else { return Ok(()) };
        let now = driver.now();
        driver.engine.set_security(now, endpoint, info)
    }

    /// Where the page and the API are, with the port that was taken.
    pub fn http_address(&self) -> SocketAddr {
        self.http
    }

    /// To ask clients and to hear what happens, before and while it runs.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs all of it until `shutdown` is done. Open requests then fail; clients are not told, as a server that goes for
    /// a while should not make them register anew. Needs no more than a current_thread runtime.
    ///
    /// # Errors
    /// The sockets fail.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> io::Result<()> {
        let router = http::router(self.handle);
        let bootstrap = async {
            match self.bootstrap {
                Some(driver) => driver.run().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            result = self.driver.run() => result,
            result = bootstrap => result,
            result = axum::serve(self.listener, router).into_future() => result,
            () = shutdown => Ok(()),
        }
    }
}
