//! See `sweep::fuzzing::config`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sweep::fuzzing::config(bytes));
