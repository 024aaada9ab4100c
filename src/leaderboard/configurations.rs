//! The leaderboard by configuration: trials that differ by their seed alone, or by their fold, are one row.

use serde::Serialize;

use super::{
    board::{Leaderboard, LeaderboardRow},
    confidence_set::{SamePredictions, shared_variance},
    folds::{self, FoldComparison, FoldFigures},
    predictions::PredictionsOf,
    rank_by::RankBy,
    seeds::{OverSeeds, standard_deviation},
};
use crate::{
    metrics::Target,
    trial::{Params, State, TrialId},
};

/// The configurations of a sweep, best first.
#[derive(Clone, Debug, PartialEq)]
pub struct Configurations {
    pub(super) sweep: String,
    pub(super) rank_by: RankBy,
    /// The figure that ranks, with the class whose F1 it is.
    pub(super) ranked_by: String,
    pub(super) swept: Vec<String>,
    /// Whose F1 the figures are, and what of the data bounds them.
    pub(super) data_notes: Vec<String>,
    /// How they were compared over all folds; `None` without folds.
    pub(super) comparison: Option<FoldComparison>,
    /// Those with a figure to rank by, then the others in the order of the leaderboard.
    pub rows: Vec<ConfigurationRow>,
}

/// One configuration. Serialised, it is one element of `sweep leaderboard --by configuration --format json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConfigurationRow {
    /// Place from 1, by the mean over seeds; equal means share a rank. `None` without a complete trial.
    pub rank: Option<usize>,
    /// The values of the swept settings.
    pub params: Params,
    /// Its trials, in the order of the plan.
    pub trials: Vec<TrialId>,
    /// Complete trials: those whose figures count.
    pub seeds: usize,
    /// Complete trials that are unfit for use by their verdict. Their figures count all the same.
    pub unfit: usize,
    /// Test F1 over the seeds.
    pub test_f1: Option<OverSeeds>,
    /// Mean validation F1.
    pub val_f1: Option<f64>,
    /// Standard deviation of validation F1 between seeds; `None` with fewer than two.
    pub val_f1_sd: Option<f64>,
    /// Mean validation loss.
    pub val_loss: Option<f64>,
    /// Those of the complete trials that were added after the search, to confirm it.
    pub confirming: usize,
    /// What its folds show; `None` without folds. The other figures are then means over the trials of all folds, and unknown
    /// as long as a fold is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folds: Option<FoldFigures>,
}

/// The configurations of `board`. `predictions` gives a trial's predictions on the test set: they show how much of the noise
/// of their F1 the seeds have in common. Without them, all of it counts as common. `out_of_fold` gives its predictions on
/// the fold that it validates on, by which configurations are compared.
#[must_use]
pub fn configurations(
    board: &Leaderboard,
    predictions: &PredictionsOf<'_>,
    out_of_fold: &PredictionsOf<'_>,
) -> Configurations {
    let of = (board.target, classes(&board.rows));
    let row = |trials: Vec<&LeaderboardRow>| {
        let folds = board.folds.map(|folds| (folds, out_of_fold));
        ConfigurationRow::new(&trials, of, predictions, folds)
    };
    let mut rows: Vec<ConfigurationRow> = grouped(&board.rows).into_iter().map(row).collect();
    let key = |row: &ConfigurationRow| row.key(board.rank_by);
    // The sort is stable: configurations with equal figures, or without one, keep the order of the leaderboard.
    rows.sort_by(|a, b| match (key(a), key(b)) {
        (Some(a), Some(b)) => a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)),
        (a, b) => b.is_some().cmp(&a.is_some()),
    });
    let mut previous: Option<((bool, f64), usize)> = None;
    for (position, row) in rows.iter_mut().enumerate() {
        row.rank = key(row).map(|key| match previous {
            Some((above, rank)) if above.0 == key.0 && above.1.total_cmp(&key.1).is_eq() => rank,
            _ => position + 1,
        });
        previous = key(row).zip(row.rank);
    }
    let how = (board.rank_by, of.0, of.1);
    let comparison = board.folds.map(|folds| {
        let fit = rows.iter_mut().filter(|row| row.rank.is_some() && !row.is_put_last());
        folds::compare(fit.filter_map(|row| row.folds.as_mut()), folds, how, out_of_fold)
    });
    Configurations {
        comparison,
        sweep: board.sweep.clone(),
        rank_by: board.rank_by,
        ranked_by: ranked_by(board),
        swept: board.swept.clone(),
        data_notes: board.data_notes(),
        rows,
    }
}

