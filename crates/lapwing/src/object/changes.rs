use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lapwing_lwm2m::model::{ObjectId, Path, Value};

use crate::driver::Signal;

/// So many paths of one object are kept apart until the driver takes them; beyond, they become one: the object.
const MAX_PATHS: usize = 64;

/// Where an object reports what has changed: cheap to clone, from any thread, never blocking and never full.
///
/// Reports of one path are merged until they are taken. Of numbers the lowest, the highest and the last are kept in their
/// order, so that no threshold of an observation (`gt`, `lt`, `st`) is crossed unseen.
#[derive(Debug, Clone)]
pub struct Changes(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    object: ObjectId,
    set: Mutex<Set>,
    signal: Arc<Signal>,
}

#[derive(Debug, Default)]
struct Set {
    paths: Vec<Changed>,
    instances: bool,
}

/// What happened to one path since it was taken last.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Changed {
    pub(crate) path: Path,
    /// In order of arrival; at most three.
    pub(crate) values: Vec<Value>,
    /// Reported without a value: it has to be read.
    pub(crate) unread: bool,
}

impl Changes {
    /// What is at `path` (a resource, an instance, the object) may be different now; it is read when an observation wants it.
    /// A path of another object is ignored.
    pub fn changed(&self, path: Path) {
        self.report(path, None);
    }

    /// The resource or resource instance at `path` has this value now. Cheaper than [`changed`](Changes::changed) where the value
    /// is at hand, and no crossing of a threshold is missed. A path of another object is ignored.
    pub fn value(&self, path: Path, value: impl Into<Value>) {
        self.report(path, Some(value.into()));
    }

    /// The object has other instances or resources than before: it is asked anew, and the server is told by an Update of the registration.
    pub fn instances_changed(&self) {
        self.0.lock().instances = true;
        self.0.signal.raise();
    }

    fn report(&self, path: Path, value: Option<Value>) {
        if path.object_id() != Some(self.0.object) {
            return;
        }
        self.0.lock().insert(self.0.object, path, value);
        self.0.signal.raise();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Set> {
        self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Set {
    fn insert(&mut self, object: ObjectId, path: Path, value: Option<Value>) {
        let index = match self.paths.iter().position(|known| known.path == path) {
            Some(index) => index,
            None => {
                let path = if self.paths.len() < MAX_PATHS {
                    path
                } else {
                    self.paths.clear();
                    return self.insert(object, Path::object(object), None);
                };
                self.paths.push(Changed { path, values: Vec::new(), unread: false });
                self.paths.len() - 1
            }
        };
        match value {
            Some(value) => self.paths[index].push(value),
            None => self.paths[index].unread = true,
        }
    }
}

impl Changed {
    fn push(&mut self, value: Value) {
        self.values.push(value);
        let Some(numbers) = self.values.iter().map(Value::as_number).collect::<Option<Vec<f64>>>() else {
            self.values.drain(..self.values.len() - 1);
            return;
        };
        if numbers.len() > 3 {
            let order = |a: &usize, b: &usize| numbers[*a].total_cmp(&numbers[*b]);
            let low = (0..numbers.len()).min_by(order);
            let high = (0..numbers.len()).max_by(order);
            let last = Some(numbers.len() - 1);
            let mut index = 0;
            self.values.retain(|_| {
                let keep = [low, high, last].contains(&Some(index));
                index += 1;
                keep
            });
        }
    }
}

/// The driver's end of an object's [`Changes`].
#[derive(Debug)]
pub(crate) struct Pending(Changes);

impl Pending {
    pub(crate) fn new(object: ObjectId, signal: Arc<Signal>) -> Self {
        Self(Changes(Arc::new(Shared { object, set: Mutex::default(), signal })))
    }

    /// What the object reports to.
    pub(crate) fn changes(&self) -> Changes {
        self.0.clone()
    }

    /// Takes what was reported, and whether the object's instances have to be asked for anew.
    pub(crate) fn take(&self) -> (Vec<Changed>, bool) {
        let mut set = self.0.0.lock();
        (std::mem::take(&mut set.paths), std::mem::take(&mut set.instances))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending() -> Pending {
        Pending::new(3303, Arc::default())
    }

    fn resource(id: u16) -> Path {
        Path::object(3303).instance(0).resource(id)
    }

    #[test]
    fn keeps_the_extremes_of_numbers_in_their_order() {
        let pending = pending();
        for number in [20.0, 35.0, 21.0, 5.0, 6.0, 22.0] {
            pending.changes().value(resource(5700), number);
        }
        let (changed, _) = pending.take();
        let values = [35.0, 5.0, 22.0].map(Value::Float).to_vec();
        assert_eq!(changed, [Changed { path: resource(5700), values, unread: false }]);
        assert_eq!(pending.take(), (Vec::new(), false));
    }

    #[test]
    fn keeps_the_last_of_what_has_no_order() {
        let pending = pending();
        for text in ["Cel", "K", "F"] {
            pending.changes().value(resource(5701), text);
        }
        assert_eq!(pending.take().0[0].values, [Value::from("F")]);
    }

    #[test]
    fn merges_the_reports_of_a_path() {
        let pending = pending();
        pending.changes().changed(resource(5700));
        pending.changes().value(resource(5700), 1.0);
        pending.changes().changed(resource(5700));
        let (changed, _) = pending.take();
        assert_eq!(changed, [Changed { path: resource(5700), values: vec![Value::Float(1.0)], unread: true }]);
    }

    #[test]
    fn is_bounded_and_forgets_nothing() {
        let pending = pending();
        for id in 0..1000 {
            pending.changes().value(resource(id), 1.0);
        }
        let (changed, _) = pending.take();
        assert!(changed.len() <= MAX_PATHS);
        let all = Changed { path: Path::object(3303), values: Vec::new(), unread: true };
        assert_eq!(changed[0], all, "{changed:?}");
    }

    #[test]
    fn knows_its_object_only() {
        let pending = pending();
        pending.changes().changed(Path::object(3).instance(0));
        pending.changes().changed(Path::ROOT);
        assert_eq!(pending.take(), (Vec::new(), false));
        pending.changes().instances_changed();
        assert_eq!(pending.take(), (Vec::new(), true));
    }
}
