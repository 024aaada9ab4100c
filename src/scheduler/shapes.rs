//! Which trials are of one shape, so that they can be trained together.

use std::collections::BTreeMap;

use super::messages::PendingTrial;
use crate::trial::TrialId;

/// The shapes of the trials of a run.
#[derive(Debug, Default)]
pub(super) struct Shapes(BTreeMap<TrialId, usize>);

impl Shapes {
    pub(super) fn new(pending: &[PendingTrial]) -> Self {
        let mut shapes = Self::default();
        for trial in pending {
            shapes.add(trial);
        }
        shapes
    }

    /// Adds a trial of this run.
    pub(super) fn add(&mut self, pending: &PendingTrial) {
        self.0.extend(pending.shape.map(|shape| (pending.trial, shape)));
    }

    /// The number of a trial's shape, if it has one.
    pub(super) fn of(&self, trial: TrialId) -> Option<usize> {
        self.0.get(&trial).copied()
    }
}
