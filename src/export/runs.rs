//! The trials of a sweep as other programs show them: settings, evaluations with their times, and how they ended.

use super::times::{Milliseconds, Times, TrialTimes};
use crate::{
    display::plain,
    event::Evaluation,
    leaderboard::verdict::{self, Verdict},
    metrics::Scores,
    settings::{KEYS, SettingKey, Value},
    study::{Study, TrialRecord},
    trial::{State, TrialId},
};

/// The trials of a sweep.
pub struct Runs<'a> {
    /// The sweep's name, safe to be shown.
    pub(super) sweep: String,
    /// When it began.
    pub(super) begun: Milliseconds,
    /// Its trials, in the order of the plan.
    pub(super) trials: Vec<Run<'a>>,
}

/// One trial.
pub(super) struct Run<'a> {
    pub(super) record: &'a TrialRecord,
    pub(super) verdict: Option<Verdict>,
    /// `None` if it has not begun.
    pub(super) times: Option<&'a TrialTimes>,
}

impl<'a> Runs<'a> {
    /// The trials of `study`, whose log has these times.
    #[must_use]
    pub fn new(study: &'a Study, times: &'a Times) -> Self {
        let run = |record: &'a TrialRecord| Run {
            record,
            verdict: verdict::judge(record),
            times: times.of(record.trial.id),
        };
        Self {
            sweep: plain(&study.sweep),
            begun: times.begun(),
            trials: study.trials.iter().map(run).collect(),
        }
    }

    /// The number of trials that have begun.
    #[must_use]
    pub fn begun_count(&self) -> usize {
        self.trials.iter().filter(|run| run.times.is_some()).count()
    }

    /// The settings in which trials differ, in the order of the reference.
    pub(super) fn different(&self) -> impl Iterator<Item = &'static SettingKey> {
        let differs = |key: &&SettingKey| {
            let mut values = self.trials.iter().map(|run| key.get(&run.record.trial.settings));
            let first = values.next();
            values.any(|value| Some(value) != first)
        };
        KEYS.iter().filter(differs)
    }

    /// Whether trials validate on different folds.
    pub(super) fn has_folds(&self) -> bool {
        self.trials.iter().any(|run| run.record.trial.fold.is_some())
    }

    /// Whether trials differ in nothing but their seeds.
    pub(super) fn has_repeats(&self) -> bool {
        self.trials.iter().any(|run| run.record.trial.repeat > 0)
    }
}

impl Run<'_> {
    pub(super) fn id(&self) -> TrialId {
        self.record.trial.id
    }

    /// Every setting: name and value. A text is safe to be shown.
    pub(super) fn settings(&self) -> impl Iterator<Item = (&'static str, Value)> {
        KEYS.iter().map(|key| (key.name, self.setting(key)))
    }

    /// The value of one setting. A text is safe to be shown.
    pub(super) fn setting(&self, key: &SettingKey) -> Value {
        match key.get(&self.record.trial.settings) {
            Value::Text(text) => Value::Text(plain(&text)),
            number => number,
        }
    }

    /// The verdict; of a trial that has none, its state.
    pub(super) fn verdict_or_state(&self) -> &'static str {
        self.verdict.map_or(self.record.state.as_str(), Verdict::as_str)
    }

    /// The evaluation whose parameters are kept, or were so far.
    pub(super) fn best(&self) -> Option<&Evaluation> {
        let evaluations = &self.record.evaluations;
        let kept = self.record.outcome.as_ref().filter(|_| self.record.state == State::Complete);
        match kept {
            Some(outcome) => evaluations.iter().rev().find(|each| each.step == outcome.best_step),
            None => evaluations.iter().rev().find(|each| each.best),
        }
    }

    /// The figures on the test set, if it was measured.
    pub(super) fn test(&self) -> Option<&Scores> {
        let outcome = self.record.outcome.as_ref().filter(|_| self.record.state == State::Complete);
        outcome.map(|outcome| &outcome.test)
    }

    /// When the evaluation was made.
    pub(super) fn time_of(&self, evaluation: &Evaluation) -> Milliseconds {
        self.times.map_or(0, |times| times.evaluated(evaluation.step))
    }
}
