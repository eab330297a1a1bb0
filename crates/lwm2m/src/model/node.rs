use std::collections::BTreeMap;
use std::collections::btree_map;

use super::{InstanceId, Level, Path, ResourceId, ResourceInstanceId, Value};

/// The content of a resource.
#[derive(Debug, Clone, PartialEq)]
pub enum Resource {
    /// The value of a resource that exists once.
    Single(Value),
    /// The values of a multiple resource, by the number of the resource instance; may be empty.
    Multiple(BTreeMap<ResourceInstanceId, Value>),
}

impl Resource {
    /// A multiple resource from anything convertible to values.
    ///
    /// ```
    /// use lapwing_lwm2m::model::{Resource, Value};
    ///
    /// let voltages = Resource::multiple([(0, 3800), (1, 5000)]);
    /// assert_eq!(voltages.get(1), Some(&Value::Integer(5000)));
    /// ```
    pub fn multiple<V: Into<Value>>(values: impl IntoIterator<Item = (ResourceInstanceId, V)>) -> Resource {
        Resource::Multiple(values.into_iter().map(|(id, value)| (id, value.into())).collect())
    }

    /// The value of a single resource.
    pub fn value(&self) -> Option<&Value> {
        match self {
            Resource::Single(value) => Some(value),
            Resource::Multiple(_) => None,
        }
    }

    /// The value of an instance of a multiple resource.
    pub fn get(&self, instance: ResourceInstanceId) -> Option<&Value> {
        match self {
            Resource::Single(_) => None,
            Resource::Multiple(values) => values.get(&instance),
        }
    }

    /// How many instances a multiple resource has (its dimension, `dim` in Discover); `None` for a single one.
    pub fn dimension(&self) -> Option<usize> {
        match self {
            Resource::Single(_) => None,
            Resource::Multiple(values) => Some(values.len()),
        }
    }
}

impl<V: Into<Value>> From<V> for Resource {
    fn from(value: V) -> Resource {
        Resource::Single(value.into())
    }
}

/// The content of an instance of an object: its resources by number.
pub type Instance = BTreeMap<ResourceId, Resource>;

/// The content of an object: its instances by number.
pub type Instances = BTreeMap<InstanceId, Instance>;

/// The content at one path.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// At a resource instance.
    Value(Value),
    /// At a resource.
    Resource(Resource),
    /// At an instance of an object.
    Instance(Instance),
    /// At an object.
    Object(Instances),
}

impl Node {
    /// A single resource with this value.
    pub fn single(value: impl Into<Value>) -> Node {
        Node::Resource(Resource::Single(value.into()))
    }

    /// The level at which this content stands.
    pub const fn level(&self) -> Level {
        match self {
            Node::Value(_) => Level::ResourceInstance,
            Node::Resource(_) => Level::Resource,
            Node::Instance(_) => Level::Instance,
            Node::Object(_) => Level::Object,
        }
    }

    /// The one value, if this is a resource instance or a single resource.
    pub fn value(&self) -> Option<&Value> {
        match self {
            Node::Value(value) | Node::Resource(Resource::Single(value)) => Some(value),
            _ => None,
        }
    }

    /// Every value with its path, in the order of the paths; `base` is where this node stands.
    pub fn values(&self, base: Path) -> Values<'_> {
        Values { stack: vec![(base, Iter::new(self))] }
    }

    /// The value at `path`, when this node stands at `base`.
    pub fn get(&self, base: &Path, path: &Path) -> Option<&Value> {
        let below = base.contains(path).then(|| &path.ids()[base.ids().len()..])?;
        match (self, below) {
            (Node::Value(value), []) => Some(value),
            (Node::Resource(resource), below) => resource_value(resource, below),
            (Node::Instance(instance), [resource, below @ ..]) => resource_value(instance.get(resource)?, below),
            (Node::Object(instances), [instance, resource, below @ ..]) => {
                resource_value(instances.get(instance)?.get(resource)?, below)
            }
            _ => None,
        }
    }
}

fn resource_value<'a>(resource: &'a Resource, below: &[u16]) -> Option<&'a Value> {
    match (resource, below) {
        (Resource::Single(value), []) => Some(value),
        (Resource::Multiple(values), [id]) => values.get(id),
        _ => None,
    }
}

impl From<Resource> for Node {
    fn from(resource: Resource) -> Node {
        Node::Resource(resource)
    }
}

impl From<Instance> for Node {
    fn from(instance: Instance) -> Node {
        Node::Instance(instance)
    }
}

impl From<Instances> for Node {
    fn from(instances: Instances) -> Node {
        Node::Object(instances)
    }
}

