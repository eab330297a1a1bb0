//! Registrations, their updates and links as JSON.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use lapwing_coap::link::{Attribute, Link, Value};
use lapwing_lwm2m::{
    Now,
    server::{Registration, Update},
};
use serde_json::{Map, Value as Json, json};

/// A registration.
pub(crate) fn registration(registration: &Registration) -> Json {
    let instances = registration.objects.iter().filter(|(_, offer)| !offer.instances.is_empty());
    let instances: BTreeMap<String, _> = instances.map(|(id, offer)| (id.to_string(), &offer.instances)).collect();
    without_nulls(json!({
        "endpoint": &*registration.endpoint,
        "registrationId": registration.id.as_str(),
        "registrationDate": milliseconds(registration.registered),
        "lastUpdate": milliseconds(registration.updated),
        "address": address(registration.address),
        "smsNumber": registration.sms,
        "lwM2mVersion": registration.version.to_string(),
        "lifetime": registration.lifetime,
        "bindingMode": registration.binding,
        "rootPath": registration.root,
        "objectLinks": links(&registration.links),
        "secure": registration.is_secure(),
        "identity": registration.identity.as_ref().map(ToString::to_string),
        "additionalRegistrationAttributes": registration.attributes,
        "queuemode": registration.queue_mode,
        "availableInstances": instances,
    }))
}

/// What an Update named, and where it came from.
pub(crate) fn update(registration: &Registration, update: &Update) -> Json {
    without_nulls(json!({
        "registrationId": registration.id.as_str(),
        "address": address(registration.address),
        "smsNumber": update.sms,
        "lifetime": update.lifetime,
        "objectLinks": update.links.as_deref().map(links),
        "secure": registration.is_secure(),
        "additionalAttributes": update.attributes,
    }))
}

/// Links, each with its attributes as they stand in link-format.
pub(crate) fn links(links: &[Link]) -> Json {
    let attributes = |link: &Link| link.attributes.iter().map(attribute).collect::<Map<_, _>>();
    links.iter().map(|link| json!({"url": link.target, "attributes": attributes(link)})).collect()
}

fn attribute(attribute: &Attribute) -> (String, Json) {
    let value = match &attribute.value {
        None => Json::Null,
        Some(Value::Token(token)) => json!(token),
        Some(Value::Quoted(text)) => json!(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))),
    };
    (attribute.name.clone(), value)
}

/// Milliseconds since 1970, `null` while the machine does not know the date.
fn milliseconds(time: Now) -> Json {
    json!(time.unix.map(|unix| unix.as_millis() as u64))
}

/// Address and port, an IPv6 address with all its groups, as Java writes it.
fn address(address: SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(ip) => format!("{ip}:{}", address.port()),
        IpAddr::V6(ip) => {
            let groups = ip.segments().map(|group| format!("{group:x}"));
            format!("{}:{}", groups.join(":"), address.port())
        }
    }
}

/// Absent values are absent members.
fn without_nulls(mut json: Json) -> Json {
    if let Some(members) = json.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_look_as_java_writes_them() {
        assert_eq!(address("127.0.0.1:5683".parse().unwrap()), "127.0.0.1:5683");
        assert_eq!(address("[::1]:40123".parse().unwrap()), "0:0:0:0:0:0:0:1:40123");
        assert_eq!(address("[2001:db8::a]:1".parse().unwrap()), "2001:db8:0:0:0:0:0:a:1");
    }

    #[test]
    fn attributes_keep_their_quotes() {
        let link = Link::new("/").quoted("rt", "oma.lwm2m").token("ct", 11542).flag("obs");
        assert_eq!(
            links(&[link]),
            json!([{"url": "/", "attributes": {"rt": "\"oma.lwm2m\"", "ct": "11542", "obs": null}}])
        );
    }
}
