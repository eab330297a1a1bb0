#![no_main]

#[path = "../bodies/link_format.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::check(bytes));
