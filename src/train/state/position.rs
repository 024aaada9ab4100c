//! Which training a checkpoint belongs to, and how far that training has come.

use serde::{Deserialize, Serialize};

use crate::{
    event::Evaluation,
    numbers::count_u64,
    settings::Settings,
    train::learning::early_stopping::{EarlyStopping, Standing},
    trial::TrialId,
};

/// Identifies the training that a checkpoint belongs to. Another training does not use the checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct TrainingIdentity {
    /// Every setting, but without the path of the pretrained checkpoint.
    pub(crate) settings: Settings,
    /// The trial's seed.
    pub(crate) seed: u64,
    /// Number of classes.
    pub(crate) classes: usize,
    /// Digest of the tokenised data.
    pub(crate) corpus: String,
}

impl TrainingIdentity {
    /// Whether every checkpoint of this training is, to the bit, one that the training `longer` would have written at
    /// the same step.
    pub(super) fn begins(&self, longer: &Self) -> bool {
        let settings = longer.settings.clone();
        self.settings.is_prefix_of(&settings) && Self { settings, ..self.clone() } == *longer
    }
}

/// How far a training has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// Optimiser steps done. It is also the number of the next step, counted from 0.
    pub(crate) step: u64,
    /// The epoch of the next step, from 0.
    pub(crate) epoch: u64,
    /// The batch of the next step in its epoch, from 0.
    pub(crate) batch: u64,
    /// Whether training is over, so that only the evaluation on the test set is left.
    pub(crate) over: bool,
    /// Updates that the moments have had.
    pub(crate) updates: i32,
    /// The state of early stopping.
    pub(crate) stopping: Standing,
    /// The training loss since the last evaluation: the bits of its sum, and the number of its documents.
    pub(crate) loss: (u64, usize),
    /// Every evaluation so far.
    pub(crate) evaluations: Vec<Evaluation>,
    /// Wall-clock seconds so far, over all attempts.
    pub(crate) seconds: f64,
    /// The trial whose final checkpoint this training started from, if there is one.
    #[serde(default, alias = "origin", skip_serializing_if = "Option::is_none")]
    pub(crate) prefix: Option<Prefix>,
    /// Whether some step was computed in smaller micro-batches than planned, because memory had run out.
    #[serde(default)]
    pub(crate) is_cut: bool,
}

impl Position {
    /// Whether a checkpoint at this position may have best parameters, or none, as `has_best` says: a training has
    /// best parameters from its first evaluation on.
    pub(super) fn agrees_with(&self, has_best: bool) -> bool {
        let was_best = self.evaluations.iter().any(|evaluation| evaluation.best);
        was_best == has_best && (was_best || self.evaluations.is_empty())
    }

    /// Says what in this position cannot be so in `training`, whose epochs have `per_epoch` steps, at least one.
    ///
    /// A digest only says that a file is as it was written; this says that it was written by such a training.
    pub(crate) fn contradiction(&self, training: &TrainingIdentity, per_epoch: u64) -> Option<&'static str> {
        let settings = &training.settings;
        let total = per_epoch.saturating_mul(settings.epochs as u64);
        if self.step > total {
            return Some("its step lies beyond the last one");
        }
        let is_seconds = |seconds: f64| seconds.is_finite() && seconds >= 0.0;
        let facts = [
            (
                (self.epoch, self.batch) == (self.step / per_epoch, self.step % per_epoch),
                "its epoch and batch are not those of its step",
            ),
            (u64::try_from(self.updates) == Ok(self.step), "it has not as many updates as steps"),
            (self.has_its_evaluations(training, per_epoch), "its evaluations are not those of its steps"),
            (self.has_its_documents(settings.batch_size), "its loss is one of too many documents"),
            (is_seconds(self.seconds), "its time is none"),
            (self.prefix.is_none_or(|prefix| is_seconds(prefix.seconds)), "its prefix's time is none"),
        ];
        let wrong = facts.into_iter().find_map(|(is_so, what)| (!is_so).then_some(what));
        wrong.or_else(|| self.wrong_stopping(settings, total))
    }

    /// Whether the evaluations are those after the steps at which the training is evaluated; that of the last step
    /// may not have been made yet.
    fn has_its_evaluations(&self, training: &TrainingIdentity, per_epoch: u64) -> bool {
        let every = match training.settings.eval_every as u64 {
            0 => per_epoch,
            every => every,
        };
        let total = per_epoch.saturating_mul(training.settings.epochs as u64);
        let mut due: Vec<u64> = (1..=self.step / every).map(|number| number.saturating_mul(every)).collect();
        if self.step == total && due.last() != Some(&total) {
            due.push(total);
        }
        let steps: Vec<u64> = self.evaluations.iter().map(|evaluation| evaluation.step).collect();
        let is_before_the_last =
            due.split_last().is_some_and(|(last, earlier)| *last == self.step && steps == earlier);
        let is_whole = |evaluation: &Evaluation| {
            let rows = evaluation.validation.confusion.rows();
            evaluation.epoch == count_u64(evaluation.step) / count_u64(per_epoch)
                && rows.len() == training.classes
        };
        (steps == due || is_before_the_last) && self.evaluations.iter().all(is_whole)
    }

    /// Whether so many steps can have had the documents of the loss.
    fn has_its_documents(&self, batch_size: usize) -> bool {
        let last = self.evaluations.last().map_or(0, |evaluation| evaluation.step);
        let steps = usize::try_from(self.step.saturating_sub(last)).unwrap_or(usize::MAX);
        self.loss.1 <= steps.saturating_mul(batch_size)
    }

    /// What is wrong with early stopping and the end of training: both follow from the evaluations.
    fn wrong_stopping(&self, settings: &Settings, total: u64) -> Option<&'static str> {
        let mut stopping = EarlyStopping::new(settings);
        let is_judged =
            |each: &Evaluation| stopping.judge(each.train_loss, &each.validation).best == each.best;
        if !self.evaluations.iter().all(is_judged) || stopping.standing() != self.stopping {
            return Some("early stopping does not follow from its evaluations");
        }
        let is_evaluated = self.evaluations.last().is_some_and(|last| last.step == self.step);
        let is_over = is_evaluated && (stopping.is_exhausted() || self.step == total);
        (self.over != is_over).then_some("it is over at a step that is not the last, or the other way round")
    }
}

