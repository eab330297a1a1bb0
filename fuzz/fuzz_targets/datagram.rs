#![no_main]

#[path = "../bodies/datagram.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    body::check(bytes);
    body::check_description(bytes);
});
