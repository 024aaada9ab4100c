//! What a verdict rests on: figures of training and validation, and a sentence.
//!
//! How far a trial has learnt its training documents by heart is the gap between training and validation F1, both with the
//! best parameters and without dropout. Logs of earlier versions lack the first of the two, and have a gap of losses
//! alone. A training loss is measured with dropout, over the steps since the evaluation before, so that it may lie above
//! the validation loss without meaning anything.

use serde::Serialize;

use super::{
    figures,
    verdict::{self, Verdict},
};
use crate::{
    event::{Evaluation, Outcome, TrainingSample},
    study::TrialRecord,
    trial::FailureKind,
};

/// The least generalisation loss of which it is said that F1 rose meanwhile, in percent: the lowest bound that Prechelt
/// (1998) examines. Below it, the loss has hardly risen.
const RISE_MIN: f64 = 1.0;

/// What a verdict rests on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evidence {
    /// The verdict's reason and what else speaks for or against it, in whole sentences.
    pub text: String,
    /// Epoch of the lowest validation loss.
    pub lowest_loss_epoch: Option<f64>,
    /// How far the last validation loss lies above the lowest one, in percent; `None` without two finite losses, or if the
    /// lowest one is 0.
    pub generalisation_loss: Option<f64>,
    /// The generalisation loss above which a trial counts as overfitted, in percent.
    pub generalisation_bound: Option<f64>,
    /// Validation loss less training loss at the best epoch.
    pub loss_gap: Option<f64>,
    /// F1 of the best parameters on training documents. Older logs lack it.
    pub train_f1: Option<f64>,
    /// Training F1 less validation F1, both with the best parameters.
    pub f1_gap: Option<f64>,
    /// Validation F1 at the last evaluation less that at the lowest validation loss.
    pub f1_change: Option<f64>,
}

impl Evidence {
    /// What the verdict of `record` rests on; `None` without a verdict.
    pub(crate) fn of(record: &TrialRecord) -> Option<Self> {
        let verdict = verdict::judge(record)?;
        let curve = Curve::of(&record.evaluations);
        let outcome = record.outcome.as_ref();
        let gap = outcome.map(|it| it.validation.loss - it.train_loss).filter(|gap| gap.is_finite());
        let parts = [
            Some(reason(verdict, record, curve.as_ref())),
            curve.as_ref().and_then(Curve::f1_meanwhile),
            outcome.map(|outcome| best_epoch(outcome, gap)),
            outcome.and_then(training_f1),
        ];
        let train_f1 = outcome.and_then(|outcome| Some(outcome.training.as_ref()?.scores.f1));
        Some(Self {
            text: parts.into_iter().flatten().map(|part| format!("{part}.")).collect::<Vec<_>>().join(" "),
            lowest_loss_epoch: curve.as_ref().map(|it| it.lowest.epoch),
            generalisation_loss: curve.as_ref().and_then(Curve::generalisation_loss),
            generalisation_bound: curve.as_ref().map(|it| it.bound),
            loss_gap: gap,
            train_f1,
            f1_gap: train_f1.zip(outcome).map(|(training, outcome)| training - outcome.validation.f1),
            f1_change: curve.as_ref().map(|it| it.last.validation.f1 - it.lowest.validation.f1),
        })
    }
}

/// The points of a trial's curves that matter here.
struct Curve<'a> {
    /// The evaluation of lowest validation loss, the first of equal ones.
    lowest: &'a Evaluation,
    /// The last evaluation with a finite loss.
    last: &'a Evaluation,
    bound: f64,
}

impl<'a> Curve<'a> {
    /// `None` without a finite validation loss.
    fn of(evaluations: &'a [Evaluation]) -> Option<Self> {
        let finite = evaluations.iter().filter(|each| each.validation.loss.is_finite());
        let last = finite.clone().next_back()?;
        let lowest = finite.min_by(|a, b| a.validation.loss.total_cmp(&b.validation.loss))?;
        let bound = verdict::generalisation_bound(last.validation.confusion.total());
        Some(Self { lowest, last, bound })
    }

    /// In percent.
    fn generalisation_loss(&self) -> Option<f64> {
        let (last, lowest) = (self.last.validation.loss, self.lowest.validation.loss);
        Some(100.0 * (last / lowest - 1.0)).filter(|loss| loss.is_finite())
    }

    /// How high the loss ended.
    fn end(&self) -> String {
        let (epoch, bound) = (figures::number(self.lowest.epoch), percent(self.bound));
        match self.generalisation_loss() {
            Some(loss) if loss > 0.0 => format!(
                "Validation loss ended {} above its lowest value, that of epoch {epoch} (bound {bound})",
                percent(loss)
            ),
            _ if self.last.validation.loss > self.lowest.validation.loss => {
                format!("Validation loss rose from 0, that of epoch {epoch}")
            }
            _ => "Validation loss ended at its lowest value".to_owned(),
        }
    }

