//! What a trial writes so that it can go on after any interruption, and going on.

use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use burn::module::{AutodiffModule, Module};

use super::{Classifier, Form, Freezer, Learner, Trial};
use crate::{
    checkpoint::Checkpoint,
    policy::CheckpointEvery,
    settings::Settings,
    train::{
        Control, Observe, Report, TrainError,
        backend::Compute,
        config::EncoderConfig,
        outputs,
        state::{self, Best, Found, Identity, Moments, Position, Prefix, Saving, Shelf, StateError},
        weights::Pretrained,
    },
    trial::TrialId,
};

/// Between two attempts to write to a full disk.
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// The latest checkpoint of this attempt.
pub(super) struct Saved {
    at: Instant,
    step: u64,
    /// Digest of the best parameters.
    best: Option<String>,
    /// Wall-clock seconds of the attempts before.
    pub(super) seconds_before: f64,
    is_resumed: bool,
    /// What it has of another trial.
    pub(super) prefix: Option<Prefix>,
    /// Whether some step was computed in smaller parts than planned.
    pub(super) is_cut: bool,
}

impl Default for Saved {
    fn default() -> Self {
        Self {
            at: Instant::now(),
            step: 0,
            best: None,
            seconds_before: 0.0,
            is_resumed: false,
            prefix: None,
            is_cut: false,
        }
    }
}

