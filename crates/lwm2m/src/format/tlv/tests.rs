use super::*;
use crate::definitions::{access_control, device, server, test_object_v1_1 as test};
use crate::model::{ObjectLink, Operations};

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap()).collect()
}

fn path(text: &str) -> Path {
    text.parse().unwrap()
}

/// The content is written as `octets`, and these are read as the content.
#[track_caller]
fn both_ways(at: &str, definition: &ObjectDefinition, node: impl Into<Node>, octets: &str) {
    let (at, node, octets) = (path(at), node.into(), hex(octets));
    let mut written = Vec::new();
    encode(&at, &node, &mut written).unwrap();
    assert_eq!(written, octets, "written");
    assert_eq!(decode(&at, definition, &octets), Ok(node), "read");
}

#[track_caller]
fn reads(at: &str, definition: &ObjectDefinition, octets: &str, node: impl Into<Node>) {
    assert_eq!(decode(&path(at), definition, &hex(octets)), Ok(node.into()));
}

#[track_caller]
fn refuses(at: &str, definition: &ObjectDefinition, octets: &str, offset: usize) {
    match decode(&path(at), definition, &hex(octets)) {
        Err(FormatError::Malformed { offset: found, .. }) => assert_eq!(found, offset),
        other => panic!("{other:?}"),
    }
}

/// The device that the examples of LwM2M 1.0.2 section 6.4.3 show.
fn example_device() -> Instance {
    [
        (device::MANUFACTURER, "Open Mobile Alliance".into()),
        (device::MODEL_NUMBER, "Lightweight M2M Client".into()),
        (device::SERIAL_NUMBER, "345000123".into()),
        (device::FIRMWARE_VERSION, "1.0".into()),
        (device::AVAILABLE_POWER_SOURCES, Resource::multiple([(0, 1), (1, 5)])),
        (device::POWER_SOURCE_VOLTAGE, Resource::multiple([(0, 3800), (1, 5000)])),
        (device::POWER_SOURCE_CURRENT, Resource::multiple([(0, 125), (1, 900)])),
        (device::BATTERY_LEVEL, 100.into()),
        (device::MEMORY_FREE, 15.into()),
        (device::ERROR_CODE, Resource::multiple([(0, 0)])),
        (device::CURRENT_TIME, Value::Time(1_367_491_215).into()),
        (device::UTC_OFFSET, "+02:00".into()),
        (device::SUPPORTED_BINDING_AND_MODES, "U".into()),
    ]
    .into()
}

const DEVICE: &str =
    "C80014 4F70656E204D6F62696C6520416C6C69616E6365 C80116 4C69676874776569676874204D324D20436C69656E74
    C80209 333435303030313233 C303 312E30 8606 410001 410105 8807 08 42000ED8 42011388 8708 41007D 42010384
    C109 64 C10A 0F 830B 410000 C40D 5182428F C60E 2B30323A3030 C110 55";

/// LwM2M 1.0.2 section 6.4.3.1: an instance without an entry around it.
#[test]
fn example_of_an_instance() {
    both_ways("/3/0", &device::V1_0, example_device(), DEVICE);
}

/// LwM2M 1.0.2 section 6.4.3.2 A: an object with one instance.
#[test]
fn example_of_an_object() {
    let octets = format!("080079 {DEVICE}");
    both_ways("/3", &device::V1_0, Instances::from([(0, example_device())]), &octets);
    reads("/3/0", &device::V1_0, &octets, example_device());
}

/// LwM2M 1.0.2 section 6.4.3.2 B: an object with instances that have multiple resources, one of them with a 16-bit id.
#[test]
fn example_of_access_control() {
    let acl = |object: i64, rights: &[(u16, i64)]| -> Instance {
        [
            (access_control::OBJECT_ID_0, object.into()),
            (access_control::OBJECT_INSTANCE_ID, 0.into()),
            (access_control::ACL, Resource::multiple(rights.iter().copied())),
            (access_control::ACCESS_CONTROL_OWNER, 127.into()),
        ]
        .into()
    };
    both_ways(
        "/2",
        &access_control::V1_0,
        Instances::from([(0, acl(1, &[(127, 7)])), (2, acl(3, &[(127, 7), (310, 1)]))]),
        "08000E C10001 C10100 8302 417F07 C1037F 080212 C10003 C10100 8702 417F07 61013601 C1037F",
    );
}

