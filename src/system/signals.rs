//! Signals, for code that does not wait for them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use rustix::process::Signal;
use signal_hook::flag;

/// What a shell says of a process that SIGINT has ended.
const INTERRUPTED: i32 = 130;

/// Lets a write that exceeds the largest size of a file (`ulimit -f`) fail, instead of ending the process.
/// Programs that this process starts must do so for themselves.
pub fn survive_large_files() {
    // Where the handler cannot be set, the process ends as it would have.
    let _ = flag::register(Signal::XFSZ.as_raw(), Arc::default());
}

/// A wish to stop: SIGINT, SIGTERM or SIGHUP.
#[derive(Clone, Debug, Default)]
pub struct StopWish(Arc<AtomicBool>);

impl StopWish {
    /// Listens from now on. A second signal ends the process at once.
    #[must_use]
    pub fn listen() -> Self {
        let wish = Self::default();
        for signal in [Signal::INT, Signal::TERM, Signal::HUP].map(Signal::as_raw) {
            // Where a handler cannot be set, the signal does what it did before.
            let _ = flag::register_conditional_shutdown(signal, INTERRUPTED, Arc::clone(&wish.0));
            let _ = flag::register(signal, Arc::clone(&wish.0));
        }
        wish
    }

    /// Whether a signal has come.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
