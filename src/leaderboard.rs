//! The ranked trials, and how far the ranking can be believed.
//!
//! A [`Leaderboard`] is computed from a [`Study`] and the predictions on the test set;
//! it reads no log and writes no file. Every trial is in it: trials without a figure to
//! rank by come last, without a rank.

mod board;
mod comparison;
mod confidence_set;
mod failed;
pub mod figures;
mod footnotes;
mod listing;
mod predictions;
mod provenance;
mod rank_by;
mod table;
mod test_figures;
mod uncompared;
pub mod verdict;

pub(crate) use self::board::best_evaluation;
pub use self::{
    board::{Leaderboard, LeaderboardRow},
    confidence_set::{Against, SamePredictions, p_values},
    failed::Failed,
    predictions::{Prediction, PredictionsError, read_predictions},
    rank_by::RankBy,
    test_figures::{Averages, ClassFigures, TestCounts, TestFigures},
    uncompared::Uncompared,
};
use crate::{
    study::{Study, TrialRecord},
    trial::TrialId,
};

/// Ranks the trials of `study`.
///
/// `predictions` gives a trial's predictions on the test set, if there are any. The trials that rank next
/// to the leader are compared with it by their test F1, where both have predictions.
#[must_use]
pub fn build(
    study: &Study,
    rank_by: RankBy,
    predictions: &dyn Fn(TrialId) -> Option<Vec<Prediction>>,
) -> Leaderboard {
    let mut order: Vec<(Option<f64>, &TrialRecord)> =
        study.trials.iter().map(|record| (rank_by.key(record), record)).collect();
    // The sort is stable: trials with equal figures, or without one, keep the order of the plan.
    order.sort_by(|(a, _), (b, _)| match (a, b) {
        (Some(a), Some(b)) => a.total_cmp(b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    });
    let mut rows: Vec<LeaderboardRow> = Vec::with_capacity(order.len());
    let mut previous: Option<(f64, usize)> = None;
    for (position, (key, record)) in order.into_iter().enumerate() {
        let rank = key.map(|key| match previous {
            Some((figure, rank)) if figure.total_cmp(&key).is_eq() => rank,
            _ => position + 1,
        });
        previous = key.zip(rank);
        rows.push(LeaderboardRow { rank, ..LeaderboardRow::new(record, &study.labels) });
    }
    let comparisons = comparison::compare(&mut rows, rank_by, study.target, predictions);
    Leaderboard {
        sweep: study.sweep.clone(),
        rank_by,
        target: study.target,
        swept: study.swept.clone(),
        rows,
        comparisons: comparisons.tests,
        uncompared: comparisons.uncompared,
        beyond_comparison: comparisons.beyond,
        chosen_by_validation: chosen_by_validation(study),
    }
}

/// The complete trial with the highest validation F1, then the lowest validation loss.
fn chosen_by_validation(study: &Study) -> Option<TrialId> {
    let ranked = |by: RankBy, record: &TrialRecord| by.key(record).unwrap_or(f64::INFINITY);
    study
        .trials
        .iter()
        .filter(|record| RankBy::ValF1.key(record).is_some())
        .min_by(|a, b| {
            ranked(RankBy::ValF1, a)
                .total_cmp(&ranked(RankBy::ValF1, b))
                .then(ranked(RankBy::ValLoss, a).total_cmp(&ranked(RankBy::ValLoss, b)))
        })
        .map(|record| record.trial.id)
}

#[cfg(test)]
mod tests;
