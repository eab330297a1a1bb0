//! The power goes at every point, and the disk loses any part of what was not synced: afterwards there is the old state or the new
//! one, and what was acknowledged is there (LwM2M Core 1.1 section 6.1.3.3 has the old configuration stay until the Finish).

use std::cell::Cell;
use std::future::pending;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use lapwing::credentials::Psk;
use lapwing::driver::{self, TokioClock};
use lapwing::store::StoreError;
use lapwing::{BootstrapAccount, Client, Instance, Path, Value};
use lapwing_coap::ContentFormat;
use lapwing_coap::wire::{Code, MessageType, option};
use lapwing_dtls::credentials::PeerIdentity;
use lapwing_dtls::{ServerConfig, server};
use lapwing_lwm2m::format::encode;
use lapwing_lwm2m::model::Node;
use sim::disk::explore;

use crate::common::disk::{Lie, store};
use crate::common::network::{Hosts, network};
use crate::common::{Server, run_with_store};

/// The contents that are saved one after another; `None` removes.
const HISTORY: [Option<&[u8]>; 5] = [Some(b"first"), Some(b"the second, longer"), Some(b""), None, Some(b"third")];

fn save_everywhere(lie: Option<Lie>) {
    let done = Cell::new(0_usize);
    explore(
        40,
        |disk| {
            done.set(0);
            let store = store(disk, lie)?;
            for content in HISTORY {
                match content {
                    Some(content) => store.save("server-1", 1, content)?,
                    None => store.remove("server-1")?,
                }
                done.set(done.get() + 1);
            }
            Ok::<(), StoreError>(())
        },
        |disk, crash| {
            let found = store(disk, None).unwrap().load("server-1").unwrap().map(|record| record.content.to_vec());
            // What `save` has returned for is there, or what was being saved when the power went.
            let old = done.get().checked_sub(1).and_then(|last| HISTORY[last]);
            let new = HISTORY.get(done.get()).copied().unwrap_or(old);
            assert!(found.as_deref() == old || found.as_deref() == new, "{crash}: {found:?} is not {old:?} or {new:?}");
        },
    );
}

#[test]
fn a_record_is_the_old_one_or_the_new_one() {
    save_everywhere(None);
}

#[test]
fn a_failed_step_leaves_the_old_record() {
    // Create, write, sync, rename, sync of the folder. After the rename the new one may be there already.
    for step in 0..4 {
        let disk = sim::Disk::new();
        let store = store(&disk, None).unwrap();
        store.save("server-1", 1, b"old").unwrap();
        disk.fail_after(step, io::ErrorKind::StorageFull);
        assert!(matches!(store.save("server-1", 1, b"new"), Err(StoreError::Disk { .. })), "{step}");
        assert_eq!(store.load("server-1").unwrap().unwrap().content.as_slice(), b"old", "{step}");
    }
}

const BOOTSTRAP: &str = "bootstrap.example";
const SERVER: &str = "server.example";

/// What a client may have been told of its server: nothing yet, a key, and another one. The identity tells which key it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    Nothing,
    Key(&'static str, &'static [u8]),
}

const TOLD: [Told; 3] =
    [Told::Nothing, Told::Key("first", b"the first secret"), Told::Key("second", b"another secret..")];

fn client() -> Client {
    let bootstrap = BootstrapAccount::new(format!("coap://{BOOTSTRAP}").parse().unwrap());
    Client::builder("gw").bootstrap(bootstrap).build().unwrap()
}

/// The account with this key, as objects 0 and 1 have it.
fn account(identity: &str, key: &[u8]) -> [(Path, Instance); 2] {
    let opaque = |bytes: &[u8]| Value::Opaque(bytes.into()).into();
    let security = Instance::from([
        (0, format!("coaps://{SERVER}").as_str().into()),
        (1, false.into()),
        (2, 0.into()),
        (3, opaque(identity.as_bytes())),
        (4, opaque(b"")),
        (5, opaque(key)),
        (10, 7.into()),
    ]);
    let server = Instance::from([(0, 7.into()), (1, 300.into()), (6, true.into()), (7, "U".into())]);
    [(Path::object(0).instance(1), security), (Path::object(1).instance(0), server)]
}

