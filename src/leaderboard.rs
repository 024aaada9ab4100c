//! The ranked trials, and how far the ranking can be believed.
//!
//! A [`Leaderboard`] is computed from a [`Study`] and the predictions on the test set;
//! it reads no log and writes no file. Every trial is in it: those without a figure to
//! rank by come last, without a rank.

use serde::Serialize;

use crate::{
    event::Evaluation,
    metrics::Target,
    study::{Study, TrialRecord},
    trial::{Params, State, TrialId, TrialRef},
};

mod comparison;
mod failed;
pub mod figures;
mod listing;
mod paired;
mod provenance;
mod table;
mod test_figures;
pub mod verdict;

use comparison::{COMPARED_MAX, Compared};
use verdict::Verdict;

pub use comparison::Uncompared;
pub use failed::Failed;
pub use paired::{Prediction, PredictionsError, read_predictions};
pub use test_figures::{Averages, ClassFigures, Counts, TestFigures};

/// The figure that ranks trials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RankBy {
    /// Test F1, higher is better.
    #[default]
    TestF1,
    /// Validation F1 of the best parameters, higher is better.
    ValF1,
    /// Validation loss of the best parameters, lower is better.
    ValLoss,
}

impl RankBy {
    /// Every spelling, in the order of the variants.
    pub const NAMES: &'static [&'static str] = &["test-f1", "val-f1", "val-loss"];

    /// The spelling on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TestF1 => "test-f1",
            Self::ValF1 => "val-f1",
            Self::ValLoss => "val-loss",
        }
    }

    /// The variant spelled `text`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::TestF1, Self::ValF1, Self::ValLoss].into_iter().find(|each| each.as_str() == text)
    }

    /// The figure in words.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::TestF1 => "test F1",
            Self::ValF1 => "validation F1",
            Self::ValLoss => "validation loss",
        }
    }

    /// What sorts trials, ascending; `None` unless complete and finite.
    pub(crate) fn key(self, record: &TrialRecord) -> Option<f64> {
        let outcome = record.outcome.as_ref().filter(|_| record.state == State::Complete)?;
        let key = match self {
            Self::TestF1 => -outcome.test.f1,
            Self::ValF1 => -outcome.validation.f1,
            Self::ValLoss => outcome.validation.loss,
        };
        key.is_finite().then_some(key)
    }
}

/// The trials of a sweep, best first.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaderboard {
    /// The sweep's name.
    pub sweep: String,
    /// What ranks.
    pub rank_by: RankBy,
    /// Which F1 counts.
    pub target: Target,
    /// Names of the swept settings, in the order of the spec.
    pub swept: Vec<String>,
    /// One row a trial: ranked ones, then the others in the order of the plan.
    pub rows: Vec<Row>,
    /// Paired tests against the leader.
    pub comparisons: usize,
    /// Ranked trials that could not be compared; the leader, when it is the one that kept all
    /// others from being compared.
    pub uncompared: Vec<(TrialId, Uncompared)>,
    /// Ranked trials too far behind the leader to be compared with it.
    pub beyond: usize,
    /// The complete trial with the highest validation F1 (then the lowest validation loss).
    pub chosen_by_validation: Option<TrialId>,
}

/// One trial. Serialised, it is one row of `leaderboard.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// From 1; equal figures share a rank. `None` without a figure to rank by.
    pub rank: Option<usize>,
    /// The trial.
    pub trial: TrialId,
    /// Where it stands.
    pub state: State,
    /// The swept settings.
    pub params: Params,
    /// The trial's seed.
    pub seed: u64,
    /// Epoch of the best parameters (so far, unless complete).
    pub best_epoch: Option<f64>,
    /// Epochs trained.
    pub epochs_run: Option<f64>,
    /// Whether early stopping ended it; `None` unless complete.
    pub stopped_early: Option<bool>,
    /// Training loss at the best evaluation.
    pub train_loss: Option<f64>,
    /// Validation loss at the best evaluation.
    pub val_loss: Option<f64>,
    /// Validation F1 at the best evaluation.
    pub val_f1: Option<f64>,
    /// On the test set; `None` unless complete.
    pub test: Option<TestFigures>,
    /// What its curve says.
    pub verdict: Option<Verdict>,
    /// Wall-clock seconds over all attempts; once complete, without those of a trial that it went on from.
    pub seconds: Option<f64>,
    /// Where the latest attempt ran.
    pub device: Option<String>,
    /// Whether its test F1 is not distinguishable from the leader's; false for the leader itself,
    /// `None` where no test was made.
    pub tied: Option<bool>,
    /// Of the paired test against the leader, corrected over all comparisons.
    pub p_value: Option<f64>,
    /// Why it failed.
    pub reason: Option<String>,
    /// The same in parts; `None` unless failed.
    pub failure: Option<Failed>,
    /// Examples of one forward and backward pass of the latest attempt at most; `None` where memory
    /// never ran out.
    pub micro_batch: Option<usize>,
    /// The trial from whose end it went on.
    pub warm_started_from: Option<TrialId>,
    /// The trial of another sweep that all of this one was taken over from.
    pub reused_from: Option<TrialRef>,
}

