//! The plan that follows an earlier plan of the same sweep, after its spec has changed.
//!
//! A trial's number stands for one configuration for ever. A trial that both plans have keeps its number. A
//! new trial gets a number above every number that was ever given. A trial that the spec does not have any
//! more is set aside with its number, and returns if a later spec has it again; until then its records stay
//! in the log and are ignored.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::{
    contents::{Plan, Removed},
    differences::{Difference, recipe},
};
use crate::{
    checkpoint::Checkpoint,
    trial::{Trial, TrialId},
};

/// A plan that follows an earlier plan of the same sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct Revision {
    /// The plan, in which trials of earlier plans have their earlier numbers.
    pub plan: Plan,
    /// The differences from the earlier plan.
    pub differences: Vec<Difference>,
    /// Trials that both plans have.
    pub kept: usize,
    /// Trials that were never planned before.
    pub added: usize,
    /// Trials that an earlier plan had, and the latest plan had not.
    pub returned: usize,
    /// Trials that the spec does not have any more.
    pub removed: usize,
}

impl Revision {
    /// Whether results of the earlier plan would be wrong as results of this one.
    #[must_use]
    pub fn changes_meaning(&self) -> bool {
        self.differences.iter().any(|difference| difference.changes_meaning)
    }
}

impl Plan {
    /// The plan `now`, whose trials are numbered from 1, as the plan that follows this one.
    ///
    /// If a difference changes the meaning of results, every trial is new, whatever its settings.
    #[must_use]
    pub fn revised(&self, now: &Self) -> Revision {
        let differences = self.differences(now);
        let changes_meaning = differences.iter().any(|difference| difference.changes_meaning);
        let mut earlier = if changes_meaning { EarlierTrials::default() } else { EarlierTrials::of(self) };
        let mut plan = now.clone();
        let mut next = self.largest_id().saturating_add(1);
        let (mut kept, mut added, mut returned) = (0, 0, 0);
        for trial in &mut plan.trials {
            match earlier.take(self, now, trial) {
                Some((id, EarlierPlace::Planned)) => (trial.id, kept) = (id, kept + 1),
                Some((id, EarlierPlace::Removed)) => (trial.id, returned) = (id, returned + 1),
                None => {
                    trial.id = TrialId(next);
                    next = next.saturating_add(1);
                    added += 1;
                }
            }
        }
        plan.removed = self.left_out(&plan, changes_meaning);
        self.keep_checkpoints_of_removed_trials(&mut plan);
        Revision { plan, differences, kept, added, returned, removed: self.trials.len() - kept }
    }

    /// The largest number of a trial of this plan or an earlier one; 0 without a trial.
    fn largest_id(&self) -> u32 {
        let planned = self.trials.iter().map(|trial| trial.id);
        planned.chain(self.removed.ids()).map(|id| id.0).max().unwrap_or(0)
    }

    /// The trials of this plan and earlier plans that are not in `plan`.
    fn left_out(&self, plan: &Self, changes_meaning: bool) -> Removed {
        let present: HashSet<TrialId> = plan.trials.iter().map(|trial| trial.id).collect();
        let all = self.trials.iter().chain(&self.removed.trials);
        let gone = all.filter(|trial| !present.contains(&trial.id));
        // A plan has one digest for each checkpoint. If `plan` has another digest under the same name, the
        // removed trials were trained from other files and can never return.
        let is_same = |trial: &&Trial| {
            let name = &trial.settings.checkpoint;
            let is_named = plan.fingerprints.checkpoints.contains_key(name);
            !changes_meaning && (!is_named || self.checkpoint(name).is_same_as(plan.checkpoint(name)))
        };
        let (trials, others): (Vec<&Trial>, Vec<&Trial>) = gone.partition(is_same);
        let mut removed = Removed {
            trials: trials.into_iter().cloned().collect(),
            retired: others.into_iter().map(|trial| trial.id).chain(self.removed.retired.clone()).collect(),
        };
        removed.trials.sort_by_key(|trial| trial.id);
        removed.retired.sort_unstable();
        removed
    }

    /// Copies to `plan` the digests and commits of checkpoints that only its removed trials have.
    fn keep_checkpoints_of_removed_trials(&self, plan: &mut Self) {
        let names: HashSet<&Checkpoint> =
            plan.removed.trials.iter().map(|trial| &trial.settings.checkpoint).collect();
        let is_needed = |name: &Checkpoint| names.contains(name);
        let (digests, hub) = (&self.fingerprints.checkpoints, &self.hub);
        let digests: BTreeMap<_, _> =
            digests.iter().filter(|(name, _)| is_needed(name)).map(|(a, b)| (a.clone(), b.clone())).collect();
        let hub: BTreeMap<_, _> =
            hub.iter().filter(|(_, name)| is_needed(name)).map(|(a, b)| (a.clone(), b.clone())).collect();
        for (name, digest) in digests {
            plan.fingerprints.checkpoints.entry(name).or_insert(digest);
        }
        for (written, name) in hub {
            plan.hub.entry(written).or_insert(name);
        }
    }
}

/// The part of the latest plan in which a trial is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum EarlierPlace {
    Planned,
    Removed,
}

/// The trials of earlier plans that no new trial has been matched with yet, by recipe and seed.
#[derive(Default)]
struct EarlierTrials<'a>(HashMap<(String, u64), VecDeque<(&'a Trial, EarlierPlace)>>);

impl<'a> EarlierTrials<'a> {
    fn of(plan: &'a Plan) -> Self {
        let planned = plan.trials.iter().map(|trial| (trial, EarlierPlace::Planned));
        let removed = plan.removed.trials.iter().map(|trial| (trial, EarlierPlace::Removed));
        let mut trials: HashMap<_, VecDeque<_>> = HashMap::new();
        for (trial, place) in planned.chain(removed) {
            trials.entry((recipe(trial), trial.seed)).or_default().push_back((trial, place));
        }
        Self(trials)
    }

    /// Removes and returns the trial of `before` that is the same as the trial `trial` of `now`.
    fn take(&mut self, before: &Plan, now: &Plan, trial: &Trial) -> Option<(TrialId, EarlierPlace)> {
        let alike = self.0.get_mut(&(recipe(trial), trial.seed))?;
        let checkpoint = now.checkpoint(&trial.settings.checkpoint);
        let is_same = |(old, _): &(&Trial, EarlierPlace)| {
            before.checkpoint(&old.settings.checkpoint).is_same_as(checkpoint)
        };
        let at = alike.iter().position(is_same)?;
        alike.remove(at).map(|(trial, place)| (trial.id, place))
    }
}

#[cfg(test)]
mod tests;
