//! What a handshake costs, beside OpenSSL's in the same run, and what an association holds: `cargo bench -p lapwing-dtls --bench
//! handshake`.
//!
//! Both are full handshakes with a cookie, of a client and a server in one thread that hand each other their flights in memory: the
//! time is that of both ends together. OpenSSL's are those of `openssl.c`, which is compiled here and needs its headers.

#[path = "../pair.rs"]
mod pair;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use lapwing_dtls::{CipherSuite, Server};

/// How many handshakes are measured, after a tenth as many that are not.
const HANDSHAKES: u32 = 1000;
/// How many clients a server has whose memory is measured.
const CLIENTS: u32 = 1000;

/// Nanoseconds a handshake.
struct Cost {
    time: f64,
    cpu: f64,
}

/// The CPU time of this thread so far, in nanoseconds.
fn cpu() -> u64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").expect("Linux accounts CPU time to threads");
    text.split_whitespace().next().and_then(|first| first.parse().ok()).expect("nanoseconds come first")
}

fn ours(suite: CipherSuite) -> Cost {
    let (config, mut buffer) = (pair::client_config(suite), Vec::new());
    let mut server = pair::server();
    let mut run = |count: u32, server: &mut Server| {
        for seed in 0..count {
            let address = ([192, 0, 2, 1], 1024 + (seed % 50_000) as u16).into();
            let (_client, association) = pair::shake(&config, server, address, seed.into(), &mut buffer);
            server.close(association);
            while server.poll_transmit(&mut buffer).is_some() {
                buffer.clear();
            }
            while server.poll_event().is_some() {}
        }
    };
    run(HANDSHAKES / 10, &mut server);
    let (begin, before) = (Instant::now(), cpu());
    run(HANDSHAKES, &mut server);
    let count = f64::from(HANDSHAKES);
    Cost { time: begin.elapsed().as_nanos() as f64 / count, cpu: (cpu() - before) as f64 / count }
}

/// Compiles `openssl.c`.
fn compile(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/handshake/openssl.c");
    let program = folder.join("openssl-handshakes");
    let status = Command::new("cc").arg("-O2").arg(source).arg("-o").arg(&program).args(["-lssl", "-lcrypto"]).status();
    assert!(status.is_ok_and(|status| status.success()), "no OpenSSL to compare with: it needs cc and libssl-dev");
    program
}

fn openssl(program: &Path, suite: &str) -> Cost {
    let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/x509");
    let output = Command::new(program).arg(suite).arg(HANDSHAKES.to_string()).arg(keys).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("numbers");
    let mut numbers = text.split_whitespace().map(|number| number.parse().expect("a number"));
    Cost { time: numbers.next().expect("time"), cpu: numbers.next().expect("CPU time") }
}

/// Bytes on the heap that one more association takes at a server with many, and that a client has.
fn memory(suite: CipherSuite) -> (u64, u64) {
    let (config, mut buffer) = (pair::client_config(suite), Vec::new());
    let mut clients = Vec::with_capacity(CLIENTS as usize);
    let mut server = pair::server();
    let both = allocation_counter::measure(|| {
        for seed in 0..CLIENTS {
            let address = ([192, 0, 2, 1], 1024 + seed as u16).into();
            clients.push(pair::shake(&config, &mut server, address, seed.into(), &mut buffer).0);
        }
    });
    let theirs = allocation_counter::measure(|| drop(clients));
    let per_client = |bytes: i64| u64::try_from(bytes).unwrap_or_default() / u64::from(CLIENTS);
    let clients = per_client(-theirs.bytes_current);
    (per_client(both.bytes_current) - clients, clients)
}

fn main() {
    // Cargo's own arguments, such as --bench, mean nothing here; a list of benches is not given.
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let folder = std::env::temp_dir().join(format!("lapwing-bench-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a scratch folder");
    let program = compile(&folder);
    println!("full handshake, both ends       time       CPU");
    let cases = [("PSK", CipherSuite::PskAes128Ccm8), ("ECDHE", CipherSuite::EcdheEcdsaAes128Ccm8)];
    for (name, suite) in cases {
        for (whose, cost) in [("lapwing", ours(suite)), ("OpenSSL", openssl(&program, name))] {
            println!("{name:5} CCM_8 {whose}     {:10.1} us {:6.1} us", cost.time / 1e3, cost.cpu / 1e3);
        }
    }
    println!("\nbytes per association        server    client");
    for (name, suite) in cases {
        let (server, client) = memory(suite);
        println!("{name:5} CCM_8                 {server:8} {client:9}");
    }
    fs::remove_dir_all(&folder).expect("the scratch folder is ours");
}
