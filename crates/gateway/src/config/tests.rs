use std::time::Duration;

use lapwing::credentials::{CertificateUsage, CipherSuite};
use lapwing::objects::firmware::Severity;
use lapwing::transfer::Proxy;

use super::*;
use crate::backend::Verdict;
use crate::backend::script::ExitCode;
use crate::backend::swupdate::{Side, Sides};
use crate::platform::Confirm;
use crate::platform::PowerKind;

/// The example of the module's documentation.
const EXAMPLE: &str = include_str!("mod.rs");

/// The TOML in the documentation of a module, by its place among several.
pub(super) fn example(module: &str, place: usize) -> String {
    let mut lines = module.lines();
    for _ in 0..=place {
        lines.find(|line| *line == "//! ```toml").unwrap();
    }
    let lines = lines.take_while(|line| *line != "//! ```").map(|line| line.trim_start_matches("//!").trim_start());
    lines.collect::<Vec<_>>().join("\n")
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("/etc/lapwing"))
}

#[test]
fn the_documented_example_is_taken_and_names_every_key() {
    let config = parse(&example(EXAMPLE, 0)).unwrap();
    assert_eq!(config.server, Some("coaps://lwm2m.example.com:5684".parse().unwrap()));
    assert_eq!(config.bootstrap_server, Some("coaps://bootstrap.example.com".parse().unwrap()));
    assert_eq!(config.endpoint.as_deref(), Some("gateway-7"));
    assert_eq!(config.lifetime, Some(300));
    assert_eq!(config.version, Some(Version::V1_1));
    assert_eq!(config.state.as_deref(), Some(Path::new("/var/lib/lapwing")));
    assert!(!config.reset_accounts);
    assert_eq!(config.after_restart, AfterRestart::Register);
    assert_eq!(parse("after-restart = 'resume'").unwrap().after_restart, AfterRestart::Resume);
    assert_eq!((config.update_folder(), config.local_port), (Some(Path::new("/data/lapwing")), Some(5682)));
    assert_eq!(config.socket.as_deref(), Some(Path::new("/run/gateway-7.sock")));
    let security = SecurityConfig {
        psk_identity: Some("gateway-7".into()),
        psk_key: Some(SecretSource::File("/etc/lapwing/psk.hex".into())),
        sni: Some("lwm2m.example.com".into()),
        cipher_suites: Some(vec![CipherSuite::PskAes128Ccm8]),
        ..SecurityConfig::default()
    };
    assert_eq!(config.security, security);
    assert_eq!((config.unknown_time, config.connection_id), (Some(UnknownTime::Refuse), Some(true)));
    let device = DeviceConfig {
        manufacturer: Some("Acme".into()),
        model: Some("Gate 7".into()),
        serial: Some("0001".into()),
        firmware_version: Some("7.1".into()),
        hardware_version: Some("B".into()),
        software_version: Some("2.0".into()),
        device_type: Some("gateway".into()),
        power_sources: Some(vec![PowerKind::Dc]),
        current_time_writable: false,
        reboot_command: vec!["systemctl".into(), "reboot".into()],
    };
    assert_eq!(config.device, device);
    let program = vec!["/usr/sbin/install-image".into()];
    let words = |word: &str| Some(vec![word.to_owned()]);
    let verdict = Verdict { accept: words("mark-good"), go_back: words("boot-the-other") };
    let firmware = FirmwareConfig {
        installer: InstallerConfig::Script { program, result: ExitCode::Posix, verdict },
        confirm: Confirm::Reboot,
        check: words("/usr/sbin/check-image"),
        go_back_after: Some(Duration::from_secs(600)),
        defer: vec![Severity::Optional],
    };
    assert_eq!(config.firmware, Some(firmware));
}

