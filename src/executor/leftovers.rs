//! Which files of a trial are still needed, by the trial itself and by others that share its steps.
//!
//! A complete trial keeps its whole checkpoint while other trials are to start from it. The checkpoint
//! is removed once each of them has resumed from it or is over.

use super::{cleaner::Needless, state::Loop};
use crate::{
    event::Event,
    job::Sharing,
    scheduler::Slot,
    study::TrialRecord,
    system::device::Device,
    trial::{State, TrialId},
};

impl Loop<'_> {
    /// Which trials share steps with a trial that is run in `slot`.
    pub(super) fn sharing(&self, slot: Slot, trial: TrialId) -> Sharing {
        let device = self.worker(slot).map(|worker| worker.device);
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
            | Event::Paused { .. }
            | Event::Promoted(_)
            | Event::Halted(_)
            | Event::Continued
            | Event::SearchEnded { .. }
            | Event::ParametersRemoved
            | Event::SweepEnded { .. } => false,
        };
        let prefix = if needs_no_prefix { self.prefixes.forget(trial) } else { None };
        if let Some(prefix) = prefix {
            self.clean(prefix);
        }
        if matches!(event, Event::Finished(_) | Event::ParametersRemoved) {
            self.clean(trial);
        }
    }

    /// Removes the files that a complete trial does not need, unless another trial needs them.
    pub(super) fn clean(&self, trial: TrialId) {
        let is_over = |record: &&TrialRecord| {
            record.state == State::Complete || (record.state == State::Halted && record.parameters_removed)
        };
        let record = self.study.trial(trial).filter(is_over);
        if let Some(record) = record.filter(|_| !self.prefixes.has_successors(trial)) {
            let what = if record.parameters_removed { Needless::Parameters } else { Needless::Checkpoints };
            self.cleaner.clean(self.run.folder.trial(trial), what);
        }
    }
}

/// Whether both devices compute the same numbers.
fn is_same_kind(one: Option<Device>, other: Option<Device>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.is_of_kind(other),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}
