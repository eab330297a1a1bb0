//! Nanoseconds and allocations for content: `cargo bench -p lapwing-lwm2m --bench format`.

use divan::{AllocProfiler, Bencher, black_box};
use lapwing_coap::ContentFormat;
use lapwing_lwm2m::attributes::{AttributeTable, Changes};
use lapwing_lwm2m::definitions::{connectivity_monitoring, device, server};
use lapwing_lwm2m::format::{decode, encode, link};
use lapwing_lwm2m::model::{Instance, Node, Path, Resource, Tree, TreeObject, Value, Version};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

const DEVICE: Path = Path::object(3).instance(0);

/// The device of the standard's examples: 13 resources, 121 bytes of TLV.
fn device() -> Node {
    let instance: Instance = [
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
    .into();
    Node::Instance(instance)
}

fn encoded(bencher: Bencher<'_, '_>, format: ContentFormat, path: Path, node: &Node) {
    let mut buffer = Vec::with_capacity(1024);
    bencher.bench_local(|| {
        buffer.clear();
        encode(format, black_box(&path), black_box(node), &mut buffer).unwrap();
        buffer.len()
    });
}

fn decoded(bencher: Bencher<'_, '_>, format: ContentFormat, path: Path, node: &Node) {
    let mut payload = Vec::new();
    encode(format, &path, node, &mut payload).unwrap();
    bencher.bench_local(|| decode(format, &path, &device::V1_0, black_box(&payload)).unwrap());
}

#[divan::bench]
fn encode_tlv_device(bencher: Bencher<'_, '_>) {
    encoded(bencher, ContentFormat::TLV, DEVICE, &device());
}

#[divan::bench]
fn decode_tlv_device(bencher: Bencher<'_, '_>) {
    decoded(bencher, ContentFormat::TLV, DEVICE, &device());
}

#[divan::bench]
fn encode_tlv_integer(bencher: Bencher<'_, '_>) {
    encoded(bencher, ContentFormat::TLV, DEVICE.resource(device::BATTERY_LEVEL), &Node::single(100));
}

#[divan::bench]
fn decode_tlv_integer(bencher: Bencher<'_, '_>) {
    decoded(bencher, ContentFormat::TLV, DEVICE.resource(device::BATTERY_LEVEL), &Node::single(100));
}

#[divan::bench]
fn encode_text_string(bencher: Bencher<'_, '_>) {
    let node = Node::single("Open Mobile Alliance");
    encoded(bencher, ContentFormat::TEXT, DEVICE.resource(device::MANUFACTURER), &node);
}

#[divan::bench]
fn encode_text_integer(bencher: Bencher<'_, '_>) {
    encoded(bencher, ContentFormat::TEXT, DEVICE.resource(device::BATTERY_LEVEL), &Node::single(100));
}

#[divan::bench]
fn decode_text_integer(bencher: Bencher<'_, '_>) {
    decoded(bencher, ContentFormat::TEXT, DEVICE.resource(device::BATTERY_LEVEL), &Node::single(100));
}

fn tree() -> Tree {
    let mut tree = Tree::new();
    tree.insert(TreeObject::new(&server::V1_1).with_instance(0, 0..9));
    tree.insert(TreeObject::new(&device::V1_2).with_instance(0, 0..23));
    tree.insert(TreeObject::new(&connectivity_monitoring::V1_2).with_instance(0, 0..7));
    tree
}

#[divan::bench]
fn emit_registration(bencher: Bencher<'_, '_>) {
    let (tree, mut buffer) = (tree(), Vec::with_capacity(1024));
    bencher.bench_local(|| {
        buffer.clear();
        link::emit_registration(black_box(&tree), Version::V1_1, &[ContentFormat::TLV], &mut buffer);
        buffer.len()
    });
}

#[divan::bench]
fn parse_registration(bencher: Bencher<'_, '_>) {
    let mut payload = Vec::new();
    link::emit_registration(&tree(), Version::V1_1, &[ContentFormat::TLV], &mut payload);
    bencher.bench_local(|| link::parse_registration(black_box(&payload)).unwrap());
}

#[divan::bench]
fn parse_path(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| black_box("/3/0/13").parse::<Path>().unwrap());
}

#[divan::bench]
fn effective_attributes_and_whether_they_are_crossed(bencher: Bencher<'_, '_>) {
    let mut table = AttributeTable::new();
    let path = DEVICE.resource(device::BATTERY_LEVEL);
    for (at, queries) in [(DEVICE, &["pmin=10", "pmax=60"][..]), (path, &["gt=90", "lt=10", "st=5"])] {
        table.write(at, &Changes::parse(queries.iter().copied()).unwrap(), &device::V1_0).unwrap();
    }
    bencher.bench_local(|| {
        let attributes = table.effective(black_box(&path));
        attributes.crossed(black_box(50.0), black_box(54.0)) || attributes.stepped(black_box(50.0), black_box(54.0))
    });
}