/// LwM2M 1.0.2 section 6.4.3.2 C.
#[test]
fn example_of_a_server() {
    let account: Instance = [
        (server::SHORT_SERVER_ID, 1.into()),
        (server::LIFETIME, 86_400.into()),
        (server::NOTIFICATION_STORING_WHEN_DISABLED_OR_OFFLINE, true.into()),
        (server::BINDING, "U".into()),
    ]
    .into();
    let octets = "08000F C10001 C40100015180 C10601 C10755";
    both_ways("/1", &server::V1_0, Instances::from([(0, account)]), octets);
}

/// LwM2M 1.0.2 section 6.4.3.3: object links.
#[test]
fn example_of_object_links() {
    static OBJECT_65: ObjectDefinition = ObjectDefinition::new(65, "", RESOURCES_65).multiple();
    static RESOURCES_65: &[ResourceDefinition] = &[
        ResourceDefinition::new(0, "", Operations::Read, ResourceType::ObjectLink).multiple(),
        ResourceDefinition::new(1, "", Operations::Read, ResourceType::String),
        ResourceDefinition::new(2, "", Operations::Read, ResourceType::Integer),
    ];
    static OBJECT_66: ObjectDefinition = ObjectDefinition::new(66, "", RESOURCES_66).multiple();
    static RESOURCES_66: &[ResourceDefinition] = &[
        ResourceDefinition::new(0, "", Operations::Read, ResourceType::String),
        ResourceDefinition::new(1, "", Operations::Read, ResourceType::String),
        ResourceDefinition::new(2, "", Operations::Read, ResourceType::ObjectLink),
    ];
    let first: Instance = [
        (0, Resource::multiple([(0, ObjectLink::new(66, 0)), (1, ObjectLink::new(66, 1))])),
        (1, "8613800755500".into()),
        (2, 0x1234_5678.into()),
    ]
    .into();
    let octets = "88000C 440000420000 440100420001 C8010D 38363133383030373535353030 C402 12345678";
    both_ways("/65/0", &OBJECT_65, first, octets);

    let service = |name: &str, host: &str, link| -> Instance {
        [(0, name.into()), (1, host.into()), (2, Value::ObjectLink(link).into())].into()
    };
    let both = Instances::from([
        (0, service("myService 1", "Internet.15.234", ObjectLink::new(67, 0))),
        (1, service("myService 2", "Internet.15.235", ObjectLink::NULL)),
    ]);
    let octets = "080026 C8000B 6D79536572766963652031 C8010F 496E7465726E65742E31352E323334 C402 00430000
        080126 C8000B 6D79536572766963652032 C8010F 496E7465726E65742E31352E323335 C402 FFFFFFFF";
    both_ways("/66", &OBJECT_66, both, octets);
}

#[test]
fn resources_and_resource_instances() {
    both_ways("/3/0/9", &device::V1_0, Node::single(100), "C10964");
    both_ways("/3/0/0", &device::V1_0, Node::single(""), "C000");
    both_ways("/3/0/7", &device::V1_0, Resource::multiple([(0, 3800), (1, 5000)]), "8807 08 42000ED8 42011388");
    both_ways("/3/0/7/1", &device::V1_0, Node::Value(5000.into()), "42011388");
    both_ways("/3/0/11", &device::V1_0, Resource::Multiple(BTreeMap::new()), "800B");
    reads("/3/0/11", &device::V1_0, "", Resource::Multiple(BTreeMap::new()));
    reads("/3/0/7", &device::V1_0, "42000ED8 42011388", Resource::multiple([(0, 3800), (1, 5000)]));
    both_ways("/3/0", &device::V1_0, Instance::new(), "");
    both_ways("/2", &access_control::V1_0, Instances::new(), "");
    both_ways("/2", &access_control::V1_0, Instances::from([(300, Instance::new())]), "20012C");
    reads("/3", &device::V1_0, "C10964", Instances::from([(0, [(9, 100.into())].into())]));
}

