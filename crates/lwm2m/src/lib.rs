//! LwM2M.

mod time;

pub use time::Now;
