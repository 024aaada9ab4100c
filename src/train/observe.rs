//! What a running trial reports, and how it is stopped.

use std::path::PathBuf;

pub use crate::cache::Stopped;
use crate::{
    event::{Evaluation, Outcome, Prepared, Progress},
    trial::TrialId,
};

/// What a running trial reports.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// Data and model are ready.
    Prepared(Prepared),
    /// An optimiser step was made.
    Progress(Progress),
    /// The validation set was evaluated. A resumed trial first reports the evaluations of its earlier attempts
    /// again.
    Evaluated(Evaluation),
    /// The trial resumes from a checkpoint.
    Resumed {
        /// Optimiser steps done.
        step: u64,
        /// Epochs done, with a fraction.
        epoch: f64,
        /// The prefix trial, if the checkpoint is that trial's final one.
        from: Option<TrialId>,
    },
    /// A checkpoint is damaged, so that an older one, or none, is used. The text says which one, why, and what
    /// is used instead.
    CheckpointDamaged(String),
    /// Work that takes long is going on.
    Alive,
    /// What was computed has come from the device, and is about to be written. An error forbids that: the device has
    /// failed meanwhile, and the values mean nothing. A wish to stop is no reason.
    Saving,
    /// The disk of this path is full. The trial waits until there is space.
    DiskFull(PathBuf),
    /// The disk has space again, and the trial continues.
    DiskFreed,
}

/// Receives each report of a trial. An error asks the trial to stop at once, in order.
pub type Observe<'a> = dyn FnMut(Report) -> Result<(), Stopped> + 'a;

/// How a trial that did not fail ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// It is complete.
    Complete(Box<Outcome>),
    /// It was stopped as asked.
    Stopped,
    /// It has paused after these epochs, as [`Attempt::pause_after`](crate::job::Attempt::pause_after) says.
    Paused(usize),
}
