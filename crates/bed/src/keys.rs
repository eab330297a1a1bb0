//! Keys and certificates for tests, made anew by OpenSSL: nothing of ours takes part, and no private key is ever committed.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;

/// A certificate authority with a folder of its own below `target`, and what it has signed. All keys are on P-256.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
    /// Its own, self-signed certificate.
    pub root: KeyFiles,
}

/// The files of one key pair.
#[derive(Debug, Clone)]
pub struct KeyFiles {
    /// The private key: PKCS #8, DER.
    pub private: PathBuf,
    /// The private key: PKCS #8, PEM.
    pub private_pem: PathBuf,
    /// The public key: a `SubjectPublicKeyInfo`, DER.
    pub public: PathBuf,
    /// The public key: a `SubjectPublicKeyInfo`, PEM.
    pub public_pem: PathBuf,
    /// The certificate: PEM.
    pub certificate: PathBuf,
    /// The certificate: DER.
    pub certificate_der: PathBuf,
}

impl KeyFiles {
    /// The bytes of one of the files.
    ///
    /// # Panics
    /// Where it is gone.
    #[must_use]
    pub fn read(path: &Path) -> Vec<u8> {
        fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

/// The serial number of the next certificate: an authority lives in one process.
static SERIAL: AtomicU32 = AtomicU32::new(1);

fn openssl(arguments: &[&str]) {
    let output = crate::run("openssl", arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {}: {said}", arguments.join(" "));
}

impl Authority {
    /// Makes one.
    ///
    /// # Panics
    /// Where OpenSSL is not installed.
    #[must_use]
    pub fn new() -> Self {
        let parent = crate::target().join("keys");
        fs::create_dir_all(&parent).expect("the target folder is ours");
        sweep(&parent);
        let folder = tempfile::tempdir_in(parent).expect("a scratch folder");
        let name = folder.path().file_name().expect("a scratch folder has a name").to_string_lossy();
        let root = self_signed(folder.path(), &format!("root {name}"), "critical,CA:TRUE");
        Self { folder, root }
    }

    /// A new key and a certificate for it, signed by this authority, with `name` as its common name and, where given, as
    /// `alternative` an X.509 subject alternative name as OpenSSL writes it (`DNS:localhost`).
    ///
    /// # Panics
    /// Where OpenSSL fails.
    #[must_use]
    pub fn issue(&self, name: &str, alternative: Option<&str>) -> KeyFiles {
        let files = key(self.folder.path(), name);
        let base = self.folder.path().join(name).display().to_string();
        let (request, extensions) = (format!("{base}.csr"), format!("{base}.ext"));
        let alternative = alternative.map(|name| format!("subjectAltName={name}\n")).unwrap_or_default();
        let usage = "basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\n";
        fs::write(&extensions, format!("{usage}{alternative}")).expect("a scratch file");
        let subject = format!("/CN={name}");
        openssl(&["req", "-new", "-key", text(&files.private_pem), "-subj", &subject, "-out", &request]);
        // A file of serial numbers (`-CAcreateserial`) is torn where two tests issue at once.
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed).to_string();
        let root =
            ["-CA", text(&self.root.certificate), "-CAkey", text(&self.root.private_pem), "-set_serial", &serial];
        let what = ["x509", "-req", "-in", &request, "-days", "30", "-sha256", "-extfile", &extensions];
        openssl(&[&what[..], &root, &["-out", text(&files.certificate)]].concat());
        files.with_der()
    }

    /// A new key and a self-signed certificate for it, which this authority knows nothing of.
    ///
    /// # Panics
    /// Where OpenSSL fails.
    #[must_use]
    pub fn self_signed(&self, name: &str) -> KeyFiles {
        self_signed(self.folder.path(), name, "CA:FALSE")
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl KeyFiles {
    /// The public and the private key in one PEM file, the latter as SEC 1 has it: libcoap's form of a raw public key.
    ///
    /// # Panics
    /// Where OpenSSL fails.
    #[must_use]
    pub fn both_pem(&self) -> PathBuf {
        let both = self.private_pem.with_extension("both");
        openssl(&["ec", "-in", text(&self.private_pem), "-out", text(&both)]);
        let bytes = [Self::read(&self.public_pem), Self::read(&both)].concat();
        fs::write(&both, bytes).expect("a scratch file");
        both
    }

    fn with_der(self) -> Self {
        let (from, to) = (text(&self.certificate), text(&self.certificate_der));
        openssl(&["x509", "-in", from, "-outform", "DER", "-out", to]);
        self
    }
}

/// Removes what earlier runs have left: an authority in a `static` is never dropped.
fn sweep(folder: &Path) {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let old = |path: &Path| fs::metadata(path)?.modified()?.elapsed().map_err(std::io::Error::other);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if old(&entry.path()).is_ok_and(|age| age > DAY) {
            // Another run may sweep too.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("scratch folders have plain names")
}

fn key(folder: &Path, name: &str) -> KeyFiles {
    let file = |ending: &str| folder.join(format!("{name}.{ending}"));
    let files = KeyFiles {
        private: file("key.der"),
        private_pem: file("key.pem"),
        public: file("pub.der"),
        public_pem: file("pub.pem"),
        certificate: file("cert.pem"),
        certificate_der: file("cert.der"),
    };
    let pem = text(&files.private_pem);
    openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", pem]);
    let pkcs8 = ["pkcs8", "-topk8", "-nocrypt", "-in", pem, "-outform", "DER", "-out", text(&files.private)];
    openssl(&pkcs8);
    openssl(&["pkey", "-in", pem, "-pubout", "-outform", "DER", "-out", text(&files.public)]);
    openssl(&["pkey", "-in", pem, "-pubout", "-out", text(&files.public_pem)]);
    files
}

fn self_signed(folder: &Path, name: &str, constraints: &str) -> KeyFiles {
    let files = key(folder, name);
    let (subject, constraints) = (format!("/CN={name}"), format!("basicConstraints={constraints}"));
    let (key, out) = (text(&files.private_pem), text(&files.certificate));
    openssl(&[
        "req",
        "-new",
        "-x509",
        "-key",
        key,
        "-subj",
        &subject,
        "-days",
        "30",
        "-addext",
        &constraints,
        "-out",
        out,
    ]);
    files.with_der()
}
