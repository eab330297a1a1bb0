//! Pulls from servers that others wrote: libcoap's, and Python's for HTTP, which knows neither ranges nor ETags.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use bed::Process;
use bed::files::Libcoap;
use lapwing::transfer::{Part, Proxy, Pull, PullConfig, Pulled, Puller, Restart};

const LENGTH: usize = 2_000_001;

fn body() -> Vec<u8> {
    (0..LENGTH).map(|place| (place ^ place >> 8 ^ place >> 16) as u8).collect()
}

fn puller() -> Puller {
    let mut config = PullConfig::default();
    config.proxy = Proxy::Direct;
    Puller::new(config)
}

/// What came of a pull, and how to go on with it.
#[derive(Default)]
struct Got {
    body: Vec<u8>,
    part: Option<Part>,
    restarts: Vec<Restart>,
}

impl Got {
    async fn pull(&mut self, pull: &mut Pull, until: usize) {
        let mut head = None;
        while self.body.len() < until {
            match pull.next().await {
                Pulled::Head(told) => head = Some(told),
                Pulled::Data(bytes) => self.body.extend_from_slice(bytes),
                Pulled::Restarted(why) => {
                    self.body.clear();
                    self.restarts.push(why);
                }
                Pulled::Done => break,
                other => panic!("{other:?}"),
            }
        }
        self.part = head.map(|head| Part::new(self.body.len() as u64, &head));
    }
}

/// Pulls one half, drops everything, and goes on.
async fn in_two_halves(uri: &str) -> Got {
    let mut got = Got::default();
    got.pull(&mut puller().pull(uri.parse().expect("a URI"), None, None), LENGTH / 2).await;
    assert!(got.body.len() < LENGTH);
    let part = got.part.take();
    got.pull(&mut puller().pull(uri.parse().expect("a URI"), None, part), usize::MAX).await;
    got
}

#[tokio::test]
async fn libcoap_goes_on_where_a_pull_was_dropped() {
    let server = Libcoap::start(&body());
    let got = in_two_halves(&server.uri()).await;
    assert!(got.body == body());
    assert_eq!(got.restarts, []);
}

#[tokio::test]
async fn python_gives_the_whole_file_again() {
    let folder = tempfile::tempdir().expect("a scratch folder");
    fs::write(folder.path().join("firmware"), body()).expect("it can be written");
    let address = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
    let port = address.port().to_string();
    let arguments = ["-m", "http.server", &port, "--bind", "127.0.0.1"];
    let _server = Process::start(Command::new("python3").args(arguments).current_dir(folder.path()));
    bed::eventually("the server listens", || TcpStream::connect(address).ok());
    let got = in_two_halves(&format!("http://{address}/firmware")).await;
    assert!(got.body == body());
    assert_eq!(got.restarts, [Restart::NoEtag]);
}
