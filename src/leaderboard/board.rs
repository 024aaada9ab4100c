//! The leaderboard and its rows.

use serde::Serialize;

use super::{
    clean::{CleanFigures, Unclean},
    confirmed::Confirmed,
    evidence::Evidence,
    failed::Failed,
    rank_by::RankBy,
    test_figures::TestFigures,
    uncompared::Uncompared,
    verdict::{self, Verdict},
    winner::Winner,
};
use crate::{
    event::Evaluation,
    halving,
    metrics::{Confusion, Target},
    study::{Study, TrialRecord},
    trial::{Confirmation, Params, State, TrialId, TrialRef},
};

/// Number of trials that a footnote lists one by one; the others are counted.
pub(super) const NOTE_TRIALS_MAX: usize = 5;

/// The trials of a sweep, best first.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaderboard {
    /// The sweep's name.
    pub sweep: String,
    /// The figure by which the trials are ranked.
    pub rank_by: RankBy,
    /// Whether F1 is of one class or an average over the classes.
    pub target: Target,
    /// The classes of a binary task, of which the first is the positive one.
    pub binary: Option<BinaryClasses>,
    /// Which classes a split lacks, and what that does to the figures: a sentence each.
    pub class_warnings: Vec<String>,
    /// The test documents that are like others; `None` if there are none, or the plan does not say.
    pub unclean: Option<Unclean>,
    /// The kinds of processors of the workers of a cluster, where they differ, each with its complete trials.
    pub processors: Vec<(String, usize)>,
    /// Number of folds; `None` without folds.
    pub folds: Option<u32>,
    /// Names of the swept settings, in the order of the spec.
    pub swept: Vec<String>,
    /// One row for each trial: the ranked trials, those that are unfit for use behind the others, then the
    /// trials without a rank in the order of the plan.
    pub rows: Vec<LeaderboardRow>,
    /// Number of trials that were compared with the leader.
    pub comparisons: usize,
    /// Ranked trials that could not be compared with the leader, with the reason. If the leader itself
    /// lacks predictions, it is the only entry, since no trial can be compared with it then.
    pub uncompared: Vec<(TrialId, Uncompared)>,
    /// Number of ranked trials that are too far behind the leader to be compared with it.
    pub beyond_comparison: usize,
    /// Epochs that halted trials would have trained at most, had they not been halted.
    pub epochs_saved: usize,
    /// Epochs that all trials would have trained at most.
    pub epochs_planned: usize,
    /// The complete trial with the highest validation F1 (then the lowest validation loss), of those that are
    /// fit for use if there are any.
    pub chosen_by_validation: Option<TrialId>,
    /// The configurations that were run again with further seeds, in the order in which they were chosen.
    pub confirmed: Vec<Confirmed>,
}

/// The classes of a binary task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BinaryClasses {
    /// The class whose F1 counts.
    pub positive: String,
    /// The other class.
    pub negative: String,
    /// Whether the spec does not name the positive class.
    pub is_guess: bool,
}

impl BinaryClasses {
    /// The classes of `study`; `None` if it has more than two.
    pub(super) fn of(study: &Study) -> Option<Self> {
        let label = |class: usize| study.labels.get(class).cloned();
        let class = study.target.positive()?;
        let (positive, negative) = (label(class)?, label(usize::from(class == 0))?);
        Some(Self { positive, negative, is_guess: study.positive_is_guess })
    }
}

