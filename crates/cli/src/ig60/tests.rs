use lapwing_gateway::config::{InstallerConfig, Version};

use super::*;

fn configured(line: &str) -> Result<Config, String> {
    let words: Vec<String> = line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned).collect();
    match options::parse(&words).unwrap() {
        Wanted::Client(options) => configuration(options, Path::new("/run/here")).map_err(|failure| {
            assert!(matches!(failure, Failure::Usage(_)), "{failure}");
            failure.to_string()
        }),
        Wanted::Help => panic!("{line}"),
    }
}

/// The server's URI and the bootstrap server's.
fn servers(line: &str) -> (Option<String>, Option<String>) {
    let config = configured(line).unwrap();
    let text = |uri: Option<ServerUri>| uri.map(|uri| uri.as_str().to_owned());
    (text(config.server), text(config.bootstrap_server))
}

#[test]
fn the_key_alone_chooses_dtls_and_not_the_port() {
    let server = |uri: &str| (Some(uri.to_owned()), None);
    assert_eq!(servers("-s 192.0.2.1 -sp 5684"), server("coap://192.0.2.1:5684"));
    assert_eq!(servers("-s h -sp 5683 -sk 00ff"), server("coaps://h:5683"));
    assert_eq!(servers("-s 2001:db8::1 -sp 5684"), server("coap://[2001:db8::1]:5684"));
    assert_eq!(servers("-s h -sp 5683 -bs b -bk 00ff"), server("coap://h:5683"), "the key is another server's");
}

#[test]
fn without_a_server_address_or_port_it_is_bootstrapped() {
    let bootstrap = |uri: &str| (None, Some(uri.to_owned()));
    assert_eq!(servers("-bs b"), bootstrap("coap://b:5683"));
    assert_eq!(servers("-bs b -bp 5684 -bk 00ff"), bootstrap("coaps://b:5684"));
    assert_eq!(servers("-bs b -s h"), bootstrap("coap://b:5683"));
    assert_eq!(servers("-bs b -sp 5683"), bootstrap("coap://b:5683"));
}

#[test]
fn the_rest_is_as_the_predecessor_had_it() {
    let config = configured("-s h -sp 5684 -sk 00ff -e gw").unwrap();
    assert_eq!((config.endpoint.as_deref(), config.lifetime, config.local_port), (Some("gw"), Some(3600), Some(5782)));
    assert_eq!(config.security.psk_identity.as_deref(), Some("gw"), "the identity is the endpoint");
    assert_eq!(config.security.psk_key, Some(SecretSource::Given(Secret::new("00ff"))));
    assert_eq!((config.version, config.state), (Some(Version::V1_0), None), "nothing is stored of servers");
    assert_eq!(config.update_state.as_deref(), Some(Path::new("/run/here/state")));
    let firmware = config.firmware.unwrap();
    assert!(matches!(firmware.installer, InstallerConfig::Script { program, .. } if program == ["ig60_fw_update.sh"]));
    assert_eq!(configured("-s h -sp 1").unwrap().endpoint.as_deref(), Some("python-client"));
}

#[test]
fn what_cannot_be_is_refused() {
    for (line, why) in [
        ("", "no server: give --server-address and --server-port, or --bootstrap-address"),
        ("-s h", "no server: give --server-address and --server-port, or --bootstrap-address"),
        ("-s h -sp 65536", "argument -sp/--server-port: expected a port from 0 to 65535"),
        ("-s h -sp -1", "argument -sp/--server-port: expected a port from 0 to 65535"),
        ("-bs h -bp x", "argument -bp/--bootstrap-port: expected a port from 0 to 65535"),
        ("-s h -sp 1 -p 65536", "argument -p/--port: expected a port from 0 to 65535"),
        ("-s h -sp 1 -l -1", "argument -l/--lifetime: expected seconds from 0 to 4294967295"),
        ("-s coap://h -sp 1", "argument -s/--server-address: expected the name or the address of a host"),
        ("-s h/rd -sp 1", "argument -s/--server-address: expected the name or the address of a host"),
        ("-s h -sp 1 -e=", "argument -e/--endpoint: expected 1 to 252 bytes without control characters"),
    ] {
        assert_eq!(configured(line).unwrap_err(), why, "{line}");
    }
    assert!(configured("-s h -sp 1 -bp x").is_ok(), "what is not needed is not read");
}