    /// Says that F1 rose while the loss did.
    fn f1_meanwhile(&self) -> Option<String> {
        let (before, after) = (self.lowest.validation.f1, self.last.validation.f1);
        let is_risen = self.generalisation_loss().is_none_or(|loss| loss >= RISE_MIN)
            && self.last.validation.loss > self.lowest.validation.loss;
        (is_risen && after > before).then(|| {
            format!(
                "Loss up while F1 up: validation F1 rose from {} to {} meanwhile",
                figures::share(before),
                figures::share(after)
            )
        })
    }
}

/// Why it is this verdict.
fn reason(verdict: Verdict, record: &TrialRecord, curve: Option<&Curve<'_>>) -> String {
    match verdict {
        Verdict::Diverged => match record.failure.as_ref().map(|failure| &failure.kind) {
            Some(FailureKind::NonFinite { step }) => format!("A loss was not finite at step {step}"),
            _ => "The last loss is not finite".to_owned(),
        },
        Verdict::Collapsed => collapsed(record),
        Verdict::Underfit => {
            format!("The best epoch was the last of {} planned", record.trial.settings.epochs)
        }
        Verdict::Overfit | Verdict::Good => {
            curve.map_or_else(|| "No evaluation is known".to_owned(), Curve::end)
        }
    }
}

/// How little the predictions of a collapsed trial say.
fn collapsed(record: &TrialRecord) -> String {
    let Some(outcome) = &record.outcome else { return "No better than chance on validation".to_owned() };
    let confusion = &outcome.validation.confusion;
    let named: Vec<usize> = (0..confusion.classes())
        .filter(|&class| confusion.true_positives(class) + confusion.false_positives(class) > 0)
        .collect();
    let informedness = confusion.informedness().map_or_else(String::new, |informedness| {
        format!(": the mean recall of the classes is {informedness:.2} of the way from chance to 1")
    });
    match named.len() {
        1 => format!("Every prediction on validation is the same class{informedness}"),
        _ => format!("The predictions on validation are no better than chance{informedness}"),
    }
}

/// Which epoch is the best one, and how far both losses lie apart there.
fn best_epoch(outcome: &Outcome, gap: Option<f64>) -> String {
    let Outcome { best_epoch, epochs_run, stopped_early, .. } = outcome;
    let stopped = if *stopped_early { ", stopped early" } else { "" };
    let best = format!(
        "Best epoch {} of {} run{stopped}",
        figures::number(*best_epoch),
        figures::number(*epochs_run)
    );
    let Some(gap) = gap else { return best };
    let side = if gap < 0.0 { "below" } else { "above" };
    format!(
        "{best}, where validation loss {:.3} is {:.3} {side} training loss",
        outcome.validation.loss,
        gap.abs()
    )
}

/// How far F1 on training documents lies from F1 on validation.
fn training_f1(outcome: &Outcome) -> Option<String> {
    let TrainingSample { documents, scores } = outcome.training.as_ref()?;
    let gap = scores.f1 - outcome.validation.f1;
    let side = if gap < 0.0 { "below" } else { "above" };
    Some(format!(
        "F1 on {documents} training documents is {}, {} {side} validation F1",
        figures::share(scores.f1),
        figures::share(gap.abs())
    ))
}

