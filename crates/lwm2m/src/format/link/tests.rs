use super::*;
use crate::attributes::{AttributeTable, Changes};
use crate::definitions::{connectivity_monitoring, device, firmware_update, server, test_object_v1_0};
use crate::format::FormatError;
use crate::model::{PathError, TreeObject};

fn tree() -> Tree {
    let mut tree = Tree::new();
    tree.insert(TreeObject::new(&security::V1_1).with_instance(0, [0, 1, 2]));
    tree.insert(TreeObject::new(&server::V1_1).with_instance(0, [0, 1]).with_instance(1, [0, 1]));
    tree.insert(TreeObject::new(&device::V1_0).with_instance(0, [device::MANUFACTURER, device::POWER_SOURCE_VOLTAGE]));
    tree.insert(TreeObject::new(&oscore::V1_0).with_instance(0, [0]));
    tree.insert(TreeObject::new(&test_object_v1_0::V1_0));
    tree
}

fn registration(tree: &Tree, lwm2m: Version, formats: &[ContentFormat]) -> String {
    let mut out = Vec::new();
    emit_registration(tree, lwm2m, formats, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn registers_objects_with_versions_and_instances_but_no_secrets() {
    assert_eq!(
        registration(&tree(), Version::V1_1, &[ContentFormat::TEXT, ContentFormat::TLV]),
        "</>;rt=\"oma.lwm2m\";ct=\"0 11542\",</1>;ver=1.1,</1/0>,</1/1>,</3/0>,</3441>"
    );
    assert_eq!(
        registration(&tree(), Version::V1_0, &[ContentFormat::TLV]),
        "</>;rt=\"oma.lwm2m\";ct=11542,</1>;ver=\"1.1\",</1/0>,</1/1>,</3/0>,</3441>"
    );
    assert_eq!(registration(&Tree::new(), Version::V1_0, &[]), "</>;rt=\"oma.lwm2m\"");
}

#[test]
fn what_was_written_is_read_again() {
    for lwm2m in [Version::V1_0, Version::V1_1] {
        let payload = registration(&tree(), lwm2m, &[ContentFormat::TEXT, ContentFormat::TLV]);
        let read = parse_registration(payload.as_bytes()).unwrap();
        assert_eq!(read.root, "");
        assert_eq!(read.formats, [ContentFormat::TEXT, ContentFormat::TLV]);
        assert_eq!(read.objects.keys().copied().collect::<Vec<_>>(), [1, 3, 3441]);
        assert_eq!(read.objects[&1], RegisteredObject { version: Some(Version::V1_1), instances: [0, 1].into() });
        assert_eq!(read.objects[&3], RegisteredObject { version: None, instances: [0].into() });
        assert_eq!(read.objects[&3441], RegisteredObject::default());
        assert_eq!(read.links.len(), 6);
    }
}

/// LwM2M 1.0.2 section 8.2.1: alternate path.
#[test]
fn objects_may_be_under_another_path() {
    for root in ["/lwm2m", "/lwm2m/"] {
        let payload = format!("<{root}>;rt=\"oma.lwm2m\";ct=11543,</lwm2m/1/0>,</lwm2m/3>;ver=1.1,</5/0>,</sensors>");
        let read = parse_registration(payload.as_bytes()).unwrap();
        assert_eq!(read.root, "/lwm2m");
        assert_eq!(read.formats, [ContentFormat::JSON]);
        assert_eq!(read.objects.keys().copied().collect::<Vec<_>>(), [1, 3]);
        assert_eq!(read.links.len(), 5);
    }
}

#[test]
fn other_links_are_kept_and_mean_nothing() {
    let read = parse_registration(b"</>;rt=\"x oma.lwm2m\",</3/0>,</rd>;if=core,</.well-known/core>,<http://[::1]/3>")
        .unwrap();
    assert_eq!(read.objects.keys().copied().collect::<Vec<_>>(), [3]);
    assert_eq!(read.links.len(), 5);
    let read = parse_registration(b"</>,</3/0>").unwrap();
    assert_eq!(read.objects.keys().copied().collect::<Vec<_>>(), [3]);
    assert_eq!(parse_registration(b"").unwrap(), RegistrationLinks::default());
}

#[test]
fn refuses_paths_versions_and_formats_that_are_none() {
    for (payload, error) in [
        ("</1/0>,</65535>", FormatError::Path(PathError::Reserved)),
        ("</3/x>", FormatError::Path(PathError::NotANumber)),
        ("</3/>", FormatError::Path(PathError::NotANumber)),
        ("</03>", FormatError::Path(PathError::LeadingZero)),
        ("</1/2/3/4/5>", FormatError::Path(PathError::TooDeep)),
    ] {
        assert_eq!(parse_registration(payload.as_bytes()), Err(error), "{payload}");
    }
    for (payload, at) in [
        ("</3/0/1>", 1),
        ("</1/0>,</3>;ver=1", 8),
        ("</3>;ver", 1),
        ("</3>;ver=\"1.\"", 1),
        ("</3>;ver=1.0,</3>;ver=1.1", 14),
        ("</>;rt=\"oma.lwm2m\";ct=x", 1),
        ("</>;rt=\"oma.lwm2m\";ct=65536", 1),
    ] {
        match parse_registration(payload.as_bytes()) {
            Err(FormatError::Malformed { offset, .. }) => assert_eq!(offset, at, "{payload}"),
            other => panic!("{payload}: {other:?}"),
        }
    }
    assert!(matches!(parse_registration(b"<3"), Err(FormatError::Link(_))));
    assert!(matches!(parse_registration(b"</3>,"), Err(FormatError::Link(_))));
}

fn discovered(path: &str, lwm2m: Version) -> String {
    let mut tree = tree();
    tree.insert(TreeObject::new(&firmware_update::V1_1).with_instance(0, [0, 3]));
    tree.insert(TreeObject::new(&connectivity_monitoring::V1_0).with_instance(0, [0, 1]).with_instance(1, [0, 2]));
    let voltage = Path::object(3).instance(0).resource(device::POWER_SOURCE_VOLTAGE);
    let mut table = AttributeTable::new();
    for (path, queries) in [
        (Path::object(3), &["pmin=10"][..]),
        (Path::object(3).instance(0), &["pmax=60"]),
        (voltage, &["gt=50", "lt=42.2"]),
        (voltage.resource_instance(1), &["st=1"]),
    ] {
        let changes = Changes::parse(queries.iter().copied()).unwrap();
        table.write(path, &changes, &device::V1_0).unwrap();
    }
    let instances = [(voltage, vec![0, 1])].into();
    let entries = discover(&path.parse().unwrap(), lwm2m, &tree, &table, &instances);
    let mut out = Vec::new();
    emit_discover(&entries, lwm2m, &mut out);
    assert_eq!(parse_discover("", &out), Ok(entries));
    String::from_utf8(out).unwrap()
}

/// LwM2M Core 1.1 section 6.3.2.
#[test]
fn discovers_an_object_without_the_attributes_of_what_is_below() {
    assert_eq!(discovered("/3", Version::V1_1), "</3>;pmin=10,</3/0>,</3/0/0>,</3/0/7>");
    assert_eq!(discovered("/5", Version::V1_1), "</5>;ver=1.1,</5/0>,</5/0/0>,</5/0/3>");
    assert_eq!(discovered("/5", Version::V1_0), "</5>;ver=\"1.1\",</5/0>,</5/0/0>,</5/0/3>");
    assert_eq!(discovered("/4", Version::V1_1), "</4>,</4/0>,</4/0/0>,</4/0/1>,</4/1>,</4/1/0>,</4/1/2>");
    assert_eq!(discovered("/3441", Version::V1_1), "</3441>");
}

#[test]
fn discovers_an_instance_with_what_it_inherits() {
    assert_eq!(discovered("/3/0", Version::V1_1), "</3/0>;pmin=10;pmax=60,</3/0/0>,</3/0/7>;dim=2;gt=50;lt=42.2");
}

#[test]
fn discovers_a_resource_and_from_1_1_its_instances() {
    let resource = "</3/0/7>;dim=2;pmin=10;pmax=60;gt=50;lt=42.2";
    assert_eq!(discovered("/3/0/7", Version::V1_0), resource);
    assert_eq!(discovered("/3/0/7", Version::V1_1), format!("{resource},</3/0/7/0>,</3/0/7/1>;st=1"));
    assert_eq!(discovered("/3/0/0", Version::V1_1), "</3/0/0>;pmin=10;pmax=60");
}

#[test]
fn discovers_nothing_where_nothing_is() {
    for path in ["/", "/9", "/3/1", "/3/0/1", "/3/0/7/0"] {
        assert_eq!(discovered(path, Version::V1_1), "", "{path}");
    }
}

#[test]
fn reads_what_others_answer() {
    let read = parse_discover("/lwm2m", b"</lwm2m/3/0/7>;dim=2;gt=1e+20;if=core;title=\"x\",</other>").unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!((read[0].dimension, read[0].attributes.gt), (Some(2), Some(1e20)));
    for payload in ["</3>;dim=x", "</3>;dim", "</3>;pmin=-1", "</3>;gt=inf", "</3>;ver=x"] {
        assert!(matches!(parse_discover("", payload.as_bytes()), Err(FormatError::Malformed { .. })), "{payload}");
    }
}
