//! How to recognise what a GPU's driver complains of.
//!
//! cubecl and wgpu report errors as panics, on their own threads too, so that their texts are all there is. Two things
//! keep other texts apart: where the panic was raised, and the exact names of the errors.

/// What a GPU's driver complains of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GpuTrouble {
    /// Its memory ran out.
    OutOfMemory,
    /// It cannot be used any more, at least not by this process.
    Lost,
}

/// Errors of the CUDA driver after which a GPU is of no use to a process that did nothing wrong.
const LOST: [&str; 11] = [
    "CUDA_ERROR_NO_DEVICE",
    "CUDA_ERROR_INVALID_DEVICE",
    "CUDA_ERROR_DEVICE_UNAVAILABLE",
    "CUDA_ERROR_ECC_UNCORRECTABLE",
    "CUDA_ERROR_NVLINK_UNCORRECTABLE",
    "CUDA_ERROR_HARDWARE_STACK_ERROR",
    "CUDA_ERROR_LAUNCH_FAILED",
    "CUDA_ERROR_LAUNCH_TIMEOUT",
    "CUDA_ERROR_CONTAINED",
    "CUDA_ERROR_SYSTEM_NOT_READY",
    "CUDA_ERROR_UNKNOWN",
];
/// What the CUDA driver calls it when memory runs out.
const OUT_OF_MEMORY: &str = "CUDA_ERROR_OUT_OF_MEMORY";
/// What cubecl makes of that (`IoError::BufferTooBig`), before the number of bytes.
const NO_BUFFER: &str = "can't allocate buffer of size: ";
/// `wgpu_core::device::DeviceError`.
const WGPU: [(&str, GpuTrouble); 2] =
    [("Parent device is lost", GpuTrouble::Lost), ("Not enough memory left.", GpuTrouble::OutOfMemory)];
/// Parts of the paths of sources in which such errors become panics: the crates below us, and our tensors.
const SOURCES: [&str; 5] = ["/cubecl", "/cudarc-", "/burn-", "/wgpu", "src/train/"];
/// Sources of ours that quote texts of users.
const QUOTING: &str = "src/train/text/";

/// What a panic with this text, raised in this source file, says of the GPU, and the words that say it.
pub(crate) fn of_panic<'a>(text: &'a str, file: &str) -> Option<(GpuTrouble, &'a str)> {
    let is_below = SOURCES.iter().any(|source| file.contains(source)) && !file.contains(QUOTING);
    if is_below { of_text(text) } else { None }
}

fn of_text(text: &str) -> Option<(GpuTrouble, &str)> {
    let mut words = text.split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'));
    let full = words.clone().find(|word| *word == OUT_OF_MEMORY).or_else(|| with_number(text, NO_BUFFER));
    if let Some(words) = full {
        return Some((GpuTrouble::OutOfMemory, words));
    }
    if let Some(name) = words.find(|word| LOST.contains(word)) {
        return Some((GpuTrouble::Lost, name));
    }
    WGPU.into_iter().find(|(message, _)| text.contains(message)).map(|(message, trouble)| (trouble, message))
}

/// The part of `text` that begins so, up to the end of the number that follows.
fn with_number<'a>(text: &'a str, begin: &str) -> Option<&'a str> {
    let found = &text[text.find(begin)?..];
    let digits = found[begin.len()..].bytes().take_while(u8::is_ascii_digit).count();
    (digits > 0).then(|| &found[..begin.len() + digits])
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "/home/x/.cargo/registry/src/index/cubecl-cuda-0.10.0/src/compute/stream.rs";

    #[test]
    fn errors_are_recognised_by_their_names() {
        for (text, trouble) in [
            (
                r#"called `unwrap()` on an `Err` value: DriverError(CUDA_ERROR_OUT_OF_MEMORY, "out of memory")"#,
                Some(GpuTrouble::OutOfMemory),
            ),
            ("can't allocate buffer of size: 4294967296\n", Some(GpuTrouble::OutOfMemory)),
            (
                r#"DriverError(CUDA_ERROR_LAUNCH_FAILED, "unspecified launch failure")"#,
                Some(GpuTrouble::Lost),
            ),
            (r#"DriverError(CUDA_ERROR_ECC_UNCORRECTABLE, "")"#, Some(GpuTrouble::Lost)),
            (
                "Error in Queue::submit: Validation Error\nCaused by:\n  Parent device is lost",
                Some(GpuTrouble::Lost),
            ),
            ("In Device::create_buffer\n  Not enough memory left.", Some(GpuTrouble::OutOfMemory)),
            (r#"DriverError(CUDA_ERROR_ILLEGAL_ADDRESS, "an illegal memory access was encountered")"#, None),
            (r#"DriverError(CUDA_ERROR_UNKNOWN_THING, "")"#, None),
            ("can't allocate buffer of size: many", None),
            ("index out of bounds", None),
        ] {
            assert_eq!(of_panic(text, STREAM).map(|(trouble, _)| trouble), trouble, "{text}");
        }
    }

    #[test]
    fn a_text_of_a_user_is_no_error_of_a_gpu() {
        let text = "byte index 3 is not a char boundary of `CUDA_ERROR_OUT_OF_MEMORY é`";
        for file in ["src/train/text/chunking.rs", "src/data/records.rs", "library/core/src/str/mod.rs"] {
            assert_eq!(of_panic(text, file), None, "{file}");
        }
        let found = of_panic(text, "src/train/recipe/step.rs");
        assert_eq!(found, Some((GpuTrouble::OutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY")));
    }
}
