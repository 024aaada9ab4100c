//! Configurations over all folds: their F1 over the documents of all folds together, and which of them are not
//! distinguishable from the first one by it.
//!
//! Each document of train and validation is predicted once in each repeat: by the trial of its fold, which has not seen
//! it. A repeat counts only if every one of its folds is complete, since folds are not equally hard: a mean over fewer of
//! them could not be compared with any other.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    board::LeaderboardRow,
    comparison::{SIGNIFICANCE_LEVEL, compared_max},
    confidence_set::{self, Against, Flattery, SamePredictions, shared_variance},
    predictions::{Prediction, PredictionsOf},
    rank_by::RankBy,
    seeds::OverSeeds,
};
use crate::{
    metrics::{Confusion, Target},
    trial::{State, TrialId},
};

/// What the folds of a configuration show.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FoldFigures {
    /// Trials that are complete.
    pub complete: usize,
    /// Trials of all folds, in all repeats.
    pub of: usize,
    /// Repeats whose folds are all complete: those whose figures count.
    pub repeats: usize,
    /// Documents of all folds together.
    pub documents: u64,
    /// F1 over the documents of all folds together: the mean over repeats, and the standard deviation between them.
    pub f1: Option<OverSeeds>,
    /// Whether the predictions for all of these documents are no better than chance, in every repeat that counts.
    pub collapsed: bool,
    /// Whether this F1 is not distinguishable from that of the first configuration; `None` where they were not compared.
    pub tied: Option<bool>,
    /// The p-value of this comparison, which allows for the number of configurations.
    pub p_value: Option<f64>,
    /// The trials of the first repeat that counts, by fold.
    #[serde(skip)]
    pub(super) first: Vec<TrialId>,
}

/// The rows of the repeats of a configuration whose folds are all complete, by repeat, then by fold. `folds` is their
/// number.
pub(super) fn whole_repeats<'a>(rows: &[&'a LeaderboardRow], folds: u32) -> Vec<Vec<&'a LeaderboardRow>> {
    let mut repeats: BTreeMap<u32, BTreeMap<u32, &LeaderboardRow>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.state == State::Complete && row.rank.is_some()) {
        let Some(fold) = row.fold else { continue };
        repeats.entry(row.repeat).or_default().insert(fold, row);
    }
    repeats.retain(|_, own| own.len() == folds as usize);
    repeats.into_values().map(|own| own.into_values().collect()).collect()
}

impl FoldFigures {
    /// Those of a configuration with these rows, of which `whole` are its whole repeats. `out_of_fold` gives a trial's
    /// predictions on its fold: they show how much of the noise of their F1 repeats have in common.
    pub(super) fn of(
        rows: &[&LeaderboardRow],
        whole: &[Vec<&LeaderboardRow>],
        (target, classes): (Target, usize),
        out_of_fold: &PredictionsOf<'_>,
    ) -> Self {
        let confusions: Vec<Confusion> = whole.iter().filter_map(|own| together(own)).collect();
        let f1s: Vec<(f64, f64, f64)> = confusions
            .iter()
            .map(|all| {
                let (low, high) = all.f1_interval(target);
                (all.rates(target).f1, low, high)
            })
            .collect();
        let ids = |own: &Vec<&LeaderboardRow>| own.iter().map(|row| row.trial).collect::<Vec<_>>();
        let shared =
            if whole.len() > 1 { shared(whole.iter().map(ids), (target, classes), out_of_fold) } else { 1.0 };
        Self {
            complete: rows.iter().filter(|row| row.state == State::Complete).count(),
            of: rows.len(),
            repeats: whole.len(),
            documents: confusions.first().map_or(0, Confusion::total),
            f1: OverSeeds::of(&f1s, shared),
            collapsed: !confusions.is_empty()
                && confusions.iter().all(|all| all.is_informative() == Some(false)),
            tied: None,
            p_value: None,
            first: whole.first().map(ids).unwrap_or_default(),
        }
    }

    /// Whether a trial of it is not complete, or has no figure.
    pub(super) const fn is_incomplete(&self) -> bool {
        self.complete < self.of || self.repeats == 0
    }
}

