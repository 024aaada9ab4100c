//! Writing a trial's checkpoints, and resuming from them.

use std::time::Instant;

use burn::module::{AutodiffModule, Module};

use super::{
    learner::{Learner, LossSum, SaveRecord},
    persist::persist,
    running_trial::RunningTrial,
    trial_tables::write_metrics,
};
use crate::{
    checkpoint::Checkpoint,
    error_chain::chain,
    fingerprint::FileDigest,
    numbers::count_u64,
    policy::CheckpointEvery,
    settings::Settings,
    system::files::Place,
    train::{
        backend::Compute,
        encoder::{
            config::EncoderConfig,
            model::classifier::{Classifier, ModelOptions},
            source::Pretrained,
        },
        error::{TrainError, Unfinished},
        learning::{adamw::Moments, parameters::Freezer},
        observe::{Observe, Report},
        state::{
            checkpoint_store::{
                BestParameters, CheckpointDraft, CheckpointStore, SavedCheckpoint, StateError,
            },
            position::{Position, Prefix, TrainingIdentity},
        },
    },
    trial::TrialId,
};

impl<C: Compute> RunningTrial<'_, C> {
    fn store(&self) -> CheckpointStore {
        CheckpointStore::new(self.folder)
    }

    fn identity(&self) -> TrainingIdentity {
        TrainingIdentity {
            // The saved parameters replace the pretrained ones, which may lie in another folder by now.
            settings: Settings { checkpoint: Checkpoint::none(), ..self.settings().clone() },
            seed: self.job.trial.seed,
            classes: self.data.labels().len(),
            corpus: self.corpus.digest().to_owned(),
        }
    }

    /// Whether it is time for a checkpoint within an epoch.
    pub(super) fn is_save_due(&self, learner: &Learner<C>) -> bool {
        match self.job.checkpoint_every {
            CheckpointEvery::Time(time) => learner.saved.at.elapsed() >= time,
            CheckpointEvery::Steps(steps) => learner.step - learner.saved.step >= steps,
        }
    }

    /// Writes a checkpoint. `is_best`: whether the current parameters are the best so far.
    pub(super) fn save(
        &self,
        learner: &mut Learner<C>,
        is_best: bool,
        observe: &mut Observe<'_>,
    ) -> Result<(), Unfinished> {
        learner.read_losses()?;
        if !learner.has_finite_losses() {
            // The trial is about to fail for this evaluation, and JSON cannot express its loss.
            return Ok(());
        }
        self.verify_entries().map_err(TrainError::from)?;
        let position = self.position(learner);
        let (moments, _) = learner.optimizer.moments();
        let parameters = learner.model.valid().weights();
        observe(Report::Saving)?;
        let earlier_best = learner.saved.best.take();
        let draft = CheckpointDraft {
            identity: &self.identity(),
            position: &position,
            // After the last step the moments are needed by trials that start from this checkpoint, and by no others.
            moments: &if learner.over && !self.attempt.sharing.has_successors {
                Moments::new()
            } else {
                moments
            },
            model: &parameters,
            best: match &earlier_best {
                _ if is_best => BestParameters::Current,
                Some(digest) => BestParameters::Earlier(digest),
                None => BestParameters::None,
            },
        };
        let written = persist(observe, &mut || Ok(self.store().write(&draft)?))?;
        let saved = &mut learner.saved;
        (saved.at, saved.step) = (Instant::now(), position.step);
        (saved.best, saved.last) = (written.best, Some(written.last));
        Ok(())
    }

    /// The files with parameters that the trial leaves, as they were written; `None` if one of them was not written.
    pub(super) fn parameter_files(
        &self,
        learner: &Learner<C>,
    ) -> Result<Option<[FileDigest; 2]>, TrainError> {
        let SaveRecord { last: Some(last), best: Some(best), .. } = &learner.saved else { return Ok(None) };
        Ok(Some(self.store().parameter_files(last, best)?))
    }

    fn position(&self, learner: &Learner<C>) -> Position {
        let per_epoch = self.planned_steps().per_epoch;
        let (_, updates) = learner.optimizer.moments();
        Position {
            step: learner.step,
            epoch: learner.step / per_epoch,
            batch: learner.step % per_epoch,
            over: learner.over,
            updates,
            stopping: learner.stopping.standing(),
            loss: (learner.loss.sum.to_bits(), learner.loss.documents),
            evaluations: learner.evaluations.clone(),
            seconds: self.seconds(learner),
            prefix: learner.saved.prefix,
            is_cut: learner.saved.is_cut,
        }
    }

    /// Resumes from the trial's own checkpoint, or else starts from the prefix trial's final checkpoint, if there is
    /// one of them. Otherwise `learner` is returned as it is.
    pub(super) fn restore(
        &self,
        learner: Learner<C>,
        config: &EncoderConfig,
        observe: &mut Observe<'_>,
    ) -> Result<Learner<C>, Unfinished> {
        let mut found = persist(observe, &mut || {
            Ok(self.store().read(&self.identity(), &|training, position| self.refusal(training, position))?)
        })?;
        let shared = if found.saved.is_none() { self.prefix_checkpoint(&mut found.damaged) } else { None };
        let used_instead = match (&found.saved, &shared) {
            (Some(_), _) => "the one before it is used".to_owned(),
            (None, Some((prefix, _))) => format!("the trial goes on from where trial {prefix} ended"),
            (None, None) => "the trial begins anew".to_owned(),
        };
        for damaged in &found.damaged {
            observe(Report::CheckpointDamaged(format!("{}; {used_instead}", chain(damaged))))?;
        }
        match (found.saved, shared) {
            (Some(saved), _) => Ok(self.resumed(learner, saved, config)?),
            (None, Some((trial, saved))) => {
                let seconds = saved.position.seconds;
                let mut learner = self.resumed(learner, saved, config)?;
                learner.saved.prefix = Some(Prefix { trial, seconds });
                self.take_over(&mut learner, trial, observe)?;
                Ok(learner)
            }
            (None, None) => Ok(learner),
        }
    }

    /// What in a checkpoint's position `training` cannot have, which is this training or a prefix of it.
    fn refusal(&self, training: &TrainingIdentity, position: &Position) -> Option<&'static str> {
        position.contradiction(training, self.planned_steps().per_epoch)
    }

    /// The folder of another trial of the sweep.
    fn folder_of(&self, trial: TrialId) -> Place {
        self.folder.beside(trial.to_string())
    }

    /// The prefix trial's final checkpoint, if this trial would have reached the same state.
    fn prefix_checkpoint(&self, damaged: &mut Vec<StateError>) -> Option<(TrialId, SavedCheckpoint)> {
        let prefix = self.attempt.sharing.prefix?;
        let store = CheckpointStore::new(&self.folder_of(prefix));
        let found = store.read_final(&self.identity(), &|training, found| self.refusal(training, found));
        let saved = found.unwrap_or_else(|error| {
            damaged.push(error);
            None
        })?;
        // Without moments no step can be made. A trial that was to have no successors writes none.
        (!saved.moments.is_empty() && saved.best.is_some()).then_some((prefix, saved))
    }

    /// Writes the files into the trial's folder that it would have written by now without the prefix trial `prefix`.
    /// From then on it does not need the other trial's folder.
    fn take_over(
        &self,
        learner: &mut Learner<C>,
        prefix: TrialId,
        observe: &mut Observe<'_>,
    ) -> Result<(), Unfinished> {
        let other = CheckpointStore::new(&self.folder_of(prefix));
        persist(observe, &mut || {
            write_metrics(self.folder, &learner.evaluations)?;
            Ok(self.store().take_best(&other)?)
        })?;
        self.save(learner, false, observe)
    }

    /// Returns the learner in the state of `saved`.
    fn resumed(
        &self,
        mut learner: Learner<C>,
        saved: SavedCheckpoint,
        config: &EncoderConfig,
    ) -> Result<Learner<C>, TrainError> {
        let (options, classes) = (ModelOptions::of(self.settings()), self.data.labels().len());
        let source = |weights| Pretrained {
            weights,
            family: config.family(),
            seed: self.job.trial.seed,
            reinitialised: Vec::new(),
            complete: true,
        };
        let position = saved.position;
        let model: Classifier<C> =
            Classifier::build(config, options, classes, &source(&saved.model.0), self.device)?;
        learner.model = model.map(&mut Freezer::new(self.settings().freeze));
        learner.optimizer.resume(saved.moments, position.updates);
        learner.stopping.resume(position.stopping);
        learner.saved = SaveRecord { last: Some(saved.model.1), ..SaveRecord::resumed(&position) };
        if let Some((weights, digest)) = saved.best {
            let best = Classifier::build(config, options, classes, &source(&weights), self.device)?;
            learner.best = Some(best);
            learner.saved.best = Some(digest);
        }
        learner.evaluations = position.evaluations;
        learner.step = position.step;
        let (sum, documents) = position.loss;
        learner.loss = LossSum { sum: f64::from_bits(sum), documents };
        // Not taken from the checkpoint: it may be that of a prefix trial, which ends earlier than this one.
        let is_evaluated = learner.evaluations.last().is_some_and(|last| last.step == learner.step);
        let is_last = learner.step == self.planned_steps().total;
        learner.over = is_evaluated && (learner.stopping.is_exhausted() || is_last);
        Ok(learner)
    }

    /// Reports the state that a resumed trial starts from, and the evaluations of its earlier attempts.
    pub(super) fn report_past(
        &self,
        learner: &Learner<C>,
        observe: &mut Observe<'_>,
    ) -> Result<(), Unfinished> {
        if !learner.saved.is_resumed {
            return Ok(());
        }
        let epoch = count_u64(learner.step) / count_u64(self.planned_steps().per_epoch);
        let from = learner.saved.prefix.map(|prefix| prefix.trial);
        observe(Report::Resumed { step: learner.step, epoch, from })?;
        for evaluation in &learner.evaluations {
            observe(Report::Evaluated(evaluation.clone()))?;
        }
        Ok(())
    }
}
