//! See `sweep::fuzzing::worker_lines`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sweep::fuzzing::worker_lines(bytes));
