//! How a trial's training went, judged by its losses and by its predictions on validation.
//!
//! A verdict depends on training and validation figures only, never on a test figure. Whatever shows
//! overfitting, such as a trial's picture, takes it from [`overfitting`], so that it agrees with the verdict.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    event::Evaluation,
    numbers::count_u64,
    study::TrialRecord,
    trial::{FailureKind, State},
};

/// Generalisation loss above which a trial counts as overfitted, in percent, if so many documents are measured
/// that noise does not reach it.
///
/// Prechelt (1998, "Early stopping - but when?") stops training when the generalisation loss exceeds α,
/// and examines α from 1 to 5. The most patient value is taken.
pub const GENERALISATION_LOSS_MAX: f64 = 5.0;

/// Noise of the generalisation loss, times the square root of the number of documents.
///
/// Two evaluations measure the same documents. The differences of the documents' losses have a standard
/// deviation of about 2.0 times the mean loss: over 30 pairs of epochs of four trainings on `builtin:reviews`, 540
/// documents each, the median is 1.9 and the quartiles are 1.5 and 2.1. The mean of N differences exceeds
/// 1.645 · 2.0 / √N of the loss by chance in one of twenty cases. In resamples of these documents without a true
/// difference, a bound of 5 % was exceeded in 38 % of the cases with 100 documents and in 27 % with 400; this
/// bound in 4 % of either.
const NOISE: f64 = 1.645 * 2.0;

/// How a trial's training went. Where several are true, the first one in this order is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A loss became infinite or not a number.
    Diverged,
    /// The best parameters' predictions on validation say no more about the class than chance.
    Collapsed,
    /// Training went on past the best epoch: validation loss ended clearly above its minimum.
    Overfit,
    /// Validation was still improving when the planned epochs ended.
    Underfit,
    /// None of the above.
    Good,
}

impl Verdict {
    /// The verdict's name in listings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Diverged => "diverged",
            Self::Collapsed => "collapsed",
            Self::Overfit => "overfit",
            Self::Underfit => "underfit",
            Self::Good => "good",
        }
    }

    /// What the verdict says of a trial: the end of a sentence that begins with the trial.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Diverged => "has a loss that is not finite",
            Self::Collapsed => "predicts no better than chance on the validation set",
            Self::Overfit => "trained on until its validation loss was clearly above its lowest value",
            Self::Underfit => "was still improving when its planned epochs ended",
            Self::Good => "shows no fault in its losses",
        }
    }

    /// Whether a trial with this verdict is unfit for use, whatever its figures: it ranks behind all other
    /// trials, and is never chosen without being named.
    #[must_use]
    pub const fn is_unfit(self) -> bool {
        matches!(self, Self::Diverged | Self::Collapsed)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Judges a trial that has ended.
///
/// `None` for a trial that waits or runs, or that failed for another reason than its losses.
#[must_use]
pub fn judge(record: &TrialRecord) -> Option<Verdict> {
    match record.state {
        State::Waiting | State::Running | State::Paused | State::Halted => None,
        State::Failed => match record.failure.as_ref()?.kind {
            FailureKind::NonFinite { .. } => Some(Verdict::Diverged),
            _ => None,
        },
        State::Complete => Some(judge_complete(record)),
    }
}

fn judge_complete(record: &TrialRecord) -> Verdict {
    let Some(outcome) = &record.outcome else { return Verdict::Good };
    if record.has_diverged() {
        return Verdict::Diverged;
    }
    if record.has_collapsed() {
        return Verdict::Collapsed;
    }
    if rise(&record.evaluations).is_some() {
        return Verdict::Overfit;
    }
    #[expect(clippy::cast_precision_loss, reason = "epochs are far below 2^53")]
    let planned = record.trial.settings.epochs as f64;
    // The epoch of an evaluation may be a sum of fractions, and so a little under the whole number.
    if !outcome.stopped_early && outcome.best_epoch >= planned - 1e-6 {
        return Verdict::Underfit;
    }
    Verdict::Good
}

/// The epochs in which a trial overfits, and how far its validation loss then lies above its lowest value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overfitting {
    /// Where the validation loss rises above the bound for the last time.
    pub from: f64,
    /// The last evaluation.
    pub to: f64,
    /// The bound, in percent above the lowest validation loss.
    pub bound: f64,
}

