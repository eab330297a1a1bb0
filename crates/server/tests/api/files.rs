//! Hosted files.

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
};

use lapwing_coap::{
    Block, BlockSize,
    wire::{Code, Message, MessageType, Token, Writer, option},
};
use lapwing_server::FileLimits;
use serde_json::{Value as Json, json};

use crate::support::{PATIENCE, TestServer, eventually};

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

fn upload(server: &TestServer, name: &str, content: &[u8]) -> u16 {
    server.call("PUT", &format!("/api/files/{name}"), &[], content).status
}

/// The answer to a GET of one block over CoAP.
struct Answer {
    code: Code,
    etag: Vec<u8>,
    block: Option<Block>,
    size: Option<u32>,
    payload: Vec<u8>,
}

fn block(server: SocketAddr, path: &[&str], number: u32, size: BlockSize) -> Answer {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut buffer = Vec::new();
    let mut writer = Writer::new(&mut buffer, MessageType::Con, Code::GET, 7, Token::new(b"t").unwrap());
    for segment in path {
        writer.option_str(option::URI_PATH, segment);
    }
    writer.option_block(option::BLOCK2, Block { number, more: false, size }).finish();
    socket.send(&buffer).unwrap();
    let mut datagram = [0; 2048];
    let length = socket.recv(&mut datagram).expect("an answer");
    let message = Message::parse(&datagram[..length]).unwrap();
    let options = &message.options;
    Answer {
        code: message.code,
        etag: options.etag().unwrap_or_default().to_vec(),
        block: options.block2().unwrap(),
        size: options.size2(),
        payload: message.payload.to_vec(),
    }
}

#[test]
fn files_are_uploaded_listed_and_deleted() {
    let server = TestServer::start();
    let none = json!({"files": [], "used": 0, "limits": {"count": 100, "bytes": 4u64 << 30}});
    assert_eq!(server.get("/api/files").json(), none);
    let content = pattern(300_000);
    let put = server.call("PUT", "/api/files/gateway-1.2.swu", &[], &content);
    assert_eq!(put.status, 201, "{}", put.text);
    assert_eq!(upload(&server, "empty", b""), 201);
    let listed = server.get("/api/files").json();
    assert_eq!((&listed["used"], listed["files"].as_array().unwrap().len()), (&json!(300_000), 2));
    let mut file = listed["files"][1].clone();
    assert_eq!(file, serde_json::from_str::<Json>(&put.text).unwrap());
    assert!(file["modified"].take().as_u64().is_some_and(|time| time > 1_700_000_000_000));
    assert_eq!(file["etag"].take().as_str().map(str::len), Some(16));
    let expected = json!({
        "name": "gateway-1.2.swu", "size": 300_000, "modified": null, "etag": null, "path": "/files/gateway-1.2.swu",
    });
    assert_eq!(file, expected);
    assert_eq!(server.get("/files/gateway-1.2.swu").body, content);

    assert_eq!(upload(&server, "gateway-1.2.swu", b"new"), 200, "in the place of the old one");
    assert_eq!(server.get("/files/gateway-1.2.swu").text, "new");
    assert_eq!(server.delete("/api/files/gateway-1.2.swu").status, 200);
    server.delete("/api/files/gateway-1.2.swu").is_error(404, "there is no such file");
    server.get("/files/gateway-1.2.swu").is_error(404, "there is no such file");
    assert_eq!(block(server.coap, &["files", "gateway-1.2.swu"], 0, BlockSize::B1024).code, Code::NOT_FOUND);
}

#[test]
fn file_names_cannot_leave_their_folder() {
    let above = tempfile::tempdir().unwrap();
    fs::write(above.path().join("secret"), "secret").unwrap();
    let folder = above.path().join("files");
    let given = folder.clone();
    let server = TestServer::built(move |builder| builder.files(given).unwrap());
    assert_eq!(upload(&server, "inside", b"inside"), 201);
    for name in ["..%2fsecret", "%2e%2e%2fsecret", ".hidden", "%2e", "a%20b", "a%00", "%c3%bc", &"x".repeat(101)] {
        let path = format!("/api/files/{name}");
        server.call("PUT", &path, &[], b"x").is_error(400, "Invalid request: a file's name has 1 to 100 letters");
        server.delete(&path).is_error(400, "Invalid request: a file's name");
        server.get(&format!("/files/{name}")).is_error(404, "there is no such file");
    }
    for name in ["../secret", "..", ".", "", "inside/../../secret"] {
        assert_eq!(block(server.coap, &["files", name], 0, BlockSize::B1024).code, Code::NOT_FOUND, "{name}");
    }
    for path in [&["files", "..", "secret"][..], &["files"], &["files", "inside", ""], &["inside"]] {
        assert_eq!(block(server.coap, path, 0, BlockSize::B1024).code, Code::NOT_FOUND, "{path:?}");
    }
    assert_eq!(block(server.coap, &["files", "inside"], 0, BlockSize::B1024).payload, b"inside");
    assert_eq!(fs::read_to_string(above.path().join("secret")).unwrap(), "secret");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
    // What is in the folder already is hosted.
    fs::write(folder.join("there"), "there").unwrap();
    assert_eq!(server.get("/files/there").text, "there");
}

