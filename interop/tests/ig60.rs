//! `packaging/ig60/ig60_fw_update.sh`, which the predecessor's servers and users know, with the real SWUpdate and a U-Boot environment.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use bed::updater::{Image, Machine, OLD, Swupdate};

const SUCCESS: Option<i32> = Some(1);
const FAILURE: Option<i32> = Some(8);

/// The script on this machine, whose images leave `bootside` to it.
fn script(machine: &Swupdate) -> Command {
    let mut command = machine.command(&bed::workspace().join("packaging/ig60/ig60_fw_update.sh"));
    command.env("IG60_SELECTION", "main,copy-");
    command.env("IG60_SWUPDATE", format!("swupdate -v -B uboot -k {}/own.pem", machine.folder().display()));
    command.env("IG60_LOCK", machine.folder().join("lock"));
    command.env("TMPDIR", machine.sockets());
    command
}

fn run(machine: &Swupdate, image: &Path) -> Output {
    ended(script(machine).arg(image))
}

fn ended(command: &mut Command) -> Output {
    command.output().expect("the script runs")
}

fn machine() -> Swupdate {
    let mut machine = Swupdate::new();
    // The script has no daemon.
    machine.kill();
    machine
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[test]
fn an_image_goes_to_the_other_side_which_is_booted_next() {
    let machine = machine();
    let content = b"a new system".repeat(100);
    for (side, other) in [("A", "B"), ("B", "A")] {
        let image = machine.image(Image::Sound, &content);
        let output = run(&machine, &image);
        assert_eq!(output.status.code(), SUCCESS, "{}", said(&output));
        assert_eq!(machine.next(), other);
        assert!(machine.side(other, content.len()) == content, "from {side}");
        assert!(!image.exists(), "the predecessor's script takes its argument away");
    }
    assert!(!machine.folder().join("lock").exists());
}

#[test]
fn whatever_fails_leaves_the_booted_side_and_bootside() {
    let machine = machine();
    for kind in [Image::Stranger, Image::Damaged, Image::CutShort, Image::Noise, Image::OtherMachine] {
        let image = machine.image(kind, &b"a new system".repeat(100));
        let output = run(&machine, &image);
        assert_eq!(output.status.code(), FAILURE, "{kind:?}");
        assert!(said(&output).contains("swupdate has failed with exit code 1: side A stays"), "{}", said(&output));
        assert!(!image.exists());
    }
    let good = || machine.image(Image::Sound, &b"a new system".repeat(100));
    for (name, value, why) in [
        ("IG60_PRINTENV", "false", "bootside cannot be read"),
        ("IG60_PRINTENV", "echo", "which is no side"),
        ("IG60_SETENV", "false", "bootside cannot be set"),
        ("IG60_SWUPDATE", "/nonexistent", "swupdate has failed"),
    ] {
        let output = ended(script(&machine).env(name, value).arg(good()));
        assert_eq!(output.status.code(), FAILURE, "{name}");
        assert!(said(&output).contains(why), "{}", said(&output));
    }
    for arguments in [&[][..], &["/nonexistent"], &["a", "b"]] {
        assert_eq!(ended(script(&machine).args(arguments)).status.code(), FAILURE, "{arguments:?}");
    }
    assert_eq!(machine.next(), "A");
    assert_eq!(machine.side("A", OLD.len()), OLD);
}

/// A signed image whose content was changed on its way, with more files in it, which nobody has to sign: they are called this.
fn with_names(machine: &Swupdate, names: &[&str]) -> PathBuf {
    let image = machine.image(Image::Damaged, &b"a new system".repeat(100));
    let folder = image.parent().unwrap();
    let mut packed = "sw-description\0sw-description.sig\0stop.sh\0".to_owned();
    for name in names {
        fs::write(folder.join(name), b"").unwrap();
        packed += &format!("{name}\0");
    }
    fs::write(folder.join("names"), packed + "system\0").unwrap();
    let pack =
        Command::new("sh").args(["-c", "cpio -0 -o -H crc --quiet <names >image.swu"]).current_dir(folder).status();
    assert!(pack.unwrap().success());
    image
}

#[test]
fn an_image_is_not_believed_that_calls_itself_installed() {
    let machine = machine();
    let image = with_names(&machine, &["SWUPDATE successful !", "a\n[INFO ] : SWUPDATE successful !"]);
    let output = run(&machine, &image);
    let said = said(&output);
    assert!(said.contains("\n[INFO ] : SWUPDATE successful !\n"), "it was told, as if it were so: {said}");
    assert_eq!(output.status.code(), FAILURE, "{said}");
    assert!(said.contains("swupdate has failed with exit code 1: side A stays"), "{said}");
    assert_eq!(machine.next(), "A");
}

#[test]
fn swupdate_is_asked_once_more_where_it_has_ended_without_a_word() {
    let machine = machine();
    let content = b"a new system".repeat(100);
    let folder = machine.folder().display();
    for (ends, expected, side) in [(1, SUCCESS, "B"), (2, FAILURE, "A")] {
        machine.boot_a();
        // The real one, but for so many times at first.
        let words = format!(
            "echo x >>{folder}/asked; [ $(wc -l <{folder}/asked) -gt {ends} ] || exit 1\n\
             exec swupdate -v -B uboot -k {folder}/own.pem \"$@\"\n"
        );
        fs::write(machine.folder().join("swupdate.sh"), words).unwrap();
        let image = machine.image(Image::Sound, &content);
        let output = ended(script(&machine).env("IG60_SWUPDATE", format!("sh {folder}/swupdate.sh")).arg(image));
        assert_eq!(output.status.code(), expected, "{}", said(&output));
        assert_eq!(machine.next(), side);
        fs::remove_file(machine.folder().join("asked")).unwrap();
    }
}

#[test]
fn one_update_runs_at_a_time_and_one_that_was_killed_does_not_count() {
    let machine = machine();
    let lock = machine.folder().join("lock");
    fs::create_dir(&lock).unwrap();
    let owner = |pid: u32| fs::write(lock.join("pid"), pid.to_string()).unwrap();
    owner(std::process::id());
    let image = machine.image(Image::Sound, b"a new system");
    let output = run(&machine, &image);
    assert_eq!(output.status.code(), FAILURE);
    assert!(said(&output).contains("another update runs") && image.exists(), "{}", said(&output));
    assert_eq!(machine.next(), "A");
    let mut gone = Command::new("true").spawn().unwrap();
    gone.wait().unwrap();
    owner(gone.id());
    assert_eq!(run(&machine, &image).status.code(), SUCCESS);
    assert_eq!(machine.next(), "B");
}
