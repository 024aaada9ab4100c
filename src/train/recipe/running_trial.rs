//! Everything that stays the same while a trial runs.

use super::{clock::Clock, frozen::Frozen, learner::Learner};
use crate::{
    cache::ChangedEntry,
    job::{Attempt, Job},
    settings::Settings,
    system::files::Place,
    train::{
        backend::Compute,
        learning::loss::Objective,
        text::{corpus::Corpus, documents::Documents},
    },
};

/// What stays the same while a trial runs.
pub(super) struct RunningTrial<'a, C: Compute> {
    pub(super) job: &'a Job,
    pub(super) attempt: Attempt,
    pub(super) folder: &'a Place,
    pub(super) data: &'a Documents,
    pub(super) corpus: &'a Corpus,
    /// The part of the encoder that does not learn.
    pub(super) frozen: Frozen,
    pub(super) objective: Objective,
    pub(super) device: &'a C::Device,
    pub(super) clock: Clock,
}

/// The number of optimiser steps of a trial that is not stopped early.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlannedSteps {
    pub(super) per_epoch: u64,
    pub(super) total: u64,
}

impl<C: Compute> RunningTrial<'_, C> {
    pub(super) fn settings(&self) -> &Settings {
        &self.job.trial.settings
    }

    pub(super) fn planned_steps(&self) -> PlannedSteps {
        let settings = self.settings();
        let per_epoch = self.corpus.train.document_count().div_ceil(settings.batch_size) as u64;
        PlannedSteps { per_epoch, total: per_epoch * settings.epochs as u64 }
    }

    /// Compares the cache entries that the trial uses with their digests again. Nothing that was computed from them
    /// counts before: neither a checkpoint nor the outcome.
    ///
    /// # Errors
    /// When an entry has changed since it was opened.
    pub(super) fn verify_entries(&self) -> Result<(), ChangedEntry> {
        self.data.verify()?;
        self.corpus.verify()?;
        self.frozen.verify()
    }

    /// Seconds so far, over all attempts. The time that a prefix trial took for the first steps is included.
    pub(super) fn seconds(&self, learner: &Learner<C>) -> f64 {
        learner.saved.seconds_before + self.clock.seconds()
    }
}