/// What the trials of all folds predicted together; `None` if one of them has no figures.
fn together(folds: &[&LeaderboardRow]) -> Option<Confusion> {
    let mut all: Option<Confusion> = None;
    for row in folds {
        let own = row.validation.as_ref()?;
        match &mut all {
            None => all = Some(own.clone()),
            Some(all) => all.join(own),
        }
    }
    all
}

/// The predictions of the trials of all folds, by document; `None` unless each has predictions, and no document is
/// predicted twice.
fn pooled(trials: &[TrialId], out_of_fold: &PredictionsOf<'_>) -> Option<Vec<Prediction>> {
    let each: Option<Vec<Vec<Prediction>>> = trials.iter().map(|trial| out_of_fold(*trial)).collect();
    let mut all: Vec<Prediction> = each?.concat();
    all.sort_unstable_by_key(|prediction| prediction.id);
    let is_once = all.windows(2).all(|pair| pair[0].id < pair[1].id);
    is_once.then_some(all)
}

/// The part of the variance over documents that repeats have in common; 1 unless all have predictions.
fn shared(
    mut repeats: impl Iterator<Item = Vec<TrialId>>,
    (target, classes): (Target, usize),
    out_of_fold: &PredictionsOf<'_>,
) -> f64 {
    let first = repeats.next().and_then(|own| pooled(&own, out_of_fold));
    let Some(mut same) = first.map(|first| SamePredictions::starting_with(&first)) else { return 1.0 };
    let are_same = repeats.all(|own| pooled(&own, out_of_fold).is_some_and(|own| same.add(&own)));
    if are_same { shared_variance(&same, target, classes) } else { 1.0 }
}

/// How configurations were compared over all folds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FoldComparison {
    /// Number of folds.
    pub(super) folds: u32,
    /// Configurations that were compared with the first one.
    pub(super) compared: usize,
    /// Ranked configurations that were not, since predictions on a fold are missing or damaged.
    pub(super) uncompared: usize,
    /// By how much out-of-fold F1 flatters the first one, if it has chosen it by one repeat.
    pub(super) flattery: Option<Flattery>,
}

/// Compares configurations, which are ranked and fit for use, with the first of them by their out-of-fold F1, and fills in
/// `tied` and `p_value`. Of several repeats, the first ones are compared.
pub(super) fn compare<'a>(
    ranked: impl Iterator<Item = &'a mut FoldFigures>,
    folds: u32,
    (rank_by, target, classes): (RankBy, Target, usize),
    out_of_fold: &PredictionsOf<'_>,
) -> FoldComparison {
    let nothing = FoldComparison { folds, compared: 0, uncompared: 0, flattery: None };
    let mut others: Vec<&mut FoldFigures> = ranked.collect();
    let are_single = others.iter().all(|own| own.repeats < 2);
    if others.is_empty() {
        return nothing;
    }
    let leader = others.remove(0);
    leader.tied = Some(false);
    if others.is_empty() {
        return nothing;
    }
    let Some(first) = pooled(&leader.first, out_of_fold) else {
        return FoldComparison { uncompared: others.len(), ..nothing };
    };
    let most = compared_max(&first, target);
    let mut same = SamePredictions::starting_with(&first).over_folds(folds);
    let (mut compared, mut uncompared) = (Vec::new(), 0);
    for other in others.into_iter().take(most) {
        match pooled(&other.first, out_of_fold) {
            Some(own) if same.add(&own) => compared.push(other),
            Some(_) | None => uncompared += 1,
        }
    }
    let against = match rank_by {
        RankBy::TestF1 => Against::First,
        RankBy::ValF1 | RankBy::ValLoss => Against::Best,
    };
    let p_values = confidence_set::p_values(&same, target, against);
    let has_chosen = rank_by == RankBy::ValF1 && are_single && !compared.is_empty();
    let flattery =
        has_chosen.then(|| confidence_set::flattery(&same, target, classes, (&p_values, SIGNIFICANCE_LEVEL)));
    let number = compared.len();
    for (row, p) in compared.into_iter().zip(p_values.into_iter().skip(1)) {
        (row.p_value, row.tied) = (Some(p), Some(p > SIGNIFICANCE_LEVEL));
    }
    FoldComparison { folds, compared: number, uncompared, flattery }
}

#[cfg(test)]
mod tests;
