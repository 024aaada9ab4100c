//! The terminal below the bars.

use std::io;

use rustix::{
    process::getpgrp,
    termios::{LocalModes, OptionalActions, tcgetattr, tcgetpgrp, tcsetattr},
};

/// Keeps the terminal of standard error, while it lives, from showing Ctrl-C as `^C`.
///
/// A bar's line is as wide as the terminal, so `^C` would begin a line of its own, and the bars
/// could not be taken away from where they are thought to be.
pub(super) struct HiddenControls {
    is_changed: bool,
}

impl HiddenControls {
    /// Hides control characters, if the terminal shows them and this process may say so.
    pub(super) fn begin() -> Self {
        Self { is_changed: set(false) }
    }
}

impl Drop for HiddenControls {
    fn drop(&mut self) {
        if self.is_changed {
            set(true);
        }
    }
}

/// Sets whether control characters are shown; whether that changed anything.
fn set(shown: bool) -> bool {
    let terminal = io::stderr();
    // The terminal stops a background process that changes it.
    if tcgetpgrp(&terminal).ok() != Some(getpgrp()) {
        return false;
    }
    let Ok(mut modes) = tcgetattr(&terminal) else { return false };
    if modes.local_modes.contains(LocalModes::ECHOCTL) == shown {
        return false;
    }
    modes.local_modes.set(LocalModes::ECHOCTL, shown);
    tcsetattr(&terminal, OptionalActions::Now, &modes).is_ok()
}