#[test]
fn hosted_files_are_bounded() {
    let server = TestServer::built(|builder| {
        let mut limits = FileLimits::default();
        (limits.count, limits.bytes) = (2, 1000);
        builder.file_limits(limits)
    });
    assert_eq!(upload(&server, "a", &pattern(600)), 201);
    let refused = server.call("PUT", "/api/files/b", &[], &pattern(401));
    refused.is_error(507, "401 bytes do not fit: all files together may have 1000, and have 600");
    assert_eq!(upload(&server, "b", &pattern(400)), 201);
    let refused = server.call("PUT", "/api/files/c", &[], b"");
    refused.is_error(507, "there are 2 files already, and no more may be; delete one");
    assert_eq!(server.delete("/api/files/a").status, 200);
    assert_eq!(upload(&server, "c", b"c"), 201);
}

#[test]
fn an_upload_that_breaks_off_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let given = folder.path().to_owned();
    let server = TestServer::built(move |builder| builder.files(given).unwrap());
    // More is promised than comes.
    let answer = server.call_cut_short("PUT", "/api/files/a", &[("Content-Length", "1000")], b"part");
    assert!(answer.is_none_or(|answer| answer.status == 400));
    assert_eq!(upload(&server, "b", b"b"), 201);
    eventually("the part has gone", || fs::read_dir(folder.path()).unwrap().count() == 1);
    assert_eq!(server.get("/api/files").json()["files"][0]["name"], "b");
}

#[test]
fn files_are_fetched_over_http() {
    let server = TestServer::start();
    let content = pattern(300_000);
    upload(&server, "f", &content);
    let whole = server.get("/files/f");
    assert_eq!((whole.status, &whole.body), (200, &content));
    let etag = whole.header("etag").expect("an ETag").to_owned();
    for (name, value) in [
        ("accept-ranges", "bytes"),
        ("content-length", "300000"),
        ("content-type", "application/octet-stream"),
        ("content-disposition", "attachment"),
    ] {
        assert_eq!(whole.header(name), Some(value));
    }
    let get = |headers: &[(&str, &str)]| server.call("GET", "/files/f", headers, b"");
    let part = get(&[("Range", "bytes=150000-"), ("If-Range", &etag)]);
    assert_eq!((part.status, part.header("content-range")), (206, Some("bytes 150000-299999/300000")));
    assert_eq!((part.header("content-length"), part.header("etag")), (Some("150000"), Some(etag.as_str())));
    assert_eq!(part.body, content[150_000..]);
    let other = get(&[("Range", "bytes=150000-"), ("If-Range", "\"other\"")]);
    assert_eq!((other.status, other.header("content-range"), other.body.len()), (200, None, 300_000));
    let beyond = get(&[("Range", "bytes=300000-")]);
    assert_eq!((beyond.status, beyond.header("content-range")), (416, Some("bytes */300000")));
    assert_eq!(get(&[("If-None-Match", &etag)]).status, 304);
    let head = server.call("HEAD", "/files/f", &[], b"");
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("300000"), 0));
    // What is written anew has another tag.
    upload(&server, "f", &content);
    assert_ne!(get(&[]).header("etag"), Some(etag.as_str()));
}

#[test]
fn files_are_fetched_over_coap() {
    let server = TestServer::start();
    let content = pattern(5000);
    upload(&server, "f", &content);
    let get = |number, size| block(server.coap, &["files", "f"], number, size);
    let first = get(0, BlockSize::B1024);
    assert_eq!((first.code, first.etag.len(), first.size), (Code::CONTENT, 8, Some(5000)));
    assert_eq!(first.block, Some(Block { number: 0, more: true, size: BlockSize::B1024 }));
    assert_eq!(first.payload, content[..1024]);
    // Any block, in any order and size, from anywhere: the ETag tells that they are of one file.
    for (number, size, range) in
        [(4, BlockSize::B1024, 4096..5000), (1, BlockSize::B1024, 1024..2048), (20, BlockSize::B64, 1280..1344)]
    {
        let answer = get(number, size);
        let block = Block { number, more: range.end < 5000, size };
        assert_eq!((answer.code, &answer.etag, answer.block), (Code::CONTENT, &first.etag, Some(block)));
        assert_eq!(answer.payload, content[range]);
    }
    assert_eq!(get(5, BlockSize::B1024).code, Code::BAD_REQUEST, "beyond the end");
    upload(&server, "f", &pattern(4000));
    assert_ne!(get(1, BlockSize::B1024).etag, first.etag);
}
