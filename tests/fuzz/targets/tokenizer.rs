//! See `sweep::fuzzing::tokenizer`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sweep::fuzzing::tokenizer(bytes));
