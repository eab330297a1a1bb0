use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// Longer lines are said in pieces.
const LINE: usize = 1024;
const CHUNK: usize = 4096;
/// So many bytes are read at once, however many there are: who reads has other work to do.
const TURN: u64 = 1 << 16;

/// What a program has written to a file, said line by line as it grows.
pub(super) struct Log {
    path: PathBuf,
    /// Who has written it.
    who: String,
    offset: u64,
    line: Vec<u8>,
}

impl Log {
    pub(super) fn new(path: PathBuf, who: &str) -> Self {
        Self { path, who: who.to_owned(), offset: 0, line: Vec::new() }
    }

    /// Says the lines that have come, and whether there may be more.
    pub(super) fn say(&mut self) -> bool {
        let before = self.offset;
        for line in self.lines().unwrap_or_default() {
            tracing::info!("{}: {line}", self.who);
        }
        self.offset - before >= TURN
    }

    /// Says what has no line break behind it.
    pub(super) fn finish(&mut self) {
        if let Some(line) = self.take_line() {
            tracing::info!("{}: {line}", self.who);
        }
    }

    fn lines(&mut self) -> io::Result<Vec<String>> {
        let file = File::open(&self.path)?;
        let (mut lines, mut chunk, end) = (Vec::new(), [0; CHUNK], self.offset + TURN);
        loop {
            let length = if self.offset < end { file.read_at(&mut chunk, self.offset)? } else { 0 };
            if length == 0 {
                return Ok(lines);
            }
            self.offset += length as u64;
            for byte in &chunk[..length] {
                // A progress bar goes back to the beginning of its line.
                if !matches!(byte, b'\n' | b'\r') {
                    self.line.push(*byte);
                }
                if matches!(byte, b'\n' | b'\r') || self.line.len() == LINE {
                    lines.extend(self.take_line());
                }
            }
        }
    }

    /// The line without what would write somewhere else in the log, unless it is empty.
    fn take_line(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.line);
        let shown: String = String::from_utf8_lossy(&line).chars().filter(|each| !each.is_control()).collect();
        (!shown.trim().is_empty()).then_some(shown)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn lines_are_said_once_when_they_are_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut log = Log::new(path.clone(), "who");
        assert!(log.lines().is_err(), "nothing is there yet");
        fs::write(&path, "one\ntw").unwrap();
        assert_eq!(log.lines().unwrap(), ["one"]);
        fs::write(&path, "one\ntwo\n\n 10%\r 20%\rend\x1b[1m").unwrap();
        assert_eq!(log.lines().unwrap(), ["two", " 10%", " 20%"]);
        assert_eq!(log.take_line().as_deref(), Some("end[1m"));
        assert_eq!(log.take_line(), None);
        fs::write(&path, vec![b'x'; 5000]).unwrap();
        let lines = Log::new(path, "who").lines().unwrap();
        assert_eq!((lines.len(), lines[0].len()), (4, LINE));
    }

    #[test]
    fn a_flood_is_said_a_part_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let flood = "a line of it\n".repeat(100_000);
        fs::write(&path, &flood).unwrap();
        let (mut log, mut lines, mut turns) = (Log::new(path, "who"), 0, 0);
        loop {
            let said = log.lines().unwrap().len();
            if said == 0 {
                break;
            }
            assert!(said < 10_000, "{said} at once");
            (lines, turns) = (lines + said, turns + 1);
        }
        assert_eq!(lines, 100_000, "in {turns} turns");
    }
}
