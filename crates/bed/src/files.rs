//! Servers of files that others wrote: nginx for http and https, libcoap and aiocoap for coap.

use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::keys::KeyFiles;
use crate::{Process, eventually, run, target};

const ANY: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// nginx: strong ETags and ranges.
#[derive(Debug)]
pub struct Nginx {
    folder: TempDir,
    http: SocketAddr,
    https: Option<SocketAddr>,
    process: Option<Process>,
}

/// How nginx gives what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// As fast as it can.
    Plain,
    /// 64 KiB at once and then 64 KiB/s, so that there is time to do something meanwhile.
    Slow,
    /// In chunks, without saying how long it is, and without an ETag.
    WithoutLength,
    /// To the user `operator` with the password `secret` (RFC 7617).
    WithLogin,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Slow => "slow",
            Self::WithoutLength => "without-length",
            Self::WithLogin => "with-login",
        })
    }
}

const NGINX: &str = "daemon off;
master_process off;
pid {folder}/pid;
error_log stderr;
events {}
http {
  log_format told '$request $status range=$http_range if-range=$http_if_range sent=$body_bytes_sent';
  access_log {folder}/log told;
  {temporary}
  server {
    listen {http};
    {https}
    location /plain/ { alias {folder}/files/; }
    location /slow/ { alias {folder}/files/; limit_rate 64k; limit_rate_after 64k; }
    location /without-length/ { alias {folder}/files/; etag off; sub_filter never-there never; sub_filter_types *; }
    location /with-login/ { alias {folder}/files/; auth_basic files; auth_basic_user_file {folder}/users; }
  }
}
";

impl Nginx {
    /// It serves http and, with a certificate, https.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn start(certificate: Option<&KeyFiles>) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let at = folder.path().display().to_string();
        fs::create_dir(folder.path().join("files")).expect("a folder");
        fs::write(folder.path().join("users"), "operator:{PLAIN}secret\n").expect("a file");
        // Both at once, so that they are not the same.
        let sockets = [(); 2].map(|()| TcpListener::bind(ANY).expect("a port"));
        let [http, https] = sockets.map(|socket| socket.local_addr().expect("a port"));
        let https = certificate.map(|keys| (keys, https));
        let secure = https.map(|(keys, address)| {
            let (chain, key) = (keys.certificate.display(), keys.private_pem.display());
            format!("listen {address} ssl; ssl_certificate {chain}; ssl_certificate_key {key};")
        });
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|what| format!("{what}_temp_path {at}/{what};"))
            .join(" ");
        let config = NGINX
            .replace("{temporary}", &temporary)
            .replace("{http}", &http.to_string())
            .replace("{https}", &secure.unwrap_or_default())
            .replace("{folder}", &at);
        fs::write(folder.path().join("nginx.conf"), config).expect("a file");
        let mut server = Self { folder, http, https: https.map(|(_, address)| address), process: None };
        server.start_again();
        server
    }

    /// Puts a file there, in place of one of the same name.
    ///
    /// # Panics
    /// Where the disk is full.
    pub fn put(&self, name: &str, content: &[u8]) {
        let place = self.folder.path().join("files").join(name);
        let part = self.folder.path().join("part");
        fs::write(&part, content).and_then(|()| fs::rename(part, place)).expect("a file");
    }

    /// Where a file is, over http.
    #[must_use]
    pub fn http(&self, way: Way, name: &str) -> String {
        format!("http://{}/{way}/{name}", self.http)
    }

    /// Where a file is, over https, at the host `localhost`.
    ///
    /// # Panics
    /// Where it has no certificate.
    #[must_use]
    pub fn https(&self, way: Way, name: &str) -> String {
        let port = self.https.expect("it has a certificate").port();
        format!("https://localhost:{port}/{way}/{name}")
    }

    /// Ends it, with every connection.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again, at the same ports.
    ///
    /// # Panics
    /// Where it does not start, or runs.
    pub fn start_again(&mut self) {
        assert!(self.process.is_none(), "it runs");
        let config = self.folder.path().join("nginx.conf");
        self.process = Some(Process::start(Command::new("nginx").arg("-c").arg(config)));
        let http = self.http;
        eventually("nginx listens", || TcpStream::connect(http).ok());
    }

    /// What it has been asked for: a line each, written when the answer has been sent.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}

/// A port of UDP that is free now.
fn udp_port() -> SocketAddr {
    UdpSocket::bind(ANY).and_then(|socket| socket.local_addr()).expect("a port")
}

/// libcoap's example server with one resource, `/firmware`.
#[derive(Debug)]
pub struct Libcoap {
    /// Where it listens.
    pub address: SocketAddr,
    process: Process,
}

impl Libcoap {
    /// Starts it, and gives it the resource.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn start(content: &[u8]) -> Self {
        let address = udp_port();
        let port = address.port().to_string();
        let mut command = Command::new("coap-server-openssl");
        let process = Process::start(command.args(["-A", "127.0.0.1", "-p", &port, "-d", "2"]));
        let server = Self { address, process };
        let file = tempfile::NamedTempFile::new().expect("a scratch file");
        fs::write(file.path(), content).expect("it can be written");
        let (path, uri) = (file.path().to_str().expect("UTF-8"), server.uri());
        eventually("the server takes the resource", || {
            let put = run("coap-client-openssl", &["-m", "put", "-b", "1024", "-B", "5", "-f", path, &uri]);
            let size = run("coap-client-openssl", &["-m", "get", "-B", "5", &uri]).stdout.len();
            (put.status.success() && size >= content.len()).then_some(())
        });
        server
    }

    /// Where the resource is.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("coap://{}/firmware", self.address)
    }

    /// Stops it where it stands (`true`), or lets it go on: what comes meanwhile is answered late.
    pub fn hold(&self, hold: bool) {
        self.process.signal(if hold { "STOP" } else { "CONT" });
    }
}

/// aiocoap's file server, of Python.
#[derive(Debug)]
pub struct Aiocoap {
    folder: TempDir,
    address: SocketAddr,
    _process: Process,
}

impl Aiocoap {
    /// Starts it; with an ETag for each file, or without any.
    ///
    /// # Panics
    /// Where it does not start.
    #[must_use]
    pub fn start(etag: bool) -> Self {
        let folder = tempfile::tempdir().expect("a scratch folder");
        let address = udp_port();
        let library = target().join("aiocoap");
        assert!(library.exists(), "{} is missing: run `cargo xtask test aiocoap`", library.display());
        let mut command = Command::new("python3");
        command.env("PYTHONPATH", library).args(["-m", "aiocoap.cli.fileserver", "--bind", &address.to_string()]);
        command.args(["--etag-length", if etag { "7" } else { "0" }]).arg(folder.path());
        let process = Process::start(&mut command);
        let root = format!("coap://{address}/");
        eventually("aiocoap answers", || {
            let listed = run("coap-client-openssl", &["-B", "2", &root]);
            listed.status.success().then_some(())
        });
        Self { folder, address, _process: process }
    }

    /// Puts a file there; its URI.
    ///
    /// # Panics
    /// Where the disk is full.
    #[must_use]
    pub fn put(&self, name: &str, content: &[u8]) -> String {
        fs::write(self.path(name), content).expect("a file");
        format!("coap://{}/{name}", self.address)
    }

    fn path(&self, name: &str) -> PathBuf {
        Path::new(self.folder.path()).join(name)
    }
}
