//! What must hold for any bytes that come as a software package. The fuzzer and the stable tests call the same function.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use lapwing::objects::software::package::Format;

const BLOCK: usize = 512;

/// `archive` is taken for a package, and for the tar in one, whose sums are mended so that what they protect is seen.
pub(crate) fn check(archive: &[u8]) {
    let format = Format::new("agent").max_size(1 << 20).max_entries(8);
    let _ = format.verify(archive);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
    gzip.write_all(&mended(archive)).expect("memory takes all");
    let package = gzip.finish().expect("memory takes all");
    if let Ok(executable) = format.verify(&package[..]) {
        assert!((1..=archive.len() as u64).contains(&executable.length), "{executable:?}");
        for cut in [package.len() - 1, package.len() / 2] {
            assert!(format.verify(&package[..cut]).is_err(), "cut at {cut}");
        }
    }
}

/// With the right sum in each block that looks like a header.
fn mended(archive: &[u8]) -> Vec<u8> {
    let mut archive = archive.to_vec();
    for block in archive.chunks_exact_mut(BLOCK).filter(|block| block[257..].starts_with(b"ustar")) {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().copied().map(u32::from).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    }
    archive
}