/// The values of a [`Node`] with their paths, see [`Node::values`].
#[derive(Debug, Clone)]
pub struct Values<'a> {
    stack: Vec<(Path, Iter<'a>)>,
}

#[derive(Debug, Clone)]
enum Iter<'a> {
    Once(Option<&'a Value>),
    Values(btree_map::Iter<'a, ResourceInstanceId, Value>),
    Resources(btree_map::Iter<'a, ResourceId, Resource>),
    Instances(btree_map::Iter<'a, InstanceId, Instance>),
}

impl<'a> Iter<'a> {
    fn new(node: &'a Node) -> Iter<'a> {
        match node {
            Node::Value(value) => Iter::Once(Some(value)),
            Node::Resource(resource) => Iter::resource(resource),
            Node::Instance(instance) => Iter::Resources(instance.iter()),
            Node::Object(instances) => Iter::Instances(instances.iter()),
        }
    }

    fn resource(resource: &'a Resource) -> Iter<'a> {
        match resource {
            Resource::Single(value) => Iter::Once(Some(value)),
            Resource::Multiple(values) => Iter::Values(values.iter()),
        }
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = (Path, &'a Value);

    fn next(&mut self) -> Option<(Path, &'a Value)> {
        loop {
            let (base, iter) = self.stack.last_mut()?;
            let base = *base;
            let below = match iter {
                Iter::Once(value) => match value.take() {
                    Some(value) => return Some((base, value)),
                    None => None,
                },
                Iter::Values(values) => match values.next() {
                    // Numbers that cannot be addressed (65535) are not listed.
                    Some((id, value)) => match base.child(*id) {
                        Some(path) => return Some((path, value)),
                        None => continue,
                    },
                    None => None,
                },
                Iter::Resources(resources) => {
                    resources.next().map(|(id, next)| (base.child(*id), Iter::resource(next)))
                }
                Iter::Instances(all) => all.next().map(|(id, next)| (base.child(*id), Iter::Resources(next.iter()))),
            };
            match below {
                Some((Some(path), iter)) => self.stack.push((path, iter)),
                Some((None, _)) => {}
                None => drop(self.stack.pop()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MAX_ID;

    fn object() -> Node {
        let instance: Instance =
            [(0, "x".into()), (6, Resource::multiple([(0, 1), (3, 5)])), (7, Resource::multiple::<i64>([]))].into();
        Node::Object([(0, instance), (2, Instance::new())].into())
    }

    #[test]
    fn values_come_with_their_paths() {
        let values: Vec<_> =
            object().values(Path::object(3)).map(|(path, value)| (path.to_string(), value.clone())).collect();
        let expected: [(&str, Value); 3] = [("/3/0/0", "x".into()), ("/3/0/6/0", 1.into()), ("/3/0/6/3", 5.into())];
        assert_eq!(values, expected.map(|(path, value)| (path.to_owned(), value)));
        let path = Path::object(3).instance(0).resource(6).resource_instance(3);
        assert_eq!(Node::Value(5.into()).values(path).collect::<Vec<_>>(), [(path, &Value::Integer(5))]);
    }

    #[test]
    fn what_cannot_be_addressed_is_not_listed() {
        let node = Node::Resource(Resource::multiple([(1, 1), (MAX_ID, 2)]));
        assert_eq!(node.values(Path::object(3).instance(0).resource(6)).count(), 1);
        assert_eq!(Node::Object([(MAX_ID, [(0, 1.into())].into())].into()).values(Path::object(3)).count(), 0);
    }

    #[test]
    fn values_are_found_by_path() {
        let (object, base) = (object(), Path::object(3));
        let get = |path: &str| object.get(&base, &path.parse().unwrap());
        assert_eq!(get("/3/0/6/3"), Some(&Value::Integer(5)));
        assert_eq!(get("/3/0/0"), Some(&Value::String("x".into())));
        for path in ["/3", "/3/0", "/3/0/6", "/3/0/6/1", "/3/0/0/0", "/3/0/9", "/3/1/0", "/4/0/0"] {
            assert_eq!(get(path), None, "{path}");
        }
        assert_eq!(object.get(&Path::object(3).instance(0), &base), None);
    }

    #[test]
    fn levels_and_single_values() {
        assert_eq!(object().level(), Level::Object);
        assert_eq!(Node::single(1).value(), Some(&Value::Integer(1)));
        assert_eq!(Node::Resource(Resource::multiple([(0, 1)])).value(), None);
        assert_eq!(Resource::multiple([(0, 1), (9, 1)]).dimension(), Some(2));
        assert_eq!((Resource::from(1).dimension(), Resource::from(1).get(0)), (None, None));
    }
}
