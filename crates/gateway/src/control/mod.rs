//! The agent's control socket, by which this machine's own users ask what it does.
//!
//! A stream socket of its owner alone: one line is asked, `status`, and one line is answered, a [`Report`] in JSON. Then the agent closes
//! the connection. It lies in the runtime folder, which does not outlive a boot, under the number of the agent's process; where there is none, in
//! the folder of the agent's state.

mod report;

use std::env;
use std::fs;
use std::io::{self, Read, Write};
use std::iter;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net as blocking;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Pid, geteuid, test_kill_process};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

pub use self::report::{
    Bootstrap, BootstrapState, Installation, Package, Report, Server, ServerState, Software, Transfer, Update,
};

/// What is asked, and ends with the line.
const STATUS: &[u8] = b"status";
/// No request is longer, its end included.
const LONGEST_REQUEST: usize = 64;
/// No more of an answer is read than this and a little, in bytes.
const LONGEST_ANSWER: usize = 1 << 20;
/// So long a conversation may take: they are held one at a time.
const PATIENCE: Duration = Duration::from_secs(2);
/// So long an asker waits, who may not be the only one.
const ANSWER_TIME: Duration = Duration::from_secs(10);
/// How long to wait when no connection can be taken, for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// systemd's folder for the runtime files of a service (`RuntimeDirectory=`); it goes before the others.
const SERVICE_FOLDER: &str = "RUNTIME_DIRECTORY";
/// The folder for the runtime files of a user.
const USER_FOLDER: &str = "XDG_RUNTIME_DIR";
/// That of root's agents.
const SYSTEM_FOLDER: &str = "/run/lapwing";
/// What the socket is called in the folder of an agent's state.
pub const IN_STATE: &str = "control.sock";
/// What the name of a socket ends with.
const EXTENSION: &str = "sock";

/// An agent's end of the socket. The file goes with it.
#[derive(Debug)]
pub struct Listener {
    listener: UnixListener,
    path: PathBuf,
}

impl Listener {
    /// Listens at `path`, in a folder that is there. To be called inside a tokio runtime.
    ///
    /// # Errors
    /// When another agent listens there, another file is there, or the folder cannot be written to.
    pub fn bind(path: &Path) -> io::Result<Self> {
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => {
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it is a file of another kind"));
            }
            Ok(_) if blocking::UnixStream::connect(path).is_ok() => {
                return Err(io::Error::new(io::ErrorKind::AddrInUse, "another agent listens there"));
            }
            // Left by one that was killed.
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        // Under its name it is seen once nobody else may use it and it is listened to.
        let new = path.with_file_name(unnamed(std::process::id()));
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = blocking::UnixListener::bind(&new)?;
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        let listener = UnixListener::from_std(listener)?;
        fs::rename(&new, path)?;
        Ok(Self { listener, path: path.to_owned() })
    }

