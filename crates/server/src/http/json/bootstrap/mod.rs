//! Bootstrap configurations as JSON, with the names that Leshan's bootstrap demo gives them.

mod field;

use lapwing_coap::ContentFormat;
use lapwing_lwm2m::{
    definitions::{access_control, security, server},
    model::{Instance, Path, Resource},
    server::bootstrap::{Configuration, Plan},
};
use serde_json::{Map, Value as Json, json};

use self::field::{Field, Kind, Preset};
use crate::bootstrap::Told;

/// The members of the map `security`: resources of object 0.
const SECURITY: &[Field] = &[
    Field::new("uri", security::LWM2M_SERVER_URI, Kind::Text, Preset::None),
    Field::new("bootstrapServer", security::BOOTSTRAP_SERVER, Kind::Truth, Preset::Truth(false)),
    Field::new(
        "securityMode",
        security::SECURITY_MODE,
        Kind::Name(&["PSK", "RPK", "X509", "NO_SEC", "EST"]),
        Preset::None,
    ),
    Field::new("publicKeyOrId", security::PUBLIC_KEY_OR_IDENTITY, Kind::Bytes, Preset::Empty),
    Field::new("serverPublicKey", security::SERVER_PUBLIC_KEY, Kind::Bytes, Preset::Empty),
    Field::new("secretKey", security::SECRET_KEY, Kind::Bytes, Preset::Empty),
    Field::new("serverId", security::SHORT_SERVER_ID, Kind::Number, Preset::None),
    Field::new("clientOldOffTime", security::CLIENT_HOLD_OFF_TIME, Kind::Number, Preset::Number(1)),
    Field::new(
        "bootstrapServerAccountTimeout",
        security::BOOTSTRAP_SERVER_ACCOUNT_TIMEOUT,
        Kind::Number,
        Preset::Number(0),
    ),
    Field::new(
        "matchingType",
        security::MATCHING_TYPE,
        Kind::Name(&["EXACT_MATCH", "SHA256", "SHA384", "SHA512"]),
        Preset::None,
    ),
    Field::new("sni", security::SNI, Kind::Text, Preset::None),
    Field::new(
        "certificateUsage",
        security::CERTIFICATE_USAGE,
        Kind::Name(&[
            "CA_CONSTRAINT",
            "SERVICE_CERTIFICATE_CONSTRAINT",
            "TRUST_ANCHOR_ASSERTION",
            "DOMAIN_ISSUER_CERTIFICATE",
        ]),
        Preset::None,
    ),
    Field::new("cipherSuite", security::DTLS_TLS_CIPHERSUITE, Kind::Suites, Preset::None),
];

/// The members of the map `servers`: resources of object 1.
const SERVERS: &[Field] = &[
    Field::new("shortId", server::SHORT_SERVER_ID, Kind::Number, Preset::None),
    Field::new("lifetime", server::LIFETIME, Kind::Number, Preset::Number(86_400)),
    Field::new("defaultMinPeriod", server::DEFAULT_MINIMUM_PERIOD, Kind::Number, Preset::Number(1)),
    Field::new("defaultMaxPeriod", server::DEFAULT_MAXIMUM_PERIOD, Kind::Number, Preset::None),
    Field::new("disableTimeout", server::DISABLE_TIMEOUT, Kind::Number, Preset::None),
    Field::new(
        "notifIfDisabled",
        server::NOTIFICATION_STORING_WHEN_DISABLED_OR_OFFLINE,
        Kind::Truth,
        Preset::Truth(true),
    ),
    Field::new("binding", server::BINDING, Kind::Text, Preset::Text("U")),
    Field::new("apnLink", server::APN_LINK, Kind::LinkTo(11), Preset::None),
    Field::new("registrationPriority", server::REGISTRATION_PRIORITY_ORDER, Kind::Number, Preset::None),
    Field::new("initialDelay", server::INITIAL_REGISTRATION_DELAY_TIMER, Kind::Number, Preset::None),
    Field::new("registrationFailure", server::REGISTRATION_FAILURE_BLOCK, Kind::Truth, Preset::None),
    Field::new("bootstrapOnRegistrationFailure", server::BOOTSTRAP_ON_REGISTRATION_FAILURE, Kind::Truth, Preset::None),
    Field::new("communicationRetryCount", server::COMMUNICATION_RETRY_COUNT, Kind::Number, Preset::None),
    Field::new("CommunicationRetryTimer", server::COMMUNICATION_RETRY_TIMER, Kind::Number, Preset::None),
    Field::new("SequenceDelayTimer", server::COMMUNICATION_SEQUENCE_DELAY_TIMER, Kind::Number, Preset::None),
    Field::new("SequenceRetryCount", server::COMMUNICATION_SEQUENCE_RETRY_COUNT, Kind::Number, Preset::None),
    Field::new("trigger", server::TRIGGER, Kind::Truth, Preset::None),
    Field::new("preferredTransport", server::PREFERRED_TRANSPORT, Kind::Text, Preset::None),
    Field::new("muteSend", server::MUTE_SEND, Kind::Truth, Preset::None),
];

/// The members of the map `acls`: resources of object 2.
const ACLS: &[Field] = &[
    Field::new("objectId", access_control::OBJECT_ID_0, Kind::Number, Preset::Number(0)),
    Field::new("objectInstanceId", access_control::OBJECT_INSTANCE_ID, Kind::Number, Preset::Number(0)),
    Field::new("acls", access_control::ACL, Kind::Numbers, Preset::None),
    Field::new("AccessControlOwner", access_control::ACCESS_CONTROL_OWNER, Kind::Number, Preset::None),
];

