//! A gzipped tar from a stranger: plain files and folders below its top, each once, within bounds.
//!
//! The headers are read one by one instead of by [`tar::Archive`], which follows what extension headers say of names and lengths
//! (and keeps these headers in memory, however long they are): here no extension may change either.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;
use sha2::{Digest as _, Sha256};
use tar::{EntryType, Header, PaxExtensions};

use super::PackageError;

const BLOCK: usize = 512;
/// So much is read at once.
const CHUNK: usize = 1 << 16;
/// Deflate makes up to a thousand bytes out of one. No executable comes near to this.
const MAX_RATIO: u64 = 100;
/// So much may be unpacked whatever the ratio, in bytes.
const RATIO_SLACK: u64 = 1 << 20;
/// The longest extension header (pax), in bytes.
const MAX_EXTENSION: u64 = 1 << 14;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    /// Below the top, without `.` and `..`; empty for the top itself.
    pub(super) name: String,
    /// Of the content, in bytes.
    pub(super) size: u64,
    /// Whether anybody may execute it.
    pub(super) executable: bool,
}

pub(super) struct Archive<R: Read> {
    unzipped: Unzipped<R>,
    max_entries: usize,
    entries: usize,
    /// The SHA-256 of each file, nothing for a folder.
    seen: BTreeMap<String, Option<[u8; 32]>>,
}

fn none_of_ours<T>(what: impl Into<String>) -> Result<T, PackageError> {
    Err(PackageError::Type(what.into()))
}

fn damaged<T>(what: impl Into<String>) -> Result<T, PackageError> {
    Err(PackageError::Integrity(what.into()))
}

impl<R: Read> Archive<R> {
    pub(super) fn new(package: R, max_size: u64, max_entries: usize) -> Self {
        let source = BufReader::with_capacity(CHUNK, Source { inner: package, read: 0, failure: None });
        let unzipped = Unzipped { decoder: GzDecoder::new(source), made: 0, max: max_size };
        Self { unzipped, max_entries, entries: 0, seen: BTreeMap::new() }
    }

    /// The next file or folder; [`content`](Self::content) is called for each file.
    pub(super) fn next_entry(&mut self) -> Result<Option<Entry>, PackageError> {
        loop {
            let mut block = [0; BLOCK];
            self.unzipped.fill(&mut block)?;
            if block.iter().all(|byte| *byte == 0) {
                return Ok(None);
            }
            let header = Header::from_byte_slice(&block);
            if header.cksum().ok() != Some(sum(&block)) {
                // Without a header that was in order before, it is likely no tar at all.
                let what = "a header of the archive is not in order";
                return if self.entries == 0 { none_of_ours(what) } else { damaged(what) };
            }
            self.entries += 1;
            if self.entries > self.max_entries {
                return none_of_ours(format!("it has more than {} files and folders", self.max_entries));
            }
            let Ok(size) = header.entry_size() else { return damaged("a length in the archive is no number") };
            if size > self.unzipped.max {
                return none_of_ours(format!("it unpacks to more than {} bytes", self.unzipped.max));
            }
            let kind = match header.entry_type() {
                EntryType::Regular => Kind::File,
                EntryType::Directory if size == 0 => Kind::Folder,
                EntryType::XHeader | EntryType::XGlobalHeader => {
                    self.extension(size)?;
                    continue;
                }
                other => return none_of_ours(format!("it has an entry of the type {other:?}")),
            };
            let raw = header.path_bytes();
            let name = plain_name(&raw).map_err(|why| PackageError::Type(format!("a name in it {why}")))?;
            if kind == Kind::File && (name.is_empty() || raw.ends_with(b"/")) {
                return none_of_ours("it has a file without a name");
            }
            if self.seen.insert(name.clone(), None).is_some() {
                return none_of_ours(format!("it has {name:?} twice"));
            }
            let executable = header.mode().is_ok_and(|mode| mode & 0o111 != 0);
            return Ok(Some(Entry { kind, name, size, executable }));
        }
    }

    /// Gives the content of a file to `take`, and hashes it.
    pub(super) fn content(
        &mut self,
        file: &Entry,
        mut take: impl FnMut(&[u8]) -> Result<(), PackageError>,
    ) -> Result<(), PackageError> {
        let mut sha256 = Sha256::new();
        let (mut buffer, mut left) = (vec![0; CHUNK], file.size);
        while left > 0 {
            let wanted = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
            self.unzipped.fill(&mut buffer[..wanted])?;
            sha256.update(&buffer[..wanted]);
            take(&buffer[..wanted])?;
            left -= wanted as u64;
        }
        self.padding(file.size)?;
        self.seen.insert(file.name.clone(), Some(sha256.finalize().into()));
        Ok(())
    }