impl<C: Compute> Trial<'_, C> {
    fn shelf(&self) -> Shelf {
        Shelf::new(self.folder)
    }

    fn identity(&self) -> Identity {
        Identity {
            // The parameters have left it behind, wherever it lies now.
            settings: Settings { checkpoint: Checkpoint::none(), ..self.settings().clone() },
            seed: self.job.trial.seed,
            classes: self.data.labels.len(),
            corpus: self.corpus.digest().to_owned(),
        }
    }

    /// Optimiser steps of an epoch, and of all epochs.
    pub(super) fn planned_steps(&self) -> (u64, u64) {
        let steps_per_epoch = self.corpus.train.len().div_ceil(self.settings().batch_size) as u64;
        (steps_per_epoch, steps_per_epoch * self.settings().epochs as u64)
    }

    /// Whether it is time for a checkpoint within an epoch.
    pub(super) fn is_save_due(&self, learner: &Learner<C>) -> bool {
        match self.job.checkpoint_every {
            CheckpointEvery::Time(time) => learner.saved.at.elapsed() >= time,
            CheckpointEvery::Steps(steps) => learner.step - learner.saved.step >= steps,
        }
    }

    /// Writes a checkpoint; `is_best`: the parameters are the best so far.
    pub(super) fn save(
        &self,
        learner: &mut Learner<C>,
        is_best: bool,
        observe: &mut Observe<'_>,
    ) -> Result<Control, TrainError> {
        let is_finite = learner
            .evaluations
            .iter()
            .all(|evaluation| evaluation.train_loss.is_finite() && evaluation.validation.loss.is_finite());
        if !is_finite {
            // Nothing goes on from here.
            return Ok(Control::Continue);
        }
        let (steps_per_epoch, _) = self.planned_steps();
        let (moments, updates) = learner.optimizer.moments();
        let position = Position {
            step: learner.step,
            epoch: learner.step / steps_per_epoch,
            batch: learner.step % steps_per_epoch,
            over: learner.over,
            updates,
            stopping: learner.stopping.standing(),
            loss: (learner.loss.0.to_bits(), learner.loss.1),
            evaluations: learner.evaluations.clone(),
            seconds: self.seconds(learner),
            prefix: learner.saved.prefix,
            is_cut: learner.saved.is_cut,
        };
        let before = learner.saved.best.take();
        let saving = Saving {
            identity: &self.identity(),
            position: &position,
            // No step will want them, unless it is another trial's.
            moments: &if learner.over && !self.attempt.sharing.has_successors {
                Moments::new()
            } else {
                moments
            },
            model: &learner.model.valid().weights(),
            best: match &before {
                _ if is_best => Best::Now,
                Some(digest) => Best::Before(digest),
                None => Best::None,
            },
        };
        let mut best = None;
        let control = Self::persist(observe, &mut || {
            best = self.shelf().write(&saving)?;
            Ok(())
        })?;
        let saved = &mut learner.saved;
        (saved.at, saved.step, saved.best) = (Instant::now(), position.step, best);
        Ok(control)
    }

    /// Goes on from the trial's checkpoint, or else from where the trial ended that it shares its
    /// beginning with, if there is one.
    pub(super) fn restore(
        &self,
        learner: Learner<C>,
        config: &EncoderConfig,
        observe: &mut Observe<'_>,
    ) -> Result<Learner<C>, TrainError> {
        let mut found = Found::default();
        let control = Self::persist(observe, &mut || {
            found = self.shelf().read(&self.identity())?;
            Ok(())
        })?;
        if control == Control::Stop {
            return Ok(learner);
        }
        let shared = if found.saved.is_none() { self.shared(&mut found.damaged) } else { None };
        let then = match (&found.saved, &shared) {
            (Some(_), _) => "the one before it is used".to_owned(),
            (None, Some((prefix, _))) => format!("the trial goes on from where trial {prefix} ended"),
            (None, None) => "the trial begins anew".to_owned(),
        };
        for damaged in &found.damaged {
            // `run` asks again whether to go on.
            let _ = observe(Report::CheckpointDamaged(format!("{damaged}; {then}")));
        }
        match (found.saved, shared) {
            (Some(saved), _) => self.resumed(learner, saved, config),
            (None, Some((prefix, saved))) => {
                let seconds = saved.position.seconds;
                let mut learner = self.resumed(learner, saved, config)?;
                learner.saved.prefix = Some(Prefix { trial: prefix, seconds });
                self.settle(&mut learner, prefix, observe)?;
                Ok(learner)
            }
            (None, None) => Ok(learner),
        }
    }

    /// The folder of another trial of the sweep.
    fn folder_of(&self, trial: TrialId) -> PathBuf {
        self.folder.with_file_name(trial.to_string())
    }

    /// What the trial ended with that this one goes on from, if there is one and its end is one that
    /// this trial would have come to.
    fn shared(&self, damaged: &mut Vec<StateError>) -> Option<(TrialId, state::Saved)> {
        let prefix = self.attempt.sharing.prefix?;
        let end = Shelf::new(&self.folder_of(prefix)).read_end(&self.identity());
        let saved = end.unwrap_or_else(|error| {
            damaged.push(error);
            None
        })?;
        // Without moments no step can be made; a trial that nobody was to go on from leaves none.
        (!saved.moments.is_empty() && saved.best.is_some()).then_some((prefix, saved))
    }

    /// Leaves in the trial's folder what it would have left there until now, had it come here by
    /// itself: from then on it needs nothing of the other trial.
    fn settle(
        &self,
        learner: &mut Learner<C>,
        prefix: TrialId,
        observe: &mut Observe<'_>,
    ) -> Result<(), TrainError> {
        let other = Shelf::new(&self.folder_of(prefix));
        let control = Self::persist(observe, &mut || {
            outputs::write_metrics(self.folder, &learner.evaluations)?;
            Ok(self.shelf().take_best(&other)?)
        })?;
        if control == Control::Continue {
            // `run` asks again whether to go on.
            let _ = self.save(learner, false, observe)?;
        }
        Ok(())
    }

    /// The learner as it was when `saved` was written.
    fn resumed(
        &self,
        mut learner: Learner<C>,
        saved: state::Saved,
        config: &EncoderConfig,
    ) -> Result<Learner<C>, TrainError> {
        let (form, classes) = (Form::of(self.settings()), self.data.labels.len());
        let source = |weights| Pretrained {
            weights,
            family: config.family(),
            seed: self.job.trial.seed,
            anew: Vec::new(),
            complete: true,
        };
        let position = saved.position;
        let model: Classifier<C> =
            Classifier::build(config, form, classes, &source(&saved.model), self.device)?;
        learner.model = model.map(&mut Freezer::new(self.settings().freeze));
        learner.optimizer.resume(saved.moments, position.updates);
        learner.stopping.resume(position.stopping);
        learner.saved = Saved {
            step: position.step,
            seconds_before: position.seconds,
            is_resumed: true,
            prefix: position.prefix,
            is_cut: position.is_cut,
            ..Saved::default()
        };
        if let Some((weights, digest)) = saved.best {
            learner.best = Some(Classifier::build(config, form, classes, &source(&weights), self.device)?);
            learner.saved.best = Some(digest);
        }
        learner.evaluations = position.evaluations;
        learner.step = position.step;
        learner.loss = (f64::from_bits(position.loss.0), position.loss.1);
        // Judged anew: the checkpoint may be of a trial that ends earlier than this one.
        let is_evaluated = learner.evaluations.last().is_some_and(|last| last.step == learner.step);
        let (_, steps) = self.planned_steps();
        learner.over = is_evaluated && (learner.stopping.is_exhausted() || learner.step == steps);
        Ok(learner)
    }

    /// What a resumed trial tells of the attempts before.
    #[expect(clippy::cast_precision_loss, reason = "step counts are far below 2^53")]
    pub(super) fn retold(learner: &Learner<C>, steps_per_epoch: u64) -> Vec<Report> {
        if !learner.saved.is_resumed {
            return Vec::new();
        }
        let epoch = learner.step as f64 / steps_per_epoch as f64;
        let from = learner.saved.prefix.map(|prefix| prefix.trial);
        let resumed = Report::Resumed { step: learner.step, epoch, from };
        let evaluated = learner.evaluations.iter().cloned().map(Report::Evaluated);
        std::iter::once(resumed).chain(evaluated).collect()
    }

    /// Does what `write` does, again and again while the disk is full.
    pub(super) fn persist(
        observe: &mut Observe<'_>,
        write: &mut dyn FnMut() -> Result<(), TrainError>,
    ) -> Result<Control, TrainError> {
        let mut is_told = false;
        loop {
            let error = match write() {
                Ok(()) if is_told => return Ok(observe(Report::DiskFreed)),
                Ok(()) => return Ok(Control::Continue),
                Err(error) => error,
            };
            let Some(path) = error.full_disk() else { return Err(error) };
            let report = if is_told { Report::Alive } else { Report::DiskFull(path.to_owned()) };
            is_told = true;
            if observe(report) == Control::Stop {
                return Ok(Control::Stop);
            }
            thread::sleep(RETRY_EVERY);
        }
    }
}