/// One trial of a leaderboard. Serialised, it is one element of `leaderboard.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LeaderboardRow {
    /// Place on the leaderboard, from 1. Equal figures share a rank, unless the verdict puts one of the trials
    /// behind all others. `None` without a figure to rank by.
    pub rank: Option<usize>,
    /// The trial's number.
    pub trial: TrialId,
    /// Whether the trial waits, runs, is complete or has failed.
    pub state: State,
    /// The trial's values of the swept settings.
    pub params: Params,
    /// The trial's seed.
    pub seed: u64,
    /// Epoch of the best parameters; of a trial that is not complete, of the best parameters so far.
    pub best_epoch: Option<f64>,
    /// Number of epochs that were trained.
    pub epochs_run: Option<f64>,
    /// Whether early stopping ended the trial; `None` unless complete.
    pub stopped_early: Option<bool>,
    /// Training loss at the best evaluation.
    pub train_loss: Option<f64>,
    /// Validation loss at the best evaluation.
    pub val_loss: Option<f64>,
    /// Validation F1 at the best evaluation.
    pub val_f1: Option<f64>,
    /// Figures on the test set; `None` unless complete.
    pub test: Option<TestFigures>,
    /// How the training went, judged by the losses and by the predictions on validation.
    pub verdict: Option<Verdict>,
    /// Wall-clock seconds over all attempts. Once the trial is complete, the seconds of a trial whose final
    /// checkpoint it started from are left out.
    pub seconds: Option<f64>,
    /// The device of the latest attempt.
    pub device: Option<String>,
    /// Whether the trial's test F1 is not distinguishable from the leader's. False for the leader itself, `None`
    /// where no comparison was made.
    pub tied: Option<bool>,
    /// The trial's p-value in the model confidence set; under another ranking than by test F1, the p-value of the
    /// comparison with the leader. Both allow for the number of trials.
    pub p_value: Option<f64>,
    /// Why the trial failed, as one sentence.
    pub reason: Option<String>,
    /// The reason in parts, with the end of the worker's log; `None` unless failed.
    pub failure: Option<Failed>,
    /// Largest number of examples in one forward and backward pass of the latest attempt; `None` where
    /// memory never ran out.
    pub micro_batch: Option<usize>,
    /// The trial of this sweep whose final checkpoint the trial started from.
    pub warm_started_from: Option<TrialId>,
    /// The trial of another sweep whose results were reused instead of training this trial.
    pub reused_from: Option<TrialRef>,
    /// The class whose precision, recall and F1 the figures are; `None` with more than two classes.
    pub positive: Option<String>,
    /// Where a trial was halted; `None` for all others.
    pub halted: Option<HaltedAt>,
    /// What is known of the choice of the leader; `None` for all other trials.
    pub winner: Option<Winner>,
    /// What the verdict rests on; `None` without a verdict.
    pub evidence: Option<Evidence>,
    /// Figures on the test documents that are not like others; `None` where all are so, and without predictions.
    pub clean: Option<CleanFigures>,
    /// Why its configuration was run again with its seed, after the search; `None` for all other trials.
    pub confirms: Option<Confirmation>,
    /// The fold that the trial validates on, from 1; `None` without folds.
    pub fold: Option<u32>,
    /// Which of the repeats of its configuration it is, from 0.
    #[serde(skip)]
    pub(super) repeat: u32,
    /// What its best parameters predict on validation; `None` unless complete.
    #[serde(skip)]
    pub(super) validation: Option<Confusion>,
}

/// Where a trial was halted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct HaltedAt {
    /// After so many epochs.
    pub epoch: usize,
    /// The rung, from 1.
    pub rung: usize,
    /// Rungs of the search.
    pub rungs: usize,
    /// The trial's generation, from 1.
    pub generation: u32,
    /// The place of its configuration at the rung, from 1; `None` as long as others are awaited.
    pub place: Option<usize>,
    /// The configurations that were compared there.
    pub of: Option<usize>,
}

impl HaltedAt {
    /// Where `record`, a trial of `study`, was halted.
    pub(super) fn of(record: &TrialRecord, study: &Study) -> Option<Self> {
        let decision = &record.rungs.last().filter(|_| record.state == State::Halted)?.decision;
        let place = halving::place(study, record.trial.id);
        let rungs = study.halving()?.rungs.len();
        Some(Self {
            epoch: decision.epoch,
            rung: decision.rung + 1,
            rungs,
            generation: record.trial.origin.as_ref()?.generation + 1,
            place: place.map(|(place, _)| place),
            of: place.map(|(_, of)| of),
        })
    }

    /// `halted at 3 (7/8)`: the epoch, and the place among those that were compared. A table has no room for more.
    pub(super) fn describe(self) -> String {
        let Self { epoch, place, of, .. } = self;
        let place = place.zip(of).map_or_else(String::new, |(place, of)| format!(" ({place}/{of})"));
        format!("halted at {epoch}{place}")
    }
}