/// The maps of a configuration.
const MAPS: &[(&str, u16, &[Field])] = &[
    ("servers", server::OBJECT_ID, SERVERS),
    ("security", security::OBJECT_ID, SECURITY),
    ("acls", access_control::OBJECT_ID, ACLS),
];

/// What the API has for SMS, which cannot be bootstrapped here: these members may be there, but only like this.
fn sms() -> [(&'static str, Json); 4] {
    [
        ("smsSecurityMode", json!("NO_SEC")),
        ("smsBindingKeyParam", json!([])),
        ("smsBindingKeySecret", json!([])),
        ("serverSmsNumber", json!("")),
    ]
}

/// A configuration as JSON; keys only on request.
pub(crate) fn configuration(configuration: &Configuration, with_keys: bool) -> Json {
    let mut json = Map::new();
    json.insert("autoIdForSecurityObject".to_owned(), configuration.auto_id.into());
    if let Some(format) = configuration.format {
        json.insert("contentFormat".to_owned(), format.name().map_or_else(|| format.0.into(), Json::from));
    }
    let paths = configuration.delete.iter().map(Path::to_string);
    json.insert("toDelete".to_owned(), paths.collect());
    for (name, object, fields) in MAPS {
        let instances = configuration.instances(*object);
        let map = instances.map(|(id, instance)| (id.to_string(), to_json(*object, fields, instance, with_keys)));
        json.insert((*name).to_owned(), Json::Object(map.collect()));
    }
    json.insert("oscore".to_owned(), json!({}));
    Json::Object(json)
}

fn to_json(object: u16, fields: &[Field], instance: &Instance, with_keys: bool) -> Json {
    let shown = |field: &&Field| with_keys || (object, field.resource) != (security::OBJECT_ID, security::SECRET_KEY);
    let member = |field: &Field| Some((field.name.to_owned(), field.to_json(instance.get(&field.resource)?)));
    let mut json: Map<_, _> = fields.iter().filter(shown).filter_map(member).collect();
    if object == security::OBJECT_ID {
        json.extend(sms().map(|(name, value)| (name.to_owned(), value)));
    }
    Json::Object(json)
}

/// Reads a configuration with which a client could live.
///
/// # Errors
/// What is wrong with it, in words; no value is quoted.
pub(crate) fn parse_plan(json: &Json) -> Result<Plan, String> {
    Plan::apply(parse_configuration(json)?).map_err(|error| error.to_string())
}

fn parse_configuration(json: &Json) -> Result<Configuration, String> {
    let members = json.as_object().ok_or("a configuration is a JSON object")?;
    let mut configuration = Configuration::new();
    for (name, value) in members.iter().filter(|(_, value)| !value.is_null()) {
        if let Some((_, object, fields)) = MAPS.iter().find(|(known, ..)| known == name) {
            for (id, instance) in value.as_object().ok_or_else(|| format!("{name} is not an object"))? {
                let id = id.parse().map_err(|_| format!("{name}: {id} is no instance"))?;
                let resources =
                    instance_from_json(*object, fields, instance).map_err(|why| format!("{name}.{id}: {why}"))?;
                configuration = configuration.instance(*object, id, resources);
            }
            continue;
        }
        match name.as_str() {
            "autoIdForSecurityObject" => configuration.auto_id = value.as_bool().ok_or("it is true or false")?,
            "contentFormat" => configuration.format = Some(format(value)?),
            "toDelete" => configuration.delete = paths(value)?,
            "oscore" if value.as_object().is_some_and(Map::is_empty) => {}
            "oscore" => return Err("OSCORE cannot be bootstrapped".to_owned()),
            _ => return Err(format!("{name} is not known")),
        }
    }
    Ok(configuration)
}

fn format(json: &Json) -> Result<ContentFormat, String> {
    match json.as_str() {
        Some("TLV") => Ok(ContentFormat::TLV),
        _ => Err("contentFormat: instances can be written in TLV only".to_owned()),
    }
}

fn paths(json: &Json) -> Result<Vec<Path>, String> {
    let paths = json.as_array().ok_or("toDelete is not an array")?;
    let path = |path: &Json| {
        let text = path.as_str().ok_or("toDelete has an entry that is no path")?;
        let slashed = format!("/{}", text.trim_start_matches('/'));
        slashed.parse().map_err(|_| format!("{text} is not a valid path"))
    };
    paths.iter().map(path).collect()
}

fn instance_from_json(object: u16, fields: &[Field], json: &Json) -> Result<Vec<(u16, Resource)>, String> {
    let members = json.as_object().ok_or("it is not an object")?;
    let sms = sms();
    for (name, value) in members {
        let unused = object == security::OBJECT_ID && sms.iter().any(|(known, _)| known == name);
        if unused && !value.is_null() && !sms.iter().any(|(known, only)| known == name && only == value) {
            return Err(format!("{name}: SMS cannot be bootstrapped"));
        }
        let no_oscore = name == "oscoreSecurityMode" && value.is_null();
        if !unused && !no_oscore && !fields.iter().any(|field| field.name == name) {
            return Err(format!("{name} is not known"));
        }
    }
    let resources = fields.iter().filter_map(|field| {
        let read = field.read(members.get(field.name))?;
        Some(read.map(|resource| (field.resource, resource)).map_err(|why| format!("{}: {why}", field.name)))
    });
    resources.collect()
}

/// What was told of a session.
pub(crate) fn told(told: &Told) -> Json {
    json!({"name": told.name, "endpoint": &*told.endpoint, "time": told.time, "message": told.message})
}

#[cfg(test)]
mod tests;