#[test]
fn how_firmware_is_installed_is_told_or_refused() {
    let firmware = |text: &str| parse(&format!("[firmware]\n{text}"));
    let taken = |text: &str| firmware(text).unwrap().firmware.map(|firmware| (firmware.installer, firmware.confirm));
    let none = Verdict::default;
    let script = |result| InstallerConfig::Script { program: vec!["a".to_owned()], result, verdict: none() };
    assert_eq!(taken("program = ['a']"), Some((script(ExitCode::Posix), Confirm::Reboot)));
    assert_eq!(taken("program = ['a']\nresult = 'ig60'"), Some((script(ExitCode::Ig60), Confirm::Now)));
    assert_eq!(
        taken("installer = 'script'\nprogram = ['a']\nconfirm = 'now'"),
        Some((script(ExitCode::Posix), Confirm::Now))
    );
    assert_eq!(taken("installer = 'rauc'"), Some((InstallerConfig::Rauc, Confirm::Reboot)));
    let swupdate =
        |sockets: &str, sides, verdict| InstallerConfig::Swupdate { sockets: sockets.into(), sides, verdict };
    assert_eq!(taken("installer = 'swupdate'"), Some((swupdate("/tmp", Sides::default(), none()), Confirm::Reboot)));
    let sides = ["a", "b"].map(|name| Side::parse(name, &format!("stable,main-{name}")).unwrap());
    let sides = Sides::opposite(sides.to_vec(), ["fw_printenv", "-n", "bootside"].map(str::to_owned).to_vec());
    let documented = parse(&example(EXAMPLE, 2)).unwrap().firmware.map(|firmware| firmware.installer);
    let set = Verdict { go_back: Some(["fw_setenv", "bootside"].map(str::to_owned).to_vec()), ..none() };
    let of_sides = swupdate("/tmp", sides.clone(), set.clone());
    assert_eq!(documented.as_ref(), Some(&of_sides), "what it says of sides is the default");
    let text = "installer = 'swupdate'\nsides = { a = 'stable,main-a', b = 'stable,main-b' }";
    assert_eq!(taken(text), Some((of_sides, Confirm::Reboot)));
    let sides = sides.running_by(vec!["root-side".to_owned()]);
    let running = format!("{text}\nrunning = ['root-side']");
    assert_eq!(taken(&running), Some((swupdate("/tmp", sides, set), Confirm::Reboot)));
    assert_eq!(
        taken("installer = 'swupdate'\nsockets = '/run/a'"),
        Some((swupdate("/run/a", Sides::default(), none()), Confirm::Reboot))
    );
    assert!(firmware("installer = 'rauc'\ngo-back-after = 60").is_ok(), "RAUC knows how to go back");
    assert_eq!(parse("").unwrap().firmware, None);
    for (text, why) in [
        ("", "`firmware.program` is missing"),
        ("program = []", "`firmware.program` = []: expected a list of a program and its arguments"),
        ("program = ['a']\nresult = 'bash'", "`firmware.result` = \"bash\": expected \"posix\" or \"ig60\""),
        ("program = ['a']\nconfirm = 1", "`firmware.confirm` = 1: expected \"now\" or \"reboot\""),
        ("programm = ['a']", "`firmware.program` is missing"),
        ("installer = 'dd'", "`firmware.installer` = \"dd\": expected \"script\", \"swupdate\" or \"rauc\""),
        ("installer = 'swupdate'\nbootside = ['a']", "`firmware.sides` is missing"),
        ("installer = 'swupdate'\nrunning = ['a']", "`firmware.sides` is missing"),
        ("program = ['a']\ngo-back-after = 60", "`firmware.go-back-after` needs `firmware.go-back` beside it"),
        (
            "program = ['a']\ngo-back = ['b']\nconfirm = 'now'\ngo-back-after = 60",
            "`firmware.go-back-after` needs `firmware.confirm = \"reboot\"` beside it",
        ),
        ("program = ['a']\ngo-back-after = 0", "`firmware.go-back-after` = 0: expected seconds from 1 to 4294967295"),
        (
            "program = ['a']\ndefer = ['some']",
            "`firmware.defer` = [\"some\"]: expected a list of \"critical\", \"mandatory\", \"optional\"",
        ),
        (
            "installer = 'swupdate'\nsides = { a = 'stable' }",
            "`firmware.sides` = a table: expected a table of two sides, such as { a = \"stable,main-a\", b = \"stable,main-b\" }",
        ),
        (
            "installer = 'rauc'\nprogram = ['a']",
            "unknown key `firmware.program`; the nearest known one is `firmware.confirm`",
        ),
        (
            "program = ['a']\ncofirm = 'now'",
            "unknown key `firmware.cofirm`; the nearest known one is `firmware.confirm`",
        ),
    ] {
        assert_eq!(firmware(text).unwrap_err().to_string(), why, "{text}");
    }
}

