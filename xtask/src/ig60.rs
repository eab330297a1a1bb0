//! The package that the IG60's first client takes for an update of itself, and that puts Lapwing in its place: a gzipped tar with an
//! executable, which is a zip archive that Python runs, and its checksum. Later updates are the same without the archive.

use std::fs::{self, File};
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use zip::write::{SimpleFileOptions, ZipWriter};

use crate::stages::{root, target};

/// The executable, in the package and inside the archive.
const EXECUTABLE: &str = "lwm2m-python-client";
const CHECKSUMS: &str = "checksums.txt";
const RUNNER: &str = "ig60_lwm2m2_client.sh";
/// What the archive runs when it is started.
const STUB: &str = "migrate.py";

const USAGE: &str = "usage: cargo xtask ig60-package --binary FILE --target ARCH [--output FILE] [--update]

  --binary FILE  the lapwing to be packed, built for the gateway
  --target ARCH  what the gateway is, such as armv7 or armv7-unknown-linux-gnueabihf
  --output FILE  where the package goes; by default lapwing-ig60-ARCH.tar.gz in the folder that cargo builds into
  --update       for gateways where Lapwing runs already: the executable itself, as an update";

/// A kind of machine, as the header of an ELF file has it (System V ABI, chapter 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Machine {
    /// EI_CLASS: 32 or 64 bits.
    bits: u8,
    /// EI_DATA.
    little_endian: bool,
    /// e_machine.
    number: u16,
}

/// How target triples begin, and what they stand for. The longest that fits counts.
const MACHINES: &[(&str, Machine)] = &[
    ("aarch64", Machine { bits: 64, little_endian: true, number: 183 }),
    ("arm", Machine { bits: 32, little_endian: true, number: 40 }),
    ("armeb", Machine { bits: 32, little_endian: false, number: 40 }),
    ("thumb", Machine { bits: 32, little_endian: true, number: 40 }),
    ("i586", Machine { bits: 32, little_endian: true, number: 3 }),
    ("i686", Machine { bits: 32, little_endian: true, number: 3 }),
    ("mips", Machine { bits: 32, little_endian: false, number: 8 }),
    ("mipsel", Machine { bits: 32, little_endian: true, number: 8 }),
    ("powerpc64le", Machine { bits: 64, little_endian: true, number: 21 }),
    ("riscv32", Machine { bits: 32, little_endian: true, number: 243 }),
    ("riscv64", Machine { bits: 64, little_endian: true, number: 243 }),
    ("x86_64", Machine { bits: 64, little_endian: true, number: 62 }),
];

impl Machine {
    fn of_target(target: &str) -> Result<Self, String> {
        let fitting = MACHINES.iter().filter(|(begin, _)| target.starts_with(begin));
        fitting.max_by_key(|(begin, _)| begin.len()).map(|(_, machine)| *machine).ok_or_else(|| {
            let known: Vec<&str> = MACHINES.iter().map(|(begin, _)| *begin).collect();
            format!("--target {target}: none of those known here, which begin with {}", known.join(", "))
        })
    }

