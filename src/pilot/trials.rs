//! The trials that a worker has, by what it was given and what it says.

use std::collections::BTreeSet;

use crate::{protocol::WorkerLine, trial::TrialId};

/// The trials that a worker has now.
#[derive(Debug, Default)]
pub(super) struct Trials(BTreeSet<TrialId>);

impl Trials {
    pub(super) fn on_run(&mut self, trials: impl Iterator<Item = TrialId>) {
        self.0.extend(trials);
    }

    pub(super) fn on_line(&mut self, line: &WorkerLine) {
        match line {
            WorkerLine::Finished(trial, _)
            | WorkerLine::Failed(trial, _)
            | WorkerLine::Paused(trial, _)
            | WorkerLine::Stopped(trial) => _ = self.0.remove(trial),
            WorkerLine::AllFailed(_) => self.0.clear(),
            WorkerLine::Ready { .. }
            | WorkerLine::Progress(..)
            | WorkerLine::Alive(_)
            | WorkerLine::DiskFull(..)
            | WorkerLine::DiskFreed(_)
            | WorkerLine::Event(..)
            | WorkerLine::GpuMemory(..) => {}
        }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = TrialId> {
        self.0.iter().copied()
    }

    pub(super) fn are_none(&self) -> bool {
        self.0.is_empty()
    }
}
