//! What a trial's validation curve says about its training.
//!
//! A verdict reads the log only: training and validation figures, never a test figure.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    event::Evaluation,
    study::TrialRecord,
    trial::{FailureKind, State},
};

/// Generalisation loss above which a run counts as overfitted, in percent.
///
/// Prechelt (1998) examines GL with α from 1 to 5; his most patient one is taken,
/// since a short noisy fine-tuning curve exceeds 1 % by chance alone.
pub const GENERALISATION_LOSS_MAX: f64 = 5.0;

/// How a trial's training went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A loss stopped being finite.
    Diverged,
    /// The best parameters are no better than always naming the most frequent class.
    Collapsed,
    /// It trained past its best: validation loss ended clearly above its minimum.
    Overfit,
    /// It was still improving when its planned epochs ran out.
    Underfit,
    /// None of these.
    Good,
}

impl Verdict {
    /// The word for it in listings.
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

/// The verdict on a trial that ended; `None` while it goes on, or when it failed for another
/// reason than its losses.
///
/// The first that holds counts, in the order of [`Verdict`]'s variants.
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
    // An epoch may be a sum of fractions.
    if !outcome.stopped_early && outcome.best_epoch >= planned - 1e-6 {
        return Verdict::Underfit;
    }
    Verdict::Good
}

/// Prechelt's generalisation loss at the last evaluation, in percent:
/// 100 · (validation loss / least validation loss so far − 1), at least 0.
///
/// `None` without a finite validation loss. Infinite when the least one is 0 and the last is not.
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
    fn a_non_finite_loss_is_diverged_and_a_killed_worker_has_no_verdict() {
        let diverged = failed(record(1, &[0.6, 0.5]), FailureKind::NonFinite { step: 12 });
        assert_eq!(judge(&diverged), Some(Verdict::Diverged));
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
    fn ending_six_percent_above_the_minimum_is_overfit_and_four_percent_is_not() {
        assert_eq!(judge(&record(1, &[0.60, 0.50, 0.53])), Some(Verdict::Overfit));
        assert_eq!(judge(&record(1, &[0.60, 0.50, 0.52])), Some(Verdict::Good));
    }

    #[test]
    fn the_best_epoch_being_the_last_planned_one_is_underfit_unless_stopped_early() {
        let mut still_falling = record(1, &[0.6, 0.5, 0.4]);
        assert_eq!(judge(&still_falling), Some(Verdict::Underfit));
        still_falling.trial.settings.epochs = 10;
        still_falling.outcome.as_mut().unwrap().stopped_early = true;
        assert_eq!(judge(&still_falling), Some(Verdict::Good));
    }

    #[test]
    fn a_loss_of_zero_before_a_rise_is_overfit_and_no_division_error() {
        assert_eq!(generalisation_loss(&record(1, &[0.0, 0.1]).evaluations), Some(f64::INFINITY));
        assert_eq!(generalisation_loss(&record(1, &[0.0, 0.0]).evaluations), Some(0.0));
        assert_eq!(generalisation_loss(&[]), None);
    }
}
