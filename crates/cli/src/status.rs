//! `lapwing status`: asks the agents of this machine over their control sockets.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context, anyhow};
use lapwing_gateway::control::{self, BootstrapState, Report, ServerState, Software, Update};

use crate::args::StatusOptions;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::text::{print, printable, span, table};

pub(crate) fn status(options: &StatusOptions) -> Result<(), Failure> {
    let reports = match &options.socket {
        Some(socket) => vec![control::ask(socket).with_context(|| complaint(socket))?],
        None => ask_all()?,
    };
    if options.json {
        for report in &reports {
            print(&serde_json::to_string(report)?);
        }
    } else {
        print(&reports.iter().map(shown).collect::<Vec<_>>().join("\n\n"));
    }
    Ok(())
}

fn complaint(socket: &Path) -> String {
    format!("no agent answers at {}", socket.display())
}

/// All agents that answer. Those that do not are told of if nobody does.
fn ask_all() -> anyhow::Result<Vec<Report>> {
    let (mut reports, mut failed) = (Vec::new(), None);
    for socket in control::sockets().context("the folder of the control sockets")? {
        match control::ask(&socket) {
            Ok(report) => reports.push(report),
            // It was killed, or has just ended.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) => {}
            Err(error) => failed = Some(anyhow!(error).context(complaint(&socket))),
        }
    }
    match (reports.is_empty(), failed) {
        (false, _) => Ok(reports),
        (true, Some(error)) => Err(error),
        (true, None) => Err(anyhow!(
            "no agent is found: `lapwing run` starts one, and --socket names the control socket of one that was told of it"
        )),
    }
}

fn shown(report: &Report) -> String {
    let mut lines = vec![format!(
        "{}  Lapwing {}, LwM2M {}, process {}, running for {}",
        printable(&report.endpoint),
        printable(&report.agent_version),
        printable(&report.lwm2m_version),
        report.process,
        span(report.running_for),
    )];
    let versions = [("firmware", &report.firmware_version), ("software", &report.software_version)];
    let versions = versions.into_iter().filter_map(|(what, version)| Some((what, version.as_ref()?)));
    lines.extend(versions.map(|(what, version)| format!("{what} version {}", printable(version))));
    lines.push(String::new());
    lines.push(table(&registrations(report)));
    if let Some(firmware) = &report.firmware {
        lines.push(String::new());
        lines.extend(updated("firmware", firmware, ""));
    }
    for software in &report.software {
        lines.push(String::new());
        lines.extend(managed(software));
    }
    lines.join("\n")
}

/// An instance of object 9.
fn managed(software: &Software) -> Vec<String> {
    let Software { instance, name, active, operation, task, reason, .. } = software;
    let active = if *active { "active" } else { "not active" };
    let task = task.as_deref().map(|task| format!(", {} under way", printable(task))).unwrap_or_default();
    let does = format!(", {active}, {}{task}", printable(operation));
    let mut lines = updated(&format!("software {instance} ({})", printable(name)), &software.update, &does);
    lines.extend(reason.as_deref().map(|reason| format!("  {}", printable(reason))));
    lines
}

/// What an update is in, `more` of it, and below that how far what goes on is.
fn updated(what: &str, update: &Update, more: &str) -> Vec<String> {
    let Update { result, result_text, .. } = update;
    let result = if *result == 0 { String::new() } else { format!("; {} (result {result})", printable(result_text)) };
    let mut lines = vec![format!("{what}: {}{more}{result}", printable(&update.state_name))];
    if let Some(package) = &update.package {
        let named = [&package.name, &package.version].into_iter().flatten();
        let named: String = named.map(|text| format!("{} ", printable(text))).collect();
        let bytes = package.bytes.map(|bytes| format!("of {bytes} bytes")).unwrap_or_default();
        lines.push(format!("  package {named}{bytes}").trim_end().to_owned());
    }
    if let Some(transfer) = &update.transfer {
        lines.push(match &transfer.from {
            Some(from) => format!("  fetched from {}", printable(from)),
            None => "  pushed by a server".to_owned(),
        });
        if let Some(reason) = &transfer.reason {
            let over =
                transfer.give_up_in.map(|seconds| format!(", given up in {}", span(seconds))).unwrap_or_default();
            lines.push(format!("  {}{over}", why(Some(reason), transfer.retry_in)));
        }
        if let Some(bytes) = transfer.bytes {
            lines.push(format!("  {}", Progress { bytes, size: transfer.size, rate: transfer.rate }.bar()));
        }
    }
    if let Some(installation) = &update.installation {
        lines.push(format!("  installed: {} % ({})", installation.percent, printable(&installation.step)));
    }
    lines
}

