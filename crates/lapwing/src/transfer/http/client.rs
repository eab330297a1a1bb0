//! How ureq is set up.

use std::env;
use std::sync::{Arc, OnceLock};

use rustls::crypto::CryptoProvider;
use ureq::Agent;
use ureq::config::Config;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::super::{Cause, Login, Proxy, PullConfig};

/// What is worth keeping between pulls.
#[derive(Default)]
pub(in super::super) struct Client {
    /// The certificates of the authorities that are believed: looking for the system's takes many milliseconds.
    authorities: OnceLock<Arc<Vec<Certificate<'static>>>>,
}

impl Client {
    /// A client for one connection and where it is sent from there.
    pub(super) fn agent(&self, config: &PullConfig) -> Agent {
        let builder = Config::builder()
            .http_status_as_error(false)
            // Ureq would show the login to another port of the same host.
            .max_redirects(0)
            .user_agent(concat!("lapwing/", env!("CARGO_PKG_VERSION")))
            // A range is one of the file as it is.
            .accept_encoding("identity")
            .max_idle_connections(0)
            .timeout_resolve(Some(config.connect_timeout))
            .timeout_connect(Some(config.connect_timeout))
            .timeout_recv_response(Some(config.read_timeout))
            .timeout_per_read(Some(config.read_timeout))
            .tls_config(self.tls(config));
        builder.build().new_agent()
    }

    fn tls(&self, config: &PullConfig) -> TlsConfig {
        let identity = config.https_identity.as_ref().map(|identity| identity.0.clone());
        let roots = self.authorities.get_or_init(|| Arc::new(authorities(config)));
        TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::clone(roots)))
            .client_cert(identity)
            .unversioned_rustls_crypto_provider(provider())
            .build()
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn authorities(config: &PullConfig) -> Vec<Certificate<'static>> {
    let mut all: Vec<_> = config.authorities.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    if config.system_authorities {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "not all authorities that the system trusts can be read");
        }
        all.extend(found.certs.iter().map(|der| Certificate::from_der(der).to_owned()));
    }
    all
}

/// The proxy to use for http, or https if `secure`; if any.
pub(super) fn proxy(configured: &Proxy, secure: bool) -> Result<Option<ureq::Proxy>, Cause> {
    proxy_of(configured, secure, |name| env::var(name).ok())
}

fn proxy_of(
    configured: &Proxy,
    secure: bool,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Option<ureq::Proxy>, Cause> {
    let variable = |name: &str| environment(name).or_else(|| environment(&name.to_ascii_uppercase()));
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    let wrong = |_| Cause::Configuration("the proxy's URI is none".into());
    match configured {
        Proxy::Direct => Ok(None),
        Proxy::At(uri) => ureq::Proxy::new(uri).map(Some).map_err(wrong),
        Proxy::Environment => {
            let own = if secure { "https_proxy" } else { "http_proxy" };
            let Some(uri) = variable(own).or_else(|| variable("all_proxy")) else { return Ok(None) };
            let proxy = ureq::Proxy::new(&uri).map_err(wrong)?;
            let mut builder = ureq::Proxy::builder(proxy.protocol()).host(proxy.host()).port(proxy.port());
            if let Some(user) = proxy.username() {
                builder = builder.username(user);
            }
            if let Some(password) = proxy.password() {
                builder = builder.password(password);
            }
            for direct in variable("no_proxy").iter().flat_map(|list| list.split(',')).map(str::trim) {
                // A name stands for those below it as well.
                builder = builder.no_proxy(direct).no_proxy(&format!(".{}", direct.trim_start_matches(['*', '.'])));
            }
            builder.build().map(Some).map_err(wrong)
        }
    }
}

/// What Authorization says (RFC 7617 section 2).
pub(super) fn authorization(login: &Login) -> zeroize::Zeroizing<String> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let clear = zeroize::Zeroizing::new(format!("{}:{}", login.user, *login.password));
    let mut text = zeroize::Zeroizing::new(String::with_capacity(6 + clear.len().div_ceil(3) * 4));
    text.push_str("Basic ");
    for group in clear.as_bytes().chunks(3) {
        let at = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for digit in 0..4 {
            let value = (bits >> (18 - 6 * digit)) & 63;
            text.push(if digit > group.len() { '=' } else { char::from(DIGITS[value as usize]) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_are_those_of_rfc_7617() {
        assert_eq!(*authorization(&Login::new("Aladdin", "open sesame")), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(*authorization(&Login::new("a", "b")), "Basic YTpi");
        assert_eq!(*authorization(&Login::new("ab", "c")), "Basic YWI6Yw==");
        assert_eq!(*authorization(&Login::new("", "\u{e9}")), "Basic OsOp");
    }

    #[test]
    fn the_environment_names_a_proxy_for_each_scheme() {
        let set = |pairs: &'static [(&str, &str)]| {
            move |name: &str| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.to_owned())
        };
        let of = |secure, pairs| proxy_of(&Proxy::Environment, secure, set(pairs)).unwrap();
        let pairs = &[("http_proxy", "http://u:p%40@one:3128"), ("HTTPS_PROXY", "two"), ("no_proxy", "near, .home")];
        let plain = of(false, pairs).unwrap();
        assert_eq!(
            (plain.host(), plain.port(), plain.username(), plain.password()),
            ("one", 3128, Some("u"), Some("p@"))
        );
        assert!(plain.is_no_proxy(&"http://near/a".parse().unwrap()));
        assert!(
            plain.is_no_proxy(&"http://a.near/".parse().unwrap())
                && plain.is_no_proxy(&"http://b.home".parse().unwrap())
        );
        assert!(
            !plain.is_no_proxy(&"http://far/a".parse().unwrap())
                && !plain.is_no_proxy(&"http://anear/".parse().unwrap())
        );
        assert_eq!(of(true, pairs).unwrap().host(), "two");
        assert_eq!(of(true, &[("http_proxy", "one"), ("https_proxy", "")]), None);
        assert_eq!(of(true, &[("all_proxy", "socks5://three")]).unwrap().host(), "three");
        assert_eq!(proxy_of(&Proxy::Direct, true, set(&[("all_proxy", "one")])).unwrap(), None);
        assert!(matches!(proxy_of(&Proxy::At("://".into()), true, set(&[])), Err(Cause::Configuration(_))));
    }
}
