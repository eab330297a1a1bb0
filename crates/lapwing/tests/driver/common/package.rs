//! Packages as the gateway's earlier client took them.

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest as _, Sha256};

/// A package with an executable of this name.
pub(crate) fn package(name: &str, executable: &[u8]) -> Vec<u8> {
    let hash: String = Sha256::digest(executable).iter().map(|byte| format!("{byte:02x}")).collect();
    let list = format!("{hash}  {name}\n");
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (name, content) in [(name, executable), ("checksums.txt", list.as_bytes())] {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, name, content).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}
