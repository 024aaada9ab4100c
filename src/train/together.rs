//! Trials that are trained together: what they are, and who hears of them.

use super::{
    error::TrainError,
    observe::{Ending, Report, Stopped},
};
use crate::{
    job::{Attempt, Job},
    system::files::Place,
};

/// A trial that is trained together with others, in one process and as one model.
#[derive(Clone, Copy, Debug)]
pub struct Entrant<'a> {
    /// Its job.
    pub job: &'a Job,
    /// How this attempt is made.
    pub attempt: Attempt,
    /// Its folder.
    pub folder: &'a Place,
}

/// Hears of trials that are trained together. A trial is named by its place among the entrants, from 0.
pub trait Listener {
    /// Receives each report of a trial. An error asks that trial to stop at once, in order; the others go on.
    fn on_report(&mut self, trial: usize, report: Report) -> Result<(), Stopped>;

    /// A trial is over: it is complete, was stopped or has failed, and nothing more is written into its folder. It comes
    /// once for each trial. The others go on, unless [`Self::on_report`] stops them.
    fn on_end(&mut self, trial: usize, ending: Result<Ending, TrainError>);
}
