//! Trials that start from other trials' final checkpoints, and how long those checkpoints stay.
//!
//! A complete trial keeps its whole checkpoint while other trials are to start from it. The checkpoint
//! is removed once each of them has resumed from it or is over.

use std::collections::BTreeMap;

use super::{cleaner::Needless, run::Run, state::Loop};
use crate::{
    event::Event,
    job::Sharing,
    plan,
    scheduler::Slot,
    study::{Study, TrialRecord},
    system::device::Device,
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
        let has_checkpoint = |record: &TrialRecord| run.folder.trial(record.trial.id).last_state().exists();
        let can_be_prefix = |record: &&TrialRecord| match record.state {
            State::Waiting | State::Running => true,
            State::Complete => has_checkpoint(record),
            State::Failed => false,
        };
        let candidates = study.trials.iter().filter(can_be_prefix).map(|record| &record.trial);
        let mut by_trial = plan::prefixes(candidates);
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

    /// Whether a trial is still to start from the final checkpoint of this one.
    fn has_successors(&self, trial: TrialId) -> bool {
        self.by_trial.values().any(|prefix| *prefix == trial)
    }
}

impl Loop<'_> {
    /// Which trials share steps with a trial that is run in `slot`.
    pub(super) fn sharing(&self, slot: Slot, trial: TrialId) -> Sharing {
        let device = self.run.devices.get(slot.0).copied();
        let prefix = self.prefixes.prefix(trial).filter(|prefix| {
            let record = self.study.trial(*prefix);
            record.is_some_and(|record| {
                record.state == State::Complete && !record.mixed && is_same_kind(record.device, device)
            })
        });
        Sharing { prefix, has_successors: self.prefixes.has_successors(trial) }
    }

    /// Removes the files that no trial needs any more after `event` of `trial`.
    pub(super) fn release(&mut self, trial: TrialId, event: &Event) {
        let needs_no_prefix = match event {
            Event::Resumed { .. } | Event::Finished(_) | Event::Failed { retry: false, .. } => true,
            Event::SweepStarted { .. }
            | Event::TrialPlanned(_)
            | Event::Started { .. }
            | Event::Prepared(_)
            | Event::Evaluated(_)
            | Event::CheckpointDamaged { .. }
            | Event::Failed { retry: true, .. }
            | Event::Interrupted
            | Event::ParametersRemoved
            | Event::SweepEnded { .. } => false,
        };
        let prefix = if needs_no_prefix { self.prefixes.by_trial.remove(&trial) } else { None };
        if let Some(prefix) = prefix {
            self.clean(prefix);
        }
        if matches!(event, Event::Finished(_) | Event::ParametersRemoved) {
            self.clean(trial);
        }
    }

    /// Removes the files that a complete trial does not need, unless another trial needs them.
    pub(super) fn clean(&self, trial: TrialId) {
        let record = self.study.trial(trial).filter(|record| record.state == State::Complete);
        if let Some(record) = record.filter(|_| !self.prefixes.has_successors(trial)) {
            let what = if record.parameters_removed { Needless::Parameters } else { Needless::Checkpoints };
            self.cleaner.clean(self.run.folder.trial(trial), what);
        }
    }
}

/// Whether both devices compute the same numbers.
fn is_same_kind(one: Option<Device>, other: Option<Device>) -> bool {
    let kind = |device: Option<Device>| device.map(|device| std::mem::discriminant(&device));
    kind(one) == kind(other)
}
