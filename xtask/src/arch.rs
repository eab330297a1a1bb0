//! The rules of ARCHITECTURE.md that a machine can check: who may import whom, and how long a file may grow.

use std::fs;
use std::path::{Path, PathBuf};

/// Lines of code, without tests, blank lines and comments, that a file may have.
const LIMIT: usize = 600;

/// Which of our crates each crate may depend on, tests aside.
const EDGES: &[(&str, &[&str])] = &[
    ("coap", &[]),
    ("dtls", &[]),
    ("lwm2m", &["lapwing-coap", "lapwing-dtls"]),
    ("lapwing", &["lapwing-coap", "lapwing-dtls", "lapwing-lwm2m"]),
    ("server", &["lapwing-coap", "lapwing-dtls", "lapwing-lwm2m", "lapwing"]),
    ("gateway", &["lapwing-lwm2m", "lapwing"]),
    ("cli", &["lapwing-coap", "lapwing-lwm2m", "lapwing", "lapwing-server", "lapwing-gateway"]),
    ("sim", &[]),
    ("bed", &[]),
];

/// A folder (or file), texts that its code must not contain, and why.
const FORBIDDEN: &[(&str, &[&str], &str)] = &[
    (
        "crates/coap/src",
        &["Instant", "SystemTime", "UdpSocket", "TcpStream", "std::fs", "std::thread", "tokio"],
        "sans-IO: no clock, socket, file or thread",
    ),
    (
        "crates/dtls/src",
        &["Instant", "SystemTime", "UdpSocket", "TcpStream", "std::fs", "std::thread", "tokio"],
        "sans-IO: no clock, socket, file or thread",
    ),
    (
        "crates/dtls/src",
        &["Instant", "SystemTime", "UdpSocket", "TcpStream", "std::fs", "std::thread", "tokio"],
        "sans-IO: no clock, socket, file or thread",
    ),
    (
        "crates/lwm2m/src",
        &["Instant::", "SystemTime", "UdpSocket", "TcpStream", "std::fs", "std::thread", "tokio"],
        "sans-IO: no clock, socket, file or thread",
    ),
    (
        "crates/lwm2m/src/model",
        &["lapwing_coap", "crate::format", "crate::client", "crate::server", "crate::account", "crate::connection"],
        "`model` imports nothing of ours",
    ),
    (
        "crates/lwm2m/src/format",
        &[
            "coap::peer",
            "coap::message",
            "coap::exchange",
            "coap::block",
            "coap::observe",
            "crate::client",
            "crate::server",
            "crate::account",
        ],
        "`format` imports only `model` and coap's link and ContentFormat",
    ),
    ("crates/lwm2m/src/client", &["crate::server"], "the client and the server engine never import each other"),
    ("crates/lwm2m/src/server", &["crate::client"], "the client and the server engine never import each other"),
    (
        "crates/server/src",
        &["lapwing::Client", "lapwing::client", "lwm2m::client"],
        "the server does not use the client",
    ),
    (
        "crates/gateway/src/platform",
        &["crate::backend", "crate::objects", "rtnetlink", "zbus"],
        "platform traits speak domain types",
    ),
    ("crates/gateway/src/objects", &["crate::backend", "rtnetlink", "zbus"], "objects never import a back-end"),
    (
        "crates/gateway/src/backend",
        &["crate::objects", "lwm2m::client"],
        "back-ends never import objects or the client",
    ),
];

/// Checks every rule, and reports all that are broken.
pub(crate) fn check(root: &Path) -> Result<(), String> {
    let mut broken = Vec::new();
    for (name, allowed) in EDGES {
        if let Ok(manifest) = fs::read_to_string(root.join("crates").join(name).join("Cargo.toml")) {
            broken.extend(edges(name, &manifest, allowed));
        }
    }
    let mut files = Vec::new();
    for folder in ["crates", "interop", "xtask"] {
        collect(&root.join(folder), "rs", &mut files).map_err(|error| format!("{folder}: {error}"))?;
    }
    files.sort();
    for file in &files {
        let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let name = file.strip_prefix(root).unwrap_or(file);
        let test = is_test(name);
        if !test {
            broken.extend(length(name, &text));
        }
        for (place, texts, why) in FORBIDDEN {
            if !test && (name.starts_with(place) || name.starts_with(format!("{place}.rs"))) {
                broken.extend(forbidden(name, &text, texts, why));
            }
        }
    }
    if broken.is_empty() {
        println!("{} files keep the rules", files.len());
        return Ok(());
    }
    Err(broken.join("\n"))
}

/// The files below a folder whose names end so.
pub(crate) fn collect(folder: &Path, end: &str, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, end, files)?;
        } else if path.extension().is_some_and(|extension| extension == end) {
            files.push(path);
        }
    }
    Ok(())
}

fn is_test(name: &Path) -> bool {
    let part = |part: &str| name.components().any(|component| component.as_os_str() == part);
    part("tests") || part("benches") || name.ends_with("tests.rs")
}

/// The code of a file: lines before its unit tests that are neither blank nor a comment, with their numbers.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
    (1..).zip(lines).filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with("//"))
}

fn length(name: &Path, text: &str) -> Option<String> {
    let lines = code(text).count();
    (lines > LIMIT).then(|| {
        format!("{}: {lines} lines of code, more than {LIMIT}: split it where the concept splits", name.display())
    })
}

fn forbidden(name: &Path, text: &str, texts: &[&str], why: &str) -> Vec<String> {
    let hit = |line: &str| texts.iter().find(|text| line.contains(*text)).copied();
    code(text)
        .filter_map(|(number, line)| Some((number, hit(line)?)))
        .map(|(number, text)| format!("{}:{number}: `{text}`: {why}", name.display()))
        .collect()
}

/// The `[dependencies]` of a manifest that are ours and not allowed.
fn edges(name: &str, manifest: &str, allowed: &[&str]) -> Vec<String> {
    let section = manifest.lines().skip_while(|line| line.trim() != "[dependencies]").skip(1);
    section
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split(['.', ' ', '=']).next())
        .filter(|dependency| dependency.starts_with("lapwing") || ["sim", "bed"].contains(dependency))
        .filter(|dependency| !allowed.contains(dependency))
        .map(|dependency| format!("crates/{name}/Cargo.toml: must not depend on {dependency}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_edge_is_found_and_a_test_edge_is_not() {
        let manifest = "[dependencies]\nlapwing-lwm2m.workspace = true\n\n[dev-dependencies]\nsim.workspace = true\n";
        assert_eq!(edges("coap", manifest, &[]), ["crates/coap/Cargo.toml: must not depend on lapwing-lwm2m"]);
        assert!(edges("lapwing", manifest, &["lapwing-lwm2m"]).is_empty());
    }

    #[test]
    fn a_forbidden_text_is_found_in_code_only() {
        let text = "// tokio is not used\nuse tokio::net;\n#[cfg(test)]\nmod tests { use tokio; }\n";
        let found = forbidden(Path::new("a.rs"), text, &["tokio"], "sans-IO");
        assert_eq!(found, ["a.rs:2: `tokio`: sans-IO"]);
    }

    #[test]
    fn a_long_file_is_found_and_its_tests_do_not_count() {
        let long = "fn f() {}\n".repeat(LIMIT + 1);
        assert!(length(Path::new("a.rs"), &long).is_some());
        let short = format!("{}#[cfg(test)]\n{long}", "fn f() {}\n".repeat(LIMIT));
        assert!(length(Path::new("a.rs"), &short).is_none());
    }
}