/// The trial that made the first steps of this training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Prefix {
    /// The other trial.
    pub(crate) trial: TrialId,
    /// Wall-clock seconds that the other trial took for these steps.
    pub(crate) seconds: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{Confusion, Scores, Target};

    const PER_EPOCH: u64 = 4;

    fn training() -> TrainingIdentity {
        let settings = Settings { epochs: 3, batch_size: 8, patience: 2, ..Settings::default() };
        TrainingIdentity { settings, seed: 1, classes: 2, corpus: "digest".to_owned() }
    }

    fn scores(hits: u32) -> Scores {
        let mut confusion = Confusion::new(2);
        (0..10).for_each(|document| confusion.add(1, usize::from(document < hits)));
        Scores::new(confusion, 1.0 / f64::from(hits), Target::Class(1))
    }

    /// After `step` steps of a training whose evaluations get ever better.
    fn position(step: u64) -> Position {
        let mut stopping = EarlyStopping::new(&training().settings);
        let evaluations: Vec<Evaluation> = (1..=step / PER_EPOCH)
            .map(|epoch| {
                let validation = scores(u32::try_from(epoch).unwrap());
                let (train_loss, learning_rate, seconds) = (0.5, 1e-4, 1.0);
                let best = stopping.judge(train_loss, &validation).best;
                let (step, epoch) = (epoch * PER_EPOCH, count_u64(epoch));
                Evaluation { epoch, step, train_loss, learning_rate, validation, best, seconds }
            })
            .collect();
        Position {
            step,
            epoch: step / PER_EPOCH,
            batch: step % PER_EPOCH,
            over: step == 3 * PER_EPOCH,
            updates: i32::try_from(step).unwrap(),
            stopping: stopping.standing(),
            loss: (0.5_f64.to_bits(), usize::try_from(step % PER_EPOCH * 8).unwrap()),
            evaluations,
            seconds: 1.0,
            prefix: None,
            is_cut: false,
        }
    }

    fn contradiction(position: &Position) -> Option<&'static str> {
        position.contradiction(&training(), PER_EPOCH)
    }

    #[test]
    fn every_position_of_a_training_agrees_with_it() {
        for step in 0..=3 * PER_EPOCH {
            assert_eq!(contradiction(&position(step)), None, "step {step}");
        }
    }

    #[test]
    fn a_position_before_the_evaluation_of_its_step_agrees_with_its_training() {
        let mut before = Position { loss: (0, 32), ..position(8) };
        before.evaluations = position(7).evaluations;
        before.stopping = position(7).stopping;
        assert_eq!(contradiction(&before), None);
    }

    #[test]
    fn a_position_that_its_training_cannot_have_is_refused() {
        let changes: [fn(&mut Position); 14] = [
            |position| *position = self::position(16),
            |position| position.step = u64::MAX,
            |position| position.epoch += 1,
            |position| position.batch += 1,
            |position| position.updates = -1,
            |position| position.updates += 1,
            |position| position.over = true,
            |position| position.loss.1 = 9,
            |position| position.seconds = f64::NAN,
            |position| position.evaluations.clear(),
            |position| position.evaluations[0].step = 5,
            |position| position.evaluations[0].best = false,
            |position| position.evaluations[0].validation = scores(9),
            |position| position.evaluations[0].validation.confusion = Confusion::new(3),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut other = position(9);
            change(&mut other);
            assert!(contradiction(&other).is_some(), "change {number}");
        }
    }
}
