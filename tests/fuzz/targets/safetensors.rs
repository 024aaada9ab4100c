//! See `sweep::fuzzing::safetensors`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sweep::fuzzing::safetensors(bytes));