#[test]
fn the_documented_certificates_are_taken() {
    let config = parse(&example(EXAMPLE, 3)).unwrap();
    let file = |name: &str| Some(PathBuf::from(format!("/etc/lapwing/{name}")));
    let security = SecurityConfig {
        key: file("client.key").map(SecretSource::File),
        cert: file("client.pem"),
        server_cert: file("server.pem"),
        server_cert_usage: Some(CertificateUsage::DomainIssuedCertificate),
        ..SecurityConfig::default()
    };
    assert_eq!((config.security, config.ca), (security, file("roots.pem")));
    assert_eq!(parse(&example(EXAMPLE, 4)).unwrap().factory_bootstrap, file("accounts.toml"));
}

#[test]
fn how_packages_are_fetched_is_told_or_refused() {
    let file = |name: &str| Some(PathBuf::from(format!("/etc/lapwing/{name}")));
    let pull = parse(&example(EXAMPLE, 1)).unwrap().pull;
    assert_eq!((&pull.ca, &pull.cert, &pull.key), (&file("files.pem"), &file("client.pem"), &file("client.key")));
    assert_eq!((pull.system_authorities, pull.max_rate), (Some(true), Some(100_000)));
    assert_eq!((pull.give_up, pull.q_block2), (Some(Duration::from_secs(600)), Some(true)));
    assert_eq!(pull.proxy, Some(Proxy::At("http://proxy.example.com:3128".to_owned())));
    let pull = |text: &str| parse(&format!("[pull]\n{text}"));
    assert_eq!(pull("proxy = 'none'").unwrap().pull.proxy, Some(Proxy::Direct));
    for (text, why) in [
        ("cert = 'a'", "`pull.cert` needs `pull.key` beside it"),
        ("key = 'a'", "`pull.key` needs `pull.cert` beside it"),
        ("max-rate = 0", "`pull.max-rate` = 0: expected bytes per second, at least 1"),
        ("give-up = -1", "`pull.give-up` = -1: expected seconds from 1 to 4294967295"),
        ("give-up = 4294967296", "`pull.give-up` = 4294967296: expected seconds from 1 to 4294967295"),
        (
            "proxy = 'me:secret@proxy'",
            "`pull.proxy`: expected \"none\", or a URI that begins with http, https, socks4, socks4a or socks5",
        ),
        ("cas = 'a'", "unknown key `pull.cas`; the nearest known one is `pull.ca`"),
    ] {
        assert_eq!(pull(text).unwrap_err().to_string(), why, "{text}");
    }
    let missing = pull("ca = '/nowhere/ca.pem'").unwrap().pull.load().unwrap_err().to_string();
    assert!(missing.starts_with("`pull.ca`: cannot read /nowhere/ca.pem: "), "{missing}");
}

#[test]
fn what_updates_need_is_kept_where_the_rest_is_unless_told_otherwise() {
    let folder = |text: &str| parse(text).unwrap().update_folder().map(Path::to_owned);
    assert_eq!(folder("state = '/a'"), Some("/a".into()));
    assert_eq!(folder("state = '/a'\nupdate-state = '/b'"), Some("/b".into()));
    assert_eq!(folder("update-state = '/b'"), Some("/b".into()));
}

#[test]
fn an_empty_file_leaves_everything_open() {
    assert_eq!(parse("").unwrap(), Config::default());
    assert_eq!(Config::default().device.reboot_command, ["systemctl", "reboot"]);
}

