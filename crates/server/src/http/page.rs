//! The page: files that are part of the program.

use axum::{
    extract::Path as Captures,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// Nothing from another host, nothing inline, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

macro_rules! files {
    ($($name:literal $kind:ident,)*) => {
        &[$(($name, $kind, include_bytes!(concat!("../../page/", $name)))),*]
    };
}

const FILES: &[(&str, &str, &[u8])] = files![
    "index.html" HTML,
    "mark.svg" SVG,
    "base.css" CSS,
    "layout.css" CSS,
    "parts.css" CSS,
    "bootstrap.css" CSS,
    "update.css" CSS,
    "action.js" SCRIPT,
    "api.js" SCRIPT,
    "attributes.js" SCRIPT,
    "bootstrap.js" SCRIPT,
    "bootstrap_form.js" SCRIPT,
    "bootstrap_sessions.js" SCRIPT,
    "codes.js" SCRIPT,
    "create.js" SCRIPT,
    "credentials.js" SCRIPT,
    "dom.js" SCRIPT,
    "events.js" SCRIPT,
    "execute.js" SCRIPT,
    "field.js" SCRIPT,
    "format.js" SCRIPT,
    "gateway.js" SCRIPT,
    "graph.js" SCRIPT,
    "instance.js" SCRIPT,
    "log.js" SCRIPT,
    "main.js" SCRIPT,
    "model.js" SCRIPT,
    "object.js" SCRIPT,
    "observe.js" SCRIPT,
    "package_form.js" SCRIPT,
    "rail.js" SCRIPT,
    "resource.js" SCRIPT,
    "security.js" SCRIPT,
    "security_form.js" SCRIPT,
    "update_card.js" SCRIPT,
    "update_kinds.js" SCRIPT,
    "welcome.js" SCRIPT,
    "write.js" SCRIPT,
];

/// `GET /`.
pub(super) async fn index() -> Response {
    answer("index.html")
}

/// `GET /page/...`.
pub(super) async fn file(Captures(name): Captures<String>) -> Response {
    answer(&name)
}

fn answer(name: &str) -> Response {
    let Some((_, kind, bytes)) = FILES.iter().find(|(known, ..)| *known == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let value = HeaderValue::from_static;
    let headers = [(header::CONTENT_TYPE, value(kind)), (header::CONTENT_SECURITY_POLICY, value(POLICY))];
    (headers, *bytes).into_response()
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    #[test]
    fn every_file_of_the_page_is_part_of_the_program() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
        let there = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert_eq!(there.collect::<BTreeSet<_>>(), FILES.iter().map(|(name, ..)| (*name).to_owned()).collect());
    }

    #[test]
    fn no_file_names_another_host() {
        for (name, _, bytes) in FILES {
            let text = std::str::from_utf8(bytes).unwrap();
            for (at, _) in text.match_indices("//") {
                let before = &text[..at];
                let namespace = text[at..].starts_with("//www.w3.org/2000/svg");
                assert!(!before.ends_with("http:") && !before.ends_with("https:") || namespace, "{name} names a host");
            }
        }
    }
}
