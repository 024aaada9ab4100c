//! See `sweep::fuzzing::log`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sweep::fuzzing::log(bytes));