/// Where a trial overfits: `Some` for each trial whose verdict is [`Verdict::Overfit`], and for a trial without
/// a verdict whose validation loss lies as high so far; `None` for every other trial.
#[must_use]
pub fn overfitting(record: &TrialRecord) -> Option<Overfitting> {
    match judge(record) {
        None | Some(Verdict::Overfit) => rise(&record.evaluations),
        Some(_) => None,
    }
}

/// The last rise of the validation loss, if it ends above the bound.
///
/// Losses that are not finite are left out.
fn rise(evaluations: &[Evaluation]) -> Option<Overfitting> {
    let bound = generalisation_bound(evaluations.last()?.validation.confusion.total());
    let points: Vec<(f64, f64)> = evaluations
        .iter()
        .map(|each| (each.epoch, each.validation.loss))
        .filter(|(_, loss)| loss.is_finite())
        .collect();
    let lowest = points.iter().map(|(_, loss)| *loss).min_by(f64::total_cmp)?;
    let limit = lowest * (1.0 + bound / 100.0);
    // The lowest loss is not above the limit, so that there is a point before the rise.
    let before = points.iter().rposition(|(_, loss)| *loss <= limit)?;
    let (&(epoch, loss), &(next_epoch, next_loss)) = (points.get(before)?, points.get(before + 1)?);
    // Where the straight line between the two evaluations, as a curve is drawn, crosses the limit.
    let crossing = epoch + (limit - loss) / (next_loss - loss) * (next_epoch - epoch);
    Some(Overfitting { from: crossing, to: points.last()?.0, bound })
}