/// A share in percent with as many digits as matter.
fn percent(share: f64) -> String {
    if share.abs() < 1e4 { format!("{share:.1} %") } else { "more than 10000 %".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        metrics::{Confusion, Scores, Target},
        samples::{collapsed, failed, record},
        trial::State,
    };

    /// A complete trial with these validation losses, and so many of 200 documents of each class wrong after each epoch.
    fn curve(points: &[(f64, u64)]) -> TrialRecord {
        let losses: Vec<f64> = points.iter().map(|(loss, _)| *loss).collect();
        let mut record = record(1, &losses);
        for (evaluation, (loss, wrong)) in record.evaluations.iter_mut().zip(points) {
            let rows = vec![vec![200 - wrong, *wrong], vec![*wrong, 200 - wrong]];
            evaluation.validation = Scores::new(Confusion::try_from(rows).unwrap(), *loss, Target::Class(1));
        }
        record
    }

    fn text(record: &TrialRecord) -> String {
        Evidence::of(record).unwrap().text
    }

    fn about(figure: Option<f64>, expected: f64) -> bool {
        figure.is_some_and(|figure| (figure - expected).abs() < 1e-9)
    }

    #[test]
    fn a_loss_that_rises_with_falling_f1_is_overfit_by_its_generalisation_loss() {
        let record = curve(&[(0.6, 40), (0.5, 20), (0.6, 24)]);
        let expected = "Validation loss ended 20.0 % above its lowest value, that of epoch 2 (bound 16.4 %). \
                        Best epoch 2 of 3 run, where validation loss 0.500 is 0.060 below training loss.";
        assert_eq!(text(&record), expected);
    }

    #[test]
    fn a_loss_that_rises_while_f1_rises_is_said_to_do_so() {
        let record = curve(&[(0.6, 40), (0.5, 20), (0.6, 16)]);
        let expected = "Loss up while F1 up: validation F1 rose from .900 to .920 meanwhile";
        assert!(text(&record).contains(expected), "{}", text(&record));
    }

    #[test]
    fn a_loss_that_rises_while_f1_stands_still_is_not_said_to_rise_with_it() {
        assert!(!text(&curve(&[(0.6, 40), (0.5, 20), (0.6, 20)])).contains("F1 rose"));
    }

    #[test]
    fn a_loss_that_falls_to_the_end_is_underfit_by_the_last_epoch() {
        let record = curve(&[(0.6, 40), (0.5, 20), (0.4, 16)]);
        let expected = "The best epoch was the last of 3 planned. Best epoch 3 of 3 run";
        assert!(text(&record).starts_with(expected), "{}", text(&record));
    }

    #[test]
    fn a_loss_a_little_above_its_lowest_value_is_good_within_the_bound() {
        let record = curve(&[(0.6, 40), (0.5, 20), (0.51, 20)]);
        assert!(text(&record).starts_with("Validation loss ended 2.0 % above its lowest value"));
    }

    #[test]
    fn a_hardly_risen_loss_is_no_rise_of_both() {
        assert!(!text(&curve(&[(0.6, 40), (0.5, 20), (0.502, 10)])).contains("Loss up while F1 up"));
    }

    #[test]
    fn a_trial_that_was_stopped_at_its_lowest_loss_ended_there() {
        let mut record = curve(&[(0.6, 40), (0.5, 20)]);
        record.trial.settings.epochs = 9;
        record.outcome.as_mut().unwrap().stopped_early = true;
        let expected = "Validation loss ended at its lowest value. Best epoch 2 of 2 run, stopped early";
        assert!(text(&record).starts_with(expected), "{}", text(&record));
    }

    #[test]
    fn a_loss_that_rises_from_zero_has_no_generalisation_loss() {
        let evidence = Evidence::of(&curve(&[(0.5, 20), (0.0, 0), (0.1, 2)])).unwrap();
        assert!(
            evidence.text.starts_with("Validation loss rose from 0, that of epoch 2"),
            "{}",
            evidence.text
        );
        assert_eq!(evidence.generalisation_loss, None);
    }

    #[test]
    fn a_training_loss_that_is_not_finite_is_named_with_its_step() {
        let diverged = failed(record(1, &[0.6, 0.5]), FailureKind::NonFinite { step: 12 });
        assert_eq!(text(&diverged), "A loss was not finite at step 12.");
    }

    #[test]
    fn a_trial_of_one_answer_is_said_to_give_one_answer() {
        let expected = "Every prediction on validation is the same class: the mean recall of the classes is 0.00 of the \
                        way from chance to 1";
        assert!(text(&collapsed(1, 0.5)).starts_with(expected), "{}", text(&collapsed(1, 0.5)));
    }

    #[test]
    fn the_figures_are_those_of_the_curve() {
        let evidence = Evidence::of(&curve(&[(0.6, 40), (0.5, 20), (0.6, 16)])).unwrap();
        assert!(about(evidence.generalisation_loss, 20.0) && about(evidence.lowest_loss_epoch, 2.0));
        assert!(about(evidence.f1_change, 0.02) && about(evidence.generalisation_bound, 16.45));
        assert!(about(evidence.loss_gap, 0.5 - 0.56), "{evidence:?}");
    }

    #[test]
    fn the_gap_to_training_f1_is_said_where_the_log_has_it() {
        let mut record = curve(&[(0.6, 40), (0.5, 20), (0.6, 24)]);
        let older = Evidence::of(&record).unwrap();
        assert_eq!((older.train_f1, older.f1_gap), (None, None));
        let rows = vec![vec![99, 1], vec![1, 99]];
        let scores = Scores::new(Confusion::try_from(rows).unwrap(), 0.05, Target::Class(1));
        let validation = record.evaluations[1].validation.clone();
        let outcome = record.outcome.as_mut().unwrap();
        (outcome.validation, outcome.training) =
            (validation, Some(TrainingSample { documents: 200, scores }));
        let evidence = Evidence::of(&record).unwrap();
        let expected = "F1 on 200 training documents is .990, .090 above validation F1.";
        assert!(evidence.text.ends_with(expected), "{}", evidence.text);
        assert!(about(evidence.train_f1, 0.99) && about(evidence.f1_gap, 0.09), "{evidence:?}");
    }

    #[test]
    fn a_trial_without_a_verdict_has_no_evidence() {
        let mut running = record(1, &[0.6]);
        running.state = State::Running;
        assert_eq!(Evidence::of(&running), None);
    }
}
