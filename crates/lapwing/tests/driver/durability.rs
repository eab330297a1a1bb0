//! What a server changes of its account is durable before it is told so, and is there after a restart.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use lapwing::driver::{Disk, FileSystem};
use lapwing::store::Store;
use lapwing_coap::wire::Code;

use crate::common::{self, bench};

/// The file system, with a medium that can fail.
struct Failing(Arc<AtomicBool>);

impl Disk for Failing {
    type File = File;

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        FileSystem.read(path)
    }

    fn create(&self, path: &Path) -> io::Result<File> {
        FileSystem.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Option<File>> {
        FileSystem.open(path)
    }

    fn length(&self, file: &File) -> io::Result<u64> {
        FileSystem.length(file)
    }

    fn read_at(&self, file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        FileSystem.read_at(file, offset, buffer)
    }

    fn free(&self, folder: &Path) -> io::Result<u64> {
        FileSystem.free(folder)
    }

    fn write(&self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        FileSystem.write(file, bytes)
    }

    fn truncate(&self, file: &mut File, length: u64) -> io::Result<()> {
        FileSystem.truncate(file, length)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        if self.0.load(Ordering::SeqCst) {
            return Err(io::Error::other("the medium failed"));
        }
        FileSystem.sync(file)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        FileSystem.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        FileSystem.remove(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        FileSystem.sync_folder(folder)
    }

    fn create_folder(&self, folder: &Path) -> io::Result<()> {
        FileSystem.create_folder(folder)
    }
}

#[tokio::test(start_paused = true)]
async fn a_lifetime_that_a_server_wrote_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let fails = Arc::new(AtomicBool::new(false));
    let store = || Some(Store::open(Failing(Arc::clone(&fails)), folder.path()).unwrap());

    let (line, mut server) = common::line();
    let (client, _) = bench::client();
    let running = common::run_with_store(client, line, store());
    server.register().await;
    let write = server.request(Code::PUT, "/1/0/1", b"7200");
    assert_eq!(server.response(write).await.code, Code::CHANGED);
    running.abort();

    fails.store(true, Ordering::SeqCst);
    let (line, mut server) = common::line();
    let (client, _) = bench::client();
    common::run_with_store(client, line, store());
    let register = server.register().await;
    assert!(register.queries.contains(&"lt=7200".to_owned()), "{register:?}");

    let write = server.request(Code::PUT, "/1/0/1", b"3600");
    assert_eq!(server.response(write).await.code, Code::INTERNAL_SERVER_ERROR);
    let read = server.request(Code::GET, "/1/0/1", b"");
    assert_eq!(server.response(read).await.text(), "7200");
}
