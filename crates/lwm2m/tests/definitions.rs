//! The generated definitions are what their source says, and hold together (LwM2M Core 1.1 Appendices D and E).

use std::collections::BTreeSet;
use std::path::Path;

use lapwing_lwm2m::definitions::{self, device, server, test_object_v1_0};
use lapwing_lwm2m::model::{Operations, ResourceType, Version};

#[path = "../../../xtask/src/codegen.rs"]
mod codegen;

#[test]
fn what_is_generated_is_not_stale() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if let Err(why) = codegen::run(&root, true) {
        panic!("{why}");
    }
}

#[test]
fn a_changed_fact_changes_what_is_generated() {
    let facts = include_str!("../definitions/objects.tsv");
    let before = codegen::generate(facts).unwrap();
    let changed = facts.replacen("0\tManufacturer\tR\t", "0\tManufacturer\tRW\t", 1);
    let after = codegen::generate(&changed).unwrap();
    let differing: Vec<_> = before.keys().filter(|name| before[*name] != after[*name]).collect();
    assert_eq!(differing, ["device.rs"]);
}

#[test]
fn facts_that_are_none_are_refused_by_their_line() {
    let object = "object\t3\tDevice\tversion=1.0\tlwm2m=1.0\turn:oma:lwm2m:oma:3\tSingle\tMandatory";
    for line in [
        "0\tManufacturer\tR\tSingle\tOptional\tString\t-",
        "0\tManufacturer\tX\tSingle\tOptional\tString\t-\t-",
        "0\tManufacturer\tR\tSingle\tOptional\tText\t-\t-",
        "65536\tManufacturer\tR\tSingle\tOptional\tString\t-\t-",
        "object\t3\tDevice\t1.0\tlwm2m=1.0\turn\tSingle\tMandatory",
    ] {
        let error = codegen::generate(&format!("{object}\n{line}\n")).unwrap_err();
        assert!(error.contains("line 2"), "{error}");
    }
    let unnamed = object.replace("\t3\t", "\t33333\t");
    assert!(codegen::generate(&unnamed).unwrap_err().contains("33333"));
    let descending =
        format!("{object}\n1\tB\tR\tSingle\tOptional\tString\t-\t-\n0\tA\tR\tSingle\tOptional\tString\t-\t-\n");
    assert!(codegen::generate(&descending).unwrap_err().contains("ascend"));
}

#[test]
fn every_definition_holds_together() {
    let all: Vec<_> = definitions::all().collect();
    assert!(all.is_sorted_by_key(|definition| (definition.id, definition.version)));
    assert_eq!(
        all.len(),
        all.iter().map(|definition| (definition.id, definition.version)).collect::<BTreeSet<_>>().len()
    );
    for definition in all {
        assert_eq!(definitions::find(definition.id, definition.version), Some(definition));
        assert!(!definition.name.is_empty() && definition.urn.starts_with("urn:oma:lwm2m:"), "{definition:?}");
        assert!(definition.resources.is_sorted_by(|a, b| a.id < b.id));
        for resource in definition.resources.iter() {
            assert_eq!(definition.resource(resource.id), Some(resource));
            assert!(!resource.name.is_empty());
            assert_eq!(resource.kind == ResourceType::None, resource.operations == Operations::Execute, "{resource:?}");
        }
    }
}

#[test]
fn objects_are_found_by_version() {
    let version = |object, version| definitions::find(object, version).map(|definition| definition.version);
    assert_eq!(version(3, Version::V1_1), Some(Version::V1_1));
    assert_eq!(version(3, Version::new(9, 9)), None);
    assert_eq!(version(9999, Version::V1_0), None);
    assert_eq!(definitions::latest(1).map(|definition| definition.version), Some(Version::V1_2));
    assert_eq!(definitions::latest(u16::MAX), None);
    let at = |lwm2m| definitions::latest_for(1, lwm2m).map(|definition| definition.version);
    assert_eq!(at(Version::V1_0), Some(Version::V1_0));
    assert_eq!(at(Version::V1_1), Some(Version::V1_1));
    assert_eq!(at(Version::V1_2), Some(Version::V1_2));
    assert_eq!(device::DEFINITION, device::V1_3);
}

/// A few facts by hand, so that a table that lost its columns is noticed.
#[test]
fn facts_are_those_of_the_standard() {
    for object in (0..=7).chain([9, 10, 11, 12, 13, 14, 16, 19, 20, 21, 3441, 3442]) {
        assert!(definitions::latest(object).is_some(), "{object}");
    }
    let voltage = device::V1_0.resource(7).unwrap();
    assert_eq!((voltage.id, &*voltage.name), (device::POWER_SOURCE_VOLTAGE, "Power Source Voltage"));
    assert_eq!((voltage.kind, voltage.operations), (ResourceType::Integer, Operations::Read));
    assert!(voltage.multiple && !voltage.mandatory && voltage.units == "mV");
    let reboot = device::V1_0.resource(device::REBOOT).unwrap();
    assert!(reboot.mandatory && reboot.operations.executable());
    assert_eq!(server::V1_1.resource(server::LIFETIME).unwrap().operations, Operations::ReadWrite);
    assert_eq!((server::V1_1.lwm2m, &*server::V1_1.urn), (Version::V1_1, "urn:oma:lwm2m:oma:1:1.1"));
    assert!(server::V1_0.multiple && server::V1_0.mandatory && !device::V1_0.multiple);
    assert_eq!(test_object_v1_0::V1_0.resource(1170).unwrap().kind, ResourceType::ObjectLink);
}