impl LeaderboardRow {
    pub(super) fn new(record: &TrialRecord, labels: &[String], target: Target) -> Self {
        let outcome = record.outcome.as_ref().filter(|_| record.state == State::Complete);
        let best = best_evaluation(&record.evaluations);
        let last = record.evaluations.last();
        let inherited = record.inherited_from.as_ref();
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
            reason: reason(record),
            failure: Failed::of(record),
            micro_batch: record.micro_batch,
            warm_started_from: inherited.filter(|it| it.sweep.is_none()).map(|it| it.trial),
            reused_from: inherited.filter(|it| it.sweep.is_some()).cloned(),
            positive: target.positive().and_then(|class| labels.get(class)).cloned(),
            halted: None,
            clean: None,
            winner: None,
            evidence: Evidence::of(record),
            confirms: record.trial.confirms.clone(),
            fold: record.trial.fold,
            repeat: record.trial.repeat,
            validation: outcome.map(|o| o.validation.confusion.clone()),
        }
    }
}

impl LeaderboardRow {
    /// Whether the trial is ranked, but behind all others since its verdict makes it unfit for use.
    #[must_use]
    pub fn is_put_last(&self) -> bool {
        self.rank.is_some() && self.verdict.is_some_and(Verdict::is_unfit)
    }
}

/// Why a trial failed, as one sentence; `None` unless failed.
fn reason(record: &TrialRecord) -> Option<String> {
    let failure = record.failure.as_ref().filter(|_| record.state == State::Failed)?;
    Some(if failure.message.is_empty() {
        failure.kind.to_string()
    } else {
        format!("{}: {}", failure.kind, failure.message)
    })
}

/// The latest evaluation that was the best one when it was made.
pub(crate) fn best_evaluation(evaluations: &[Evaluation]) -> Option<&Evaluation> {
    evaluations.iter().rev().find(|each| each.best)
}

impl Leaderboard {
    /// The row of the best trial, if any trial is ranked and fit for use.
    #[must_use]
    pub fn leader(&self) -> Option<&LeaderboardRow> {
        self.rows.first().filter(|row| row.rank.is_some() && !row.is_put_last())
    }

    /// The ranked trials that come last since their verdicts make them unfit for use, the best first.
    pub fn put_last(&self) -> impl Iterator<Item = &LeaderboardRow> {
        self.rows.iter().filter(|row| row.is_put_last())
    }

    /// Takes over the comparisons of `earlier`, an earlier leaderboard of the same sweep, as far as they hold: those with
    /// another leader do not. Nothing is said then of trials that were not compared.
    pub fn take_comparisons(&mut self, earlier: Option<&Self>) {
        (self.comparisons, self.beyond_comparison) = (0, 0);
        self.uncompared.clear();
        let leader = |board: &Self| board.leader().map(|row| row.trial);
        let Some(earlier) = earlier else { return };
        self.take_confirmed(earlier);
        for row in &mut self.rows {
            let Some(before) = earlier.rows.iter().find(|before| before.trial == row.trial) else { continue };
            if let (Some(failed), Some(known)) = (&mut row.failure, &before.failure) {
                failed.log.clone_from(&known.log);
            }
        }
        if leader(earlier).is_none() || leader(earlier) != leader(self) {
            return;
        }
        (self.comparisons, self.beyond_comparison) = (earlier.comparisons, earlier.beyond_comparison);
        self.uncompared.clone_from(&earlier.uncompared);
        for row in &mut self.rows {
            let before = earlier.rows.iter().find(|before| before.trial == row.trial);
            (row.tied, row.p_value) = before.map_or((None, None), |before| (before.tied, before.p_value));
        }
    }

    /// Marks trials whose predictions exist but cannot be used.
    pub fn mark_damaged(&mut self, trials: &[TrialId]) {
        for (_, reason) in self.uncompared.iter_mut().filter(|(trial, _)| trials.contains(trial)) {
            *reason = Uncompared::Damaged;
        }
    }

    /// Adds the last lines of the worker's log to each failed trial.
    pub fn add_logs(&mut self, last_lines: &dyn Fn(TrialId) -> Vec<String>) {
        for row in &mut self.rows {
            if let Some(failed) = &mut row.failure {
                failed.log = last_lines(row.trial);
            }
        }
    }
}
