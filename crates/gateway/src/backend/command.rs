//! Programs of the machine's maker that answer a question or do one thing.

use std::io;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::timeout;

use crate::platform::{Error, Result};

/// So much of what a program says is taken on each of its outputs, in bytes; the rest is read and forgotten.
const KEPT: u64 = 1 << 16;
/// Once a program has ended, what it has left behind may hold on to its outputs: so long they are waited for.
const LEFT: Duration = Duration::from_secs(1);
/// So long a program has that answers a question.
const ANSWER: Duration = Duration::from_secs(60);

/// Runs a program to its end, without input: how it has ended, and what it has said. It is killed when nobody waits for it any more.
///
/// # Errors
/// When it cannot be started, or has not ended in so much time: then it is killed.
pub(super) async fn output(command: &mut Command, time: Duration) -> io::Result<Output> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn()?;
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let said = (child.stdout.take(), child.stderr.take());
    let ended = async {
        let mut said = std::pin::pin!(async { tokio::join!(take(said.0, &mut stdout), take(said.1, &mut stderr)) });
        tokio::select! {
            status = child.wait() => {
                let _ = timeout(LEFT, said).await;
                status
            }
            _ = &mut said => child.wait().await,
        }
    };
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, format!("it has not ended in {} s", time.as_secs()));
    let status = timeout(time, ended).await.map_err(late)??;
    Ok(Output { status, stdout, stderr })
}

/// Reads to the end, and keeps the beginning.
async fn take(said: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut said) = said else { return };
    // Who cannot be read says no more.
    let _ = (&mut said).take(KEPT).read_to_end(kept).await;
    let _ = tokio::io::copy(&mut said, &mut tokio::io::sink()).await;
}

/// Runs a program with its arguments, without a shell, and gives what it prints, without blanks around it. It is killed when nobody waits
/// for it any more.
///
/// # Errors
/// When it cannot be started, fails, or does not end; `what` says what it is for.
pub(super) async fn run(what: &str, words: &[String]) -> Result<String> {
    let what = || format!("{what}, by `{}`", words.join(" "));
    let (program, arguments) = words.split_first().ok_or_else(|| Error::failed(what(), "there is no program"))?;
    let output = output(Command::new(program).args(arguments), ANSWER).await;
    let output = output.map_err(|error| Error::failed(what(), error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Error::failed(what(), format!("{}: {}", output.status, said.trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    async fn shell(script: &str, time: Duration) -> io::Result<Output> {
        output(Command::new("/bin/sh").args(["-c", script]), time).await
    }

    #[tokio::test]
    async fn a_program_has_ended_when_it_has_whatever_it_leaves_behind() {
        let (began, time) = (Instant::now(), Duration::from_secs(120));
        let output = shell("sleep 100 & echo $!; echo no >&2; exit 3", time).await.unwrap();
        assert!(began.elapsed() < Duration::from_secs(60));
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(3), &b"no\n"[..]));
        let left = String::from_utf8(output.stdout).unwrap();
        assert!(std::process::Command::new("kill").arg(left.trim()).status().unwrap().success());
    }

    #[tokio::test]
    async fn a_program_that_does_not_end_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let script = format!("echo $$ > '{}'; exec sleep 600", pid.display());
        let error = shell(&script, Duration::from_secs(2)).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (io::ErrorKind::TimedOut, "it has not ended in 2 s"));
        let pid: i32 = std::fs::read_to_string(pid).unwrap().trim().parse().unwrap();
        let ended = async {
            let pid = rustix::process::Pid::from_raw(pid).unwrap();
            while rustix::process::test_kill_process(pid).is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(30), ended).await.expect("it is killed");
    }

    #[tokio::test]
    async fn of_what_a_program_says_without_end_the_beginning_is_kept() {
        let output = shell("echo begin; yes | head -c 67108864", Duration::from_secs(120)).await.unwrap();
        assert!(output.status.success() && output.stdout.starts_with(b"begin\ny\n"));
        assert_eq!(output.stdout.len() as u64, KEPT);
    }
}
