//! What a Register or an Update says of a client: query parameters and links (LwM2M core 1.1 section 6.2, 7.2.2).

use std::collections::BTreeMap;

use lapwing_coap::wire::Code;

use super::registration::Offer;
use crate::{
    format::link::RegisteredObject,
    model::{ObjectId, Version},
};

/// Why a request of the registration interface is refused; the text becomes the diagnostic payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: Code,
    pub(super) reason: String,
}

impl Refusal {
    pub(super) fn new(code: Code, reason: impl Into<String>) -> Refusal {
        Refusal { code, reason: reason.into() }
    }

    fn bad(reason: impl Into<String>) -> Refusal {
        Refusal::new(Code::BAD_REQUEST, reason)
    }
}

/// The query parameters of a Register or an Update.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Parameters {
    pub(super) endpoint: Option<String>,
    pub(super) lifetime: Option<u32>,
    pub(super) version: Option<String>,
    pub(super) binding: Option<String>,
    pub(super) queue: bool,
    pub(super) sms: Option<String>,
    pub(super) others: BTreeMap<String, String>,
}

impl Parameters {
    /// Reads the Uri-Query options. What the standard does not name is kept in `others`.
    pub(super) fn parse<'a>(queries: impl Iterator<Item = &'a str>) -> Result<Parameters, Refusal> {
        let mut parameters = Parameters::default();
        for query in queries {
            let (name, value) = match query.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (query, None),
            };
            parameters.take(name, value)?;
        }
        Ok(parameters)
    }

    fn take(&mut self, name: &str, value: Option<&str>) -> Result<(), Refusal> {
        let text =
            || value.filter(|value| !value.is_empty()).ok_or_else(|| Refusal::bad(format!("{name} has no value")));
        let twice = match name {
            "ep" => self.endpoint.replace(text()?.to_owned()).is_some(),
            "lt" => self.lifetime.replace(parse_lifetime(text()?)?).is_some(),
            "lwm2m" => self.version.replace(text()?.to_owned()).is_some(),
            "b" => self.binding.replace(parse_binding(text()?)?).is_some(),
            "sms" => self.sms.replace(text()?.to_owned()).is_some(),
            "Q" if value.is_some() => return Err(Refusal::bad("Q takes no value")),
            "Q" => std::mem::replace(&mut self.queue, true),
            "" => return Err(Refusal::bad("a parameter has no name")),
            _ => self.others.insert(name.to_owned(), value.unwrap_or_default().to_owned()).is_some(),
        };
        if twice { Err(Refusal::bad(format!("{name} stands twice"))) } else { Ok(()) }
    }

    /// The enabler version that the client speaks. Without the parameter it is 1.0, where it is optional.
    pub(super) fn lwm2m_version(&self) -> Result<Version, Refusal> {
        let Some(text) = &self.version else { return Ok(Version::V1_0) };
        let version: Version = text.parse().map_err(|_| Refusal::bad("lwm2m is not a version"))?;
        if [Version::V1_0, Version::V1_1, Version::V1_2].contains(&version) {
            Ok(version)
        } else {
            Err(Refusal::new(Code::PRECONDITION_FAILED, "this server speaks LwM2M 1.0, 1.1 and 1.2"))
        }
    }
}

fn parse_lifetime(text: &str) -> Result<u32, Refusal> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or_else(|| Refusal::bad("lt is not a number of seconds"))
}

/// Letters of the binding modes, each at most once: those of 1.0 and of 1.1 (LwM2M core 1.1 section 6.2.1.2).
fn parse_binding(text: &str) -> Result<String, Refusal> {
    let known = text.chars().all(|letter| "UMHTSNQ".contains(letter));
    let once = text.char_indices().all(|(at, letter)| !text[..at].contains(letter));
    if known && once { Ok(text.to_owned()) } else { Err(Refusal::bad("b is not a binding mode")) }
}

/// The objects of a registration, those without `ver=` in their initial version.
pub(super) fn offers(objects: BTreeMap<ObjectId, RegisteredObject>, lwm2m: Version) -> BTreeMap<ObjectId, Offer> {
    let offer = |(id, object): (ObjectId, RegisteredObject)| {
        let version = object.version.unwrap_or_else(|| initial_version(id, lwm2m));
        (id, Offer { version, instances: object.instances })
    };
    objects.into_iter().map(offer).collect()
}

/// The version of an object that is registered without `ver=`: 1.0, but for the core objects the one that the
/// enabler's version brings (LwM2M core 1.1 section 7.2.2 and appendix E; Leshan's LwM2mCoreObjectVersionRegistry has
/// the same table).
fn initial_version(object: ObjectId, lwm2m: Version) -> Version {
    match object {
        _ if lwm2m == Version::V1_0 => Version::V1_0,
        0 | 1 | 3 => Version::V1_1,
        4 => Version::V1_2,
        _ => Version::V1_0,
    }
}
