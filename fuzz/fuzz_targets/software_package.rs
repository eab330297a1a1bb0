#![no_main]

#[path = "../bodies/software_package.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::check(bytes));
