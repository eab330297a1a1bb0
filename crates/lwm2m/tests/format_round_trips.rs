//! Whatever can be written can be read again (LwM2M Core 1.1 section 7.4).

use std::collections::BTreeMap;

use lapwing_coap::ContentFormat;
use lapwing_lwm2m::attributes::{AttributeTable, Changes};
use lapwing_lwm2m::definitions::test_object_v1_1::DEFINITION;
use lapwing_lwm2m::format::link::{emit_registration, parse_registration};
use lapwing_lwm2m::format::{self, tlv};
use lapwing_lwm2m::model::{
    Instance, Instances, MAX_ID, Node, ObjectLink, Path, Resource, ResourceDefinition, ResourceType, Tree, TreeObject,
    Value, Version,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use proptest::sample::select;

fn value(kind: ResourceType) -> BoxedStrategy<Value> {
    match kind {
        ResourceType::String => any::<String>().prop_map(Value::String).boxed(),
        ResourceType::Integer => integer().prop_map(Value::Integer).boxed(),
        ResourceType::Time => integer().prop_map(Value::Time).boxed(),
        ResourceType::Unsigned => {
            (any::<u64>(), 0..64).prop_map(|(bits, shift)| Value::Unsigned(bits >> shift)).boxed()
        }
        ResourceType::Float => prop_oneof![
            (proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO).boxed(),
            (proptest::num::f32::NORMAL | proptest::num::f32::ZERO).prop_map(f64::from).boxed(),
        ]
        .prop_map(Value::Float)
        .boxed(),
        ResourceType::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        ResourceType::Opaque | ResourceType::None => {
            prop_oneof![8 => vec(any::<u8>(), 0..20), 1 => vec(any::<u8>(), 250..600)].prop_map(Value::Opaque).boxed()
        }
        ResourceType::ObjectLink => {
            any::<(u16, u16)>().prop_map(|(object, instance)| ObjectLink::new(object, instance).into()).boxed()
        }
        ResourceType::CoreLink => vec("</[a-z0-9/]{0,9}>(;[a-z]{1,3}=[a-z0-9.]{1,4})?", 0..3)
            .prop_map(|links| Value::CoreLink(links.join(",")))
            .boxed(),
    }
}

/// Of every magnitude.
fn integer() -> impl Strategy<Value = i64> {
    (any::<i64>(), 0..64).prop_map(|(bits, shift)| bits >> shift)
}

fn id() -> impl Strategy<Value = u16> {
    prop_oneof![0..4_u16, 250..260_u16, 0..MAX_ID]
}

fn content(definition: &ResourceDefinition) -> BoxedStrategy<Resource> {
    if definition.multiple {
        btree_map(id(), value(definition.kind), 0..4).prop_map(Resource::Multiple).boxed()
    } else {
        value(definition.kind).prop_map(Resource::Single).boxed()
    }
}

fn valued() -> impl Strategy<Value = &'static ResourceDefinition> {
    let valued: Vec<_> = DEFINITION.resources.iter().filter(|resource| resource.kind != ResourceType::None).collect();
    select(valued)
}

fn resource() -> impl Strategy<Value = (u16, Resource)> {
    valued().prop_flat_map(|definition| content(definition).prop_map(|resource| (definition.id, resource)))
}

fn instance() -> impl Strategy<Value = Instance> {
    vec(resource(), 0..8).prop_map(|resources| resources.into_iter().collect())
}

fn instances() -> impl Strategy<Value = Instances> {
    btree_map(id(), instance(), 0..4)
}

fn anywhere() -> impl Strategy<Value = (Path, Node)> {
    let object = Path::object(DEFINITION.id);
    prop_oneof![
        instances().prop_map(move |instances| (object, Node::Object(instances))),
        (id(), instance()).prop_map(move |(id, instance)| (object.instance(id), Node::Instance(instance))),
        (id(), resource()).prop_map(move |(at, (id, resource))| (object.instance(at).resource(id), resource.into())),
        one_of_many(),
    ]
}

fn one_of_many() -> impl Strategy<Value = (Path, Node)> {
    let multiple = valued().prop_filter("multiple", |definition| definition.multiple);
    (id(), id(), multiple).prop_flat_map(|(at, id, definition)| {
        let path = Path::object(DEFINITION.id).instance(at).resource(definition.id).resource_instance(id);
        value(definition.kind).prop_map(move |value| (path, Node::Value(value)))
    })
}

fn one_value() -> impl Strategy<Value = (Path, Node)> {
    anywhere().prop_filter("one value", |(_, node)| node.value().is_some())
}

