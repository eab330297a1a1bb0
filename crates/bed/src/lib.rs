//! bed.
