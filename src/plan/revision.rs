//! What becomes of an earlier plan when the spec under its name has changed.
//!
//! A number stands for one configuration for ever: trials that both plans have keep
//! theirs, new ones are numbered after the largest that was ever given, and those
//! that the spec has no longer are set aside with theirs, to come back if it has
//! them again. Their records stay in the log and say nothing meanwhile.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::{
    Plan,
    differences::{Difference, recipe},
};
use crate::{
    checkpoint::Checkpoint,
    trial::{Trial, TrialId},
};

/// Trials that the log may speak of and that the spec does not have any more.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Removed {
    /// Those that come back when the spec has them again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trials: Vec<Trial>,
    /// Those that never come back, since their data or checkpoint was another one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<TrialId>,
}

impl Removed {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.trials.is_empty() && self.retired.is_empty()
    }

    /// Their numbers.
    pub fn ids(&self) -> impl Iterator<Item = TrialId> {
        self.trials.iter().map(|trial| trial.id).chain(self.retired.iter().copied())
    }
}

/// A plan that follows an earlier one of the same sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct Revision {
    /// The plan, with the numbers that its trials have had.
    pub plan: Plan,
    /// What tells the two apart.
    pub differences: Vec<Difference>,
    /// Trials that both plans have.
    pub kept: usize,
    /// Trials that were never planned before.
    pub added: usize,
    /// Trials that an earlier plan had and the one in between had not.
    pub returned: usize,
    /// Trials that the spec does not have any more.
    pub removed: usize,
}

impl Revision {
    /// Whether results of the earlier plan would mean something else under this one.
    #[must_use]
    pub fn changes_meaning(&self) -> bool {
        self.differences.iter().any(|difference| difference.changes_meaning)
    }
}

impl Plan {
    /// `now`, a plan numbered from 1, as the plan that follows this one.
    ///
    /// Where the difference is one of meaning, no trial is the same any more, whatever its settings.
    #[must_use]
    pub fn revised(&self, now: &Self) -> Revision {
        let differences = self.differences(now);
        let is_other = differences.iter().any(|difference| difference.changes_meaning);
        let mut known = if is_other { Known::default() } else { Known::of(self) };
        let mut plan = now.clone();
        let mut next = self.largest_id().saturating_add(1);
        let (mut kept, mut added, mut returned) = (0, 0, 0);
        for trial in &mut plan.trials {
            match known.take(self, now, trial) {
                Some((id, Place::Planned)) => (trial.id, kept) = (id, kept + 1),
                Some((id, Place::Removed)) => (trial.id, returned) = (id, returned + 1),
                None => {
                    trial.id = TrialId(next);
                    next = next.saturating_add(1);
                    added += 1;
                }
            }
        }
        plan.removed = self.left_out(&plan, is_other);
        self.keep_what_removed_trials_need(&mut plan);
        Revision { plan, differences, kept, added, returned, removed: self.trials.len() - kept }
    }

    /// The largest number that a trial of this plan or an earlier one has, or 0.
    fn largest_id(&self) -> u32 {
        let planned = self.trials.iter().map(|trial| trial.id);
        planned.chain(self.removed.ids()).map(|id| id.0).max().unwrap_or(0)
    }

    /// The trials of this plan and those before it that are not in `plan`.
    fn left_out(&self, plan: &Self, is_other: bool) -> Removed {
        let present: HashSet<TrialId> = plan.trials.iter().map(|trial| trial.id).collect();
        let all = self.trials.iter().chain(&self.removed.trials);
        let gone = all.filter(|trial| !present.contains(&trial.id));
        // A checkpoint has one digest in a plan: with another one under its name, these trials are others.
        let is_same = |trial: &&Trial| {
            let name = &trial.settings.checkpoint;
            let is_named = plan.fingerprints.checkpoints.contains_key(name);
            !is_other && (!is_named || self.is_same_checkpoint(name, plan, name))
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

    /// Takes over the digests and commits of checkpoints that only removed trials have.
    fn keep_what_removed_trials_need(&self, plan: &mut Self) {
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

/// Where a trial stood before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Planned,
    Removed,
}

/// The trials of earlier plans that were not found again so far, by recipe and seed.
#[derive(Default)]
struct Known<'a>(HashMap<(String, u64), VecDeque<(&'a Trial, Place)>>);

impl<'a> Known<'a> {
    fn of(plan: &'a Plan) -> Self {
        let planned = plan.trials.iter().map(|trial| (trial, Place::Planned));
        let removed = plan.removed.trials.iter().map(|trial| (trial, Place::Removed));
        let mut known: HashMap<_, VecDeque<_>> = HashMap::new();
        for (trial, place) in planned.chain(removed) {
            known.entry((recipe(trial), trial.seed)).or_default().push_back((trial, place));
        }
        Self(known)
    }

    /// The number of the trial of `before` that is `trial` of `now`; each is given once.
    fn take(&mut self, before: &Plan, now: &Plan, trial: &Trial) -> Option<(TrialId, Place)> {
        let alike = self.0.get_mut(&(recipe(trial), trial.seed))?;
        let is_same = |(old, _): &(&Trial, Place)| {
            before.is_same_checkpoint(&old.settings.checkpoint, now, &trial.settings.checkpoint)
        };
        let at = alike.iter().position(is_same)?;
        alike.remove(at).map(|(trial, place)| (trial.id, place))
    }
}

#[cfg(test)]
mod tests;
