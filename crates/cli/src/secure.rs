//! What the secure side of the development server is started with.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;
use lapwing_gateway::config::{self, Secret, SecretSource};
use lapwing_lwm2m::server::SecurityInfo;
use lapwing_server::{Builder, Server};

use crate::failure::Failure;
use crate::serve::next_port;

/// What clients have to show, and what is shown to them.
#[derive(Debug, clap::Args)]
pub(crate) struct SecureOptions {
    /// Where clients register over DTLS, UDP. By default the address of --coap and the port after it, so 5684 after 5683.
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) coaps: Option<SocketAddr>,
    /// The pre-shared key of an endpoint, which then may register with it only; any number of times. FILE has the key in
    /// hexadecimal. In its place `hex:KEY` gives the key itself, which whoever lists this machine's processes sees.
    #[arg(long, value_name = "ENDPOINT,IDENTITY,FILE", value_parser = preshared)]
    pub(crate) psk: Vec<Preshared>,
    /// Credentials of endpoints as a JSON array, as `GET /api/security/clients?keys` gives it. They are read at the start:
    /// what the page or the API changes is gone with the server.
    #[arg(long, value_name = "FILE")]
    pub(crate) credentials: Option<PathBuf>,
    /// The server's private key, PEM or DER, for clients with raw public keys and certificates.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// The server's certificate and those between it and the root, PEM or DER.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// Certificates whose holders may issue those of clients, PEM or DER.
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) trust: Option<PathBuf>,
}

/// An endpoint and its pre-shared key.
#[derive(Debug, Clone)]
pub(crate) struct Preshared {
    endpoint: String,
    identity: String,
    key: SecretSource,
}

fn preshared(text: &str) -> Result<Preshared, String> {
    let mut parts = text.splitn(3, ',');
    let (Some(endpoint), Some(identity), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err("expected the endpoint, the identity and the file of its key, with a comma between them".to_owned());
    };
    if endpoint.is_empty() {
        return Err("expected the endpoint's name before the first comma".to_owned());
    }
    let key = match key.strip_prefix("hex:") {
        Some(key) => SecretSource::Given(Secret::new(key)),
        None => SecretSource::File(key.into()),
    };
    Ok(Preshared { endpoint: endpoint.to_owned(), identity: identity.to_owned(), key })
}

impl SecureOptions {
    /// Where clients register over DTLS, by the address where they register without.
    pub(crate) fn address(&self, coap: SocketAddr) -> Result<SocketAddr, Failure> {
        if let Some(address) = self.coaps {
            return Ok(address);
        }
        next_port(coap, "--coap", "--coaps")
    }

    /// Who the server is, and whom it trusts.
    pub(crate) fn introduce(&self, mut builder: Builder) -> Result<Builder, Failure> {
        if let Some(key) = &self.key {
            builder = builder.identity(config::read_identity(self.cert.as_deref(), key).map_err(Failure::usage)?);
        }
        if let Some(file) = &self.trust {
            builder = builder.trust(config::read_certificates("trust", file).map_err(Failure::usage)?);
        }
        Ok(builder)
    }

    /// Says what endpoints have to show.
    pub(crate) fn fill(&self, server: &mut Server) -> Result<(), Failure> {
        if let Some(file) = &self.credentials {
            load(server, file).with_context(|| format!("--credentials {}", file.display())).map_err(Failure::Usage)?;
        }
        for Preshared { endpoint, identity, key } in &self.psk {
            if let SecretSource::Given(_) = key {
                tracing::warn!(
                    "--psk {endpoint}: the key is on the command line, where every user of this machine sees it; a file hides it"
                );
            }
            let key = config::read_preshared_key("psk", key).map_err(Failure::usage)?;
            let entry = SecurityInfo::psk(identity.as_bytes(), &key)
                .map_err(anyhow::Error::from)
                .and_then(|info| Ok(server.set_security(endpoint, info)?));
            entry.with_context(|| format!("--psk {endpoint}")).map_err(Failure::Usage)?;
        }
        Ok(())
    }
}

fn load(server: &mut Server, file: &Path) -> anyhow::Result<()> {
    let text = config::read_secret("credentials", file)?;
    let text = std::str::from_utf8(&text).context("it is not text")?;
    Ok(server.load_credentials(text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preshared_key_has_an_endpoint_an_identity_and_a_file() {
        let Preshared { endpoint, identity, key } = preshared("gw,id,/a,b").unwrap();
        assert_eq!((endpoint.as_str(), identity.as_str()), ("gw", "id"));
        assert_eq!(key, SecretSource::File("/a,b".into()));
        let given = preshared("gw,id,hex:00ff").unwrap();
        assert!(matches!(given.key, SecretSource::Given(_)) && !format!("{given:?}").contains("00ff"));
        for wrong in ["gw", "gw,id", ",id,file"] {
            assert!(preshared(wrong).is_err(), "{wrong}");
        }
    }
}
