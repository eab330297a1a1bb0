//! Factory bootstrap (LwM2M Core 1.1 section 6.1.3): a file that says which servers there are, with all that can be said of them.
//!
//! ```toml
//! [bootstrap-server]
//! uri = "coaps://bootstrap.example.com"
//! hold-off = 10                # seconds before the client asks to be bootstrapped by itself (0/x/11)
//! account-timeout = 3600       # seconds after a bootstrap until this account is forgotten (0/x/12)
//! psk-identity = "gateway-7"
//! psk-key-file = "bootstrap.hex"
//!
//! [[server]]
//! uri = "coaps://lwm2m.example.com"
//! short-server-id = 123
//! lifetime = 300               # seconds; 0 = the registration never lapses
//! default-pmin = 10            # seconds (1/x/2)
//! default-pmax = 600           # seconds (1/x/3)
//! disable-timeout = 3600       # seconds (1/x/5)
//! key = "client.key"
//! cert = "client.pem"
//! server-cert = "server.pem"
//! ```
//!
//! Each server has the same keys for its security as the configuration; names of files begin in the folder of this one.

use std::path::Path;

use lapwing::{BootstrapAccount, ServerAccount, ServerUri, ShortServerId};

use super::read::Section;
use super::security::SecurityConfig;
use super::{Accounts, ConfigError, SECONDS, in_file, server_uri, table};

/// Reads the accounts that a file describes, and the files that it names.
///
/// # Errors
/// When one of them cannot be read or used, or no server is described.
pub(super) fn load(path: &Path) -> Result<Accounts, ConfigError> {
    in_file(path, |text, folder| {
        let mut root = table(text, folder)?;
        let accounts = accounts(&mut root)?;
        root.finish()?;
        Ok(accounts)
    })
}

fn accounts(root: &mut Section) -> Result<Accounts, ConfigError> {
    let bootstrap = root.section("bootstrap-server")?.map(bootstrap_account).transpose()?;
    let servers = root.sections("server")?.into_iter().map(server_account).collect::<Result<Vec<_>, _>>()?;
    if servers.is_empty() && bootstrap.is_none() {
        return Err(root.absent("server"));
    }
    Ok(Accounts { servers, bootstrap })
}

fn bootstrap_account(mut section: Section) -> Result<BootstrapAccount, ConfigError> {
    let (uri, security) = (uri(&mut section)?, SecurityConfig::read(&mut section)?);
    let mut account = BootstrapAccount::new(uri);
    account.hold_off = section.number("hold-off", SECONDS)?;
    account.account_timeout = section.number("account-timeout", SECONDS)?;
    section.finish()?;
    account.security = security.load(&account.uri)?;
    Ok(account)
}

fn server_account(mut section: Section) -> Result<ServerAccount, ConfigError> {
    const SSID_EXPECTED: &str = "a number from 1 to 65534";
    let (uri, security) = (uri(&mut section)?, SecurityConfig::read(&mut section)?);
    let ssid: Option<ShortServerId> = section.number("short-server-id", SSID_EXPECTED)?;
    let ssid = ssid.ok_or_else(|| section.absent("short-server-id"))?;
    let mut account = ServerAccount::new(ssid, uri);
    if let Some(lifetime) = section.number("lifetime", SECONDS)? {
        account.lifetime = lifetime;
    }
    account.default_pmin = section.number("default-pmin", SECONDS)?;
    account.default_pmax = section.number("default-pmax", SECONDS)?;
    account.disable_timeout = section.number("disable-timeout", SECONDS)?;
    section.finish()?;
    account.security = security.load(&account.uri)?;
    Ok(account)
}

fn uri(section: &mut Section) -> Result<ServerUri, ConfigError> {
    section.text("uri", server_uri)?.ok_or_else(|| section.absent("uri"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::config::Config;
    use crate::config::tests::example;

    /// The accounts in a file of this text, or what is wrong with it.
    fn load(text: &str) -> Result<Accounts, String> {
        let folder = tempfile::tempdir().unwrap();
        let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dtls/tests/vectors/x509");
        for (name, source) in [("client.key", "leaf.key.der"), ("client.pem", "leaf.der"), ("server.pem", "leaf.der")] {
            fs::copy(vectors.join(source), folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("bootstrap.hex"), "001122").unwrap();
        fs::write(folder.path().join("accounts.toml"), text).unwrap();
        let config = Config::parse("factory-bootstrap = 'accounts.toml'", folder.path()).unwrap();
        config.accounts(300).map_err(|error| error.to_string().replace(folder.path().to_str().unwrap(), "DIR"))
    }

    #[test]
    fn the_documented_example_is_taken() {
        let Accounts { servers, bootstrap } = load(&example(include_str!("factory.rs"), 0)).unwrap();
        let bootstrap = bootstrap.unwrap();
        assert_eq!((bootstrap.uri.as_str(), bootstrap.hold_off), ("coaps://bootstrap.example.com", Some(10)));
        assert_eq!(bootstrap.account_timeout, Some(3600));
        assert!(bootstrap.security.is_secure());
        let [server] = &servers[..] else { panic!("{servers:?}") };
        assert_eq!((server.ssid, server.lifetime, server.uri.as_str()), (123, 300, "coaps://lwm2m.example.com"));
        let periods = (server.default_pmin, server.default_pmax, server.disable_timeout);
        assert_eq!(periods, (Some(10), Some(600), Some(3600)));
        assert!(server.security.is_secure());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_file_and_place() {
        let server = "[[server]]\nuri = 'coap://h'\nshort-server-id = 1\n";
        for (text, expected) in [
            ("", "DIR/accounts.toml: `server` is missing".to_owned()),
            ("[[server]]\nuri = 'coap://h'", "DIR/accounts.toml: `server[0].short-server-id` is missing".to_owned()),
            ("[bootstrap-server]\n", "DIR/accounts.toml: `bootstrap-server.uri` is missing".to_owned()),
            (&format!("{server}[[server]]\nurl = 'x'"), "DIR/accounts.toml: `server[1].uri` is missing".to_owned()),
            (
                &format!("{server}lifetme = 5"),
                "DIR/accounts.toml: unknown key `server[0].lifetme`; the nearest known one is `server[0].lifetime`"
                    .to_owned(),
            ),
            (
                &format!("{server}lifetime = -5"),
                "DIR/accounts.toml: `server[0].lifetime` = -5: expected seconds from 0 to 4294967295".to_owned(),
            ),
            (
                "[bootstrap-server]\nuri = 'coaps://h'\npsk-identity = 'x'\npsk-key-file = 'gone.hex'",
                "DIR/accounts.toml: `psk-key-file`: cannot read DIR/gone.hex: No such file or directory (os error 2)"
                    .to_owned(),
            ),
        ] {
            assert_eq!(load(text).unwrap_err(), expected, "{text}");
        }
    }
}
