use std::collections::VecDeque;
use std::sync::Arc;

use lapwing_lwm2m::client::OperationId;
use lapwing_lwm2m::model::{DefinitionRef, ObjectId, Path, Tree, TreeObject};

use super::signal::Signal;
use crate::object::{Erased, Mutation, Pending, Task};

/// So many boxes of past reads are kept for the next, for each object.
const MAX_IDLE: usize = 4;

/// The application's objects, and what the driver keeps about each.
pub(super) struct Objects(Vec<Entry>);

/// An operation as the engine knows it, and where it is traced.
pub(super) struct Asked {
    pub(super) id: OperationId,
    pub(super) span: tracing::Span,
}

/// One object.
pub(super) struct Entry {
    pub(super) object: Arc<dyn Erased>,
    pub(super) pending: Pending,
    /// Mutations that wait for the one that is running.
    pub(super) waiting: VecDeque<(Asked, Mutation)>,
    pub(super) mutating: bool,
    id: ObjectId,
    definition: DefinitionRef,
    observed: Vec<Path>,
    idle: Vec<Task>,
}

impl Objects {
    /// Takes the objects, and tells each where to report changes.
    pub(super) fn new(objects: Vec<Arc<dyn Erased>>, signal: &Arc<Signal>) -> Self {
        let entry = |object: Arc<dyn Erased>| {
            let definition = DefinitionRef::from(object.definition().clone());
            let id = definition.id;
            let pending = Pending::new(id, Arc::clone(signal));
            object.watch(&[], pending.changes());
            let (waiting, observed, idle) = (VecDeque::new(), Vec::new(), Vec::new());
            Entry { object, pending, waiting, mutating: false, id, definition, observed, idle }
        };
        Self(objects.into_iter().map(entry).collect())
    }

    pub(super) fn get(&mut self, path: &Path) -> Option<&mut Entry> {
        let id = path.object_id()?;
        self.0.iter_mut().find(|entry| entry.id == id)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.0.iter_mut()
    }

    /// Takes away a mutation that has not begun, if it is there.
    pub(super) fn forget_waiting(&mut self, id: OperationId) -> bool {
        self.0.iter_mut().any(|entry| {
            let before = entry.waiting.len();
            entry.waiting.retain(|(asked, _)| asked.id != id);
            entry.waiting.len() < before
        })
    }

    /// What there is now.
    pub(super) fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        for entry in &self.0 {
            let mut object = TreeObject::new(entry.definition.clone());
            for instance in entry.object.instances() {
                object = object.with_instance(instance, entry.object.resources(instance).iter().copied());
            }
            for resource in entry.object.streamed() {
                object = object.with_streamed(*resource);
            }
            tree.insert(object);
        }
        tree
    }

    /// Tells the objects what is observed now; those for which nothing has changed are not disturbed.
    pub(super) fn watch(&mut self, observed: &[Path]) {
        for entry in &mut self.0 {
            let own = observed.iter().filter(|path| path.object_id() == Some(entry.id));
            if !own.clone().eq(&entry.observed) {
                entry.observed = own.copied().collect();
                entry.object.watch(&entry.observed, entry.pending.changes());
            }
        }
    }
}

impl Entry {
    /// The reading of what is at `path`, in a box that was used before if there is one.
    pub(super) fn read(&mut self, path: Path) -> Task {
        let mut task = self.idle.pop().unwrap_or_else(|| Task::new(std::future::pending()));
        Arc::clone(&self.object).read(path, &mut task);
        task
    }

    /// Takes back the box of a read that has ended.
    pub(super) fn recycle(&mut self, task: Task) {
        if self.idle.len() < MAX_IDLE {
            self.idle.push(task);
        }
    }
}
