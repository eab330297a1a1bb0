use super::Attributes;
use crate::model::{Node, Value};

/// How a value changed, seen from a server that was told of `previous`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change<'a> {
    /// What the server was told last.
    pub previous: &'a Value,
    /// What the value is now.
    pub current: &'a Value,
}

impl Attributes {
    /// Whether a change demands a notification, periods aside.
    ///
    /// Without gt, lt and st every difference does. With some of them, any one of them suffices: the value crossed gt
    /// or lt, in either direction, or it differs from the previous one by st or more (LwM2M Core 1.1 section 5.1.2).
    /// For values that are no numbers gt, lt and st say nothing.
    ///
    /// `previous` is the value notified last. To miss no crossing between two notifications, call this with each
    /// value in turn and keep that a notification is due once it was.
    pub fn fires(&self, previous: &Value, current: &Value) -> bool {
        todo!("{previous:?} {current:?}")
    }

    /// Whether the difference of two contents at one path demands a notification: something appeared or vanished, or
    /// [`fires`](Self::fires) for a value.
    pub fn fires_for(&self, previous: &Node, current: &Node) -> bool {
        todo!("{previous:?} {current:?}")
    }
}
