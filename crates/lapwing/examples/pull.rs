//! Fetches a file over coap or http(s), into a file if one is named, and tells what happens on the way:
//!
//! ```sh
//! cargo run -p lapwing --example pull -- coap://127.0.0.1/firmware.bin firmware.bin
//! ```

use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Seek, Write};
use std::time::Instant;

use lapwing::transfer::{PullConfig, Pulled, Puller};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = env::args().skip(1);
    let uri = words.next().ok_or("usage: pull URI [FILE]")?.parse()?;
    let mut output = Output(words.next().map(File::create).transpose()?);
    let began = Instant::now();
    let mut pull = Puller::new(PullConfig::default()).pull(uri, None, None);
    let mut length = 0;
    loop {
        match pull.next().await {
            Pulled::Data(bytes) => {
                output.write_all(bytes)?;
                length += bytes.len();
            }
            Pulled::Done => break,
            Pulled::Failed(cause) => return Err(cause.into()),
            other => {
                if matches!(other, Pulled::Restarted(_)) {
                    output.empty()?;
                    length = 0;
                }
                println!("{:8.3} s {other:?}", began.elapsed().as_secs_f64());
            }
        }
    }
    let took = began.elapsed().as_secs_f64();
    println!("{length} bytes in {took:.2} s: {:.0} bytes/s", length as f64 / took);
    // In hundredths of a second: user and system time (proc(5)).
    let used = fs::read_to_string("/proc/self/stat")?;
    let ticks = used.split(' ').skip(13).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>();
    println!("{:.1} ms of CPU per MiB", ticks * 10.0 / (length as f64 / 1_048_576.0));
    Ok(())
}

/// A file, or nothing.
struct Output(Option<File>);

impl Output {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.as_mut().map_or(Ok(()), |file| file.write_all(bytes))
    }

    fn empty(&mut self) -> io::Result<()> {
        let Some(file) = &mut self.0 else { return Ok(()) };
        file.set_len(0)?;
        file.rewind()
    }
}
