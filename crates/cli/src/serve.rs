//! `lapwing serve`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::anyhow;
use lapwing_server::{BindError, Interface, Server};

use crate::args::ServeOptions;
use crate::failure::Failure;
use crate::logging;
use crate::shutdown::Shutdown;

pub(crate) fn serve(options: ServeOptions) -> Result<(), Failure> {
    logging::start(logging::QUIET);
    crate::runtime()?.block_on(async {
        let mut shutdown = Shutdown::new()?;
        let server = bind(&options).await?;
        println!("{}", page(&server));
        println!("coap://{}", server.coap_address());
        Ok(server.run(shutdown.requested()).await?)
    })
}

/// Binds both sides, or says which flag chooses another address.
pub(crate) async fn bind(options: &ServeOptions) -> Result<Server, Failure> {
    Server::builder().coap(options.coap).http(options.http).bind().await.map_err(bind_failure)
}

fn bind_failure(error: BindError) -> Failure {
    let flag = match error.interface {
        Interface::Coap => "--coap",
        Interface::Coaps => "--coaps",
        Interface::Http => "--http",
    };
    let reason = match error.source.kind() {
        io::ErrorKind::AddrInUse => "it is taken".to_owned(),
        io::ErrorKind::AddrNotAvailable => "it is not an address of this machine".to_owned(),
        _ => error.source.to_string(),
    };
    anyhow!("{error}: {reason}; choose another by {flag} ADDR:PORT").into()
}

/// Where the page is, for a browser on this machine.
pub(crate) fn page(server: &Server) -> String {
    format!("http://{}/", reachable(server.http_address()))
}

/// An address to connect to for one that is listened on, which may be the unspecified one.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
