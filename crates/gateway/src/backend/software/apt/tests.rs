//! With the real apt and dpkg, in a root of their own.

use std::fs;

use super::super::testing::{Bench, is_installed, job};
use super::*;

impl Bench {
    /// A package of Debian with one file in it, as a server brings it.
    fn deb(&self, name: &str, version: &str, architecture: &str) -> Package {
        let control = format!(
            "Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n\
             Maintainer: Nobody <nobody@example.org>\nDescription: of a test\n"
        );
        self.shell("rm -rf deb && mkdir -p deb/DEBIAN deb/usr/share/kettle");
        fs::write(self.path("deb/DEBIAN/control"), control).unwrap();
        fs::write(self.path("deb/usr/share/kettle/version"), version).unwrap();
        self.shell("dpkg-deb --build --root-owner-group deb built.deb && mv built.deb package");
        self.package("package")
    }

    /// The manager of a package in a root where nothing is installed yet.
    fn apt(&self, payload: Payload) -> Apt {
        let root = self.path("root").to_str().unwrap().to_owned();
        self.shell(
            "mkdir -p root/var/lib/dpkg/info root/var/lib/dpkg/updates root/var/lib/dpkg/triggers root/etc/apt/apt.conf.d \
             root/etc/apt/sources.list.d root/etc/apt/preferences.d root/var/lib/apt/lists/partial root/var/log/apt \
             root/var/cache/apt/archives/partial && touch root/var/lib/dpkg/status root/etc/apt/sources.list",
        );
        let apt = Apt::new("kettle".into(), None, payload, self.path("own"));
        let options = [
            format!("--option=Dir={root}"),
            format!("--option=Dir::State::status={root}/var/lib/dpkg/status"),
            "--option=Dir::Bin::dpkg=/usr/bin/dpkg".to_owned(),
            format!("--option=Dpkg::Options::=--root={root}"),
            format!("--option=Dpkg::Options::=--log={root}/log"),
        ];
        Apt { runs: apt.runs.without_systemd(), root: (vec![format!("--root={root}")], options.to_vec()), ..apt }
    }
}

#[tokio::test]
async fn a_package_is_installed_updated_and_removed() {
    if !is_installed("apt-get") {
        return;
    }
    let bench = Bench::new();
    let apt = bench.apt(Payload::Bare);
    let (mut release, installed) = (None, "root/usr/share/kettle/version");
    // The last one is older than the one before.
    for (number, version) in [(1, "1.2"), (2, "1.10"), (3, "1.3")] {
        let package = bench.deb("kettle", version, "all");
        let found = apt.verify(&package).await.unwrap();
        assert_eq!(found, package.release().name("kettle").version(version));
        let install = job(Task::Install, number, &found, Some(&package.path));
        apt.begin(&install).await.unwrap_or_else(|failure| {
            panic!("{failure}: {}", fs::read_to_string(apt.runs.run(number).log()).unwrap_or_default())
        });
        assert_eq!(bench.text(installed), version);
        assert_eq!(apt.installed().await, Some(Some(version.to_owned())));
        release = Some(found);
    }
    let release = release.unwrap();
    apt.begin(&job(Task::Activate, 4, &release, None)).await.unwrap();
    let failure = apt.begin(&job(Task::Stop, 5, &release, None)).await.unwrap_err();
    assert!(failure.reason.contains("it has no unit"), "{failure}");
    apt.begin(&job(Task::Remove, 6, &release, None)).await.unwrap();
    assert!(!bench.path(installed).exists());
    assert_eq!(apt.installed().await, Some(None));
}

#[tokio::test]
async fn after_a_power_cut_the_machine_is_looked_at() {
    if !is_installed("apt-get") {
        return;
    }
    let bench = Bench::new();
    let apt = bench.apt(Payload::Bare);
    let package = bench.deb("kettle", "1.2", "all");
    let release = apt.verify(&package).await.unwrap();
    let install = job(Task::Install, 1, &release, Some(&package.path));
    assert_eq!(apt.resume(&install).await, None, "it was not begun");
    apt.begin(&install).await.unwrap();
    // What was said of the run is lost.
    fs::remove_dir_all(bench.path("own")).unwrap();
    assert_eq!(apt.resume(&install).await, Some(Ok(())));
    let other = job(Task::Install, 2, &release.clone().version("1.3"), Some(&package.path));
    assert_eq!(apt.resume(&other).await, None);
    assert_eq!(apt.resume(&job(Task::Remove, 3, &release, None)).await, None);
}

#[tokio::test]
async fn what_is_none_for_here_is_refused() {
    if !is_installed("apt-get") {
        return;
    }
    let bench = Bench::new();
    let apt = bench.apt(Payload::Bare);
    let refused = async |package: Package, result, why: &str| {
        let failure = apt.verify(&package).await.unwrap_err();
        assert!(failure.result == Some(result) && failure.reason.contains(why), "{failure:?}");
    };
    refused(bench.deb("teapot", "1", "all"), UpdateResult::PackageType, "\"kettle\" is managed here").await;
    let long = format!("1.{}", "0".repeat(300));
    refused(bench.deb("kettle", &long, "all"), UpdateResult::PackageType, "longer than 255 bytes").await;
    refused(bench.deb("kettle", "1", "hurd-sh4"), UpdateResult::PackageType, "this is for hurd-sh4").await;
    fs::write(bench.path("package"), "no package").unwrap();
    refused(bench.package("package"), UpdateResult::PackageType, "no package of Debian").await;
    let package = bench.deb("kettle", "1", "all");
    let whole = fs::read(&package.path).unwrap();
    fs::write(&package.path, &whole[..whole.len() - 40]).unwrap();
    refused(bench.package("package"), UpdateResult::Integrity, "damaged").await;
}

#[tokio::test]
async fn a_signed_package_holds_the_file() {
    use lapwing::objects::software::package::Format;

    if !is_installed("apt-get") {
        return;
    }
    let bench = Bench::new();
    let apt = bench.apt(Payload::Packed(Format::new(FILE)));
    let deb = fs::read(bench.deb("kettle", "1.2", "all").path).unwrap();
    let package = bench.pack("", &[(FILE, &deb)]);
    let release = apt.verify(&package).await.unwrap();
    assert_eq!(release, package.release().name("kettle").version("1.2"));
    apt.begin(&job(Task::Install, 1, &release, Some(&package.path))).await.unwrap();
    assert_eq!(bench.text("root/usr/share/kettle/version"), "1.2");
    assert!(!bench.path("own/package.deb").exists());
}
