//! Which failure of a trial a panic is.

use crate::{
    system::{
        gpus::trouble::{self, GpuTrouble},
        memory::{self, Memory},
        panics::Panicked,
        shortage::Shortage,
    },
    trial::FailureKind,
};

/// The failure of a trial that a panic ended.
pub(super) fn kind(panicked: &Panicked) -> FailureKind {
    let Panicked { text, file } = panicked;
    match trouble::of_panic(text, file).map(|(trouble, _)| trouble) {
        Some(GpuTrouble::OutOfMemory) => FailureKind::OutOfMemory(Memory::Gpu),
        Some(GpuTrouble::Lost) => FailureKind::DeviceLost,
        None if memory::ran_out(text) => FailureKind::OutOfMemory(Memory::Host),
        None if Shortage::in_last_words(text).is_some() => FailureKind::Shortage,
        None => FailureKind::Panic,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str, file: &str) -> FailureKind {
        super::kind(&Panicked { text: text.to_owned(), file: file.to_owned() })
    }

    #[test]
    fn a_panic_is_the_failure_that_its_text_and_its_place_say() {
        let cubecl = "/registry/cubecl-cuda-0.10.0/src/compute/stream.rs";
        let error = "DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")";
        assert_eq!(kind(error, cubecl), FailureKind::OutOfMemory(Memory::Gpu));
        assert_eq!(kind("DriverError(CUDA_ERROR_ECC_UNCORRECTABLE, \"\")", cubecl), FailureKind::DeviceLost);
        assert_eq!(
            kind("memory allocation of 8 bytes failed", "src/x.rs"),
            FailureKind::OutOfMemory(Memory::Host)
        );
        assert_eq!(kind("index out of bounds", cubecl), FailureKind::Panic);
    }
}
