//! How packages are fetched from URIs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lapwing::transfer::{HttpsIdentity, Proxy, PullConfig};

use super::ConfigError;
use super::read::Section;
use super::secret;
use super::security::{read_certificates, read_identity};

/// How packages are fetched from URIs; `None` where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PullSettings {
    /// A file of certificates in PEM or one in DER: authorities whose https and coaps servers are believed.
    pub ca: Option<PathBuf>,
    /// Whether those that the system trusts are believed as well, for https; they are by default.
    pub system_authorities: Option<bool>,
    /// A file of certificates in PEM, the client's own first, which servers are shown that ask for it.
    pub cert: Option<PathBuf>,
    /// Its private key in PEM. With coaps it is of use where it is on P-256.
    pub key: Option<PathBuf>,
    /// The way of http and https; by default the environment tells.
    pub proxy: Option<Proxy>,
    /// Bytes per second at most.
    pub max_rate: Option<u64>,
    /// Whether CoAP servers are asked if they have Q-Block2; they are by default.
    pub q_block2: Option<bool>,
    /// How long no byte may come.
    pub give_up: Option<Duration>,
}

const PROXY_EXPECTED: &str = "\"none\", or a URI that begins with http, https, socks4, socks4a or socks5";
const IDENTITY_EXPECTED: &str = "a private key in PEM, not encrypted, of the certificate in `pull.cert`";

impl PullSettings {
    pub(super) fn read(mut section: Section) -> Result<Self, ConfigError> {
        let positive = |value: &toml::Value| u64::try_from(value.as_integer()?).ok().filter(|number| *number > 0);
        let seconds = |value: &toml::Value| {
            let seconds = positive(value).and_then(|seconds| u32::try_from(seconds).ok())?;
            Some(Duration::from_secs(seconds.into()))
        };
        let settings = Self {
            ca: section.file("ca")?,
            system_authorities: section.boolean("system-authorities")?,
            cert: section.file("cert")?,
            key: section.file("key")?,
            proxy: section.string("proxy")?.map(|text| proxy(&text)).transpose()?,
            max_rate: section.take("max-rate", "bytes per second, at least 1", positive)?,
            q_block2: section.boolean("q-block2")?,
            give_up: section.take("give-up", "seconds from 1 to 4294967295", seconds)?,
        };
        section.finish()?;
        match (&settings.cert, &settings.key) {
            (Some(_), None) => Err(ConfigError::Needs { key: "pull.cert", other: "pull.key" }),
            (None, Some(_)) => Err(ConfigError::Needs { key: "pull.key", other: "pull.cert" }),
            _ => Ok(settings),
        }
    }

    /// What the files say that are named here.
    ///
    /// # Errors
    /// When one of them cannot be used.
    pub fn load(&self) -> Result<PullConfig, ConfigError> {
        let mut config = PullConfig::default();
        config.give_up = self.give_up.unwrap_or(config.give_up);
        config.max_rate = self.max_rate;
        config.q_block2 = self.q_block2.unwrap_or(config.q_block2);
        config.proxy = self.proxy.clone().unwrap_or_default();
        config.system_authorities = self.system_authorities.unwrap_or(config.system_authorities);
        if let Some(ca) = &self.ca {
            config.authorities = read_certificates("pull.ca", ca)?;
        }
        if let (Some(cert), Some(key)) = (&self.cert, &self.key) {
            config.https_identity = Some(https_identity(cert, key)?);
            // The DTLS profile of LwM2M knows no other curve.
            config.coaps_identity = read_identity(Some(cert), key).ok();
        }
        Ok(config)
    }
}

fn https_identity(cert: &Path, key: &Path) -> Result<HttpsIdentity, ConfigError> {
    let chain = secret::read("pull.cert", cert, false)?;
    let secret = secret::read("pull.key", key, true)?;
    HttpsIdentity::from_pem(&chain, &secret).map_err(|_| ConfigError::file("pull.key", key, IDENTITY_EXPECTED))
}

/// A proxy's URI may hold a password: it is not repeated.
fn proxy(text: &str) -> Result<Proxy, ConfigError> {
    const SCHEMES: [&str; 5] = ["http", "https", "socks4", "socks4a", "socks5"];
    match text.split_once("://") {
        None if text == "none" => Ok(Proxy::Direct),
        Some((scheme, rest)) if SCHEMES.contains(&scheme) && !rest.is_empty() => Ok(Proxy::At(text.to_owned())),
        _ => Err(ConfigError::Secret { key: "pull.proxy", expected: PROXY_EXPECTED }),
    }
}