/// The generalisation loss above which a trial counts as overfitted, in percent, where validation has this many
/// documents: [`GENERALISATION_LOSS_MAX`], or what noise alone reaches if that is more.
#[must_use]
pub fn generalisation_bound(documents: u64) -> f64 {
    GENERALISATION_LOSS_MAX.max(100.0 * NOISE / count_u64(documents.max(1)).sqrt())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        metrics::{Confusion, Scores, Target},
        samples::{failed, record},
    };

    #[test]
    fn a_non_finite_loss_is_diverged() {
        let diverged = failed(record(1, &[0.6, 0.5]), FailureKind::NonFinite { step: 12 });
        assert_eq!(judge(&diverged), Some(Verdict::Diverged));
    }

    #[test]
    fn a_killed_worker_has_no_verdict() {
        assert_eq!(judge(&failed(record(1, &[0.6]), FailureKind::Signal(9))), None);
    }

    #[test]
    fn a_waiting_trial_has_no_verdict() {
        let mut waiting = record(1, &[]);
        waiting.state = State::Waiting;
        assert_eq!(judge(&waiting), None);
    }

    /// A trial of one epoch with these counts on validation; a row for each true class.
    fn with_validation(rows: [[u64; 2]; 2]) -> TrialRecord {
        let mut record = record(1, &[0.6, 0.5, 0.5]);
        let confusion = Confusion::try_from(rows.map(Vec::from).to_vec()).unwrap();
        record.outcome.as_mut().unwrap().validation = Scores::new(confusion, 0.5, Target::Class(1));
        record
    }

    #[test]
    fn naming_always_one_class_is_collapsed_whichever_it_is() {
        assert_eq!(judge(&with_validation([[0, 49], [0, 51]])), Some(Verdict::Collapsed));
        assert_eq!(judge(&with_validation([[49, 0], [51, 0]])), Some(Verdict::Collapsed));
        assert_eq!(judge(&with_validation([[0, 95], [0, 5]])), Some(Verdict::Collapsed));
    }

    #[test]
    fn hardly_ever_naming_the_other_class_is_collapsed() {
        assert_eq!(judge(&with_validation([[2, 47], [0, 51]])), Some(Verdict::Collapsed));
    }

    #[test]
    fn finding_rare_documents_is_not_collapsed_although_naming_none_is_more_accurate() {
        assert_eq!(judge(&with_validation([[480, 33], [5, 22]])), Some(Verdict::Good));
    }

    #[test]
    fn a_validation_set_of_one_class_collapses_nothing() {
        assert_eq!(judge(&with_validation([[0, 0], [0, 10]])), Some(Verdict::Good));
    }

    #[test]
    fn ending_above_the_bound_is_overfit() {
        assert_eq!(judge(&record(1, &[0.60, 0.50, 0.59])), Some(Verdict::Overfit));
    }

    #[test]
    fn ending_a_little_above_the_minimum_is_good() {
        assert_eq!(judge(&record(1, &[0.60, 0.50, 0.52])), Some(Verdict::Good));
    }

    #[test]
    fn the_best_epoch_being_the_last_planned_one_is_underfit() {
        assert_eq!(judge(&record(1, &[0.6, 0.5, 0.4])), Some(Verdict::Underfit));
    }

    #[test]
    fn a_trial_that_was_stopped_early_is_not_underfit() {
        let mut stopped = record(1, &[0.6, 0.5, 0.4]);
        stopped.trial.settings.epochs = 10;
        stopped.outcome.as_mut().unwrap().stopped_early = true;
        assert_eq!(judge(&stopped), Some(Verdict::Good));
    }

    #[test]
    fn a_loss_that_rises_from_zero_is_overfit() {
        assert_eq!(judge(&record(1, &[0.5, 0.0, 0.1])), Some(Verdict::Overfit));
    }

    #[test]
    fn a_loss_that_stays_zero_is_not_overfit() {
        assert_eq!(judge(&record(1, &[0.5, 0.0, 0.0])), Some(Verdict::Good));
    }

    #[test]
    fn without_an_evaluation_nothing_overfits() {
        assert_eq!(rise(&[]), None);
    }

    #[test]
    fn the_bound_is_five_percent_or_the_noise_of_few_documents() {
        let bounds =
            [10_000, 400, 100].map(|documents| (10.0 * generalisation_bound(documents)).round() / 10.0);
        assert_eq!(bounds, [5.0, 16.5, 32.9]);
    }

    #[test]
    fn with_few_documents_a_higher_loss_may_be_noise() {
        let ending = |last, each: u64| {
            let mut record = record(1, &[0.60, 0.50, last]);
            for evaluation in &mut record.evaluations {
                let rows = vec![vec![4 * each, each], vec![each, 4 * each]];
                let (loss, target) = (evaluation.validation.loss, Target::Class(1));
                evaluation.validation = Scores::new(Confusion::try_from(rows).unwrap(), loss, target);
            }
            judge(&record)
        };
        assert_eq!((ending(0.53, 10), ending(0.70, 10)), (Some(Verdict::Good), Some(Verdict::Overfit)));
        assert_eq!((ending(0.52, 1_000), ending(0.53, 1_000)), (Some(Verdict::Good), Some(Verdict::Overfit)));
    }

    #[test]
    fn overfitting_lasts_from_where_the_loss_crosses_the_bound_to_the_end() {
        let overfit = overfitting(&record(1, &[0.6, 0.5, 0.55, 0.60])).unwrap();
        // With 400 documents the bound is 16.45 %, and 16.45 % above 0.5 is 0.58225.
        assert!((overfit.from - (3.0 + 0.032_25 / 0.05)).abs() < 1e-9, "{overfit:?}");
        assert!((overfit.to - 4.0).abs() < 1e-9 && (overfit.bound - 16.45).abs() < 1e-9);
    }

    #[test]
    fn a_rise_that_is_made_up_for_is_no_overfitting() {
        assert_eq!(overfitting(&record(1, &[0.5, 0.6, 0.4, 0.41])), None);
        let second = overfitting(&record(1, &[0.5, 0.6, 0.4, 0.5])).unwrap();
        assert!(second.from > 3.0, "{second:?}");
    }

    #[test]
    fn a_trial_that_ended_with_another_verdict_does_not_overfit() {
        let mut collapsed = with_validation([[0, 49], [0, 51]]);
        collapsed.evaluations = record(1, &[0.6, 0.5, 0.6]).evaluations;
        assert_eq!((judge(&collapsed), overfitting(&collapsed)), (Some(Verdict::Collapsed), None));
    }

    #[test]
    fn a_trial_that_still_runs_may_overfit_already() {
        let mut running = record(1, &[0.6, 0.5, 0.6]);
        running.state = State::Running;
        assert!(judge(&running).is_none() && overfitting(&running).is_some());
    }

    proptest! {
        #[test]
        fn a_trial_overfits_somewhere_if_and_only_if_its_verdict_says_so(
            losses in prop::collection::vec(0.0_f64..1.0, 1..12),
        ) {
            let record = record(1, &losses);
            let overfit = overfitting(&record);
            prop_assert_eq!(overfit.is_some(), judge(&record) == Some(Verdict::Overfit));
            prop_assert!(overfit.is_none_or(|it| it.from < it.to));
        }
    }
}
