#![no_main]

#[path = "../bodies/dtls_record.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| body::check(bytes));
