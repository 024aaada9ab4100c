//! The plan that follows an earlier plan of the same sweep, after its spec has changed.
//!
//! A trial's number stands for one configuration for ever. A trial that both plans have keeps its number. A
//! new trial gets a number above every number that was ever given. A trial that the spec does not have any
//! more is set aside with its number, and returns if a later spec has it again; until then its records stay
//! in the log and are ignored.
//!
//! Trials that the log has added have numbers too. Those of a search stay, since its space is the same. Those that confirm
//! a configuration stay as long as the configuration does, and they have begun or are still asked for.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use super::{
    contents::{Plan, Removed},
    differences::{Difference, recipe},
};
use crate::{
    checkpoint::Checkpoint,
    trial::{Trial, TrialId},
};

/// A trial that the log has added to a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedTrial {
    /// The trial.
    pub trial: Trial,
    /// Whether anything has happened to it.
    pub is_begun: bool,
}

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
    /// The plan `now`, whose trials are numbered from 1, as the plan that follows this one, to which the log has added the
    /// trials `logged`.
    ///
    /// If a difference changes the meaning of results, every trial is new, whatever its settings.
    #[must_use]
    pub fn revised(&self, now: &Self, logged: &[LoggedTrial]) -> Revision {
        let differences = self.differences(now);
        let changes_meaning = differences.iter().any(|difference| difference.changes_meaning);
        let set_aside: HashSet<TrialId> = self.removed.ids().collect();
        let active = self.active(&set_aside, logged);
        let returning = self.removed.trials.iter();
        let earlier: Vec<&Trial> =
            active.iter().copied().chain(returning).filter(|_| !changes_meaning).collect();
        let mut earlier = EarlierTrials::of(&earlier);
        let mut plan = now.clone();
        let largest = active.iter().map(|trial| trial.id).chain(set_aside.iter().copied());
        let largest = largest.map(|id| id.0).max().unwrap_or(0);
        let mut next = largest.saturating_add(1);
        for trial in &mut plan.trials {
            trial.id = earlier.take(self, now, trial).unwrap_or(TrialId(next));
            next = next.max(trial.id.0.saturating_add(1));
        }
        plan.removed = self.left_out(&plan, &active, if changes_meaning { None } else { Some(logged) });
        self.keep_checkpoints_of_removed_trials(&mut plan);
        let gone: HashSet<TrialId> = plan.removed.ids().collect();
        let removed = active.iter().filter(|trial| gone.contains(&trial.id)).count();
        Revision {
            differences,
            kept: active.len() - removed,
            added: plan.trials.iter().filter(|trial| trial.id.0 > largest).count(),
            returned: set_aside.iter().filter(|id| !gone.contains(id)).count(),
            removed,
            plan,
        }
    }

    /// The trials of this plan, and those that the log has added to it.
    fn active<'a>(&'a self, set_aside: &HashSet<TrialId>, logged: &'a [LoggedTrial]) -> Vec<&'a Trial> {
        let planned: HashSet<TrialId> = self.trials.iter().map(|trial| trial.id).collect();
        let is_added = |trial: &&Trial| !planned.contains(&trial.id) && !set_aside.contains(&trial.id);
        self.trials.iter().chain(logged.iter().map(|logged| &logged.trial).filter(is_added)).collect()
    }

    /// The trials of this plan and earlier plans, of which `active` are those that were not set aside before, that are not
    /// in `plan`, nor stay as trials that the log has added. `logged` are all of those; `None`: no trial stays.
    fn left_out(&self, plan: &Self, active: &[&Trial], logged: Option<&[LoggedTrial]>) -> Removed {
        let present: HashSet<TrialId> = plan.trials.iter().map(|trial| trial.id).collect();
        let added = Added::of(self, plan, logged.unwrap_or_default());
        let all = active.iter().copied().chain(&self.removed.trials);
        let gone = all.filter(|trial| !present.contains(&trial.id) && !added.stays(trial));
        // A plan has one digest for each checkpoint. If `plan` has another digest under the same name, the
        // removed trials were trained from other files and can never return.
        let is_same = |trial: &&Trial| {
            let name = &trial.settings.checkpoint;
            let is_named = plan.fingerprints.checkpoints.contains_key(name);
            logged.is_some() && (!is_named || self.checkpoint(name).is_same_as(plan.checkpoint(name)))
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

/// The trials of earlier plans that no new trial has been matched with yet, by recipe and seed. Those that were set aside
/// come last.
#[derive(Default)]
struct EarlierTrials<'a>(HashMap<(String, u64), VecDeque<&'a Trial>>);

impl<'a> EarlierTrials<'a> {
    fn of(all: &[&'a Trial]) -> Self {
        let mut trials: HashMap<_, VecDeque<_>> = HashMap::new();
        for trial in all {
            trials.entry((recipe(trial), trial.seed)).or_default().push_back(*trial);
        }
        Self(trials)
    }

    /// Removes the trial of `before` that is the same as the trial `trial` of `now`, and returns its number.
    fn take(&mut self, before: &Plan, now: &Plan, trial: &Trial) -> Option<TrialId> {
        let alike = self.0.get_mut(&(recipe(trial), trial.seed))?;
        let checkpoint = now.checkpoint(&trial.settings.checkpoint);
        let is_same = |old: &&Trial| before.checkpoint(&old.settings.checkpoint).is_same_as(checkpoint);
        let at = alike.iter().position(is_same)?;
        alike.remove(at).map(|trial| trial.id)
    }
}

/// Which of the trials that the log has added stay, under a new plan.
struct Added<'a> {
    before: &'a Plan,
    now: &'a Plan,
    by_id: HashMap<TrialId, &'a LoggedTrial>,
    /// The configurations of the search.
    searched: HashMap<String, Vec<&'a Checkpoint>>,
    /// The trials of the plan.
    planned: HashSet<(String, u64)>,
}

impl<'a> Added<'a> {
    fn of(before: &'a Plan, now: &'a Plan, logged: &'a [LoggedTrial]) -> Self {
        let of_search = logged.iter().map(|logged| &logged.trial).filter(|trial| trial.confirms.is_none());
        let mut searched: HashMap<String, Vec<&Checkpoint>> = HashMap::new();
        for trial in now.trials.iter().chain(of_search) {
            searched.entry(configuration(trial)).or_default().push(&trial.settings.checkpoint);
        }
        let planned = now.trials.iter().map(|trial| (recipe(trial), trial.seed)).collect();
        let by_id = logged.iter().map(|logged| (logged.trial.id, logged)).collect();
        Self { before, now, by_id, searched, planned }
    }

    /// Whether `trial` stays, and no new plan needs to name it: the log does.
    fn stays(&self, trial: &Trial) -> bool {
        let Some(LoggedTrial { trial, is_begun }) = self.by_id.get(&trial.id) else { return false };
        let Some(why) = &trial.confirms else { return true };
        let checkpoint = self.before.checkpoint(&trial.settings.checkpoint);
        let is_searched = self
            .searched
            .get(&configuration(trial))
            .is_some_and(|names| names.iter().any(|name| checkpoint.is_same_as(self.now.checkpoint(name))));
        let is_asked_for = self.now.confirm.is_some_and(|confirm| {
            why.by == confirm.by && why.place <= confirm.top && trial.repeat < confirm.further().end
        });
        let is_planned = self.planned.contains(&(recipe(trial), trial.seed));
        is_searched && !is_planned && (*is_begun || is_asked_for)
    }
}

/// As [`recipe`], of all seeds of a configuration.
fn configuration(trial: &Trial) -> String {
    recipe(&Trial { repeat: 0, ..trial.clone() })
}

#[cfg(test)]
mod tests;
