//! The answer to Bootstrap-Discover (LwM2M Core 1.1 section 6.1.7.3).

use lapwing_coap::link::Link;

use super::staging::Staging;
use crate::{
    account::{AccountObjects, is_bootstrap, single},
    client::LwM2mVersion,
    definitions::{access_control, security, server},
    model::{Instance, ObjectId, Path, Tree, Value, Version},
};

/// The links of everything, or of one object, behind what `out` has.
///
/// The version of LwM2M stands at the link of the root, as RFC 6690 and LwM2M 1.2 have it: in the examples of 1.0 and 1.1
/// (`lwm2m="1.0",</0/0>`) it stands at none, which no parser of link-format takes.
pub(super) fn emit(path: &Path, staging: &Staging, tree: &Tree, lwm2m: LwM2mVersion, out: &mut Vec<u8>) {
    let version = lwm2m.version();
    let mut links = vec![Link::new("/").token("lwm2m", version)];
    let asked = path.object_id();
    let mut objects: Vec<ObjectId> = AccountObjects::ALL.into_iter().chain(tree.objects.keys().copied()).collect();
    objects.sort_unstable();
    objects.dedup();
    for object in objects.into_iter().filter(|object| asked.is_none_or(|asked| asked == *object)) {
        let instances = staging.instances(object, tree);
        if object == access_control::OBJECT_ID && instances.is_empty() {
            continue;
        }
        let at = Path::object(object);
        let link = versioned(Link::new(at.to_string()), object_version(object, lwm2m, tree), lwm2m);
        if instances.is_empty() || link.attribute("ver").is_some() {
            links.push(link);
        }
        for instance in instances {
            let link = Link::new(at.instance(instance).to_string());
            let content = staging.accounts.get(object).and_then(|instances| instances.get(&instance));
            links.push(content.map_or(link.clone(), |content| identified(link, object, content, lwm2m)));
        }
    }
    lapwing_coap::link::emit(&links, out);
}

fn object_version(object: ObjectId, lwm2m: LwM2mVersion, tree: &Tree) -> Version {
    match (object, lwm2m) {
        (security::OBJECT_ID | server::OBJECT_ID, lwm2m) => lwm2m.version(),
        _ => tree.objects.get(&object).map_or(Version::V1_0, |object| object.definition.version),
    }
}

fn versioned(link: Link, version: Version, lwm2m: LwM2mVersion) -> Link {
    match (version, lwm2m) {
        (Version::V1_0, _) => link,
        (version, LwM2mVersion::V1_0) => link.quoted("ver", version),
        (version, _) => link.token("ver", version),
    }
}

/// `ssid`, and from LwM2M 1.1 on `uri`; the account of the bootstrap server has neither.
fn identified(link: Link, object: ObjectId, content: &Instance, lwm2m: LwM2mVersion) -> Link {
    let (ssid, uri) = match object {
        security::OBJECT_ID if is_bootstrap(content) => return link,
        security::OBJECT_ID => (security::SHORT_SERVER_ID, single(content, security::LWM2M_SERVER_URI)),
        server::OBJECT_ID => (server::SHORT_SERVER_ID, None),
        _ => return link,
    };
    let ssid = single(content, ssid).and_then(Value::as_integer);
    let link = match ssid {
        Some(ssid) => link.token("ssid", ssid),
        None => link,
    };
    match uri.and_then(Value::as_str) {
        Some(uri) if lwm2m > LwM2mVersion::V1_0 => link.quoted("uri", uri),
        _ => link,
    }
}