fn error(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn unknown_keys_are_refused_naming_the_nearest_known_one() {
    assert_eq!(error("lifetme = 5"), "unknown key `lifetme`; the nearest known one is `lifetime`");
    assert_eq!(error("Endpoint = 'x'"), "unknown key `Endpoint`; the nearest known one is `endpoint`");
    assert_eq!(
        error("[device]\nserial-number = 'x'"),
        "unknown key `device.serial-number`; the nearest known one is `device.serial`"
    );
    assert_eq!(error("[devices]\n"), "unknown key `devices`; the nearest known one is `device`");
}

#[test]
fn wrong_values_are_refused_naming_key_value_and_what_was_expected() {
    let cases = [
        ("lifetime = 'long'", "`lifetime` = \"long\": expected seconds from 0 to 4294967295"),
        ("lifetime = -1", "`lifetime` = -1: expected seconds from 0 to 4294967295"),
        ("lifetime = 4294967296", "`lifetime` = 4294967296: expected seconds from 0 to 4294967295"),
        ("version = '2.0'", "`version` = \"2.0\": expected \"1.0\" or \"1.1\""),
        ("after-restart = 'stop'", "`after-restart` = \"stop\": expected \"register\" or \"resume\""),
        ("version = 1.1", "`version` = 1.1: expected \"1.0\" or \"1.1\""),
        ("local-port = 65536", "`local-port` = 65536: expected a port from 0 to 65535"),
        ("update-state = 'here'", "`update-state` = \"here\": expected the absolute path of a folder"),
        ("server = 5683", "`server` = 5683: expected a string"),
        (
            "server = 'example.com'",
            "`server` = \"example.com\": expected a URI such as coaps://host:5684 or coap://host:5683",
        ),
        (
            "server = 'coap+tcp://example.com'",
            "`server` = \"coap+tcp://example.com\": expected a URI such as coaps://host:5684 or coap://host:5683 \
             ('coap+tcp' is not built yet: only coap and coaps (CoAP over UDP, plain and over DTLS) are)",
        ),
        (
            "server-cert-usage = 4",
            "`server-cert-usage` = 4: expected 0 (of a CA in a trusted path), 1 (the server's, in a trusted path), 2 (the trust anchor) or 3 (the server's)",
        ),
        ("unknown-time = 'guess'", "`unknown-time` = \"guess\": expected \"refuse\" or \"skip\""),
        ("psk-key-file = ''", "`psk-key-file` = \"\": expected the name of a file"),
        ("psk-key = 123456", "`psk-key`: expected a string"),
        (
            "psk-key = '12'
psk-key-file = 'x'",
            "`psk-key` and `psk-key-file` exclude each other",
        ),
        ("endpoint = ''", "`endpoint` = \"\": expected 1 to 252 bytes without control characters"),
        ("binding = 'S'", "`binding` = \"S\": expected \"U\" (UDP), the only binding there is yet"),
        ("device = 1", "`device` = 1: expected a table"),
        ("[device]\ncurrent-time-writable = 'yes'", "`device.current-time-writable` = \"yes\": expected true or false"),
        (
            "[device]\nreboot-command = []",
            "`device.reboot-command` = []: expected a list of a program and its arguments",
        ),
        ("[device]\nmodel = 7", "`device.model` = 7: expected a string"),
    ];
    for (text, expected) in cases {
        assert_eq!(error(text), expected, "{text}");
    }
    assert!(
        error("[device]\npower-sources = ['steam']")
            .starts_with("`device.power-sources` = [\"steam\"]: expected a list of")
    );
}

#[test]
fn what_is_not_toml_is_refused_with_its_place() {
    assert!(
        error("endpoint = 'a'\nlifetime = \n").starts_with("line 2, column 12: "),
        "{}",
        error("endpoint = 'a'\nlifetime = \n")
    );
    assert!(error("endpoint = 'a'\nendpoint = 'b'\n").starts_with("line 2, column 1: duplicate key"));
}

#[test]
fn errors_name_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("agent.toml");
    let missing = Config::load(&file).unwrap_err().to_string();
    assert!(missing.starts_with(&format!("cannot read {}: ", file.display())), "{missing}");
    fs::write(&file, "lifetme = 1").unwrap();
    let unknown = Config::load(&file).unwrap_err().to_string();
    assert_eq!(unknown, format!("{}: unknown key `lifetme`; the nearest known one is `lifetime`", file.display()));
}

#[test]
fn what_is_not_understood_is_told_without_its_secrets() {
    for text in [
        "psk-key = '7365637265742d6b6579",
        "psk-key = 7365637265742d6b6579x",
        "psk-key = ['7365637265742d6b6579']",
        "psk-key = {a = '7365637265742d6b6579'}",
        "server = [{psk-key = '7365637265742d6b6579'}]",
        "server = {psk-key = '7365637265742d6b6579'}",
        "psk_key = '7365637265742d6b6579'",
    ] {
        let error = parse(text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("7365637265742d"), "{error:?}");
    }
}
