//! One trial from its first step to its test figures, read from top to bottom.
//!
//! Validation chooses the epoch and stops the training; the test set is measured
//! once, with the best parameters. Nothing here reads a test label before that.

use burn::module::AutodiffModule;

use super::{
    learner::{EVALUATED, Learner, LossSum},
    measured::{FinalFigures, Measured, MeasuredOn},
    persist::persist,
    running_trial::{PlannedSteps, RunningTrial},
    trial_tables::{PredictionTable, keep_metrics, write_metrics, write_predictions},
};
use crate::{
    data::SplitName,
    event::{Evaluation, Outcome, Prepared, Progress, ResultFiles},
    metrics::Scores,
    numbers::count_u64,
    train::{
        backend::Compute,
        error::{TrainError, Unfinished, stop_later},
        learning::schedule::LearningRate,
        observe::{Observe, Report, Stopped},
    },
};

/// The batches of the current epoch.
#[derive(Default)]
pub(super) struct EpochBatches {
    epoch: Option<u64>,
    /// By batch: its documents.
    batches: Vec<Vec<usize>>,
}

impl<C: Compute> RunningTrial<'_, C> {
    /// Trains until the last step or until patience runs out, and measures the test set.
    pub(super) fn run(
        &self,
        mut learner: Learner<C>,
        observe: &mut Observe<'_>,
    ) -> Result<Outcome, Unfinished> {
        let planned = self.planned_steps();
        observe(Report::Prepared(self.prepared(&learner, planned)))?;
        self.report_past(&learner, observe)?;
        let rate = LearningRate::new(self.settings(), planned.total);
        let mut batches = EpochBatches::default();
        loop {
            if self.is_evaluation_due(&learner, planned) {
                let last_rate = rate.at(learner.step - 1);
                self.evaluate(&mut learner, last_rate, planned, observe)?;
            }
            if learner.over {
                return self.finish(&learner, planned, observe);
            }
            if let Some(epochs) = self.pause_due(&learner, planned) {
                return Err(self.pause(&mut learner, epochs, observe));
            }
            let rate_now = rate.at(learner.step);
            let batch = self.batch(&mut batches, learner.step, planned);
            learner = self.step(learner, batch, rate_now)?;
            let go_on = self.report_step(&learner, planned, observe);
            // A trial that is stopped saves its last step before it ends.
            if go_on.is_err() || self.is_save_due(&learner) {
                self.save(&mut learner, false, observe)?;
            }
            go_on?;
        }
    }

    /// Reports how far the trial is after a step.
    pub(super) fn report_step(
        &self,
        learner: &Learner<C>,
        planned: PlannedSteps,
        observe: &mut Observe<'_>,
    ) -> Result<(), Stopped> {
        let epoch = (learner.step - 1) / planned.per_epoch;
        observe(Report::Progress(Progress {
            epoch: usize::try_from(epoch + 1).unwrap_or(usize::MAX),
            epochs: self.settings().epochs,
            step: learner.step,
            steps: planned.total,
            train_loss: learner.loss.mean(),
        }))
    }

    /// The batch of the step with this number, counted from 0.
    pub(super) fn batch<'b>(
        &self,
        batches: &'b mut EpochBatches,
        step: u64,
        planned: PlannedSteps,
    ) -> &'b [usize] {
        let epoch = step / planned.per_epoch;
        if batches.epoch != Some(epoch) {
            let (train, seed) = (&self.corpus.train, self.job.trial.seed);
            batches.batches = train.epoch_batches(self.settings().batch_size, seed, epoch);
            batches.epoch = Some(epoch);
        }
        &batches.batches[usize::try_from(step % planned.per_epoch).unwrap_or(0)]
    }

    /// Whether the validation set is to be measured now, which it has not been since the last step.
    pub(super) fn is_evaluation_due(&self, learner: &Learner<C>, planned: PlannedSteps) -> bool {
        let step = learner.step;
        let is_time = match self.settings().eval_every as u64 {
            0 => step.is_multiple_of(planned.per_epoch),
            every => step.is_multiple_of(every) || step == planned.total,
        };
        let last = learner.evaluations.last().map(|evaluation| evaluation.step);
        is_time && step > 0 && last != Some(step)
    }

    /// The epochs after which the trial pauses, if it has come so far.
    pub(super) fn pause_due(&self, learner: &Learner<C>, planned: PlannedSteps) -> Option<usize> {
        self.attempt.pause_after.filter(|epochs| learner.step >= *epochs as u64 * planned.per_epoch)
    }

    /// Writes the checkpoint from which the trial goes on later, if there is none of this step yet. Returns why it ends.
    pub(super) fn pause(
        &self,
        learner: &mut Learner<C>,
        epochs: usize,
        observe: &mut Observe<'_>,
    ) -> Unfinished {
        let saved =
            if learner.saved.step == learner.step { Ok(()) } else { self.save(learner, false, observe) };
        saved.err().unwrap_or(Unfinished::Paused(epochs))
    }

    pub(super) fn prepared(&self, learner: &Learner<C>, planned: PlannedSteps) -> Prepared {
        Prepared {
            train_documents: self.data.split(SplitName::Train).len(),
            train_chunks: self.corpus.train.chunk_count(),
            validation_documents: self.corpus.validation.document_count(),
            test_documents: self.corpus.test.document_count(),
            long_documents: self.corpus.train.long,
            duplicates_dropped: self.data.train_dropped(),
            unknown_share: self.corpus.train.unknown_share(),
            parameters: learner.learning_parameters(),
            steps: planned.total,
            seconds: self.clock.seconds(),
        }
    }

    /// Measures the validation set, and goes on as [`Self::judge`] does.
    fn evaluate(
        &self,
        learner: &mut Learner<C>,
        learning_rate: f64,
        planned: PlannedSteps,
        observe: &mut Observe<'_>,
    ) -> Result<(), Unfinished> {
        learner.read_losses()?;
        let Measured { scores, .. } = self.measure(&learner.model.valid(), MeasuredOn::Validation, observe);
        self.judge(learner, scores, learning_rate, planned, observe)
    }

    /// Judges the figures on the validation set, writes `metrics.csv` and a checkpoint, and reports.
    ///
    /// `learning_rate`: that of the last step.
    pub(super) fn judge(
        &self,
        learner: &mut Learner<C>,
        validation: Scores,
        learning_rate: f64,
        planned: PlannedSteps,
        observe: &mut Observe<'_>,
    ) -> Result<(), Unfinished> {
        observe(Report::Saving)?;
        let train_loss = learner.loss.mean();
        let judgement = learner.stopping.judge(train_loss, &validation);
        let evaluation = Evaluation {
            epoch: count_u64(learner.step) / count_u64(planned.per_epoch),
            step: learner.step,
            train_loss,
            learning_rate,
            validation,
            best: judgement.best,
            seconds: self.seconds(learner),
        };
        learner.loss = LossSum::default();
        learner.over = judgement.stop || learner.step == planned.total;
        learner.evaluations.push(evaluation.clone());
        // A stop on the way waits until the evaluation is saved and reported: it took long.
        let written = persist(observe, &mut || write_metrics(self.folder, &learner.evaluations));
        let written = stop_later(written.map(drop))?;
        if judgement.best {
            learner.best = Some(learner.model.valid());
        }
        let saved = stop_later(self.save(learner, judgement.best, observe))?;
        let reported = observe(Report::Evaluated(evaluation));
        Ok(written.and(saved).and(reported)?)
    }

    /// Measures the best parameters, and goes on as [`Self::conclude`] does.
    fn finish(
        &self,
        learner: &Learner<C>,
        planned: PlannedSteps,
        observe: &mut Observe<'_>,
    ) -> Result<Outcome, Unfinished> {
        let mut measure = |on| self.measure(learner.best_model(), on, observe);
        let training = measure(MeasuredOn::TrainingSample);
        let test = measure(MeasuredOn::Test);
        let validation = self.keeps_validation().then(|| measure(MeasuredOn::Validation));
        self.conclude(learner, planned, FinalFigures::new(training, test, validation), observe)
    }

    /// Whether its predictions on the validation set are kept: with folds, those of all folds together are compared.
    pub(super) fn keeps_validation(&self) -> bool {
        self.job.trial.fold.is_some()
    }

    /// Writes `predictions.csv`, and with folds `validation.csv`. `figures`: what the best parameters are worth.
    pub(super) fn conclude(
        &self,
        learner: &Learner<C>,
        planned: PlannedSteps,
        figures: FinalFigures,
        observe: &mut Observe<'_>,
    ) -> Result<Outcome, Unfinished> {
        let FinalFigures { training, test, validation } = figures;
        let best_evaluation = learner.evaluations.iter().rev().find(|evaluation| evaluation.best);
        let (Some(best), Some(last)) = (best_evaluation, learner.evaluations.last()) else {
            unreachable!("{EVALUATED}");
        };
        self.verify_entries().map_err(TrainError::from)?;
        observe(Report::Saving)?;
        let metrics = persist(observe, &mut || keep_metrics(self.folder, &learner.evaluations))?;
        let mut keep = |split: SplitName, Measured { probabilities, .. }: &Measured| {
            let split = (split, self.corpus.split(split));
            let table = PredictionTable { data: self.data, split, probabilities };
            persist(observe, &mut || write_predictions(self.folder, &table))
        };
        let predictions = keep(SplitName::Test, &test)?;
        let out_of_fold = validation.as_ref().map(|validation| keep(SplitName::Validation, validation));
        let out_of_fold = out_of_fold.transpose()?;
        let parameters = self.parameter_files(learner)?;
        Ok(Outcome {
            best_epoch: best.epoch,
            best_step: best.step,
            epochs_run: last.epoch,
            stopped_early: learner.step < planned.total,
            train_loss: best.train_loss,
            validation: best.validation.clone(),
            test: test.scores,
            training: Some(training),
            seconds: self.seconds(learner) - learner.saved.prefix.map_or(0.0, |prefix| prefix.seconds),
            files: parameters.map(|[last, best]| ResultFiles {
                best,
                last,
                metrics,
                predictions,
                validation: out_of_fold,
            }),
        })
    }
}
