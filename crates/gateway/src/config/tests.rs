use super::*;

/// The example of the module's documentation.
const EXAMPLE: &str = include_str!("mod.rs");

fn example() -> String {
    let lines = EXAMPLE.lines().skip_while(|line| *line != "//! ```toml").skip(1);
    let lines = lines.take_while(|line| *line != "//! ```").map(|line| line.trim_start_matches("//!").trim_start());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_documented_example_is_taken_and_names_every_key() {
    let config = Config::parse(&example()).unwrap();
    assert_eq!(config.server.as_deref(), Some("coap://lwm2m.example.com:5683"));
    assert_eq!(config.endpoint.as_deref(), Some("gateway-7"));
    assert_eq!(config.lifetime, Some(300));
    assert_eq!(config.version, Some(Version::V1_1));
    assert_eq!(config.state.as_deref(), Some(Path::new("/var/lib/lapwing")));
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
}

#[test]
fn an_empty_file_leaves_everything_open() {
    assert_eq!(Config::parse("").unwrap(), Config::default());
    assert_eq!(Config::default().device.reboot_command, ["systemctl", "reboot"]);
}

fn error(text: &str) -> String {
    Config::parse(text).unwrap_err().to_string()
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
        ("version = 1.1", "`version` = 1.1: expected \"1.0\" or \"1.1\""),
        ("server = 5683", "`server` = 5683: expected a string"),
        ("server = 'example.com'", "`server` = \"example.com\": expected a URI such as coap://host:5683"),
        (
            "server = 'coaps://example.com'",
            "`server` = \"coaps://example.com\": expected a URI such as coap://host:5683 ('coaps' is not built yet: only coap is)",
        ),
        ("endpoint = ''", "`endpoint` = \"\": expected 1 to 252 bytes without control characters"),
        ("binding = 'S'", "`binding` = \"S\": expected \"U\" (plain UDP), the only binding there is yet"),
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
