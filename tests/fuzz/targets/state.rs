//! See `sweep::fuzzing::state`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sweep::fuzzing::state(bytes));
