use super::Attributes;
use crate::model::{Instance, Node, Path, Value};

impl Attributes {
    /// Whether a change demands a notification, periods aside.
    ///
    /// Without gt, lt and st every difference does. With some of them, any one of them suffices: the value crossed gt
    /// or lt, in either direction, or it differs from the previous one by st or more (LwM2M Core 1.1 section 7.3.2).
    /// Crossing means to leave the threshold or its other side; to reach it is not yet to cross it. For values that are no
    /// numbers gt, lt and st say nothing.
    ///
    /// `previous` is the value notified last. To miss no crossing between two notifications, call this with each
    /// value in turn and keep that a notification is due once it was.
    ///
    /// ```
    /// use lapwing_lwm2m::attributes::Attributes;
    ///
    /// let mut attributes = Attributes::NONE;
    /// attributes.gt = Some(50.0);
    /// assert!(attributes.fires(&49.into(), &51.into()));
    /// assert!(attributes.fires(&51.into(), &49.into()));
    /// assert!(!attributes.fires(&51.into(), &80.into()));
    /// ```
    pub fn fires(&self, previous: &Value, current: &Value) -> bool {
        if same(previous, current) {
            return false;
        }
        match (previous.as_number(), current.as_number()) {
            (Some(from), Some(to)) if self.has_thresholds() && !from.is_nan() && !to.is_nan() => {
                let crossed = |threshold: Option<f64>| {
                    threshold.is_some_and(|at| (from <= at && to > at) || (from >= at && to < at))
                };
                crossed(self.gt) || crossed(self.lt) || self.st.is_some_and(|step| (to - from).abs() >= step)
            }
            _ => true,
        }
    }

    /// Whether the difference of two contents at one path demands a notification: something appeared or vanished, or
    /// [`fires`](Self::fires) for one of the values.
    pub fn fires_for(&self, previous: &Node, current: &Node) -> bool {
        let mut before = previous.values(Path::ROOT);
        let mut now = current.values(Path::ROOT);
        loop {
            match (before.next(), now.next()) {
                (None, None) => return !same_shape(previous, current),
                (Some((from_path, from)), Some((to_path, to))) if from_path == to_path => {
                    if self.fires(from, to) {
                        return true;
                    }
                }
                _ => return true,
            }
        }
    }
}

/// Equality by which a value that stays not-a-number has not changed.
fn same(previous: &Value, current: &Value) -> bool {
    match (previous, current) {
        (Value::Float(from), Value::Float(to)) => from == to || (from.is_nan() && to.is_nan()),
        _ => previous == current,
    }
}

/// Whether two contents that have the same values also have the same instances and resources without values.
fn same_shape(previous: &Node, current: &Node) -> bool {
    match (previous, current) {
        (Node::Object(before), Node::Object(now)) => {
            before.keys().eq(now.keys()) && before.values().zip(now.values()).all(|(a, b)| same_resources(a, b))
        }
        (Node::Instance(before), Node::Instance(now)) => same_resources(before, now),
        _ => previous.level() == current.level(),
    }
}

fn same_resources(before: &Instance, now: &Instance) -> bool {
    before.keys().eq(now.keys())
}
