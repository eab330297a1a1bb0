use std::os::unix::fs::symlink;

use super::posix_tz::PosixTz;
use super::tzif::Zone;
use super::*;
use crate::platform::PowerKind;

/// A folder with the given files in it.
fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

fn identity(files: &[(&str, &str)]) -> Identity {
    identity::read(tree(files).path()).unwrap()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn a_pc_is_known_by_dmi() {
    let pc = identity(&[
        ("sys/class/dmi/id/sys_vendor", "LENOVO\n"),
        ("sys/class/dmi/id/product_name", "20XWS0\n"),
        ("sys/class/dmi/id/product_serial", "PF12345\n"),
        ("sys/class/dmi/id/product_version", "ThinkPad X1\n"),
    ]);
    let expected = Identity {
        manufacturer: some("LENOVO"),
        model: some("20XWS0"),
        serial: some("PF12345"),
        hardware_version: some("ThinkPad X1"),
    };
    assert_eq!(pc, expected);
}

#[test]
fn fields_that_the_maker_did_not_fill_in_are_passed_over_for_the_board() {
    let board = identity(&[
        ("sys/class/dmi/id/sys_vendor", "To Be Filled By O.E.M.\n"),
        ("sys/class/dmi/id/board_vendor", "ASRock\n"),
        ("sys/class/dmi/id/product_name", "Default string\n"),
        ("sys/class/dmi/id/board_name", "IMB-1222\n"),
        ("sys/class/dmi/id/product_serial", "\n"),
    ]);
    let expected = Identity { manufacturer: some("ASRock"), model: some("IMB-1222"), ..Identity::default() };
    assert_eq!(board, expected);
}

#[test]
fn a_board_is_known_by_its_device_tree() {
    let board = identity(&[
        ("proc/device-tree/compatible", "raspberrypi,4-model-b\0brcm,bcm2711\0"),
        ("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0"),
        ("proc/device-tree/serial-number", "10000000abcdef01\0"),
    ]);
    let expected = Identity {
        manufacturer: some("raspberrypi"),
        model: some("Raspberry Pi 4 Model B Rev 1.4"),
        serial: some("10000000abcdef01"),
        hardware_version: None,
    };
    assert_eq!(board, expected);
    let specified =
        identity(&[("proc/device-tree/compatible", "acme,gate\0"), ("proc/device-tree/model", "acme,gate 7\0")]);
    assert_eq!(specified.model, some("gate 7"));
}

#[test]
fn a_machine_without_either_is_unknown_and_that_is_no_error() {
    assert_eq!(identity(&[]), Identity::default());
}

fn firmware(files: &[(&str, &str)]) -> Option<String> {
    os_release::read(tree(files).path()).unwrap().firmware
}

#[test]
fn os_release_is_read_from_etc_then_usr_lib_and_never_mixed() {
    let vendor = ("usr/lib/os-release", "VERSION_ID=11\nIMAGE_VERSION=9\n");
    assert_eq!(firmware(&[vendor]), some("9"));
    assert_eq!(firmware(&[("etc/os-release", "NAME=x\nVERSION_ID=\"12\"\n"), vendor]), some("12"));
    assert_eq!(firmware(&[("etc/os-release", "NAME=x\n"), vendor]), None);
    assert_eq!(firmware(&[]), None);
}

#[test]
fn os_release_values_are_quoted_as_in_a_shell() {
    let version = |line: &str| firmware(&[("etc/os-release", &format!("# comment\n{line}\n"))]);
    assert_eq!(version("VERSION_ID=1.2"), some("1.2"));
    assert_eq!(version("VERSION_ID='1 2'"), some("1 2"));
    assert_eq!(version(r#"VERSION_ID="a \"b\" \$c \\""#), some(r#"a "b" $c \"#));
    assert_eq!(version("VERSION_ID=1\nVERSION_ID=2"), some("2"), "the last assignment wins");
    assert_eq!(version("VERSION_ID=\"\"\nBUILD_ID=rolling"), some("rolling"));
    assert_eq!(version("VERSION_ID=3\nIMAGE_VERSION=2026.1"), some("2026.1"));
}

#[test]
fn meminfo_is_read_in_bytes() {
    let text = "MemTotal:        8145612 kB\nMemFree:          100 kB\nMemAvailable:    4000000 kB\n";
    let expected = Memory { total: 8_145_612 * 1024, available: 4_000_000 * 1024 };
    assert_eq!(parse_meminfo(text), Some(expected));
    assert_eq!(parse_meminfo("MemTotal: 5 kB\n"), None);
}

#[tokio::test]
async fn meminfo_that_makes_no_sense_is_an_error_and_a_missing_one_is_not() {
    let broken = tree(&[("proc/meminfo", "nonsense")]);
    let error = Procfs::at(broken.path()).memory().await.unwrap_err().to_string();
    assert!(error.contains("proc/meminfo: MemTotal"), "{error}");
    let nothing = tree(&[]);
    assert_eq!(Procfs::at(nothing.path()).memory().await.unwrap(), None);
}

#[test]
fn power_supplies_are_told_apart() {
    let root = tree(&[
        ("sys/class/power_supply/AC/type", "Mains\n"),
        ("sys/class/power_supply/AC/online", "0\n"),
        ("sys/class/power_supply/BAT0/type", "Battery\n"),
        ("sys/class/power_supply/BAT0/present", "1\n"),
        ("sys/class/power_supply/BAT0/capacity_level", "Critical\n"),
        ("sys/class/power_supply/hid-mouse/type", "Battery\n"),
        ("sys/class/power_supply/hid-mouse/scope", "Device\n"),
        ("sys/class/power_supply/ucsi/type", "USB_PD\n"),
        ("sys/class/power_supply/ucsi/online", "1\n"),
        ("sys/class/power_supply/ups/type", "UPS\n"),
        ("sys/class/power_supply/pad/type", "Wireless\n"),
    ]);
    let source = |kind, online, low| PowerSource { kind, online, low };
    let expected = [
        source(PowerKind::Mains, false, false),
        source(PowerKind::InternalBattery, true, true),
        source(PowerKind::Usb, true, false),
        source(PowerKind::ExternalBattery, true, false),
    ];
    assert_eq!(power::read(root.path()).unwrap(), expected);
    assert_eq!(power::read(tree(&[]).path()).unwrap(), []);
}

/// Central Europe in the middle of 2026 and at the start of it.
const SUMMER: i64 = 1_782_000_000;
const WINTER: i64 = 1_768_000_000;

#[test]
fn posix_rules_follow_the_calendar() {
    let offset = |rule: &str, unix: i64| PosixTz::parse(rule).map(|rule| rule.offset_at(unix));
    let berlin = "CET-1CEST,M3.5.0,M10.5.0/3";
    assert_eq!(offset(berlin, WINTER), Some(3600));
    assert_eq!(offset(berlin, SUMMER), Some(7200));
    // 2026-03-29T01:00:00Z and 2026-10-25T01:00:00Z.
    assert_eq!(offset(berlin, 1_774_746_000 - 1), Some(3600));
    assert_eq!(offset(berlin, 1_774_746_000), Some(7200));
    assert_eq!(offset(berlin, 1_792_890_000 - 1), Some(7200));
    assert_eq!(offset(berlin, 1_792_890_000), Some(3600));
    assert_eq!(offset("AEST-10AEDT,M10.1.0,M4.1.0/3", WINTER), Some(39_600), "southern summer spans the new year");
    assert_eq!(offset("AEST-10AEDT,M10.1.0,M4.1.0/3", SUMMER), Some(36_000));
    assert_eq!(offset("<+0545>-5:45", SUMMER), Some(20_700));
    assert_eq!(offset("EST5", SUMMER), Some(-18_000));
    // Greenland's change lies on the day before (RFC 9636 section 3.3.1).
    assert_eq!(offset("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 1_774_746_000), Some(-3600));
    // Day 60 is 1 March for J and, in a leap year, 1 March for n as well: 2028-03-01T00:00:00Z.
    assert_eq!(offset("AAA0BBB,J60/0,J300/0", 1_835_481_600), Some(3600));
    assert_eq!(offset("AAA0BBB,J60/0,J300/0", 1_835_481_599), Some(0));
    assert_eq!(offset("AAA0BBB,60/0,300/0", 1_835_481_600), Some(3600));
}

#[test]
fn malformed_posix_rules_are_refused() {
    for rule in
        ["", "C-1", "CET", "CET-1CEST", "CET-1CEST,M13.1.0,M10.5.0", "CET-1CEST,M3.5.0", "CET-1x", "<CET-1", "CET-200"]
    {
        assert_eq!(PosixTz::parse(rule), None, "{rule:?}");
    }
}

/// A version 2 file with one transition and a footer.
fn tzif(footer: &str) -> Vec<u8> {
    let header = |transitions: u32| {
        let mut bytes = b"TZif2".to_vec();
        bytes.extend([0; 15]);
        for count in [0, 0, 0, transitions, 2, 4_u32] {
            bytes.extend(count.to_be_bytes());
        }
        bytes
    };
    let types = |bytes: &mut Vec<u8>| {
        for offset in [0_i32, 5400] {
            bytes.extend(offset.to_be_bytes());
            bytes.extend([0, 0]);
        }
        bytes.extend(b"XXX\0");
    };
    let mut bytes = header(0);
    types(&mut bytes);
    bytes.extend(header(1));
    bytes.extend(1_000_i64.to_be_bytes());
    bytes.push(1);
    types(&mut bytes);
    bytes.extend(format!("\n{footer}\n").bytes());
    bytes
}

#[test]
fn zone_files_give_the_offset_before_between_and_after_their_transitions() {
    let zone = Zone::parse(&tzif("")).unwrap();
    assert_eq!([zone.offset_at(999), zone.offset_at(1_000), zone.offset_at(SUMMER)], [0, 5400, 5400]);
    let zone = Zone::parse(&tzif("CET-1CEST,M3.5.0,M10.5.0/3")).unwrap();
    assert_eq!([zone.offset_at(999), zone.offset_at(SUMMER), zone.offset_at(WINTER)], [0, 7200, 3600]);
}

#[test]
fn no_truncated_zone_file_is_taken_or_panics() {
    let whole = tzif("CET-1CEST,M3.5.0,M10.5.0/3");
    for length in 0..whole.len() {
        assert!(Zone::parse(&whole[..length]).is_none(), "{length} bytes");
    }
}

#[test]
fn the_time_zone_is_named_by_the_link_into_the_database() {
    let unix = Duration::from_secs(SUMMER as u64);
    let root = tree(&[]);
    let zones = root.path().join("usr/share/zoneinfo/Europe");
    fs::create_dir_all(&zones).unwrap();
    fs::create_dir_all(root.path().join("etc")).unwrap();
    fs::write(zones.join("Berlin"), tzif("CET-1CEST,M3.5.0,M10.5.0/3")).unwrap();
    let localtime = root.path().join("etc/localtime");
    for target in ["/usr/share/zoneinfo/Europe/Berlin", "../usr/share/zoneinfo/Europe/Berlin"] {
        symlink(target, &localtime).unwrap();
        assert_eq!(timezone::read(root.path(), unix).unwrap(), (7200, some("Europe/Berlin")), "{target}");
        fs::remove_file(&localtime).unwrap();
    }
    fs::write(&localtime, tzif("")).unwrap();
    fs::write(root.path().join("etc/timezone"), "Asia/Kolkata\n").unwrap();
    assert_eq!(timezone::read(root.path(), unix).unwrap(), (5400, some("Asia/Kolkata")));
    fs::write(&localtime, "nonsense").unwrap();
    assert!(timezone::read(root.path(), unix).unwrap_err().to_string().contains("not a time zone file"));
}

#[test]
fn a_machine_without_localtime_keeps_utc() {
    assert_eq!(timezone::read(tree(&[]).path(), Duration::ZERO).unwrap(), (0, some("UTC")));
}

#[test]
fn every_zone_file_of_this_machine_is_understood() {
    let Ok(europe) = fs::read_dir("/usr/share/zoneinfo/Europe") else { return };
    for entry in europe {
        let path = entry.unwrap().path();
        assert!(Zone::parse(&fs::read(&path).unwrap()).is_some(), "{}", path.display());
    }
}
