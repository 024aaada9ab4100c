//! The attempts at each trial: how many there were, and what the next one is like.

use std::collections::BTreeMap;

use super::{
    messages::{Due, Terms},
    slots::Pool,
};
use crate::{
    policy::Retries,
    trial::{FailureKind, TrialId},
};

/// The attempts of one run.
#[derive(Debug)]
pub(super) struct Tries {
    trials: BTreeMap<TrialId, Tried>,
    retries: Retries,
}

/// The attempts at one trial.
#[derive(Debug)]
struct Tried {
    /// Attempts before this run, and in it.
    before: u32,
    now: u32,
    /// Failures in this run, by the name of their kind.
    failures: BTreeMap<&'static str, u32>,
    /// Examples of one pass as planned.
    batch: usize,
    next: Attempt,
}

/// What an attempt is like, apart from the trial.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Attempt {
    /// Examples of one pass at most.
    pub(super) micro_batch: Option<usize>,
    /// The devices that it has for itself.
    pub(super) alone: Option<Pool>,
}

impl Tries {
    pub(super) fn new(due: &[Due], terms: &Terms) -> Self {
        let tried = |due: &Due| Tried {
            before: due.attempts,
            now: 0,
            failures: BTreeMap::new(),
            batch: due.batch,
            next: Attempt { micro_batch: due.micro_batch, alone: due.alone.map(Pool::of) },
        };
        Self { trials: due.iter().map(|due| (due.trial, tried(due))).collect(), retries: terms.retries }
    }

    /// What the next attempt, or the one that is made now, is like.
    pub(super) fn attempt(&self, trial: TrialId) -> Attempt {
        self.trials.get(&trial).map_or_else(Attempt::default, |tried| tried.next)
    }

    /// Whether this run has begun an attempt.
    pub(super) fn has_begun(&self, trial: TrialId) -> bool {
        self.trials.get(&trial).is_some_and(|tried| tried.now > 0)
    }

    /// Counts an attempt; the answer is its number over all runs.
    pub(super) fn begin(&mut self, trial: TrialId) -> u32 {
        self.trials.get_mut(&trial).map_or(1, |tried| {
            tried.now += 1;
            tried.before + tried.now
        })
    }

    /// Counts a failure; the answer is whether there is another attempt. `alone`: the devices that
    /// it could have for itself, if that makes a difference.
    pub(super) fn fail(&mut self, trial: TrialId, kind: &FailureKind, alone: Option<Pool>) -> bool {
        let Some(tried) = self.trials.get_mut(&trial) else { return false };
        let before = tried.failures.entry(kind.name()).or_default();
        *before += 1;
        if *before > self.retries.of(kind) {
            return false;
        }
        !matches!(kind, FailureKind::OutOfMemory(_)) || *before == 1 || tried.save_memory(alone)
    }
}

impl Tried {
    /// Makes the next attempt take less memory than the last one; `false` when nothing is left to try.
    fn save_memory(&mut self, alone: Option<Pool>) -> bool {
        let examples = self.next.micro_batch.unwrap_or(self.batch);
        if examples > 1 {
            self.next.micro_batch = Some(examples / 2);
            true
        } else if self.next.alone.is_none() && alone.is_some() {
            self.next.alone = alone;
            true
        } else {
            false
        }
    }
}
