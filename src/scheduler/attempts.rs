//! The attempts at each trial: how many there were, and how the next one is made.

use std::collections::BTreeMap;

use super::{
    messages::{Host, PendingTrial},
    slots::MemoryPool,
};
use crate::{
    policy::Retries,
    trial::{FailureKind, TrialId},
};

/// The attempts of one run.
#[derive(Debug)]
pub(super) struct Attempts {
    trials: BTreeMap<TrialId, History>,
    retries: Retries,
}

/// The attempts at one trial.
#[derive(Debug)]
struct History {
    /// Attempts of earlier runs.
    earlier: u32,
    /// Attempts of this run.
    now: u32,
    /// Whether the latest of them ended with a pause.
    is_paused: bool,
    /// Failures in this run, by the name of their kind.
    failures: BTreeMap<&'static str, u32>,
    /// Examples of one pass as planned.
    pass_examples: usize,
    next: Measures,
}

/// How often an entry of the cache may change under a trial before the trial uses no cache.
const CHANGED_ENTRIES_MAX: u32 = 2;
/// How often a trial may fail for the cache at all. Without a cache it cannot, so that only a worker that is at
/// fault comes so far.
const CACHE_FAILURES_MAX: u32 = 4;
/// How often in a run a trial's worker may be lost. Once is the fault of a machine; again and again it is that of the
/// trial, such as one that fills the memory of its machine.
const WORKER_LOSSES_MAX: u32 = 10;

/// What is done otherwise in an attempt, after what failed in others.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Measures {
    /// The largest number of examples in one pass; `None`: as planned.
    pub(super) micro_batch: Option<usize>,
    /// The memory that no other trial may use meanwhile.
    pub(super) alone: Option<MemoryPool>,
    /// Whether it uses no cache.
    pub(super) without_cache: bool,
}

impl Attempts {
    pub(super) fn new(pending: &[PendingTrial], retries: Retries) -> Self {
        let mut attempts = Self { trials: BTreeMap::new(), retries };
        for trial in pending {
            attempts.add(trial);
        }
        attempts
    }

    /// Adds a trial of this run.
    pub(super) fn add(&mut self, pending: &PendingTrial) {
        if self.knows(pending.trial) {
            // It goes on after a pause. What failed before still counts.
            return;
        }
        let history = History {
            earlier: pending.earlier_attempts,
            now: 0,
            is_paused: false,
            failures: BTreeMap::new(),
            pass_examples: pending.pass_examples,
            next: Measures {
                micro_batch: pending.micro_batch,
                alone: pending.alone.map(|device| MemoryPool::of(device, Host::LOCAL)),
                without_cache: false,
            },
        };
        self.trials.insert(pending.trial, history);
    }

    /// Lets no trial wait to be alone where `is_shared` says that no two slots share the memory: on
    /// another machine, or with fewer slots, there is nobody to be without.
    pub(super) fn forget_alone(&mut self, is_shared: impl Fn(MemoryPool) -> bool) {
        for history in self.trials.values_mut() {
            history.next.alone = history.next.alone.filter(|pool| is_shared(*pool));
        }
    }

    /// How the next attempt, or the one that is being made, is made.
    pub(super) fn measures(&self, trial: TrialId) -> Measures {
        self.trials.get(&trial).map_or_else(Measures::default, |history| history.next)
    }

    /// Whether it is a trial of this run.
    /// Notes that the latest attempt of earlier runs goes on.
    pub(super) fn take_over(&mut self, trial: TrialId) {
        if let Some(history) = self.trials.get_mut(&trial) {
            history.earlier = history.earlier.saturating_sub(1);
        }
    }

    pub(super) fn knows(&self, trial: TrialId) -> bool {
        self.trials.contains_key(&trial)
    }

    /// Whether this run has begun an attempt, and the latest one did not end with a pause.
    pub(super) fn has_begun(&self, trial: TrialId) -> bool {
        self.trials.get(&trial).is_some_and(|history| history.now > 0 && !history.is_paused)
    }

    /// Notes that the attempt ended with a pause.
    pub(super) fn pause(&mut self, trial: TrialId) {
        if let Some(history) = self.trials.get_mut(&trial) {
            history.is_paused = true;
        }
    }

    /// Counts an attempt. Returns its number over all runs, from 1.
    pub(super) fn begin(&mut self, trial: TrialId) -> u32 {
        self.trials.get_mut(&trial).map_or(1, |history| {
            history.now += 1;
            history.is_paused = false;
            history.earlier + history.now
        })
    }

    /// Counts a failure. Returns whether there is another attempt.
    ///
    /// `company` is the memory that the trial could have for itself, if it shared it with others.
    pub(super) fn fail(&mut self, trial: TrialId, kind: &FailureKind, company: Option<MemoryPool>) -> bool {
        let Some(history) = self.trials.get_mut(&trial) else { return false };
        let failures = history.failures.entry(kind.name()).or_default();
        *failures += 1;
        if *kind == FailureKind::Cache {
            history.next.without_cache = *failures >= CHANGED_ENTRIES_MAX;
            return *failures < CACHE_FAILURES_MAX;
        }
        if *kind == FailureKind::WorkerLost {
            return *failures < WORKER_LOSSES_MAX;
        }
        if *failures > self.retries.of(kind) {
            return false;
        }
        !matches!(kind, FailureKind::OutOfMemory(_)) || *failures == 1 || history.save_memory(company)
    }
}

impl History {
    /// Makes the next attempt take less memory than the last one; `false` when nothing is left to try.
    fn save_memory(&mut self, company: Option<MemoryPool>) -> bool {
        let examples = self.next.micro_batch.unwrap_or(self.pass_examples);
        if examples > 1 {
            self.next.micro_batch = Some(examples / 2);
            true
        } else if self.next.alone.is_none() && company.is_some() {
            self.next.alone = company;
            true
        } else {
            false
        }
    }
}
