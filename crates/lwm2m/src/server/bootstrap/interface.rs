//! What clients may ask of a bootstrap server (LwM2M core 1.1 section 6.1.7.1, RFC 6690 section 4).

use std::collections::BTreeMap;

use lapwing_coap::{ContentFormat, peer, wire::Code};

use crate::server::parameters::Refusal;

/// The resources of this server.
pub(super) const RESOURCES: &[u8] = b"</bs>";

/// A request that has been understood.
#[derive(Debug)]
pub(super) enum Call {
    Resources,
    Bootstrap(Parameters),
}

/// The query parameters of a Bootstrap-Request.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Parameters {
    pub(super) endpoint: Option<String>,
    pub(super) format: Option<ContentFormat>,
    pub(super) others: BTreeMap<String, String>,
}

impl Parameters {
    /// Reads the Uri-Query options. What the standard does not name is kept in `others`.
    fn parse<'a>(queries: impl Iterator<Item = &'a str>) -> Result<Parameters, Refusal> {
        let mut parameters = Parameters::default();
        for query in queries {
            let (name, value) = query.split_once('=').unwrap_or((query, ""));
            let needed = || if value.is_empty() { Err(bad(format!("{name} has no value"))) } else { Ok(value) };
            let twice = match name {
                "ep" => parameters.endpoint.replace(needed()?.to_owned()).is_some(),
                "pct" => {
                    let number = needed()?.parse().map_err(|_| bad("pct is not the number of a content format"))?;
                    parameters.format.replace(ContentFormat(number)).is_some()
                }
                "" => return Err(bad("a parameter has no name")),
                _ => parameters.others.insert(name.to_owned(), value.to_owned()).is_some(),
            };
            if twice {
                return Err(bad(format!("{name} stands twice")));
            }
        }
        Ok(parameters)
    }
}

fn bad(reason: impl Into<String>) -> Refusal {
    Refusal::new(Code::BAD_REQUEST, reason)
}

/// Reads a request; what is refused here changes nothing.
pub(super) fn parse(request: &peer::Request<'_>) -> Result<Call, Refusal> {
    let options = &request.message.options;
    let mut segments = options.uri_path();
    match (segments.next(), segments.next(), segments.next(), request.message.code) {
        (Some("bs"), None, _, Code::POST) => Ok(Call::Bootstrap(Parameters::parse(options.uri_query())?)),
        (Some(".well-known"), Some("core"), None, Code::GET) => match options.accept() {
            None | Some(ContentFormat::LINK_FORMAT) => Ok(Call::Resources),
            Some(_) => Err(Refusal::new(Code::NOT_ACCEPTABLE, "only in application/link-format")),
        },
        (Some("bs"), None, ..) | (Some(".well-known"), Some("core"), None, _) => {
            Err(Refusal::new(Code::METHOD_NOT_ALLOWED, "not with this method"))
        }
        _ => Err(Refusal::new(Code::NOT_FOUND, "there is no such resource")),
    }
}

/// No body in several blocks is worth collecting.
pub(super) fn refuse_upload() -> Refusal {
    Refusal::new(Code::REQUEST_ENTITY_TOO_LARGE, "nothing here takes a body")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_read_once_each() {
        let parse = |queries: &[&str]| Parameters::parse(queries.iter().copied());
        let read = parse(&["ep=a=b", "pct=11542", "vendor=acme", "flag"]).unwrap();
        assert_eq!(read.endpoint.as_deref(), Some("a=b"));
        assert_eq!(read.format, Some(ContentFormat::TLV));
        assert_eq!(read.others, [("vendor", "acme"), ("flag", "")].map(|(a, b)| (a.to_owned(), b.to_owned())).into());
        for wrong in [&["ep=a", "ep=b"][..], &["ep="], &["ep"], &["pct=x"], &["pct=65536"], &["=1"], &["x", "x=1"]] {
            assert_eq!(parse(wrong).map_err(|refusal| refusal.code), Err(Code::BAD_REQUEST), "{wrong:?}");
        }
    }
}