    /// What this program runs on, if it is one.
    fn of_program(program: &[u8]) -> Result<Self, String> {
        const NONE: &str = "not an executable in ELF";
        let &[0x7f, b'E', b'L', b'F', class @ (1 | 2), data @ (1 | 2), ..] = program else { return Err(NONE.into()) };
        let little_endian = data == 1;
        let number = |at: usize| -> Result<u16, String> {
            let bytes = program.get(at..at + 2).and_then(|bytes| <[u8; 2]>::try_from(bytes).ok()).ok_or(NONE)?;
            Ok(if little_endian { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
        };
        // ET_EXEC or ET_DYN, which is what runs at any address.
        if !matches!(number(16)?, 2 | 3) {
            return Err(NONE.into());
        }
        Ok(Self { bits: 32 * class, little_endian, number: number(18)? })
    }

    fn name(self) -> String {
        let known = MACHINES.iter().find(|(_, machine)| *machine == self).map(|(name, _)| (*name).to_owned());
        known.unwrap_or_else(|| format!("machine {} of {} bits", self.number, self.bits))
    }
}

/// Makes the package that the arguments ask for, and says where it is.
pub(crate) fn run(arguments: &[&str]) -> Result<(), String> {
    let (mut binary, mut architecture, mut output, mut update) = (None, None, None, false);
    let mut arguments = arguments.iter().copied();
    while let Some(option) = arguments.next() {
        match option {
            "--binary" => binary = arguments.next().map(Path::new),
            "--target" => architecture = arguments.next(),
            "--output" => output = Some(arguments.next().map(PathBuf::from).ok_or(USAGE)?),
            "--update" => update = true,
            _ => return Err(USAGE.to_owned()),
        }
    }
    let (Some(binary), Some(architecture)) = (binary, architecture) else { return Err(USAGE.to_owned()) };
    let program = fs::read(binary).map_err(|error| format!("{}: {error}", binary.display()))?;
    check(&program, architecture).map_err(|why| format!("{}: {why}", binary.display()))?;
    let kind = if update { "update" } else { "ig60" };
    let output = output.unwrap_or_else(|| target().join(format!("lapwing-{kind}-{architecture}.tar.gz")));
    let executable = if update { Ok(program) } else { archive(&program) };
    let written = executable.and_then(|executable| write(&executable, &output));
    written.map_err(|error| format!("{}: {error}", output.display()))?;
    println!("{}", output.display());
    Ok(())
}

/// Whether the program runs there.
fn check(program: &[u8], architecture: &str) -> Result<(), String> {
    let (machine, expected) = (Machine::of_program(program)?, Machine::of_target(architecture)?);
    if machine == expected {
        return Ok(());
    }
    Err(format!("it is for {}, and --target {architecture} is not", machine.name()))
}

/// The same executable makes the same package.
fn write(executable: &[u8], output: &Path) -> std::io::Result<()> {
    let checksums = format!("{}  {EXECUTABLE}\n", hexadecimal(&Sha256::digest(executable)));
    let mut package = tar::Builder::new(GzEncoder::new(File::create(output)?, Compression::best()));
    for (name, content, mode) in [(EXECUTABLE, executable, 0o755), (CHECKSUMS, checksums.as_bytes(), 0o644)] {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        package.append_data(&mut header, name, content)?;
    }
    package.into_inner()?.finish()?.sync_all()
}

/// The archive that Python runs: the stub, the program, the runner.
fn archive(program: &[u8]) -> std::io::Result<Vec<u8>> {
    let scripts = root().join("packaging/ig60");
    archive_of(&fs::read(scripts.join(STUB))?, program, &fs::read(scripts.join(RUNNER))?)
}

/// With a checksum of all of them, by which the archive is known again: another runner makes it another one, as another program does.
fn archive_of(stub: &[u8], program: &[u8], runner: &[u8]) -> std::io::Result<Vec<u8>> {
    let checksums = [stub, program, runner].map(|content| hexadecimal(&Sha256::digest(content)));
    let identity = hexadecimal(&Sha256::digest(checksums.concat()));
    let options = SimpleFileOptions::default().compression_level(Some(9)).unix_permissions(0o755);
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in
        [("__main__.py", stub), (EXECUTABLE, program), (RUNNER, runner), ("package", identity.as_bytes())]
    {
        archive.start_file(name, options)?;
        archive.write_all(content)?;
    }
    Ok(archive.finish()?.into_inner())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn an_archive_is_known_by_all_that_is_in_it() {
        let identity = |stub: &[u8], program: &[u8], runner: &[u8]| {
            let archive = archive_of(stub, program, runner).unwrap();
            let mut archive = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
            std::io::read_to_string(archive.by_name("package").unwrap()).unwrap()
        };
        let first = identity(b"stub", b"program", b"runner");
        assert_eq!(first, identity(b"stub", b"program", b"runner"));
        for other in [
            (&b"stub2"[..], &b"program"[..], &b"runner"[..]),
            (b"stub", b"program2", b"runner"),
            (b"stub", b"program", b"runner2"),
        ] {
            assert_ne!(first, identity(other.0, other.1, other.2));
        }
        assert_ne!(first, identity(b"stub", b"programrunner", b""));
    }

    fn header(class: u8, data: u8, kind: u16, machine: u16) -> Vec<u8> {
        let number = |number: u16| if data == 1 { number.to_le_bytes() } else { number.to_be_bytes() };
        let mut header = vec![0x7f, b'E', b'L', b'F', class, data, 1];
        header.resize(16, 0);
        header.extend(number(kind));
        header.extend(number(machine));
        header
    }

    #[test]
    fn a_program_is_packed_for_its_own_machine_only() {
        let arm = header(1, 1, 3, 40);
        for target in ["armv7", "armv7-unknown-linux-gnueabihf", "arm-unknown-linux-musleabi", "thumbv7neon-x"] {
            assert_eq!(check(&arm, target), Ok(()), "{target}");
        }
        assert_eq!(check(&header(2, 1, 2, 62), "x86_64-unknown-linux-gnu"), Ok(()));
        assert_eq!(check(&header(1, 2, 2, 8), "mips-unknown-linux-musl"), Ok(()));
        assert_eq!(check(&arm, "armeb-x").unwrap_err(), "it is for arm, and --target armeb-x is not");
        assert_eq!(check(&header(2, 1, 3, 62), "armv7").unwrap_err(), "it is for x86_64, and --target armv7 is not");
        assert_eq!(
            check(&header(2, 1, 3, 9), "armv7").unwrap_err(),
            "it is for machine 9 of 64 bits, and --target armv7 is not"
        );
        assert!(check(&arm, "pdp11").unwrap_err().starts_with("--target pdp11: none of those known here"));
    }

    #[test]
    fn what_is_no_program_is_not_packed() {
        for program in [&b"#!/bin/sh\n"[..], b"", b"\x7fELF", &header(1, 1, 1, 40), &header(1, 1, 3, 40)[..19]] {
            assert_eq!(check(program, "armv7").unwrap_err(), "not an executable in ELF", "{program:?}");
        }
    }

    #[test]
    fn a_package_has_what_the_first_client_looks_for_and_is_the_same_each_time() {
        let folder = std::env::temp_dir().join(format!("lapwing-ig60-package-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (binary, output) = (folder.join("lapwing"), folder.join("package.tar.gz"));
        fs::write(&binary, header(2, 1, 3, 62)).unwrap();
        let (binary, output) = (binary.to_str().unwrap(), output.to_str().unwrap());
        let mut packages = Vec::new();
        for _ in 0..2 {
            run(&["--binary", binary, "--target", "x86_64", "--output", output]).unwrap();
            packages.push(fs::read(output).unwrap());
        }
        assert!(packages[0] == packages[1]);
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(&packages[0][..]));
        let names: Vec<String> =
            archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect();
        assert_eq!(names, [EXECUTABLE, CHECKSUMS]);
        run(&["--update", "--binary", binary, "--target", "x86_64", "--output", output]).unwrap();
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(File::open(output).unwrap()));
        let mut executable = Vec::new();
        archive.entries().unwrap().next().unwrap().unwrap().read_to_end(&mut executable).unwrap();
        assert_eq!(executable, header(2, 1, 3, 62));
        assert_eq!(run(&["--binary", binary]).unwrap_err(), USAGE);
        assert_eq!(run(&["--binary", binary, "--target", "x86_64", "--outptu"]).unwrap_err(), USAGE);
        let wrong = run(&["--binary", binary, "--target", "armv7"]).unwrap_err();
        assert!(wrong.starts_with(binary) && wrong.contains("it is for x86_64"), "{wrong}");
        fs::remove_dir_all(&folder).unwrap();
    }
}