    /// Reads what comes after the last entry, and gives the SHA-256 of each file.
    pub(super) fn finish(mut self) -> Result<BTreeMap<String, [u8; 32]>, PackageError> {
        let mut buffer = vec![0; CHUNK];
        loop {
            let read = self.unzipped.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            if buffer[..read].iter().any(|byte| *byte != 0) {
                return damaged("something comes after the end of the archive");
            }
        }
        if self.unzipped.is_followed()? {
            return damaged("something comes after the end of the gzip file");
        }
        Ok(self.seen.into_iter().filter_map(|(name, sha256)| Some((name, sha256?))).collect())
    }

    /// Times and owners may be said this way, as Python's tarfile does, and are of no interest; what would change which bytes an
    /// entry has, or its name, is refused.
    fn extension(&mut self, size: u64) -> Result<(), PackageError> {
        if size > MAX_EXTENSION {
            return none_of_ours("it has an extension header that is too long");
        }
        let mut content = vec![0; size as usize];
        self.unzipped.fill(&mut content)?;
        self.padding(size)?;
        for extension in PaxExtensions::new(&content) {
            let Ok(extension) = extension else { return damaged("an extension header is not in order") };
            let key = extension.key_bytes();
            if matches!(key, b"path" | b"linkpath" | b"size" | b"hdrcharset") || key.starts_with(b"GNU.sparse") {
                let key = String::from_utf8_lossy(key);
                return none_of_ours(format!("an extension header says {key:?}"));
            }
        }
        Ok(())
    }

    /// Reads to the end of the last block of a content of this size.
    fn padding(&mut self, size: u64) -> Result<(), PackageError> {
        let over = (size % BLOCK as u64) as usize;
        if over > 0 { self.unzipped.fill(&mut [0; BLOCK][over..]) } else { Ok(()) }
    }
}

/// The checksum of a header, which counts its own field as spaces.
fn sum(header: &[u8; BLOCK]) -> u32 {
    const FIELD: std::ops::Range<usize> = 148..156;
    let counted = |(at, byte): (usize, &u8)| if FIELD.contains(&at) { u32::from(b' ') } else { u32::from(*byte) };
    header.iter().enumerate().map(counted).sum()
}

/// The name below the top of a package; or why it is none.
pub(super) fn plain_name(name: &[u8]) -> Result<String, &'static str> {
    let name = str::from_utf8(name).map_err(|_| "is not UTF-8")?;
    if name.starts_with('/') {
        return Err("is absolute");
    }
    if name.contains(|each: char| each == '\\' || each.is_control()) {
        return Err("has a character that is not allowed");
    }
    let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") { Err("leads out of the package") } else { Ok(parts.join("/")) }
}

/// What comes out of the gzip file, within bounds.
struct Unzipped<R: Read> {
    decoder: GzDecoder<BufReader<Source<R>>>,
    made: u64,
    max: u64,
}

impl<R: Read> Unzipped<R> {
    /// Some bytes; none at the end, once the checksum of all was right.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, PackageError> {
        let read = match self.decoder.read(buffer) {
            Ok(read) => read,
            Err(error) => return Err(self.failure(&error)),
        };
        self.made += read as u64;
        if self.made > self.max {
            return none_of_ours(format!("it unpacks to more than {} bytes", self.max));
        }
        let packed = self.decoder.get_ref().get_ref().read;
        if self.made > RATIO_SLACK + packed.saturating_mul(MAX_RATIO) {
            return none_of_ours(format!("it unpacks to more than {MAX_RATIO} times its size"));
        }
        Ok(read)
    }

    fn fill(&mut self, mut buffer: &mut [u8]) -> Result<(), PackageError> {
        while !buffer.is_empty() {
            match self.read(buffer)? {
                0 => return damaged("the archive ends too early"),
                read => buffer = &mut buffer[read..],
            }
        }
        Ok(())
    }

    /// Whether there is anything behind the end.
    fn is_followed(&mut self) -> Result<bool, PackageError> {
        let rest = self.decoder.get_mut().fill_buf().map(|rest| !rest.is_empty());
        rest.map_err(PackageError::Disk)
    }

    fn failure(&mut self, error: &io::Error) -> PackageError {
        if let Some(failure) = self.decoder.get_mut().get_mut().failure.take() {
            return PackageError::Disk(failure);
        }
        if error.kind() == io::ErrorKind::UnexpectedEof {
            return PackageError::Integrity("the gzip file ends too early".to_owned());
        }
        match self.decoder.header() {
            None => PackageError::Type("it is no gzip file".to_owned()),
            Some(_) => PackageError::Integrity(format!("the gzip file is not in order: {error}")),
        }
    }
}

/// The package as it lies there. An error of its own is kept, to be told from those of the decoder.
struct Source<R> {
    inner: R,
    read: u64,
    failure: Option<io::Error>,
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(buffer) {
            Ok(read) => {
                self.read += read as u64;
                Ok(read)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let kind = error.kind();
                self.failure = Some(error);
                Err(kind.into())
            }
        }
    }
}