#[track_caller]
fn value(resource: u16, value: impl Into<Value>, octets: &str) {
    let octets = hex(octets);
    let mut written = Vec::new();
    let at = Path::object(3442).instance(0).resource(resource);
    let node = Node::single(value);
    encode(&at, &node, &mut written).unwrap();
    assert_eq!(written[written.len() - octets.len()..], octets);
    assert_eq!(decode(&at, &test::V1_0, &written), Ok(node));
}

#[test]
fn integers_take_as_few_octets_as_they_need() {
    for (number, octets) in [
        (0, "00"),
        (127, "7F"),
        (-128, "80"),
        (128, "0080"),
        (-129, "FF7F"),
        (32_767, "7FFF"),
        (-32_768, "8000"),
        (32_768, "00008000"),
        (i64::from(i32::MIN), "80000000"),
        (i64::from(i32::MAX), "7FFFFFFF"),
        (i64::from(i32::MAX) + 1, "0000000080000000"),
        (i64::MIN, "8000000000000000"),
        (i64::MAX, "7FFFFFFFFFFFFFFF"),
    ] {
        value(test::INTEGER_VALUE, number, octets);
        value(test::TIME_VALUE, Value::Time(number), octets);
    }
}

#[test]
fn unsigned_integers_keep_the_first_bit_clear() {
    for (number, octets) in [
        (0, "00"),
        (127, "7F"),
        (128, "0080"),
        (255, "00FF"),
        (65_535, "0000FFFF"),
        (u64::from(u32::MAX), "00000000FFFFFFFF"),
        (1 << 63, "8000000000000000"),
        (u64::MAX, "FFFFFFFFFFFFFFFF"),
    ] {
        value(test::UNSIGNED_INTEGER_VALUE, number, octets);
    }
    reads("/3442/0/125", &test::V1_0, "C17DFF", Node::single(255_u64));
    reads("/3442/0/125", &test::V1_0, "C47DFFFFFFFF", Node::single(u64::from(u32::MAX)));
}

#[test]
fn floats_take_four_octets_if_that_loses_nothing() {
    value(test::FLOAT_VALUE, 1.5, "3FC00000");
    value(test::FLOAT_VALUE, -0.0, "80000000");
    value(test::FLOAT_VALUE, f64::INFINITY, "7F800000");
    value(test::FLOAT_VALUE, std::f64::consts::PI, "400921FB54442D18");
    value(test::FLOAT_VALUE, f64::MAX, "7FEFFFFFFFFFFFFF");
    reads("/3442/0/130", &test::V1_0, "C88208 3FF8000000000000", Node::single(1.5));
}

#[test]
fn other_values() {
    value(test::BOOLEAN_VALUE, true, "01");
    value(test::BOOLEAN_VALUE, false, "00");
    value(test::STRING_VALUE, "\u{263a}", "E298BA");
    value(test::OPAQUE_VALUE, vec![1, 2, 3], "010203");
    value(test::OBJ_LINK_VALUE, ObjectLink::new(3, 1), "00030001");
    value(test::CORE_LNK_VALUE, Value::CoreLink("</3/0>".into()), "3C2F332F303E");
    value(test::CORE_LNK_VALUE, Value::CoreLink(String::new()), "");
}

#[test]
fn lengths_grow_to_24_bits() {
    for (length, header) in [
        (7, "C796"),
        (8, "C89608"),
        (255, "C896FF"),
        (256, "D0960100"),
        (65_535, "D096FFFF"),
        (65_536, "D896010000"),
        (0xff_ffff, "D896FFFFFF"),
    ] {
        let node = Node::single(vec![0x55; length]);
        let at = Path::object(3442).instance(0).resource(test::OPAQUE_VALUE);
        let mut written = Vec::new();
        encode(&at, &node, &mut written).unwrap();
        let header = hex(header);
        assert_eq!(written[..header.len()], header);
        assert_eq!(written.len(), header.len() + length);
        assert_eq!(decode(&at, &test::V1_0, &written), Ok(node));
    }
}

