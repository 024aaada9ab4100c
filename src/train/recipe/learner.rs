//! Everything that changes while a trial runs.

use std::time::Instant;

use burn::{
    module::{AutodiffModule, Module, ModuleVisitor, Param},
    tensor::Tensor,
};

use crate::{
    event::Evaluation,
    numbers::count,
    settings::Settings,
    train::{
        backend::Compute,
        encoder::model::classifier::Classifier,
        error::TrainError,
        learning::{
            adamw::AdamW,
            early_stopping::EarlyStopping,
            parameters::{Freezer, RateFactors},
        },
        state::position::{Position, Prefix},
        tensors::values_together,
    },
};

/// Why a trial that is over has a best evaluation.
pub(super) const EVALUATED: &str =
    "the last step of a trial is always evaluated, and a first evaluation is the best so far";

/// What changes while a trial runs.
pub(super) struct Learner<C: Compute> {
    pub(super) model: Classifier<C>,
    pub(super) optimizer: AdamW<C>,
    pub(super) stopping: EarlyStopping,
    pub(super) evaluations: Vec<Evaluation>,
    /// The model of the best evaluation.
    pub(super) best: Option<Classifier<C::InnerBackend>>,
    /// Optimiser steps done.
    pub(super) step: u64,
    /// Whether training is over.
    pub(super) over: bool,
    /// The training loss since the last evaluation.
    pub(super) loss: LossSum,
    /// The sums of the latest steps that are still on the device.
    unread: Vec<StepSums<C>>,
    pub(super) saved: SaveRecord,
}

/// What a step on a device leaves there for this process.
struct StepSums<C: Compute> {
    /// The step's number, from 1.
    step: u64,
    documents: usize,
    /// The norm of the gradients, the factor of clipping, and the loss, summed over documents, `[3]`.
    sums: Tensor<C::InnerBackend, 1>,
}

/// The steps whose sums are read together. Each reading waits for the device; in between, the next steps are launched
/// while it works. A step without a number is noticed so many steps later, and before anything is saved or measured.
pub(super) const STEPS_READ_TOGETHER: usize = 16;

/// A training loss, summed over documents.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct LossSum {
    pub(super) sum: f64,
    pub(super) documents: usize,
}

impl LossSum {
    pub(super) fn add(&mut self, sum: f64, documents: usize) {
        self.sum += sum;
        self.documents += documents;
    }

    /// The mean loss of a document; 0 without documents.
    pub(super) fn mean(self) -> f64 {
        self.sum / count(self.documents.max(1))
    }
}

/// What the trial has saved, and what it knows of its past.
pub(super) struct SaveRecord {
    /// When this attempt last wrote a checkpoint, or began.
    pub(super) at: Instant,
    /// The step of the last checkpoint.
    pub(super) step: u64,
    /// The digest of the file with the parameters of the last checkpoint.
    pub(super) last: Option<String>,
    /// The digest of the file with the best parameters in the last checkpoint.
    pub(super) best: Option<String>,
    /// Wall-clock seconds of the attempts before this one.
    pub(super) seconds_before: f64,
    /// Whether this attempt has resumed from a checkpoint.
    pub(super) is_resumed: bool,
    /// The prefix trial that made the first steps, if there is one.
    pub(super) prefix: Option<Prefix>,
    /// Whether some step was computed in smaller micro-batches than planned.
    pub(super) is_cut: bool,
}

impl Default for SaveRecord {
    fn default() -> Self {
        Self {
            at: Instant::now(),
            step: 0,
            last: None,
            best: None,
            seconds_before: 0.0,
            is_resumed: false,
            prefix: None,
            is_cut: false,
        }
    }
}

impl SaveRecord {
    /// The record of an attempt that has just resumed from a checkpoint at `position`.
    pub(super) fn resumed(position: &Position) -> Self {
        Self {
            step: position.step,
            seconds_before: position.seconds,
            is_resumed: true,
            prefix: position.prefix,
            is_cut: position.is_cut,
            ..Self::default()
        }
    }
}

