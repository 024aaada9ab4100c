//! What it looks like when memory runs out.

use serde::{Deserialize, Serialize};

/// Whose memory ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Memory {
    /// The machine's, or what of it a process may have.
    Host,
    /// The GPU's.
    Cuda,
}

/// Whose memory ran out, if a panic's text, or what a process said before it aborted, tells so.
pub(crate) fn ran_out(text: &str) -> Option<Memory> {
    let text = text.to_lowercase();
    // CUDA's driver, and cubecl's words for what the driver says (cubecl-cuda/src/compute/storage/gpu.rs).
    let gpu = ["cuda_error_out_of_memory", "can't allocate buffer of size", "out-of-memory error happened"];
    // Rust's allocator, C++'s, and the system's ENOMEM.
    let host = ["out of memory", "outofmemory", "bad_alloc", "cannot allocate memory", "os error 12)"];
    let is_allocation = text.contains("memory allocation of ") && text.contains(" bytes failed");
    let names = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if names(&gpu) || (names(&host) && text.contains("cuda")) {
        Some(Memory::Cuda)
    } else if is_allocation || names(&host) {
        Some(Memory::Host)
    } else {
        None
    }
}

/// Whether a system's error, which may stand at the end of a message with any texts, is ENOMEM.
pub(crate) fn is_refused(message: &str) -> bool {
    message.ends_with("(os error 12)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_allocators_are_known() {
        for (text, memory) in [
            ("memory allocation of 1048576 bytes failed\n", Some(Memory::Host)),
            ("panicked at x.rs:1:\ncannot read a: Cannot allocate memory (os error 12)", Some(Memory::Host)),
            ("DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")", Some(Memory::Cuda)),
            ("can't allocate buffer of size: 4294967296", Some(Memory::Cuda)),
            ("cudaMalloc: out of memory", Some(Memory::Cuda)),
            ("index out of bounds: the len is 3", None),
            ("", None),
        ] {
            assert_eq!(ran_out(text), memory, "{text}");
        }
    }

    #[test]
    fn a_message_is_judged_by_its_end_alone() {
        assert!(is_refused("cannot map a.bin: Cannot allocate memory (os error 12)"));
        assert!(!is_refused("label `(os error 12)` is unknown"));
    }
}
