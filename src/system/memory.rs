//! How to recognise that memory ran out.

use serde::{Deserialize, Serialize};

/// The memory that ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Memory {
    /// The memory of the machine, or the part of it that a process may use.
    Host,
    /// The memory of a GPU. Logs had it before there were other GPUs than NVIDIA's.
    #[serde(rename = "cuda")]
    Gpu,
}

/// Whether the machine's memory ran out, judged by the text of a panic or the last output of a process that aborted.
/// That of a GPU is recognised by [`super::gpus::trouble`].
pub(crate) fn ran_out(text: &str) -> bool {
    let text = text.to_lowercase();
    // Messages of the allocators of Rust and C++, and of the system for ENOMEM.
    let host = ["out of memory", "outofmemory", "bad_alloc", "cannot allocate memory", "os error 12)"];
    let is_allocation = text.contains("memory allocation of ") && text.contains(" bytes failed");
    is_allocation || host.iter().any(|word| text.contains(word))
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
        for (text, has_run_out) in [
            ("memory allocation of 1048576 bytes failed\n", true),
            ("panicked at x.rs:1:\ncannot read a: Cannot allocate memory (os error 12)", true),
            ("index out of bounds: the len is 3", false),
            ("", false),
        ] {
            assert_eq!(ran_out(text), has_run_out, "{text}");
        }
    }

    #[test]
    fn a_message_is_judged_by_its_end_alone() {
        assert!(is_refused("cannot map a.bin: Cannot allocate memory (os error 12)"));
        assert!(!is_refused("label `(os error 12)` is unknown"));
    }

    #[test]
    fn memory_is_written_as_in_older_logs() {
        let written = [Memory::Host, Memory::Gpu].map(|memory| serde_json::to_string(&memory).unwrap());
        assert_eq!(written, ["\"host\"", "\"cuda\""]);
    }
}
