//! The ranked trials, and how far the ranking can be believed.
//!
//! A [`Leaderboard`] is computed from a [`Study`] and the predictions on the test set;
//! it reads no log and writes no file. Every trial is in it: trials without a figure to
//! rank by come last, without a rank.

mod board;
mod calibration;
mod choice;
mod clean;
mod comparison;
mod confidence_set;
mod configuration_formats;
mod configuration_notes;
mod configurations;
mod confirmed;
mod confirming;
mod document;
mod evidence;
mod failed;
pub mod figures;
mod folds;
mod footnotes;
mod listing;
mod pairing;
mod predictions;
mod provenance;
mod rank_by;
mod seeds;
mod spreadsheet;
mod table;
mod test_figures;
mod uncompared;
pub mod verdict;
mod winner;

use std::{cmp::Ordering, collections::BTreeMap};

pub(crate) use self::{board::best_evaluation, rank_by::Standing};
pub use self::{
    board::{BinaryClasses, HaltedAt, Leaderboard, LeaderboardRow},
    calibration::{CALIBRATION_DOCUMENTS_MIN, Calibration, CalibrationBin},
    clean::{CleanFigures, Unclean},
    confidence_set::{Against, Flattery, SamePredictions, flattery, p_values, shared_variance},
    configurations::{ConfigurationRow, Configurations, configurations},
    confirmed::Confirmed,
    evidence::Evidence,
    failed::Failed,
    folds::FoldFigures,
    pairing::{Differing, Pairing},
    predictions::{
        Classified, Prediction, PredictionsError, PredictionsOf, parse_classified, parse_predictions,
        read_predictions,
    },
    rank_by::RankBy,
    seeds::OverSeeds,
    spreadsheet::to_csv,
    test_figures::{Averages, ClassFigures, TestCounts, TestFigures},
    uncompared::Uncompared,
    winner::{ChosenBy, ValidationChoice, Winner},
};
use crate::{
    search::RungFigure,
    study::{Study, TrialRecord},
    trial::{State, TrialId},
};

/// Ranks the trials of `study`. Trials that are unfit for use by their verdict rank behind all others.
///
/// `predictions` gives a trial's predictions on the test set, if there are any. The trials that rank next
/// to the leader are compared with it by their test F1, where both have predictions.
#[must_use]
pub fn build(
    study: &Study,
    rank_by: RankBy,
    predictions: &dyn Fn(TrialId) -> Option<Vec<Prediction>>,
) -> Leaderboard {
    let order = ordered(study, rank_by);
    let fit = order.iter().filter(|(standing, _)| standing.is_some_and(|it| !it.is_last)).count();
    let mut rows = rows(order, study);
    let unclean = Unclean::of(study);
    if unclean.is_some() {
        for row in rows.iter_mut().filter(|row| row.test.is_some()) {
            row.clean = predictions(row.trial).and_then(|found| CleanFigures::of(study, &found));
        }
    }
    // A trial that is unfit for use neither leads nor ties, whatever its figures.
    let comparisons = comparison::compare(&mut rows[..fit], rank_by, study.target, predictions);
    // Trials of different folds validate on different documents: no validation figure chooses among them.
    let chosen_by_validation = if study.folds.is_some() { None } else { chosen_by_validation(study) };
    choice::mark_winner(&mut rows, rank_by, comparisons.flattery, chosen_by_validation);
    let confirmed = confirming::confirmed(&rows, study.target, predictions);
    Leaderboard {
        sweep: study.sweep.clone(),
        rank_by,
        target: study.target,
        binary: BinaryClasses::of(study),
        class_warnings: study.classes.warnings(&study.labels, study.target),
        unclean,
        processors: processors(study),
        folds: study.folds,
        swept: study.swept.clone(),
        rows,
        comparisons: comparisons.tests,
        uncompared: comparisons.uncompared,
        beyond_comparison: comparisons.beyond,
        epochs_saved: study.epochs_saved(),
        epochs_planned: study.trials.iter().map(|record| record.trial.settings.epochs).sum(),
        chosen_by_validation,
        confirmed,
    }
}

/// The processors that complete trials ran on, by what decides the last bits of numbers, each with its trials; none where
/// they are all alike.
fn processors(study: &Study) -> Vec<(String, usize)> {
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    let complete = study.trials.iter().filter(|record| record.state == State::Complete);
    for arithmetic in complete.filter_map(|record| record.arithmetic.as_deref()) {
        *found.entry(arithmetic).or_default() += 1;
    }
    let differ = found.len() > 1;
    found.into_iter().filter(|_| differ).map(|(name, count)| (name.to_owned(), count)).collect()
}

/// A row for each trial, with its rank.
fn rows(order: Vec<(Option<Standing>, &TrialRecord)>, study: &Study) -> Vec<LeaderboardRow> {
    let mut rows: Vec<LeaderboardRow> = Vec::with_capacity(order.len());
    let mut previous: Option<(Standing, usize)> = None;
    for (position, (standing, record)) in order.into_iter().enumerate() {
        let rank = standing.map(|standing| match previous {
            Some((above, rank)) if above.compare(&standing).is_eq() => rank,
            _ => position + 1,
        });
        previous = standing.zip(rank);
        let halted = HaltedAt::of(record, study);
        rows.push(LeaderboardRow {
            rank,
            halted,
            ..LeaderboardRow::new(record, &study.labels, study.target)
        });
    }
    rows
}

/// The trials in the order of the leaderboard, with what ranks them.
fn ordered(study: &Study, rank_by: RankBy) -> Vec<(Option<Standing>, &TrialRecord)> {
    let mut order: Vec<(Option<Standing>, &TrialRecord)> =
        study.trials.iter().map(|record| (rank_by.standing(record), record)).collect();
    // The sort is stable: trials with equal figures, or without one, keep the order of the plan.
    order.sort_by(|(a, a_record), (b, b_record)| match (a, b) {
        (Some(a), Some(b)) => a.compare(b),
        (None, None) => halted_order(a_record, b_record),
        (a, b) => b.is_some().cmp(&a.is_some()),
    });
    order
}

/// Among trials without a rank: halted ones before others, those that came farther first, then the better ones at their
/// rung.
fn halted_order(a: &TrialRecord, b: &TrialRecord) -> Ordering {
    let decision = |record: &TrialRecord| {
        let last = record.rungs.last().filter(|_| record.state == State::Halted);
        last.map(|last| last.decision.clone())
    };
    match (decision(a), decision(b)) {
        (Some(a), Some(b)) => {
            let better =
                if a.by == RungFigure::ValF1 { b.f1.total_cmp(&a.f1) } else { a.loss.total_cmp(&b.loss) };
            b.epoch.cmp(&a.epoch).then(better)
        }
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

/// The complete trial with the highest validation F1, then the lowest validation loss. A trial that is unfit for
/// use by its verdict is chosen only if every trial is.
fn chosen_by_validation(study: &Study) -> Option<TrialId> {
    let standings = |record: &TrialRecord| {
        let f1 = RankBy::ValF1.standing(record)?;
        let loss = RankBy::ValLoss.standing(record).map_or(f64::INFINITY, |standing| standing.key);
        Some((f1, loss, record.trial.id))
    };
    study
        .trials
        .iter()
        .filter_map(standings)
        .min_by(|(a, a_loss, _), (b, b_loss, _)| a.compare(b).then(a_loss.total_cmp(b_loss)))
        .map(|(_, _, trial)| trial)
}

#[cfg(test)]
mod tests;
