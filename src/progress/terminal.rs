//! The width and the settings of the terminal that the bars are drawn on.

use std::io;

use rustix::{
    process::getpgrp,
    termios::{LocalModes, OptionalActions, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr},
};

/// Columns of a terminal that does not say how many it has.
const COLUMNS_DEFAULT: usize = 80;

/// The columns of the terminal of standard error, now.
pub(super) fn columns() -> usize {
    let size = tcgetwinsize(io::stderr()).ok().map(|size| usize::from(size.ws_col));
    size.filter(|columns| *columns > 0).unwrap_or(COLUMNS_DEFAULT)
}

/// Keeps the terminal of standard error, while it lives, from showing Ctrl-C as `^C`.
///
/// The line of a bar is as wide as the terminal, so `^C` would begin another line, and removing the bars
/// would clear the wrong lines.
pub(super) struct HiddenControls {
    is_changed: bool,
}

impl HiddenControls {
    /// Hides control characters, if the terminal shows them and this process may change it.
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

/// Sets whether control characters are shown. Returns whether that changed the terminal.
fn set(shown: bool) -> bool {
    let terminal = io::stderr();
    // A background process that changes the terminal is stopped by SIGTTOU.
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
