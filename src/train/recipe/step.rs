//! One optimiser step.

use super::{
    frozen::{ForwardPass, FrozenPart},
    learner::Learner,
    running_trial::RunningTrial,
};
use crate::{
    data::SplitName,
    numbers::count,
    train::{
        backend::Compute,
        error::TrainError,
        learning::{aggregate::aggregate, gradients::Gradients, loss::cross_entropy},
        masks::{self, Masks},
        ops::row_sink::RowSink,
        tensors::values,
    },
};

/// The largest number of padded tokens in one forward and backward pass. A larger batch is cut into micro-batches, whose
/// gradients add up to those of the same step.
const MICRO_BATCH_TOKENS_MAX: usize = 16_384;

/// The training loss of one step.
#[derive(Clone, Copy, Debug)]
pub(super) struct StepLoss {
    /// Summed over documents.
    pub(super) sum: f64,
    pub(super) documents: usize,
}

impl<C: Compute> Learner<C> {
    /// Counts a step with this loss, whose gradients have the norm `norm`.
    ///
    /// # Errors
    /// When one of them is not finite: nothing that comes of the step is of use.
    pub(super) fn count_step(&mut self, loss: StepLoss, norm: f64) -> Result<(), TrainError> {
        let StepLoss { sum, documents } = loss;
        self.step += 1;
        if !sum.is_finite() || !norm.is_finite() {
            let loss = if sum.is_finite() { norm } else { sum / count(documents) };
            return Err(TrainError::NonFinite { step: self.step, loss });
        }
        self.loss.add(sum, documents);
        Ok(())
    }
}

impl<C: Compute> RunningTrial<'_, C> {
    /// Makes one optimiser step over the documents of `batch`, at the learning rate `rate`.
    pub(super) fn step(
        &self,
        mut learner: Learner<C>,
        batch: &[usize],
        rate: f64,
    ) -> Result<Learner<C>, TrainError> {
        let train = &self.corpus.train;
        let micro_batches = self.micro_batches(&mut learner, batch);
        let total = self.objective.total(batch.iter().map(|&document| train.label(document)));
        let mut gradients = Gradients::new();
        let mut loss = 0.0;
        for (micro, documents) in micro_batches.iter().enumerate() {
            let masks = self.masks(learner.step, micro);
            let sink = RowSink::default();
            let pass = ForwardPass { masks: &masks, sink: &sink };
            let input = self.frozen.input(self.corpus, SplitName::Train);
            let logits = input.logits(&learner.model, documents, pass, self.device);
            let logits = aggregate(logits, &train.chunk_ranges(documents), self.settings().aggregate);
            let labels: Vec<usize> = documents.iter().map(|&document| train.label(document)).collect();
            loss += cross_entropy(&values(logits.clone().inner()), &labels);
            // Divided by the total of the whole batch: micro-batches then add up to the mean over the batch, whatever
            // their sizes.
            let backward = (self.objective.sum(logits, &labels) / total).backward();
            gradients.add(&learner.model, backward);
            gradients.add_rows(&sink);
        }
        self.update(learner, gradients, StepLoss { sum: loss, documents: batch.len() }, rate)
    }

    /// Ends a step whose loss is `loss`: updates the parameters by `gradients`, clipped, at the learning rate `rate`.
    pub(super) fn update(
        &self,
        mut learner: Learner<C>,
        gradients: Gradients<C>,
        loss: StepLoss,
        rate: f64,
    ) -> Result<Learner<C>, TrainError> {
        let norm = gradients.norm();
        learner.count_step(loss, norm)?;
        let scale = clipping_factor(norm, self.settings().gradient_clip);
        // By value: parameters that nothing else holds are updated in place.
        learner.model = learner.optimizer.step(learner.model, gradients, rate, scale);
        Ok(learner)
    }

    /// The dropout of the pass over one micro-batch of a step.
    pub(super) fn masks(&self, step: u64, micro: usize) -> Masks {
        let key = masks::key(&[self.job.trial.seed, 0xD809, step, micro as u64]);
        // Over a frozen encoder dropout is applied to one row for each chunk. Its masks are made in this process on any
        // device, so that they are the same for a trial alone and together with others.
        let on_host = C::ON_HOST || self.frozen.part == FrozenPart::Whole;
        Masks::new(self.settings().dropout, key, on_host)
    }

    /// Cuts `batch` as the settings ask, further where memory has run out before, and further where documents are long.
    pub(super) fn micro_batches(&self, learner: &mut Learner<C>, batch: &[usize]) -> Vec<Vec<usize>> {
        let planned = batch.len().div_ceil(self.settings().gradient_accumulation);
        let documents_max = self.attempt.micro_batch.map_or(planned, |bound| planned.min(bound.max(1)));
        learner.saved.is_cut |= documents_max < planned;
        let parts = batch.chunks(documents_max);
        parts.flat_map(|part| self.corpus.train.groups(part, MICRO_BATCH_TOKENS_MAX)).collect()
    }
}

/// The factor that brings gradients of this norm to at most `norm_max`; 1 when `norm_max` is 0.
// As `torch.nn.utils.clip_grad_norm_`: min(1, norm_max / (norm + 1e-6)) (Pascanu, Mikolov and Bengio 2013, arXiv
// 1211.5063). The optimiser applies the factor as it reads the gradients, so they are not written once more.
fn clipping_factor(norm: f64, norm_max: f64) -> f64 {
    if norm_max > 0.0 { (norm_max / (norm + 1e-6)).min(1.0) } else { 1.0 }
}