/// The figure that ranks configurations, with the class whose F1 it is. With folds, validation F1 is that of all folds
/// together.
fn ranked_by(board: &Leaderboard) -> String {
    let of = board.ranked_by();
    match (board.folds, of.strip_prefix(RankBy::ValF1.describe())) {
        (Some(_), Some(class)) => format!("out-of-fold F1{class}"),
        (Some(_), None) | (None, _) => format!("the mean of {of}"),
    }
}

/// Number of classes; 0 without a trial that was measured.
pub(super) fn classes(rows: &[LeaderboardRow]) -> usize {
    rows.iter().find_map(|row| row.test.as_ref()).map_or(0, |test| test.classes.len())
}

/// The rows of each configuration, in the order of the first row of each.
fn grouped(rows: &[LeaderboardRow]) -> Vec<Vec<&LeaderboardRow>> {
    let mut groups: Vec<Vec<&LeaderboardRow>> = Vec::new();
    let mut places = std::collections::BTreeMap::new();
    for row in rows {
        let place = *places.entry(row.params.to_string()).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups
}

impl ConfigurationRow {
    /// `of`: whose F1 the figures are, and the number of classes. `folds`: with folds, their number, and the predictions on
    /// them.
    pub(super) fn new(
        rows: &[&LeaderboardRow],
        of: (Target, usize),
        predictions: &PredictionsOf<'_>,
        folds: Option<(u32, &PredictionsOf<'_>)>,
    ) -> Self {
        let (complete, folds) = match folds {
            None => {
                let is_complete = |row: &&LeaderboardRow| row.state == State::Complete && row.rank.is_some();
                (rows.iter().copied().filter(is_complete).collect(), None)
            }
            Some((folds, out_of_fold)) => {
                let whole = folds::whole_repeats(rows, folds);
                let figures = FoldFigures::of(rows, &whole, of, out_of_fold);
                (whole.concat(), Some(figures))
            }
        };
        let f1s: Vec<(f64, f64, f64)> = complete
            .iter()
            .filter_map(|row| row.test.as_ref())
            .map(|test| (test.f1, test.f1_low, test.f1_high))
            .collect();
        let shared = if f1s.len() > 1 { shared(&complete, of, predictions) } else { 1.0 };
        let val_f1 = || complete.iter().filter_map(|row| row.val_f1);
        let mut trials: Vec<TrialId> = rows.iter().map(|row| row.trial).collect();
        trials.sort_unstable();
        Self {
            rank: None,
            params: rows.first().map(|row| row.params.clone()).unwrap_or_default(),
            trials,
            seeds: complete.len(),
            unfit: complete.iter().filter(|row| row.is_put_last()).count(),
            test_f1: OverSeeds::of(&f1s, shared),
            val_f1: mean(val_f1()),
            val_f1_sd: standard_deviation(val_f1()),
            val_loss: mean(complete.iter().filter_map(|row| row.val_loss)),
            confirming: complete.iter().filter(|row| row.confirms.is_some()).count(),
            folds,
        }
    }

    /// Whether it stands behind all others, since every trial is unfit for use, or predictions over all folds are no better
    /// than chance.
    #[must_use]
    pub fn is_put_last(&self) -> bool {
        self.rank.is_some() && self.is_unfit()
    }

    fn is_unfit(&self) -> bool {
        self.unfit == self.seeds || self.folds.as_ref().is_some_and(|folds| folds.collapsed)
    }

    /// Whether it is unfit for use, and the sort key: the best configuration has the lowest. `None` without a
    /// finite figure.
    fn key(&self, rank_by: RankBy) -> Option<(bool, f64)> {
        let key = match rank_by {
            RankBy::TestF1 => -self.test_f1?.mean,
            RankBy::ValF1 => match &self.folds {
                Some(folds) => -folds.f1?.mean,
                None => -self.val_f1?,
            },
            RankBy::ValLoss => self.val_loss?,
        };
        key.is_finite().then_some((self.is_unfit(), key))
    }
}

/// The part of the variance over documents that the trials have in common; 1 unless all have predictions for the same
/// documents.
fn shared(
    rows: &[&LeaderboardRow],
    (target, classes): (Target, usize),
    predictions: &PredictionsOf<'_>,
) -> f64 {
    let mut same: Option<SamePredictions> = None;
    for row in rows {
        let Some(own) = predictions(row.trial) else { return 1.0 };
        match &mut same {
            None => same = Some(SamePredictions::starting_with(&own)),
            Some(same) => {
                if !same.add(&own) {
                    return 1.0;
                }
            }
        }
    }
    same.map_or(1.0, |same| shared_variance(&same, target, classes))
}

/// The mean; `None` of nothing.
fn mean(figures: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, number) = figures.fold((0.0, 0.0), |(sum, number), figure| (sum + figure, number + 1.0));
    (number > 0.0).then(|| sum / number)
}

#[cfg(test)]
mod tests;