/// Answers the Bootstrap-Request that comes, writes the account and finishes. Whether the Finish was answered with 2.04.
async fn bootstrap(server: &mut Server, identity: &str, key: &[u8]) -> bool {
    let request = server.next().await;
    assert_eq!((request.code, request.path.as_slice()), (Code::POST, &["bs".to_owned()][..]));
    server.send(MessageType::Ack, Code::CHANGED, request.id, request.token, &[], b"");
    for (path, instance) in account(identity, key) {
        let mut body = Vec::new();
        encode(ContentFormat::TLV, &path, &Node::Instance(instance), &mut body).unwrap();
        let format = ContentFormat::TLV.0.to_be_bytes();
        let write = server.request_with(Code::PUT, &path.to_string(), &[(option::CONTENT_FORMAT, &format)], &body);
        assert_eq!(server.response(write).await.code, Code::CHANGED);
    }
    let finish = server.request(Code::POST, "/bs", b"");
    server.response(finish).await.code == Code::CHANGED
}

/// The next connection to this host; others lead nowhere.
async fn connection(hosts: &mut Hosts, wanted: &str) -> Server {
    loop {
        let (host, server) = hosts.next().await;
        if host == wanted {
            return server;
        }
    }
}

/// Bootstraps a client twice, the second time with another key. Counts in `done` the bootstraps that were acknowledged.
fn run(disk: &sim::Disk, lie: Option<Lie>, done: &Cell<usize>) -> Result<(), String> {
    done.set(0);
    let store = store(disk, lie).map_err(|error| error.to_string())?;
    in_virtual_time(async {
        let (net, mut hosts) = network();
        let client = client();
        let handle = client.handle();
        let running = run_with_store(client, net, Some(store));
        for told in &TOLD[1..] {
            let Told::Key(identity, key) = *told else { continue };
            let mut server = connection(&mut hosts, BOOTSTRAP).await;
            if !bootstrap(&mut server, identity, key).await {
                return Err("the accounts were not stored".to_owned());
            }
            done.set(done.get() + 1);
            // The flow to the bootstrap server ends when its last answer has settled.
            tokio::time::sleep(Duration::from_secs(10)).await;
            handle.bootstrap();
        }
        running.abort();
        Ok(())
    })
}

fn in_virtual_time<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(test)
}

/// What a client believes that starts on this disk: whom it asks, and which key it proves to have.
fn believed(disk: &sim::Disk) -> Told {
    let store = store(disk, None).unwrap();
    in_virtual_time(async {
        let (net, mut hosts) = network();
        let running = tokio::spawn(driver::run(client(), net, TokioClock::new(), Some(store), pending()));
        let (host, mut client) = hosts.next().await;
        if host == BOOTSTRAP {
            return Told::Nothing;
        }
        assert_eq!(host, SERVER);
        let identity = shake_hands(&mut client).await;
        running.abort();
        let same = |told: &&Told| matches!(told, Told::Key(known, _) if known.as_bytes() == identity);
        *TOLD.iter().find(same).unwrap()
    })
}

/// Plays a DTLS server that knows both keys. Gives the identity that the client has proven.
async fn shake_hands(client: &mut Server) -> Vec<u8> {
    let mut dtls = lapwing_dtls::Server::new(Arc::new(ServerConfig::default()), [7; 32]);
    for told in TOLD {
        if let Told::Key(identity, key) = told {
            dtls.add_psk(Psk::new(identity, key).unwrap());
        }
    }
    let mut buffer = Vec::new();
    loop {
        let datagram = client.datagram().await;
        dtls.handle_datagram(client.began.elapsed(), ([192, 0, 2, 1], 40_000).into(), &datagram);
        while let Some((_, range)) = dtls.poll_transmit(&mut buffer) {
            client.send_datagram(&buffer[range]);
            buffer.clear();
        }
        while let Some(event) = dtls.poll_event() {
            match event {
                server::Event::Established { established, .. } => match established.peer {
                    PeerIdentity::Psk(identity) => return identity,
                    other => panic!("{other:?}"),
                },
                server::Event::Failed { failure, .. } => panic!("neither of the keys: {failure}"),
                _ => {}
            }
        }
    }
}

fn bootstrap_everywhere(lie: Option<Lie>) {
    let done = Cell::new(0);
    explore(
        20,
        |disk| run(disk, lie, &done),
        |disk, crash| {
            let (found, old) = (believed(disk), TOLD[done.get()]);
            let new = TOLD.get(done.get() + 1).copied().unwrap_or(old);
            assert!(found == old || found == new, "{crash}: {found:?} is not {old:?} or {new:?}");
        },
    );
}

#[test]
fn a_bootstrap_and_a_change_of_key_leave_the_old_configuration_or_the_new_one() {
    bootstrap_everywhere(None);
}

#[test]
fn without_either_sync_the_tests_above_fail() {
    for lie in [Lie::File, Lie::Folder] {
        for everywhere in [save_everywhere, bootstrap_everywhere] {
            let outcome = catch_unwind(AssertUnwindSafe(|| everywhere(Some(lie))));
            assert!(outcome.is_err(), "nobody noticed that the sync of {lie:?} was taken out");
        }
    }
}
