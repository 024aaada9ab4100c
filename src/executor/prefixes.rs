//! Trials that go on where others end, and how long those keep what that takes.
//!
//! A trial that others go on from keeps its whole checkpoint when it is complete. It goes once each
//! of the others has written one of its own or is over.

use std::collections::BTreeMap;

use super::{Loop, Run, cleaner::What};
use crate::{
    event::Event,
    job::Sharing,
    plan,
    scheduler::Slot,
    study::{Study, TrialRecord},
    system::device::Device,
    trial::{State, TrialId},
};

/// The trials of a run that are to go on from others, and have not yet.
#[derive(Debug, Default)]
pub(super) struct Prefixes {
    prefixes: BTreeMap<TrialId, TrialId>,
}

impl Prefixes {
    /// Those of `study`: where the other trial is still to be run, or complete with all that it takes.
    pub(super) fn of(run: &Run, study: &Study) -> Self {
        let has_state = |record: &TrialRecord| run.folder.trial(record.trial.id).last_state().exists();
        let is_origin = |record: &&TrialRecord| match record.state {
            State::Waiting | State::Running => true,
            State::Complete => has_state(record),
            State::Failed => false,
        };
        let candidates = study.trials.iter().filter(is_origin).map(|record| &record.trial);
        let mut prefixes = plan::prefixes(candidates);
        // What has a checkpoint of its own, from an earlier run, goes on from there.
        let begins =
            |id: TrialId| study.trial(id).is_some_and(|it| it.state != State::Complete && !has_state(it));
        prefixes.retain(|trial, _| begins(*trial));
        Self { prefixes }
    }

    /// The trial that `trial` goes on from.
    pub(super) fn prefix(&self, trial: TrialId) -> Option<TrialId> {
        self.prefixes.get(&trial).copied()
    }

    /// Whether a trial is still to go on from this one.
    fn is_wanted(&self, trial: TrialId) -> bool {
        self.prefixes.values().any(|prefix| *prefix == trial)
    }
}

impl Loop<'_> {
    /// What a trial that is run in `slot` has to do with others.
    pub(super) fn sharing(&self, slot: Slot, trial: TrialId) -> Sharing {
        let device = self.run.devices.get(slot.0).copied();
        let prefix = self.prefixes.prefix(trial).filter(|prefix| {
            let record = self.study.trial(*prefix);
            record.is_some_and(|record| {
                record.state == State::Complete && !record.mixed && is_same_kind(record.device, device)
            })
        });
        Sharing { prefix, has_successors: self.prefixes.is_wanted(trial) }
    }

    /// Removes what nobody needs any more after `event` of `trial`.
    pub(super) fn relieve(&mut self, trial: TrialId, event: &Event) {
        let needs_no_other = match event {
            Event::Resumed { .. } | Event::Finished(_) | Event::Failed { retry: false, .. } => true,
            Event::SweepStarted { .. }
            | Event::Started { .. }
            | Event::Prepared(_)
            | Event::Evaluated(_)
            | Event::CheckpointDamaged { .. }
            | Event::Failed { retry: true, .. }
            | Event::Interrupted
            | Event::ParametersRemoved
            | Event::SweepEnded { .. } => false,
        };
        let prefix = if needs_no_other { self.prefixes.prefixes.remove(&trial) } else { None };
        if let Some(prefix) = prefix {
            self.clean(prefix);
        }
        if matches!(event, Event::Finished(_) | Event::ParametersRemoved) {
            self.clean(trial);
        }
    }

    /// Removes what a complete trial does not need, unless another one does.
    pub(super) fn clean(&self, trial: TrialId) {
        let record = self.study.trial(trial).filter(|record| record.state == State::Complete);
        if let Some(record) = record.filter(|_| !self.prefixes.is_wanted(trial)) {
            let what = if record.parameters_removed { What::Parameters } else { What::Checkpoints };
            self.cleaner.clean(self.run.folder.trial(trial), what);
        }
    }
}

/// Whether the same numbers come out on both.
fn is_same_kind(one: Option<Device>, other: Option<Device>) -> bool {
    let kind = |device: Option<Device>| device.map(|device| std::mem::discriminant(&device));
    kind(one) == kind(other)
}
