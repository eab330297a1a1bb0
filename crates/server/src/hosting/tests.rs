use std::os::unix::fs::symlink;

use super::*;

fn name(text: &str) -> FileName {
    text.parse().unwrap()
}

fn limited(folder: &Path, count: usize, bytes: u64) -> Files {
    prepare(folder).unwrap();
    Files::new(Some(folder.to_owned()), FileLimits { count, bytes })
}

fn put(files: &Files, text: &str, content: &[u8]) -> Result<bool, FileError> {
    let mut upload = files.begin(Some(name(text)), None)?;
    upload.write(content)?;
    Ok(upload.finish()?.1)
}

fn content(held: &Held) -> Vec<u8> {
    let mut buffer = vec![0; 64];
    let length = held.read(0, &mut buffer).unwrap();
    buffer.truncate(length);
    buffer
}

#[test]
fn a_file_is_hosted_once_it_is_complete_and_replaced_in_one_step() {
    let folder = tempfile::tempdir().unwrap();
    let files = limited(folder.path(), 2, 100);
    let mut upload = files.begin(Some(name("a")), Some(5)).unwrap();
    upload.write(b"fir").unwrap();
    assert!(files.list().unwrap().is_empty() && matches!(files.open(&name("a")), Err(FileError::NotFound)));
    upload.write(b"st").unwrap();
    assert!(!upload.finish().unwrap().1);
    let first = files.open(&name("a")).unwrap();
    assert!(put(&files, "a", b"second").unwrap());
    let second = files.open(&name("a")).unwrap();
    assert_eq!((content(&first), content(&second)), (b"first".to_vec(), b"second".to_vec()));
    assert_ne!(first.etag(), second.etag());
    let listed = files.list().unwrap();
    assert_eq!(listed.iter().map(|file| (file.name.as_str(), file.size)).collect::<Vec<_>>(), [("a", 6)]);
    assert_eq!(listed[0].etag, *second.etag());
    files.remove(&name("a")).unwrap();
    assert_eq!(content(&second), b"second", "who reads, reads on");
    assert!(matches!(files.remove(&name("a")), Err(FileError::NotFound)));
}

#[test]
fn what_is_not_complete_or_has_no_name_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let files = limited(folder.path(), 2, 100);
    let there = || fs::read_dir(folder.path()).unwrap().count();
    let mut upload = files.begin(Some(name("a")), None).unwrap();
    upload.write(b"part").unwrap();
    assert_eq!((there(), files.used().unwrap()), (1, 4));
    drop(upload);
    assert_eq!(there(), 0);
    let mut upload = files.begin(None, None).unwrap();
    upload.write(b"nameless").unwrap();
    let (held, _) = upload.finish().unwrap();
    let other = held.clone();
    drop(held);
    assert_eq!((content(&other), files.list().unwrap().len(), files.used().unwrap()), (b"nameless".to_vec(), 0, 8));
    drop(other);
    assert_eq!(there(), 0);
}

#[test]
fn count_and_bytes_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let files = limited(folder.path(), 2, 10);
    put(&files, "a", b"12345").unwrap();
    assert!(matches!(
        files.begin(Some(name("b")), Some(6)),
        Err(FileError::TooLarge { wanted: 6, used: 5, limit: 10 })
    ));
    // Nothing was declared: it is seen when it has come.
    let mut upload = files.begin(Some(name("b")), None).unwrap();
    upload.write(b"1234").unwrap();
    assert!(matches!(upload.write(b"56"), Err(FileError::TooLarge { wanted: 6, used: 5, limit: 10 })));
    drop(upload);
    put(&files, "b", b"12345").unwrap();
    let refused = files.begin(Some(name("c")), None).unwrap_err();
    assert_eq!(refused.to_string(), "there are 2 files already, and no more may be; delete one");
    files.remove(&name("a")).unwrap();
    put(&files, "c", b"").unwrap();
    assert!(put(&files, "c", b"12345").unwrap(), "in place of one there is always a name left");
}

#[test]
fn only_regular_files_of_the_folder_itself_are_hosted() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("there"), "before").unwrap();
    fs::write(folder.path().join("not a name"), "").unwrap();
    fs::write(folder.path().join(".hidden"), "").unwrap();
    fs::create_dir(folder.path().join("below")).unwrap();
    symlink(outside.path().join("secret"), folder.path().join("link")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        folder.path().join("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    // One of a process that is no more, and one of this.
    fs::write(folder.path().join(".lapwing-part-4194303-0"), "left behind").unwrap();
    let files = limited(folder.path(), 10, 100);
    assert_eq!(files.list().unwrap().iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["there"]);
    for wrong in ["link", "fifo", "below"] {
        assert!(matches!(files.open(&name(wrong)), Err(FileError::NotFound)), "{wrong}");
        assert!(matches!(files.remove(&name(wrong)), Err(FileError::NotFound)), "{wrong}");
    }
    assert_eq!(files.used().unwrap(), 6, "what was left behind has gone");
    // An upload takes the link's place, and writes nothing through it.
    put(&files, "link", b"new").unwrap();
    assert_eq!(fs::read_to_string(outside.path().join("secret")).unwrap(), "secret");
}

#[test]
fn without_a_folder_there_is_one_while_the_files_are() {
    let files = Files::new(None, FileLimits::default());
    assert!(files.list().unwrap().is_empty() && matches!(files.open(&name("a")), Err(FileError::NotFound)));
    put(&files, "a", b"content").unwrap();
    let path = files.path().expect("one was made");
    assert_eq!(fs::read(path.join("a")).unwrap(), b"content");
    drop(files);
    assert!(!path.exists());
}

#[test]
fn what_a_killed_server_has_left_behind_goes_with_the_next_one() {
    let parent = tempfile::tempdir().unwrap();
    let long_ago = SystemTime::now() - 2 * Made::AGE;
    let folder = |name: &str| {
        let path = parent.path().join(name);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("file"), "file").unwrap();
        fs::File::open(&path).unwrap().set_modified(long_ago).unwrap();
        path
    };
    let used = Made::below(parent.path()).unwrap();
    fs::File::open(&used.path).unwrap().set_modified(long_ago).unwrap();
    let (left, other) = (folder("lapwing-files-left"), folder("somebody-else"));
    let next = Made::below(parent.path()).unwrap();
    assert!(!left.exists() && other.exists() && used.path.exists() && next.path.exists());
    drop((used, next));
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
}
