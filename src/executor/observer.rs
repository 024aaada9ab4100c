//! Who hears what happens in a run: progress on a terminal, pictures, and what else may come.

use tokio::sync::mpsc;

use crate::{
    event::{Progress, Record},
    study::Study,
    trial::TrialId,
};

/// What observers hear while a run lasts.
#[derive(Debug)]
pub enum Notice<'a> {
    /// This record was logged; the study is the one after it.
    Logged(&'a Record, &'a Study),
    /// A trial has moved on; this is not logged.
    Progress(TrialId, &'a Progress),
    /// The user asked to stop, for the first, second, … time.
    Stopping(u32),
    /// Something that people should know, and that does not end the run.
    Warning(String),
    /// What the last warning was about is over; the text says how.
    Resolved(String),
}

/// Hears what happens in a run. Observers decide nothing, and their failure fails no trial.
pub trait Observer {
    /// The run begins, with this study. `warnings` takes what all observers should hear.
    fn on_start(&mut self, _study: &Study, _warnings: &Warnings) {}

    /// Something happened. The loop waits for the answer, so that long work belongs on a thread.
    fn on_notice(&mut self, notice: &Notice<'_>);

    /// The run is over. Comes back once the observer's own work is done.
    fn on_end(&mut self) {}
}

impl<F: FnMut(&Notice<'_>)> Observer for F {
    fn on_notice(&mut self, notice: &Notice<'_>) {
        self(notice);
    }
}

/// The way for warnings from observers and other threads to the loop, which shows them.
#[derive(Clone, Debug)]
pub struct Warnings(mpsc::UnboundedSender<String>);

impl Warnings {
    /// A way for warnings, and its end.
    pub(super) fn channel() -> (Self, mpsc::UnboundedReceiver<String>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Shows a warning to the user, as long as the run lasts.
    pub fn send(&self, warning: String) {
        // Nobody is left to be warned once the run is over.
        let _ = self.0.send(warning);
    }
}

/// The observers of a run.
pub(super) struct Observers<'a>(Vec<&'a mut dyn Observer>);

impl<'a> Observers<'a> {
    pub(super) const fn new(observers: Vec<&'a mut dyn Observer>) -> Self {
        Self(observers)
    }

    pub(super) fn start(&mut self, study: &Study, warnings: &Warnings) {
        self.0.iter_mut().for_each(|observer| observer.on_start(study, warnings));
    }

    pub(super) fn notify(&mut self, notice: &Notice<'_>) {
        self.0.iter_mut().for_each(|observer| observer.on_notice(notice));
    }

    pub(super) fn end(&mut self) {
        self.0.iter_mut().for_each(|observer| observer.on_end());
    }
}