impl<C: Compute> Learner<C> {
    /// A learner before its first step.
    pub(super) fn new(model: Classifier<C>, rates: RateFactors, settings: &Settings) -> Self {
        Self {
            model: model.map(&mut Freezer::new(settings.freeze)),
            optimizer: AdamW::new(settings.weight_decay, rates),
            stopping: EarlyStopping::new(settings),
            evaluations: Vec::new(),
            best: None,
            step: 0,
            over: false,
            loss: LossSum::default(),
            unread: Vec::new(),
            saved: SaveRecord::default(),
        }
    }

    /// The learner with the encoder of `other`, which has the same values as its own: they take memory once.
    pub(super) fn sharing_encoder(mut self, other: Option<&Classifier<C>>) -> Self {
        if let Some(other) = other {
            self.model = self.model.sharing_encoder(other);
            self.best = self.best.map(|best| best.sharing_encoder(&other.valid()));
        }
        self
    }

    /// The model of the best evaluation of a trial that is over.
    pub(super) fn best_model(&self) -> &Classifier<C::InnerBackend> {
        self.best.as_ref().unwrap_or_else(|| unreachable!("{EVALUATED}"))
    }

    /// Adds the loss of the step with this number, summed over `documents`.
    ///
    /// # Errors
    /// When the loss or the norm of the gradients is no number.
    pub(super) fn take_loss(
        &mut self,
        step: u64,
        loss: f64,
        norm: f64,
        documents: usize,
    ) -> Result<(), TrainError> {
        if !loss.is_finite() || !norm.is_finite() {
            let loss = if loss.is_finite() { norm } else { loss / count(documents) };
            return Err(TrainError::NonFinite { step, loss });
        }
        self.loss.add(loss, documents);
        Ok(())
    }

    /// As [`Self::take_loss`] for the latest step, whose norm, factor of clipping and loss, `[3]`, are on the device.
    /// They are read by and by, at last in [`Self::read_losses`].
    ///
    /// # Errors
    /// When the loss or the norm of a step that is read now is no number.
    pub(super) fn take_loss_later(
        &mut self,
        sums: Tensor<C::InnerBackend, 1>,
        documents: usize,
    ) -> Result<(), TrainError> {
        self.unread.push(StepSums { step: self.step, documents, sums });
        if self.unread.len() < STEPS_READ_TOGETHER { Ok(()) } else { self.read_losses() }
    }

    /// Adds the losses that are still on the device.
    ///
    /// # Errors
    /// When the loss or the norm of one of these steps is no number.
    pub(super) fn read_losses(&mut self) -> Result<(), TrainError> {
        let unread = std::mem::take(&mut self.unread);
        let all = values_together(unread.iter().map(|step| step.sums.clone()).collect());
        for (StepSums { step, documents, .. }, sums) in unread.into_iter().zip(all) {
            self.take_loss(step, f64::from(sums[2]), f64::from(sums[0]), documents)?;
        }
        Ok(())
    }

    /// Whether the losses of all evaluations are finite.
    pub(super) fn has_finite_losses(&self) -> bool {
        let mut evaluations = self.evaluations.iter();
        evaluations
            .all(|evaluation| evaluation.train_loss.is_finite() && evaluation.validation.loss.is_finite())
    }

    /// The number of parameters that learn.
    pub(super) fn learning_parameters(&self) -> usize {
        let mut count = LearningCount(0);
        self.model.visit(&mut count);
        count.0
    }
}

/// A walk over a model that counts the parameters that learn.
struct LearningCount(usize);

impl<C: Compute> ModuleVisitor<C> for LearningCount {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<C, D>>) {
        let tensor = param.val();
        if tensor.is_require_grad() {
            self.0 += tensor.shape().num_elements();
        }
    }
}
