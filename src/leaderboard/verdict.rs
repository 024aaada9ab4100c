//! How a trial's training went, judged by its losses.
//!
//! A verdict depends on training and validation figures only, never on a test figure.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    event::Evaluation,
    study::TrialRecord,
    trial::{FailureKind, State},
};

/// Generalisation loss above which a trial counts as overfitted, in percent.
///
/// Prechelt (1998, "Early stopping - but when?") stops training when the generalisation loss exceeds α,
/// and examines α from 1 to 5. The most patient value is taken, since the short, noisy validation curve of
/// a fine-tuning exceeds 1 % by chance alone.
pub const GENERALISATION_LOSS_MAX: f64 = 5.0;

/// How a trial's training went. Where several are true, the first one in this order is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A loss became infinite or not a number.
    Diverged,
    /// The best parameters are no more accurate than always predicting the most frequent class.
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
        State::Waiting | State::Running => None,
        State::Failed => match record.failure.as_ref()?.kind {
            FailureKind::NonFinite { .. } => Some(Verdict::Diverged),
            _ => None,
        },
        State::Complete => Some(judge_complete(record)),
    }
}

fn judge_complete(record: &TrialRecord) -> Verdict {
    let Some(outcome) = &record.outcome else { return Verdict::Good };
    let last = record.evaluations.last();
    if last.is_some_and(|last| !last.train_loss.is_finite() || !last.validation.loss.is_finite()) {
        return Verdict::Diverged;
    }
    let best = &outcome.validation;
    if best.accuracy <= best.confusion.majority_share() {
        return Verdict::Collapsed;
    }
    if generalisation_loss(&record.evaluations).is_some_and(|loss| loss > GENERALISATION_LOSS_MAX) {
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

/// Prechelt's generalisation loss at the last evaluation, in percent:
/// 100 · (validation loss / least validation loss so far − 1), at least 0.
///
/// `None` without a finite validation loss. Infinite when the least loss is 0 and the last one is not.
#[must_use]
pub fn generalisation_loss(evaluations: &[Evaluation]) -> Option<f64> {
    let mut losses = evaluations.iter().map(|each| each.validation.loss).filter(|loss| loss.is_finite());
    let first = losses.next()?;
    let (minimum, last) = losses.fold((first, first), |(minimum, _), loss| (minimum.min(loss), loss));
    Some(if last <= minimum { 0.0 } else { 100.0 * (last / minimum - 1.0) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{failed, record};

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

    #[test]
    fn naming_always_the_most_frequent_class_is_collapsed() {
        let mut collapsed = record(1, &[0.7, 0.69]);
        let outcome = collapsed.outcome.as_mut().unwrap();
        outcome.validation.accuracy = outcome.validation.confusion.majority_share();
        assert_eq!(judge(&collapsed), Some(Verdict::Collapsed));
    }

    #[test]
    fn ending_six_percent_above_the_minimum_is_overfit() {
        assert_eq!(judge(&record(1, &[0.60, 0.50, 0.53])), Some(Verdict::Overfit));
    }

    #[test]
    fn ending_four_percent_above_the_minimum_is_good() {
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
    fn a_loss_that_rises_from_zero_is_overfit_without_end() {
        assert_eq!(generalisation_loss(&record(1, &[0.0, 0.1]).evaluations), Some(f64::INFINITY));
    }

    #[test]
    fn a_loss_that_stays_zero_is_not_overfit() {
        assert_eq!(generalisation_loss(&record(1, &[0.0, 0.0]).evaluations), Some(0.0));
    }

    #[test]
    fn without_an_evaluation_there_is_no_generalisation_loss() {
        assert_eq!(generalisation_loss(&[]), None);
    }
}
