//! How to recognise that memory ran out.

use serde::{Deserialize, Serialize};

/// The memory that ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Memory {
    /// The memory of the machine, or the part of it that a process may use.
    Host,
    /// The memory of a GPU.
    Cuda,
}

/// The memory that ran out, judged by the text of a panic or the last output of a process that aborted.
/// `None` if the text does not mention memory.
pub(crate) fn ran_out(text: &str) -> Option<Memory> {
    let text = text.to_lowercase();
    // Messages of the CUDA driver, and of cubecl about it (cubecl-cuda/src/compute/storage/gpu.rs).
    let gpu = ["cuda_error_out_of_memory", "can't allocate buffer of size", "out-of-memory error happened"];
    // Messages of the allocators of Rust and C++, and of the system for ENOMEM.
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

/// Whether a message ends with the system's error ENOMEM. Its beginning may quote any text.
pub(crate) fn is_refused(message: &str) -> bool {
    message.ends_with("(os error 12)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_messages_of_allocators_are_recognised() {
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
