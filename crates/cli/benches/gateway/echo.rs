use std::net::Ipv4Addr;

use crate::Result;

/// The environment variable with the port to listen at.
pub(crate) const PORT: &str = "LAPWING_BENCH_ECHO_PORT";

/// Sends every datagram back: what tokio itself and the kernel cost.
pub(crate) fn run() -> Result<()> {
    let port: u16 = std::env::var(PORT)?.parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let socket = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let mut buffer = [0; 2048];
        let (length, peer) = socket.recv_from(&mut buffer).await?;
        // Connected like the agent's socket.
        socket.connect(peer).await?;
        socket.send(&buffer[..length]).await?;
        loop {
            let length = socket.recv(&mut buffer).await?;
            socket.send(&buffer[..length]).await?;
        }
    })
}