#[test]
fn what_24_bits_cannot_say_is_refused_and_nothing_is_written() {
    let mut out = vec![1, 2, 3];
    let value = || Value::Opaque(vec![0; 0x80_0000]);
    let at = Path::object(3442).instance(0).resource(test::MULTIPLE_OPAQUE_VALUE);
    let node = Node::Resource(Resource::multiple([(0, value()), (1, value())]));
    assert_eq!(encode(&at, &node, &mut out), Err(FormatError::NotAcceptable));
    let single = Node::single(vec![0; 0x100_0000]);
    assert_eq!(encode(&at, &single, &mut out), Err(FormatError::NotAcceptable));
    assert_eq!(out, [1, 2, 3]);
}

#[test]
fn ids_take_16_bits_where_they_need_them() {
    let numbers = |ids: &[u16]| Resource::multiple(ids.iter().map(|id| (*id, 1)));
    both_ways("/3442/0/1120", &test::V1_0, numbers(&[0, 255, 256, 65_534]), "A804600E 410001 41FF01 61010001 61FFFE01");
}

#[test]
fn headers_may_be_longer_than_they_need_to_be() {
    reads("/3/0/9", &device::V1_0, "E1000964", Node::single(100));
    reads("/3/0/9", &device::V1_0, "C8090164", Node::single(100));
    reads("/3/0/9", &device::V1_0, "D009000164", Node::single(100));
    reads("/3/0/9", &device::V1_0, "D80900000164", Node::single(100));
    reads("/3/0/9", &device::V1_0, "CF090164", Node::single(100));
}

#[test]
fn unknown_and_executable_resources_are_opaque() {
    let unknown: Instance = [(77, vec![1_u8, 2].into()), (78, Resource::multiple([(0, vec![3_u8])]))].into();
    both_ways("/3/0", &device::V1_0, unknown, "C24D0102 834E410003");
    reads("/3/0/4", &device::V1_0, "C10430", Node::single(vec![b'0']));
}

#[test]
fn refuses_ids_that_are_wrong_doubled_or_reserved() {
    refuses("/3/0/9", &device::V1_0, "C10A64", 0);
    refuses("/3/0", &device::V1_0, "0803 00", 0);
    refuses("/3/0", &device::V1_0, "0301 C10964", 0);
    refuses("/3/0/7/1", &device::V1_0, "410000", 0);
    refuses("/3/0", &device::V1_0, "C10964 C10964", 3);
    refuses("/3/0/7", &device::V1_0, "8607 410001 410001", 5);
    refuses("/2", &access_control::V1_0, "0000 0000", 2);
    refuses("/3/0", &device::V1_0, "E1FFFF00", 0);
    refuses("/2", &access_control::V1_0, "20FFFF", 0);
    refuses("/3/0/7", &device::V1_0, "8407 61FFFF01", 2);
}

#[test]
fn refuses_entries_where_they_do_not_belong() {
    refuses("/2", &access_control::V1_0, "C10001", 0);
    refuses("/2", &access_control::V1_0, "0000 C10001", 2);
    refuses("/3", &device::V1_0, "C10964 0000", 3);
    refuses("/3/0", &device::V1_0, "410001", 0);
    refuses("/3/0", &device::V1_0, "C10964 0000", 3);
    refuses("/3/0", &device::V1_0, "0000 0000", 2);
    refuses("/3/0", &device::V1_0, "0300 410001", 2);
    refuses("/3/0/9", &device::V1_0, "0300 C10964", 0);
    refuses("/3/0/9", &device::V1_0, "C10964 C10964", 3);
    refuses("/3/0/9", &device::V1_0, "", 0);
    refuses("/3/0/7", &device::V1_0, "8307 C10001", 2);
    refuses("/3/0/7/0", &device::V1_0, "C10701", 0);
    refuses("/3/0/7/0", &device::V1_0, "410001 410101", 3);
    refuses("/3/0/7/0", &device::V1_0, "", 0);
}

