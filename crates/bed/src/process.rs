use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::PATIENCE;

/// A started program, killed when it is dropped. What it prints is read from the start, so that it never blocks.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdin: Option<ChildStdin>,
    /// The lines of its standard output.
    pub out: Lines,
    /// The lines of its standard error.
    pub err: Lines,
}

/// The lines that a program prints, in order.
#[derive(Debug)]
pub struct Lines {
    name: String,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Process {
    /// Starts `command`.
    ///
    /// # Panics
    /// Where it can't be started.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap_or_else(
                |error| panic!("{name}: {error}: run `cargo xtask test`, which installs what it needs"),
            );
        let stdin = child.stdin.take();
        let out = Lines::of(format!("{name} (stdout)"), child.stdout.take().expect("stdout is piped"));
        let err = Lines::of(format!("{name} (stderr)"), child.stderr.take().expect("stderr is piped"));
        Self { name, child, stdin, out, err }
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes a line to its standard input.
    ///
    /// # Panics
    /// Where it reads no more.
    pub fn say(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("standard input is open");
        writeln!(stdin, "{line}").and_then(|()| stdin.flush()).unwrap_or_else(|error| panic!("{}: {error}", self.name));
    }

    /// Closes its standard input.
    pub fn close_input(&mut self) {
        self.stdin = None;
    }

    /// Sends a signal, by its name (`INT`, `TERM`, `KILL`, ...).
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status();
        assert!(status.is_ok_and(|status| status.success()), "kill -{name} {}", self.id());
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_none())
    }

    /// Waits for its end, for [`PATIENCE`].
    ///
    /// # Panics
    /// When it has not ended by then.
    pub fn ended(&mut self) -> ExitStatus {
        let name = self.name.clone();
        crate::eventually(&format!("the end of {name}"), || self.child.try_wait().expect("a child can be waited for"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself: nothing to do then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Lines {
    fn of(name: String, stream: impl Read + Send + 'static) -> Self {
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { name, lines, seen: Vec::new() }
    }

    /// Takes the stream out of its process, to be read by a thread of its own; what is left in its place is at its end.
    #[must_use]
    pub fn take(&mut self) -> Self {
        let ended = Self { name: self.name.clone(), lines: channel().1, seen: Vec::new() };
        std::mem::replace(self, ended)
    }

    /// The next line that `wanted` takes, for [`PATIENCE`]; lines before it are passed over.
    ///
    /// # Panics
    /// When none came; the message has every line that was printed.
    pub fn next_that<T>(&mut self, what: &str, wanted: impl FnMut(&str) -> Option<T>) -> T {
        match self.within(PATIENCE, wanted) {
            Some(found) => found,
            None => panic!("no line from {}: {what}; it printed:\n{}", self.name, self.seen.join("\n")),
        }
    }

    /// The next line that contains `text`.
    ///
    /// # Panics
    /// As [`Lines::next_that`].
    pub fn next_with(&mut self, text: &str) -> String {
        self.next_that(text, |line| line.contains(text).then(|| line.to_owned()))
    }

    /// The next line that `wanted` takes, if one comes within `time`.
    pub fn within<T>(&mut self, time: Duration, mut wanted: impl FnMut(&str) -> Option<T>) -> Option<T> {
        let end = Instant::now() + time;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    let found = wanted(&line);
                    self.seen.push(line);
                    if found.is_some() {
                        return found;
                    }
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    /// The next line, or nothing at the end of the stream.
    pub fn wait(&mut self) -> Option<String> {
        self.lines.recv().ok()
    }

    /// Everything it prints until its end.
    pub fn rest(&mut self) -> Vec<String> {
        self.within(PATIENCE, |_| None::<()>);
        self.seen.clone()
    }
}
