//! Pulls over a link that is slow and loses packets.

use std::path::{Path, PathBuf};
use std::process::Command;

use bed::Process;
use bed::updater::noise;

use crate::link::{Hosts, SERVER};
use crate::{Result, example, scratch};

/// One way, in seconds.
const DELAY: f64 = 0.15;
const LOSSES: [f64; 3] = [0.0, 0.01, 0.05];
/// Whoever has it before its time is up is measured by that.
const LENGTH: usize = 64 << 20;

/// Who pulls, and what is printed of it.
#[derive(Clone, Copy)]
enum Subject {
    Single,
    Window,
    Curl { port: &'static str },
}

const CUBIC: Subject = Subject::Curl { port: "8001" };
const BBR: Subject = Subject::Curl { port: "8002" };

/// Prints bytes per second for each loss and subject, each cell for so many seconds.
pub(crate) fn measure(seconds: u32) -> Result<()> {
    let fetch = example("fetch", "lapwing-coap")?;
    let folder = scratch()?;
    let file = folder.path().join("image");
    std::fs::write(&file, noise(0, LENGTH))?;
    let hosts = Hosts::new()?;
    let _servers = servers(&hosts, &file)?;
    println!("300 ms round trip, {seconds} s a cell, kB/s\n");
    println!("| loss each way | one block at a time | fetch | curl, cubic | curl, bbr | fetch / one | fetch / cubic |");
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for loss in LOSSES {
        let _impaired = hosts.impair(DELAY, loss)?;
        let rate = |subject| rate(&hosts, &fetch, subject, seconds);
        let [single, window, cubic, bbr] = [rate(Subject::Single)?, rate(Subject::Window)?, rate(CUBIC)?, rate(BBR)?];
        let rates = [single, window, cubic, bbr].map(|rate| format!("{:.1}", rate / 1e3)).join(" | ");
        println!("| {:.0} % | {rates} | {:.0} | {:.2} |", loss * 100.0, window / single, window / cubic);
    }
    Ok(())
}

fn servers(hosts: &Hosts, file: &Path) -> Result<[Process; 3]> {
    let mut http = [("8001", "cubic"), ("8002", "bbr")].map(|(port, control)| {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/transfer/httpd.py");
        Process::start(hosts.at_server("python3").arg(script).args([port, control]).arg(file))
    });
    for server in &mut http {
        server.out.next_with("up");
    }
    let coap = Process::start(hosts.at_server("coap-server-notls").args(["-A", "0.0.0.0", "-p", "5683", "-d", "2"]));
    let uri = "coap://127.0.0.1:5683/image";
    bed::eventually("libcoap's server takes the image", || {
        let mut put = hosts.at_server("coap-client-notls");
        put.args(["-m", "put", "-b", "1024", "-B", "60", "-f"]).arg(file).arg(uri);
        put.status().is_ok_and(|status| status.success()).then_some(())
    });
    let [cubic, bbr] = http;
    Ok([cubic, bbr, coap])
}

/// Bytes per second.
fn rate(hosts: &Hosts, fetch: &Path, subject: Subject, seconds: u32) -> Result<f64> {
    let seconds = seconds.to_string();
    let mut command: Command;
    match subject {
        Subject::Single | Subject::Window => {
            command = hosts.at_client(fetch.to_str().ok_or("the folder's name is not UTF-8")?);
            command.args([&format!("{SERVER}:5683"), "image", "--seconds", &seconds]);
            if matches!(subject, Subject::Single) {
                command.arg("--single");
            }
        }
        Subject::Curl { port } => {
            command = hosts.at_client("curl");
            command.args(["--silent", "--output", "/dev/null", "--write-out", "%{speed_download} bytes/s\n"]);
            command.args(["--max-time", &seconds, &format!("http://{SERVER}:{port}/")]);
        }
    }
    let output = command.output()?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let number = |line: &str| line.strip_suffix(" bytes/s")?.rsplit(' ').next()?.parse().ok();
    printed.lines().find_map(number).ok_or_else(|| format!("{command:?} printed {printed}").into())
}
