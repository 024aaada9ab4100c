//! See `sweep::fuzzing::spec`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sweep::fuzzing::spec(bytes));
