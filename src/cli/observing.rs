//! What the user sees while a run lasts: the observer that hands notices to the progress display.

use crate::{
    executor::{Notice, Observer},
    progress::Display,
};

/// Shows notices on standard error.
pub(super) struct ProgressObserver<'a>(pub(super) &'a mut Display);

impl Observer for ProgressObserver<'_> {
    fn on_notice(&mut self, notice: &Notice<'_>) {
        let display = &mut *self.0;
        match notice {
            Notice::Logged(record, study) => display.logged(record, study),
            Notice::Progress(trial, progress) => display.moved(*trial, progress),
            Notice::Workers(line) => display.workers(line),
            Notice::Stopping(times) => display.stopping(*times),
            Notice::Warning(text) => display.print(&format!("warning: {text}")),
            Notice::Note(text) | Notice::Resolved(text) => display.print(text),
        }
    }
}