fn registrations(report: &Report) -> Vec<[String; 5]> {
    let mut rows = vec![["SERVER", "URI", "REGISTRATION", "FOR", ""].map(str::to_owned)];
    let uri = |uri: &Option<String>| uri.as_deref().map_or_else(|| "-".to_owned(), printable);
    if let Some(bootstrap) = &report.bootstrap {
        let state = match bootstrap.state {
            BootstrapState::Begun => "under way",
            BootstrapState::Finished => "finished",
            BootstrapState::Failed => "failed",
            _ => "-",
        };
        let why = why(bootstrap.reason.as_deref(), bootstrap.retry_in);
        rows.push(["bootstrap".to_owned(), uri(&bootstrap.uri), state.to_owned(), span(bootstrap.state_for), why]);
    }
    rows.extend(report.servers.iter().map(|server| {
        let state = match server.state {
            ServerState::Registering => "under way",
            ServerState::Registered => "registered",
            ServerState::Waiting => "waiting",
            ServerState::Disabled => "disabled",
            ServerState::Stopped => "stopped",
            _ => "-",
        };
        let since = server.state_for.map_or_else(|| "-".to_owned(), span);
        let why = why(server.reason.as_deref(), server.retry_in);
        [server.short_server_id.to_string(), uri(&server.uri), state.to_owned(), since, why]
    }));
    rows
}

fn why(reason: Option<&str>, retry_in: Option<u64>) -> String {
    let next = retry_in.map(|seconds| format!("next attempt in {}", span(seconds)));
    let parts: Vec<String> = reason.map(printable).into_iter().chain(next).collect();
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_report_is_a_few_lines() {
        let report = json!({
            "endpoint": "g\u{1b}w", "process": 7, "runningFor": 600, "agentVersion": "0.1.0", "lwm2mVersion": "1.1",
            "firmwareVersion": "12",
            "bootstrap": {"uri": "coaps://b:5684", "state": "finished", "stateFor": 590},
            "servers": [
                {"shortServerId": 1, "uri": "coap://a:5683", "state": "registered", "stateFor": 8},
                {"shortServerId": 2, "state": "waiting", "stateFor": 3, "reason": "the server does not answer", "retryIn": 4},
                {"shortServerId": 3, "uri": "coap://c:5683", "state": "registering"},
            ],
        });
        let lines = [
            "g\\u{1b}w  Lapwing 0.1.0, LwM2M 1.1, process 7, running for 10 min",
            "firmware version 12",
            "",
            "SERVER     URI             REGISTRATION  FOR",
            "bootstrap  coaps://b:5684  finished      9 min",
            "1          coap://a:5683   registered    8 s",
            "2          -               waiting       3 s    the server does not answer; next attempt in 4 s",
            "3          coap://c:5683   under way     -",
        ];
        assert_eq!(shown(&serde_json::from_value(report).unwrap()), lines.join("\n"));
    }

    #[test]
    fn an_update_shows_what_goes_on() {
        let lines = |update: serde_json::Value| updated("firmware", &serde_json::from_value(update).unwrap(), "");
        let idle = json!({"state": 0, "stateName": "idle", "result": 0, "resultText": "nothing has ended"});
        assert_eq!(lines(idle), ["firmware: idle"]);
        let pull = json!({
            "state": 1, "stateName": "downloading", "result": 0, "resultText": "nothing has ended",
            "transfer": {"from": "coap://a/b", "bytes": 1 << 20, "size": 4 << 20, "rate": 100_000},
        });
        let bar = "  [######------------------]  25 %  1.0 MiB of 4.0 MiB  98 KiB/s";
        assert_eq!(lines(pull), ["firmware: downloading", "  fetched from coap://a/b", bar]);
        let waiting = json!({
            "state": 1, "stateName": "downloading", "result": 0, "resultText": "nothing has ended",
            "transfer": {"from": "http://a/b", "reason": "Connection refused", "retryIn": 8, "giveUpIn": 540},
        });
        let why = "  Connection refused; next attempt in 8 s, given up in 9 min";
        assert_eq!(lines(waiting), ["firmware: downloading", "  fetched from http://a/b", why]);
        let failed = json!({
            "state": 2, "stateName": "downloaded", "result": 8, "resultText": "the update has failed",
            "package": {"version": "2", "bytes": 7},
        });
        assert_eq!(lines(failed), ["firmware: downloaded; the update has failed (result 8)", "  package 2 of 7 bytes"]);
        let updating = json!({
            "state": 3, "stateName": "updating", "result": 0, "resultText": "nothing has ended",
            "installation": {"percent": 40, "step": "rootfs"},
        });
        assert_eq!(lines(updating), ["firmware: updating", "  installed: 40 % (rootfs)"]);
    }

    #[test]
    fn software_shows_what_it_does() {
        let software = json!({
            "instance": 1, "name": "probe", "state": 3, "stateName": "delivered", "result": 58,
            "resultText": "the installation has failed", "package": {"name": "probe", "version": "2"},
            "active": false, "operation": "stopped", "task": "installation", "reason": "no oven",
        });
        let expected = [
            "software 1 (probe): delivered, not active, stopped, installation under way; the installation has failed (result 58)",
            "  package probe 2",
            "  no oven",
        ];
        assert_eq!(managed(&serde_json::from_value(software).unwrap()), expected);
    }
}
