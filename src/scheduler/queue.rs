//! Which trials wait for which slot, and for which other trial.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::messages::Due;
use crate::trial::TrialId;

/// The trials that wait, the next one first.
#[derive(Debug)]
pub(super) struct Turns {
    pub(super) waiting: VecDeque<TrialId>,
    /// The trial whose end each of these goes on from.
    after: BTreeMap<TrialId, TrialId>,
    /// Trials of this run that are not over.
    open: BTreeSet<TrialId>,
}

impl Turns {
    pub(super) fn new(due: &[Due]) -> Self {
        Self {
            waiting: due.iter().map(|due| due.trial).collect(),
            after: due.iter().filter_map(|due| Some((due.trial, due.after?))).collect(),
            open: due.iter().map(|due| due.trial).collect(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The first trial that suits and has nobody to wait for.
    pub(super) fn find(&self, suits: impl Fn(TrialId) -> bool) -> Option<TrialId> {
        let is_blocked = |trial| self.after.get(&trial).is_some_and(|prefix| self.open.contains(prefix));
        self.waiting.iter().copied().find(|&trial| suits(trial) && !is_blocked(trial))
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

    /// The trial is over. Those that go on from its end are next: until they have, it keeps what
    /// they need on the disk.
    pub(super) fn close(&mut self, trial: TrialId) {
        self.open.remove(&trial);
        if self.after.values().any(|prefix| *prefix == trial) {
            let is_next = |waiting: &TrialId| self.after.get(waiting) == Some(&trial);
            let (mut next, others): (VecDeque<_>, VecDeque<_>) =
                self.waiting.iter().partition(|&it| is_next(it));
            next.extend(others);
            self.waiting = next;
        }
    }
}