proptest! {
    #[test]
    fn tlv_at_every_level((path, node) in anywhere()) {
        let mut payload = Vec::new();
        format::encode(ContentFormat::TLV, &path, &node, &mut payload).unwrap();
        let read = format::decode(ContentFormat::TLV, &path, &DEFINITION, &payload);
        prop_assert_eq!(read.as_ref(), Ok(&node));
        prop_assert_eq!(DEFINITION.check(&path, &node), Ok(()));
        // Nothing at all is a multiple resource without instances.
        for cut in 1..payload.len() {
            let read = tlv::decode(&path, &DEFINITION, &payload[..cut]);
            prop_assert_ne!(read.as_ref(), Ok(&node), "cut at {}", cut);
        }
    }

    #[test]
    fn tlv_of_a_create(id in proptest::option::of(id()), instance in instance()) {
        let mut payload = Vec::new();
        format::encode_create(ContentFormat::TLV, id, &instance, &mut payload).unwrap();
        let read = format::decode_create(ContentFormat::TLV, &DEFINITION, &payload);
        prop_assert_eq!(read, Ok((id, instance)));
    }

    #[test]
    fn text_and_opaque((path, node) in one_value()) {
        let opaque = node.value().is_some_and(|value| value.kind() == ResourceType::Opaque);
        for format in [ContentFormat::TEXT, ContentFormat::OPAQUE] {
            let mut payload = Vec::new();
            let written = format::encode(format, &path, &node, &mut payload);
            prop_assert_eq!(written.is_ok(), opaque || format == ContentFormat::TEXT);
            if written.is_ok() {
                let read = format::decode(format, &path, &DEFINITION, &payload);
                prop_assert_eq!(read.as_ref(), Ok(&node));
            }
        }
    }

    #[test]
    fn paths(ids in vec(0..MAX_ID, 0..=4)) {
        let path = Path::from_ids(&ids).unwrap();
        prop_assert_eq!(path.ids(), &ids[..]);
        prop_assert_eq!(path.to_string().parse(), Ok(path));
        let texts: Vec<String> = ids.iter().map(u16::to_string).collect();
        prop_assert_eq!(Path::from_segments(texts.iter().map(String::as_str)), Ok(path));
    }

    #[test]
    fn values_of_a_node_are_found_by_their_paths((path, node) in anywhere()) {
        let mut last = None;
        for (at, value) in node.values(path) {
            prop_assert!(path.contains(&at) && last < Some(at));
            prop_assert_eq!(node.get(&path, &at), Some(value));
            last = Some(at);
        }
    }

    #[test]
    fn registrations(objects in btree_map(1..20_u16, btree_set(0..MAX_ID, 0..4), 0..6), minor in 0..2_u16) {
        let mut tree = Tree::new();
        let known = objects.into_iter().filter_map(|(id, ids)| Some((lapwing_lwm2m::definitions::latest(id)?, ids)));
        for (definition, ids) in known {
            tree.insert(ids.into_iter().fold(TreeObject::new(definition), |object, id| object.with_instance(id, [])));
        }
        let mut payload = Vec::new();
        emit_registration(&tree, Version::new(1, minor), &[ContentFormat::TLV], &mut payload);
        let read = parse_registration(&payload).unwrap();
        prop_assert_eq!(read.objects.len(), tree.objects.len());
        for (id, object) in &tree.objects {
            prop_assert!(read.objects[id].instances.iter().eq(object.instances.keys()));
            prop_assert_eq!(read.objects[id].version.unwrap_or(Version::V1_0), object.definition.version);
        }
    }

    #[test]
    fn attributes(pmin: Option<Option<u32>>, gt in proptest::option::of(proptest::option::of(-1e9..1e9)), st in proptest::option::of(0.0..1e9)) {
        let mut changes = Changes::default();
        (changes.pmin, changes.gt, changes.st) = (pmin, gt, st.map(Some));
        let queries = changes.queries();
        prop_assert_eq!(Changes::parse(queries.iter().map(String::as_str)), Ok(changes));
        let mut table = AttributeTable::new();
        let path = Path::object(DEFINITION.id).instance(0).resource(130);
        table.write(path, &changes, &DEFINITION).unwrap();
        prop_assert_eq!(table.at(&path).pmin, pmin.flatten());
        prop_assert_eq!(table.effective(&path).gt, gt.flatten());
    }
}

/// What decoding holds is bounded by the payload: here as many entries as fit into 64 KiB.
#[test]
fn many_small_entries() {
    let values: BTreeMap<u16, Value> = (0..20_000).map(|id| (id, Value::Opaque(Vec::new()))).collect();
    let node = Node::Resource(Resource::Multiple(values));
    let path = Path::object(DEFINITION.id).instance(0).resource(1150);
    let mut payload = Vec::new();
    tlv::encode(&path, &node, &mut payload).unwrap();
    assert!(payload.len() < 65_536);
    assert_eq!(tlv::decode(&path, &DEFINITION, &payload), Ok(node));
}
