//! Which trials of a run are to start from other trials' final checkpoints.

use std::collections::BTreeMap;

use super::setup::Run;
use crate::{
    plan,
    study::{Study, TrialRecord},
    trial::{State, TrialId},
};

/// The trials of a run that are to start from another trial's final checkpoint, and have not yet.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    /// The prefix trial of each.
    by_trial: BTreeMap<TrialId, TrialId>,
}

impl Prefixes {
    /// The prefixes of the trials in `study`, where the prefix trial is still to be run, or is complete
    /// and has its checkpoint.
    pub(super) fn of(run: &Run, study: &Study) -> Self {
        // A trial that is compared with others may never come to its end.
        let is_compared =
            |record: &&TrialRecord| study.halving().is_some() && record.trial.confirms.is_none();
        let has_checkpoint = |record: &TrialRecord| run.folder.trial(record.trial.id).last_state().exists();
        let can_be_prefix = |record: &&TrialRecord| match record.state {
            State::Waiting | State::Running => true,
            State::Complete => has_checkpoint(record),
            State::Failed | State::Paused | State::Halted => false,
        };
        let candidates = study.trials.iter().filter(|record| can_be_prefix(record) && !is_compared(record));
        let mut by_trial = plan::prefixes(candidates.map(|record| &record.trial));
        // A trial that has a checkpoint of its own, from an earlier run, resumes from that one.
        let has_no_steps = |id: TrialId| {
            study.trial(id).is_some_and(|it| it.state != State::Complete && !has_checkpoint(it))
        };
        by_trial.retain(|trial, _| has_no_steps(*trial));
        Self { by_trial }
    }

    /// The trial whose final checkpoint `trial` is to start from.
    pub(super) fn prefix(&self, trial: TrialId) -> Option<TrialId> {
        self.by_trial.get(&trial).copied()
    }

    /// Notes that `trial` needs its prefix trial's checkpoint no longer. Returns the prefix trial.
    pub(super) fn forget(&mut self, trial: TrialId) -> Option<TrialId> {
        self.by_trial.remove(&trial)
    }

    /// Whether a trial is still to start from the final checkpoint of this one.
    pub(super) fn has_successors(&self, trial: TrialId) -> bool {
        self.by_trial.values().any(|prefix| *prefix == trial)
    }
}
