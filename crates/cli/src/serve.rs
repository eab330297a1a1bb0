//! `lapwing serve`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context, anyhow};
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
        if let Some(address) = server.coaps_address() {
            println!("coaps://{address}");
        }
        if let Some(bootstrap) = server.handle().bootstrap() {
            println!("bootstrap coap://{}", bootstrap.coap_address());
            if let Some(address) = bootstrap.coaps_address() {
                println!("bootstrap coaps://{address}");
            }
        }
        Ok(server.run(shutdown.requested()).await?)
    })
}

/// Binds both sides, or says which flag chooses another address.
pub(crate) async fn bind(options: &ServeOptions) -> Result<Server, Failure> {
    let secure = &options.secure;
    let mut builder = Server::builder().coap(options.coap).coaps(secure.address(options.coap)?).http(options.http);
    if let Some(folder) = &options.files {
        let unusable = || format!("the folder of files {} cannot be used", folder.display());
        builder = builder.files(folder.clone()).with_context(unusable)?;
    }
    let builder = options.bootstrap.listen(secure.introduce(builder)?)?;
    let mut server = builder.bind().await.map_err(bind_failure)?;
    secure.fill(&mut server)?;
    options.bootstrap.fill(&mut server)?;
    Ok(server)
}

/// The address with the port after it, for the secure one of a pair of sockets.
pub(crate) fn next_port(address: SocketAddr, plain: &str, secure: &str) -> Result<SocketAddr, Failure> {
    let port = match address.port() {
        0 => Some(0),
        port => port.checked_add(1),
    };
    let port = port.ok_or_else(|| Failure::Usage(anyhow!("there is no port after that of {plain}; give {secure}")))?;
    Ok(SocketAddr::new(address.ip(), port))
}

fn bind_failure(error: BindError) -> Failure {
    let flag = match error.interface {
        Interface::Coap => "--coap",
        Interface::Coaps => "--coaps",
        Interface::Bootstrap => "--bootstrap",
        Interface::Bootstraps => "--bootstraps",
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
