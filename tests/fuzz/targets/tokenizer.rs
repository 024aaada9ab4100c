//! See `sweep::fuzzing::tokenizer`.

#![no_main]

libfuzzer_sys::fuzz_target!(
    // libFuzzer ends at each panic, even at one that is caught. A panic that is not caught still ends the process.
    init: std::panic::set_hook(Box::new(|_| {})),
    |bytes: &[u8]| sweep::fuzzing::tokenizer(bytes)
);
