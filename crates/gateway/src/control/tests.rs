use std::sync::Arc;

use super::*;

fn report() -> Report {
    Report {
        endpoint: "gw".to_owned(),
        process: 7,
        running_for: 8,
        agent_version: "1".to_owned(),
        lwm2m_version: "1.1".to_owned(),
        firmware_version: None,
        software_version: None,
        bootstrap: None,
        servers: Vec::new(),
        firmware: None,
        software: Vec::new(),
    }
}

async fn asked(path: &Path) -> io::Result<Report> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || ask(&path)).await.unwrap()
}

#[tokio::test]
async fn whoever_asks_is_answered_and_the_socket_is_its_owners() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sock");
    let listener = Arc::new(Listener::bind(&path).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left there");
    let serving = listener.clone();
    let task = tokio::spawn(async move { serving.serve(|| async { report() }).await });
    for _ in 0..2 {
        assert_eq!(asked(&path).await.unwrap(), report());
    }
    task.abort();
    let _ = task.await;
    drop(listener);
    assert!(!path.exists());
    assert_eq!(asked(&path).await.unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[tokio::test]
async fn what_is_not_understood_is_told_and_what_does_not_end_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sock");
    let listener = Listener::bind(&path).unwrap();
    tokio::spawn(async move { listener.serve(|| async { report() }).await });
    let conversation = async |request: Vec<u8>| {
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(&request).await.unwrap();
        let mut answer = Vec::new();
        // A connection that is closed with something unread is reset.
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    };
    assert_eq!(conversation(b"reboot\n".to_vec()).await, "{\"error\":\"status is all that can be asked\"}\n");
    assert_eq!(conversation(vec![b'x'; 4096]).await, "");
    assert!(conversation(b"status\n".to_vec()).await.starts_with("{\"endpoint\":\"gw\""));
}

#[test]
fn an_answer_that_does_not_end_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sock");
    let listener = blocking::UnixListener::bind(&path).unwrap();
    let agent = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // Each byte comes in time, the last one never.
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(60) && stream.write_all(b" ").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
        began.elapsed()
    });
    let error = ask_within(&path, Duration::from_millis(300)).unwrap_err();
    assert!(matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock), "{error}");
    assert!(agent.join().unwrap() < Duration::from_secs(60));
}

#[tokio::test]
async fn a_socket_of_the_living_is_not_taken_and_one_of_the_dead_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.sock");
    // Dropping the standard library's listener leaves the file, as kill -9 does.
    drop(blocking::UnixListener::bind(&path).unwrap());
    assert_eq!(asked(&path).await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    let _listener = Listener::bind(&path).unwrap();
    assert_eq!(Listener::bind(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    assert!(path.exists());
    let file = folder.path().join("file");
    fs::write(&file, "mine").unwrap();
    assert_eq!(Listener::bind(&file).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

#[test]
fn the_folder_of_the_service_goes_before_that_of_root_and_of_the_user() {
    let some = |folder: &str| Some(PathBuf::from(folder));
    let (service, user) = (|| some("/run/other"), || some("/run/user/7"));
    assert_eq!(runtime_folder(service(), true, user()), some("/run/other"));
    assert_eq!(runtime_folder(None, true, user()), some("/run/lapwing"));
    assert_eq!(runtime_folder(None, false, user()), some("/run/user/7/lapwing"));
    assert_eq!(runtime_folder(None, false, None), None);
}

#[test]
fn sockets_of_processes_that_are_no_more_are_removed() {
    let folder = tempfile::tempdir().unwrap();
    let name = |name: &str| folder.path().join(name);
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let (dead, living) = (format!("{}.sock", child.id()), format!("{}.sock", std::process::id()));
    // Killed before its socket had a name.
    let unborn = unnamed(child.id());
    for name in [&name(&dead), &name(&unborn), &name(&living), &name("other.sock"), &name("7.txt")] {
        fs::write(name, "").unwrap();
    }
    remove_orphans(folder.path()).unwrap();
    assert!(!name(&dead).exists() && !name(&unborn).exists());
    assert!(name(&living).exists() && name("other.sock").exists() && name("7.txt").exists());
    assert_eq!(numbered(folder.path()).unwrap(), [(std::process::id() as i32, name(&living))]);
    assert_eq!(numbered(&name("nowhere")).unwrap(), []);
}