    /// Listens in the runtime folder, which is created where it is missing: that of the service, else root's, else the user's. For a user who has
    /// none it is [`control.sock`](IN_STATE) in the folder of the agent's state; `None` where there is neither. To be called inside a tokio runtime.
    ///
    /// # Errors
    /// As for [`bind`](Listener::bind).
    pub fn bind_default(state: Option<&Path>) -> io::Result<Option<Self>> {
        let folder = runtime_folder(variable(SERVICE_FOLDER), geteuid().is_root(), variable(USER_FOLDER));
        let (folder, name) = match (folder, state) {
            (Some(folder), _) => (folder, format!("{}.{EXTENSION}", std::process::id())),
            (None, Some(state)) => (state.to_owned(), IN_STATE.to_owned()),
            (None, None) => return Ok(None),
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        remove_orphans(&folder)?;
        Self::bind(&folder.join(name)).map(Some)
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Answers whoever asks with what `report` says, without end. Only root and the agent's own user are answered.
    pub async fn serve<F: Future<Output = Report>>(&self, report: impl Fn() -> F) {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    // Whoever asks and does not read is his own loss.
                    let _ = tokio::time::timeout(PATIENCE, answer(stream, &report)).await;
                }
                Err(error) => {
                    tracing::warn!("the control socket: {error}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::debug!("the control socket: {error}");
        }
    }
}

async fn answer<F: Future<Output = Report>>(mut stream: UnixStream, report: impl Fn() -> F) -> io::Result<()> {
    let asker = stream.peer_cred()?.uid();
    if asker != 0 && asker != geteuid().as_raw() {
        return Ok(());
    }
    let mut request = Vec::with_capacity(LONGEST_REQUEST);
    while !request.ends_with(b"\n") {
        if request.len() == LONGEST_REQUEST || stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let mut line = match request.trim_ascii_end() {
        STATUS => serde_json::to_vec(&report().await)?,
        _ => br#"{"error":"status is all that can be asked"}"#.to_vec(),
    };
    line.push(b'\n');
    stream.write_all(&line).await
}

/// Asks the agent that listens at `path`. Blocks, for 10 s at most.
///
/// # Errors
/// When nobody listens there (`ConnectionRefused`, `NotFound`), this user may not ask (`PermissionDenied`), or the answer makes no sense.
pub fn ask(path: &Path) -> io::Result<Report> {
    ask_within(path, ANSWER_TIME)
}

fn ask_within(path: &Path, time: Duration) -> io::Result<Report> {
    let deadline = Instant::now() + time;
    let mut stream = blocking::UnixStream::connect(path)?;
    stream.set_write_timeout(Some(time))?;
    stream.write_all(STATUS)?;
    stream.write_all(b"\n")?;
    let (mut answer, mut chunk) = (Vec::new(), [0; 4096]);
    while answer.len() < LONGEST_ANSWER {
        // A timeout is that of one read: bytes that come one by one must not begin it anew.
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the agent does not come to an end"));
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(&chunk[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    if answer.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the agent says nothing"));
    }
    Ok(serde_json::from_slice(&answer)?)
}

/// The sockets in the folders where this user's and root's agents have theirs, by number of process. Those of agents that were killed
/// may be among them: they refuse connections.
///
/// # Errors
/// When a folder is there and cannot be read.
pub fn sockets() -> io::Result<Vec<PathBuf>> {
    let folders = match variable(SERVICE_FOLDER) {
        Some(folder) => vec![folder],
        None => {
            let user = variable(USER_FOLDER).map(|folder| of_user(&folder));
            iter::once(PathBuf::from(SYSTEM_FOLDER)).chain(user).collect()
        }
    };
    let mut found = Vec::new();
    for folder in folders {
        found.extend(numbered(&folder)?);
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Where an agent puts its socket: the folder of its service goes before that of root, and that before the user's.
fn runtime_folder(service: Option<PathBuf>, root: bool, user: Option<PathBuf>) -> Option<PathBuf> {
    let system = root.then(|| PathBuf::from(SYSTEM_FOLDER));
    service.or(system).or_else(|| user.map(|folder| of_user(&folder)))
}

fn of_user(folder: &Path) -> PathBuf {
    folder.join("lapwing")
}

fn variable(name: &str) -> Option<PathBuf> {
    let value = env::var_os(name)?;
    // systemd may name several, with colons between them.
    env::split_paths(&value).next().filter(|folder| folder.is_absolute())
}

/// The sockets in a folder with the processes that they are named after; none where there is no such folder.
fn numbered(folder: &Path) -> io::Result<Vec<(i32, PathBuf)>> {
    named(folder, |name| name.strip_suffix(EXTENSION)?.strip_suffix('.'))
}

/// The files in a folder in whose names `number` finds a number.
fn named(folder: &Path, number: impl Fn(&str) -> Option<&str>) -> io::Result<Vec<(i32, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(number) = name.and_then(|name| number(name)?.parse().ok()) {
            found.push((number, path));
        }
    }
    Ok(found)
}

/// What a socket is called before it has its name.
fn unnamed(process: u32) -> String {
    format!(".{process}.new")
}

/// Removes the sockets of processes that are no more.
fn remove_orphans(folder: &Path) -> io::Result<()> {
    let new = named(folder, |name| name.strip_prefix('.')?.strip_suffix(".new"))?;
    for (number, path) in numbered(folder)?.into_iter().chain(new) {
        let gone = Pid::from_raw(number).is_none_or(|pid| test_kill_process(pid) == Err(rustix::io::Errno::SRCH));
        if gone && let Err(error) = fs::remove_file(&path) {
            tracing::debug!("the control socket of a process that is no more: {error}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
