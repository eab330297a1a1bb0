//! What must hold for any bytes that come as TLV. The fuzzer and the stable tests call the same functions.

use lapwing_coap::ContentFormat;
use lapwing_lwm2m::definitions::{access_control, device, test_object_v1_1};
use lapwing_lwm2m::format::{FormatError, decode, tlv};
use lapwing_lwm2m::model::{Instance, Node, ObjectDefinition, Path};

/// The places where the bytes may be written, each level and type among them; the last one is a Create.
pub(crate) const PLACES: usize = 10;

fn place(place: usize) -> (Path, &'static ObjectDefinition) {
    let everything = (Path::object(3442), &test_object_v1_1::V1_0);
    let device = (Path::object(3).instance(0), &device::V1_2);
    match place {
        0 => (everything.0, everything.1),
        1 => (everything.0.instance(0), everything.1),
        2 => (everything.0.instance(0).resource(test_object_v1_1::FLOAT_VALUE), everything.1),
        3 => (everything.0.instance(0).resource(test_object_v1_1::MULTIPLE_OBJ_LINK_VALUE), everything.1),
        4 => (Path::object(2), &access_control::V1_0),
        5 => (Path::object(3), device.1),
        6 => (device.0, device.1),
        7 => (device.0.resource(device::POWER_SOURCE_VOLTAGE), device.1),
        8 => (device.0.resource(device::POWER_SOURCE_VOLTAGE).resource_instance(1), device.1),
        _ => (everything.0.instance(0).resource(9999), everything.1),
    }
}

pub(crate) fn check(bytes: &[u8]) {
    (0..=PLACES).for_each(|place| check_at(place, bytes));
}

pub(crate) fn check_at(number: usize, bytes: &[u8]) {
    if number == PLACES {
        return check_create(bytes);
    }
    let (path, definition) = place(number);
    let decoded = tlv::decode(&path, definition, bytes);
    assert_eq!(same(&decoded), same(&decode(ContentFormat::TLV, &path, definition, bytes)));
    let Some(node) = accepted(decoded, bytes) else { return };
    let written = encoded(&path, &node);
    assert!(written.len() <= 2 * bytes.len() + 16, "{path}: {} bytes became {}", bytes.len(), written.len());
    let again = tlv::decode(&path, definition, &written).expect("what was written can be read");
    // Not the nodes themselves: a Float may be one that is not equal to itself.
    assert_eq!(encoded(&path, &again), written);
}

fn check_create(bytes: &[u8]) {
    let definition = &test_object_v1_1::V1_0;
    let Some((id, instance)) = accepted(tlv::decode_create(definition, bytes), bytes) else { return };
    let written = encoded_create(id, &instance);
    let (again_id, again) = tlv::decode_create(definition, &written).expect("what was written can be read");
    assert_eq!((again_id, encoded_create(again_id, &again)), (id, written));
}

fn encoded(path: &Path, node: &Node) -> Vec<u8> {
    let mut written = Vec::new();
    tlv::encode(path, node, &mut written).expect("what was read can be written");
    written
}

fn encoded_create(id: Option<u16>, instance: &Instance) -> Vec<u8> {
    let mut written = Vec::new();
    tlv::encode_create(id, instance, &mut written).expect("what was read can be written");
    written
}

fn accepted<T>(decoded: Result<T, FormatError>, bytes: &[u8]) -> Option<T> {
    if let Err(FormatError::Malformed { offset, .. }) = &decoded {
        assert!(*offset <= bytes.len(), "an offset of {offset} in {} bytes", bytes.len());
    }
    if let Err(error) = &decoded {
        assert!(error.code().is_client_error(), "the peer's fault: {error}");
    }
    decoded.ok()
}

/// Results as text, since a Float may be one that is not equal to itself.
fn same(decoded: &Result<Node, FormatError>) -> String {
    format!("{decoded:?}")
}