impl Row {
    fn new(record: &TrialRecord, labels: &[String]) -> Self {
        let outcome = record.outcome.as_ref().filter(|_| record.state == State::Complete);
        let best = best_evaluation(&record.evaluations);
        let last = record.evaluations.last();
        let validation = outcome.map(|o| &o.validation).or(best.map(|b| &b.validation));
        Self {
            rank: None,
            trial: record.trial.id,
            state: record.state,
            params: record.trial.params.clone(),
            seed: record.trial.seed,
            best_epoch: outcome.map(|o| o.best_epoch).or(best.map(|b| b.epoch)),
            epochs_run: outcome.map(|o| o.epochs_run).or(last.map(|l| l.epoch)),
            stopped_early: outcome.map(|o| o.stopped_early),
            train_loss: outcome.map(|o| o.train_loss).or(best.map(|b| b.train_loss)),
            val_loss: validation.map(|v| v.loss),
            val_f1: validation.map(|v| v.f1),
            test: outcome.map(|o| TestFigures::new(&o.test, labels)),
            verdict: verdict::judge(record),
            seconds: outcome.map(|o| o.seconds).or(last.map(|l| l.seconds)),
            device: record.device.map(|device| device.to_string()),
            tied: None,
            p_value: None,
            reason: record.failure.as_ref().filter(|_| record.state == State::Failed).map(|failure| {
                if failure.message.is_empty() {
                    failure.kind.to_string()
                } else {
                    format!("{}: {}", failure.kind, failure.message)
                }
            }),
            failure: Failed::of(record),
            micro_batch: record.micro_batch,
            warm_started_from: record
                .inherited_from
                .as_ref()
                .filter(|it| it.sweep.is_none())
                .map(|it| it.trial),
            reused_from: record.inherited_from.clone().filter(|origin| origin.sweep.is_some()),
        }
    }
}

/// The best evaluation so far by the monitored figure.
pub(crate) fn best_evaluation(evaluations: &[Evaluation]) -> Option<&Evaluation> {
    evaluations.iter().rev().find(|each| each.best)
}

/// Ranks the trials of `study`.
///
/// `predictions` gives a trial's predictions on the test set, where there are any; the
/// best of the ranked trials that have them are compared with the leader's by a paired test of test F1.
#[must_use]
pub fn build(
    study: &Study,
    rank_by: RankBy,
    predictions: &dyn Fn(TrialId) -> Option<Vec<Prediction>>,
) -> Leaderboard {
    let mut order: Vec<(Option<f64>, &TrialRecord)> =
        study.trials.iter().map(|record| (rank_by.key(record), record)).collect();
    // Stable: equal figures, and trials without one, keep the order of the plan.
    order.sort_by(|(a, _), (b, _)| match (a, b) {
        (Some(a), Some(b)) => a.total_cmp(b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    });
    let mut rows: Vec<Row> = Vec::with_capacity(order.len());
    let mut previous: Option<(f64, usize)> = None;
    for (position, (key, record)) in order.into_iter().enumerate() {
        let rank = key.map(|key| match previous {
            Some((figure, rank)) if figure.total_cmp(&key).is_eq() => rank,
            _ => position + 1,
        });
        previous = key.zip(rank);
        rows.push(Row { rank, ..Row::new(record, &study.labels) });
    }
    let Compared { tests, uncompared, beyond } = comparison::compare(&mut rows, study.target, predictions);
    Leaderboard {
        sweep: study.sweep.clone(),
        rank_by,
        target: study.target,
        swept: study.swept.clone(),
        rows,
        comparisons: tests,
        uncompared,
        beyond,
        chosen_by_validation: chosen_by_validation(study),
    }
}

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

impl Leaderboard {
    /// The trial on top, if one is ranked.
    #[must_use]
    pub fn leader(&self) -> Option<&Row> {
        self.rows.first().filter(|row| row.rank.is_some())
    }

    /// What a reader must know to believe the ranking no further than it goes: whole sentences.
    #[must_use]
    pub fn footnotes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let tied = self.rows.iter().filter(|row| row.tied == Some(true)).count();
        if self.comparisons > 0 {
            let mark = figures::TIE_MARK;
            notes.push(format!(
                "{mark} not distinguishable from the leader: {tied} of {} compared by a paired \
                 approximate randomisation test of test F1 (p > .05 after Holm's correction).",
                self.comparisons,
            ));
        }
        if self.beyond > 0 {
            notes.push(format!(
                "Only the {COMPARED_MAX} trials next to the leader are compared with it, not the {} behind them.",
                self.beyond,
            ));
        }
        notes.extend(self.uncompared_notes());
        notes.extend(self.memory_notes());
        notes.extend(self.origin_notes());
        notes.extend(self.optimism());
        notes
    }

    /// What to remember of a winner that was picked by its test score among several trials.
    fn optimism(&self) -> Option<String> {
        let leader = self.leader().filter(|_| self.rank_by == RankBy::TestF1)?;
        if self.rows.iter().filter(|row| row.rank.is_some()).count() < 2 {
            return None;
        }
        let row = self.rows.iter().find(|row| Some(row.trial) == self.chosen_by_validation)?;
        let f1 = row.test.as_ref().map_or(f64::NAN, |test| test.f1);
        let choice = if row.trial == leader.trial {
            "validation F1 chooses the same trial".to_owned()
        } else {
            format!("validation F1 would have chosen trial {} (test F1 {})", row.trial, figures::share(f1))
        };
        Some(format!("Picking the winner by its test score is optimistic; {choice}."))
    }
}

#[cfg(test)]
mod tests;
