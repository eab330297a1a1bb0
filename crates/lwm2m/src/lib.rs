//! LwM2M.
