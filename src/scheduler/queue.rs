//! Which trials wait for a slot, and which of them wait for another trial first.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::messages::PendingTrial;
use crate::trial::TrialId;

/// The waiting trials, the next one first.
#[derive(Debug, Default)]
pub(super) struct Queue {
    pub(super) waiting: VecDeque<TrialId>,
    /// The trial whose final checkpoint each of these trials starts from.
    prefixes: BTreeMap<TrialId, TrialId>,
    /// Trials of this run that are not over.
    open: BTreeSet<TrialId>,
}

impl Queue {
    pub(super) fn new(pending: &[PendingTrial]) -> Self {
        let mut queue = Self::default();
        for trial in pending {
            queue.add(trial);
        }
        queue
    }

    /// Adds a trial of this run behind the others.
    pub(super) fn add(&mut self, pending: &PendingTrial) {
        self.waiting.push_back(pending.trial);
        self.prefixes.extend(pending.prefix.map(|prefix| (pending.trial, prefix)));
        self.open.insert(pending.trial);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The first trial that `suits` and whose prefix trial is over.
    pub(super) fn find(&self, suits: impl Fn(TrialId) -> bool) -> Option<TrialId> {
        self.waiting.iter().copied().find(|&trial| suits(trial) && !self.is_blocked(trial))
    }

    /// All trials that [`Self::find`] could return, in their order.
    pub(super) fn all(&self, suits: impl Fn(TrialId) -> bool) -> Vec<TrialId> {
        self.waiting.iter().copied().filter(|&trial| suits(trial) && !self.is_blocked(trial)).collect()
    }

    fn is_blocked(&self, trial: TrialId) -> bool {
        self.prefixes.get(&trial).is_some_and(|prefix| self.open.contains(prefix))
    }

    pub(super) fn take(&mut self, trial: TrialId) {
        self.waiting.retain(|waiting| *waiting != trial);
    }

    pub(super) fn push_back(&mut self, trial: TrialId) {
        self.waiting.push_back(trial);
    }

    pub(super) fn push_front(&mut self, trial: TrialId) {
        self.waiting.push_front(trial);
    }

    /// Notes that the trial is over, and moves the trials that start from its final checkpoint to the
    /// front: until they have started, the checkpoint takes space on the disk.
    pub(super) fn close(&mut self, trial: TrialId) {
        self.open.remove(&trial);
        if self.prefixes.values().any(|prefix| *prefix == trial) {
            let is_successor = |waiting: &TrialId| self.prefixes.get(waiting) == Some(&trial);
            let (mut successors, others): (VecDeque<_>, VecDeque<_>) =
                self.waiting.iter().partition(|&it| is_successor(it));
            successors.extend(others);
            self.waiting = successors;
        }
    }
}
