//! See `sweep::fuzzing::torch`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sweep::fuzzing::torch(bytes));
