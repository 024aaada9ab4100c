//! The panics of this process.
//!
//! cubecl serves a GPU on a thread of its own. When that panics it goes on without what it was asked for, and all that is
//! computed afterwards is garbage: the first such panic is kept for those who use what was computed.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::gpus::trouble::{self, GpuTrouble};

/// A panic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Panicked {
    /// Its text, with its place.
    pub(crate) text: String,
    /// The source file in which it was raised.
    pub(crate) file: String,
}

impl Panicked {
    /// What is said of it. Where a GPU is in trouble, it is that, in the driver's words.
    pub(crate) fn message(&self) -> String {
        match trouble::of_panic(&self.text, &self.file) {
            Some((GpuTrouble::OutOfMemory, words)) => format!("the GPU's memory ran out: {words}"),
            Some((GpuTrouble::Lost, words)) => format!("the GPU is lost: {words}"),
            None => self.text.clone(),
        }
    }
}

/// The panics of this process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Panics {
    last: Arc<Mutex<Panicked>>,
    elsewhere: Arc<OnceLock<Panicked>>,
}

impl Panics {
    /// Keeps the panics of this process from now on, besides printing them. The calling thread is the one that trains.
    pub(crate) fn record() -> Self {
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
    pub(crate) fn note(&self, panicked: Panicked) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = panicked;
    }

    /// Keeps a panic of another thread. Returns whether it is the first.
    pub(crate) fn note_elsewhere(&self, panicked: Panicked) -> bool {
        self.elsewhere.set(panicked).is_ok()
    }

    /// The latest panic of the thread that trains.
    pub(crate) fn last(&self) -> Panicked {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The first panic of another thread.
    pub(crate) fn elsewhere(&self) -> Option<&Panicked> {
        self.elsewhere.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_about_a_gpu_says_what_it_means() {
        let message = |text: &str| {
            let file = "/registry/wgpu-29.0.4/src/api/device.rs".to_owned();
            Panicked { text: text.to_owned(), file }.message()
        };
        assert_eq!(message("Not enough memory left."), "the GPU's memory ran out: Not enough memory left.");
        let raised = "panicked at device.rs:1:2:\nError in Queue::submit\n  Parent device is lost";
        assert_eq!(message(raised), "the GPU is lost: Parent device is lost");
        let raised = "called `unwrap()`: DriverError(CUDA_ERROR_LAUNCH_FAILED, \"unspecified\")";
        assert_eq!(message(raised), "the GPU is lost: CUDA_ERROR_LAUNCH_FAILED");
        let raised = "can't allocate buffer of size: 512\nNo backtrace available";
        assert_eq!(message(raised), "the GPU's memory ran out: can't allocate buffer of size: 512");
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
