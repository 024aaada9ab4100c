//! What panicked in a worker, and which failure that is.
//!
//! cubecl serves a GPU on a thread of its own. When that panics it goes on without what it was asked for, and all that is
//! computed afterwards is garbage: the first such panic fails the trial, wherever training is.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::{
    system::{
        gpus::trouble::{self, GpuTrouble},
        memory::{self, Memory},
        shortage::Shortage,
    },
    trial::FailureKind,
};

/// A panic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Panicked {
    /// Its text, with its place.
    pub(super) text: String,
    /// The source file in which it was raised.
    pub(super) file: String,
}

impl Panicked {
    /// What is said of it, beginning with what it means for a GPU.
    pub(super) fn message(&self) -> String {
        let begin = match trouble::of_panic(&self.text, &self.file) {
            Some(GpuTrouble::OutOfMemory) => "the GPU's memory ran out: ",
            Some(GpuTrouble::Lost) => "the GPU is lost: ",
            None => "",
        };
        format!("{begin}{}", self.text)
    }

    /// The failure of a trial that it ended.
    pub(super) fn kind(&self) -> FailureKind {
        match trouble::of_panic(&self.text, &self.file) {
            Some(GpuTrouble::OutOfMemory) => FailureKind::OutOfMemory(Memory::Gpu),
            Some(GpuTrouble::Lost) => FailureKind::DeviceLost,
            None if memory::ran_out(&self.text) => FailureKind::OutOfMemory(Memory::Host),
            None if Shortage::in_last_words(&self.text).is_some() => FailureKind::Shortage,
            None => FailureKind::Panic,
        }
    }
}

/// The panics of this process.
#[derive(Clone, Debug, Default)]
pub(super) struct Panics {
    last: Arc<Mutex<Panicked>>,
    elsewhere: Arc<OnceLock<Panicked>>,
}

impl Panics {
    /// Keeps the panics of this process from now on, besides printing them. The calling thread is the one that trains.
    pub(super) fn record() -> Self {
        let panics = Self::default();
        let kept = panics.clone();
        let trains = std::thread::current().id();
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let file = info.location().map(|place| place.file().to_owned()).unwrap_or_default();
            let panicked = Panicked { text: info.to_string(), file };
            // Threads that compute for the one that trains hand their panics to it.
            let is_elsewhere =
                std::thread::current().id() != trains && rayon::current_thread_index().is_none();
            if !is_elsewhere {
                kept.note(panicked);
            } else if !kept.note_elsewhere(panicked) {
                // The hundreds that follow from the first would fill the log.
                return;
            }
            print(info);
        }));
        panics
    }

    /// Keeps a panic of the thread that trains.
    pub(super) fn note(&self, panicked: Panicked) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = panicked;
    }

    /// Keeps a panic of another thread. Returns whether it is the first.
    pub(super) fn note_elsewhere(&self, panicked: Panicked) -> bool {
        self.elsewhere.set(panicked).is_ok()
    }

    /// The latest panic of the thread that trains.
    pub(super) fn last(&self) -> Panicked {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first panic of another thread.
    pub(super) fn elsewhere(&self) -> Option<&Panicked> {
        self.elsewhere.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(text: &str, file: &str) -> FailureKind {
        Panicked { text: text.to_owned(), file: file.to_owned() }.kind()
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

    #[test]
    fn a_panic_about_a_gpu_says_what_it_means() {
        let message = |text: &str| {
            let file = "/registry/wgpu-29.0.4/src/api/device.rs".to_owned();
            Panicked { text: text.to_owned(), file }.message()
        };
        assert_eq!(message("Not enough memory left."), "the GPU's memory ran out: Not enough memory left.");
        assert_eq!(message("Parent device is lost"), "the GPU is lost: Parent device is lost");
        assert_eq!(message("a bug"), "a bug");
    }

    #[test]
    fn the_first_panic_of_another_thread_is_kept() {
        let panics = Panics::default();
        let panicked = |text: &str| Panicked { text: text.to_owned(), ..Panicked::default() };
        assert!(panics.note_elsewhere(panicked("first")));
        assert!(!panics.note_elsewhere(panicked("second")));
        assert_eq!(panics.elsewhere(), Some(&panicked("first")));
    }
}
