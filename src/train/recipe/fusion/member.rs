//! A trial among those that are trained together.

use crate::train::{
    backend::Compute,
    error::TrainError,
    learning::schedule::LearningRate,
    recipe::{
        learner::Learner,
        running_trial::{PlannedSteps, RunningTrial},
        trial::EpochBatches,
    },
};

/// A trial among those that are trained together.
pub(in crate::train::recipe) struct Member<'a, C: Compute> {
    /// Its place in the order in which the trials were given.
    pub(super) place: usize,
    pub(super) trial: RunningTrial<'a, C>,
    pub(super) learner: Learner<C>,
    pub(super) planned: PlannedSteps,
    pub(super) rate: LearningRate,
    batches: EpochBatches,
}

impl<'a, C: Compute> Member<'a, C> {
    pub(in crate::train::recipe) fn new(
        place: usize,
        trial: RunningTrial<'a, C>,
        learner: Learner<C>,
    ) -> Self {
        let planned = trial.planned_steps();
        let rate = LearningRate::new(trial.settings(), planned.total);
        Self { place, trial, learner, planned, rate, batches: EpochBatches::default() }
    }

    /// The documents of its next step.
    pub(super) fn batch(&mut self) -> Vec<usize> {
        self.trial.batch(&mut self.batches, self.learner.step, self.planned).to_vec()
    }

    /// The same, in the parts that are computed one after another.
    pub(super) fn micro_batches(&mut self) -> Vec<Vec<usize>> {
        let batch = self.batch();
        self.trial.micro_batches(&mut self.learner, &batch)
    }

    /// The learning rate of its next step.
    pub(super) fn rate(&self) -> f64 {
        self.rate.at(self.learner.step)
    }

    pub(super) fn is_evaluation_due(&self) -> bool {
        self.trial.is_evaluation_due(&self.learner, self.planned)
    }

    /// Replaces the learner. An error has the member's place.
    pub(super) fn with_learner(
        self,
        change: impl FnOnce(&RunningTrial<'a, C>, Learner<C>) -> Result<Learner<C>, TrainError>,
    ) -> Result<Self, Box<(usize, TrainError)>> {
        let Self { place, trial, learner, planned, rate, batches } = self;
        match change(&trial, learner) {
            Ok(learner) => Ok(Self { place, trial, learner, planned, rate, batches }),
            Err(error) => Err(Box::new((place, error))),
        }
    }
}