#[test]
fn refuses_single_for_multiple_and_the_reverse() {
    for (at, octets, where_) in [
        ("/3/0/9", "8309410001", "/3/0/9"),
        ("/3/0/9", "410001", "/3/0/9"),
        ("/3/0/7", "C10701", "/3/0/7"),
        ("/3/0", "C10701", "/3/0/7"),
        ("/3/0/9/0", "410001", "/3/0/9/0"),
        ("/3", "0300C10701", "/3/0/7"),
    ] {
        let error = FormatError::Mismatch { path: path(where_), why: CheckError::Multiplicity };
        assert_eq!(decode(&path(at), &device::V1_0, &hex(octets)), Err(error), "{at} {octets}");
    }
}

#[test]
fn refuses_values_that_their_type_has_not() {
    for (resource, octets) in [
        (test::STRING_VALUE, "FF"),
        (test::STRING_VALUE, "C080"),
        (test::INTEGER_VALUE, ""),
        (test::INTEGER_VALUE, "000000"),
        (test::INTEGER_VALUE, "0000000000"),
        (test::TIME_VALUE, "000000"),
        (test::UNSIGNED_INTEGER_VALUE, "000000"),
        (test::FLOAT_VALUE, "0000"),
        (test::BOOLEAN_VALUE, ""),
        (test::BOOLEAN_VALUE, "02"),
        (test::BOOLEAN_VALUE, "0001"),
        (test::OBJ_LINK_VALUE, "000300"),
        (test::CORE_LNK_VALUE, "3C"),
    ] {
        let octets = hex(octets);
        let mut payload = vec![0xc0 | octets.len() as u8, resource as u8];
        payload.extend_from_slice(&octets);
        let at = Path::object(3442).instance(0).resource(resource);
        match decode(&at, &test::V1_0, &payload) {
            Err(FormatError::Malformed { offset: 2, .. }) => {}
            other => panic!("{resource} {octets:?}: {other:?}"),
        }
    }
}

#[test]
fn refuses_what_is_cut_off() {
    let payload = hex(&format!("080079 {DEVICE}"));
    for length in 1..payload.len() {
        let result = decode(&Path::object(3), &device::V1_0, &payload[..length]);
        assert!(matches!(result, Err(FormatError::Malformed { .. })), "{length}: {result:?}");
    }
    // An inner entry that reaches beyond the one around it, but not beyond the payload.
    refuses("/3/0", &device::V1_0, "8207 4100 C10964", 4);
}

/// LwM2M 1.1 section 6.3.7 (Create): with the number of the instance, or without.
#[test]
fn creates() {
    let instance: Instance = [(0, 1.into()), (2, Resource::multiple([(7, 3)]))].into();
    for (id, octets) in [(Some(5), "08 05 08 C10001 8302 410703"), (None, "C10001 8302 410703")] {
        let mut written = Vec::new();
        encode_create(id, &instance, &mut written).unwrap();
        assert_eq!(written, hex(octets));
        assert_eq!(decode_create(&access_control::V1_0, &written), Ok((id, instance.clone())));
    }
    assert_eq!(decode_create(&access_control::V1_0, &[]), Ok((None, Instance::new())));
    let two = decode_create(&access_control::V1_0, &hex("0000 0001"));
    assert!(matches!(two, Err(FormatError::Malformed { offset: 2, .. })));
    let mixed = decode_create(&access_control::V1_0, &hex("C10001 0001"));
    assert!(matches!(mixed, Err(FormatError::Malformed { offset: 3, .. })));
}

#[test]
fn refuses_nodes_of_another_level() {
    let mut out = Vec::new();
    let error = FormatError::Level { expected: Level::Instance, found: Level::Resource };
    assert_eq!(encode(&path("/3/0"), &Node::single(1), &mut out), Err(error));
    assert_eq!(decode(&Path::ROOT, &device::V1_0, &[]), Err(FormatError::UnsupportedFormat));
    let reserved = Node::Resource(Resource::multiple([(0, 1), (MAX_ID, 1)]));
    assert_eq!(encode(&path("/3/0/7"), &reserved, &mut out), Err(FormatError::Path(PathError::Reserved)));
    assert!(out.is_empty());
}
