//! One optimiser step.

use burn::tensor::Tensor;

use super::{frozen::ForwardPass, learner::Learner, running_trial::RunningTrial};
use crate::{
    data::SplitName,
    train::{
        backend::Compute,
        error::TrainError,
        learning::{
            adamw::Clipping,
            aggregate::aggregate,
            gradients::Gradients,
            loss::{Objective, cross_entropy},
        },
        masks::{self, Masks},
        ops::row_sink::RowSink,
        tensors::values,
    },
};

/// The largest number of padded tokens in one forward and backward pass. A larger batch is cut into micro-batches, whose
/// gradients add up to those of the same step.
const MICRO_BATCH_TOKENS_MAX: usize = 16_384;

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
        let mut loss = StepLoss::<C>::default();
        for (micro, documents) in micro_batches.iter().enumerate() {
            let masks = self.masks(learner.step, micro);
            let sink = RowSink::default();
            let pass = ForwardPass { masks: &masks, sink: &sink };
            let input = self.frozen.input(self.corpus, SplitName::Train);
            let logits = input.logits(&learner.model, documents, pass, self.device);
            let logits = aggregate(logits, &train.chunk_ranges(documents), self.settings().aggregate);
            let labels: Vec<usize> = documents.iter().map(|&document| train.label(document)).collect();
            let objective = loss.add(&self.objective, logits, &labels);
            // Divided by the total of the whole batch: micro-batches then add up to the mean over the batch, whatever
            // their sizes.
            let backward = (objective / total).backward();
            gradients.add(&learner.model, backward);
            gradients.add_rows(&sink);
        }
        let norm_max = self.settings().gradient_clip;
        let on_device = loss.on_device.and_then(|loss| gradients.clipping_on_device(loss, norm_max));
        let Some(clipping) = on_device else {
            return self.update(learner, gradients, loss.on_host, batch.len(), rate);
        };
        learner.step += 1;
        let factor = Clipping::Device(clipping.clone());
        learner.model = learner.optimizer.step(learner.model, gradients, rate, factor);
        // What a step without a number has made of the parameters is dropped with the learner.
        learner.take_loss_later(clipping, batch.len())?;
        Ok(learner)
    }

    /// Ends a step whose loss, summed over `documents`, is in this process's memory: updates the parameters by
    /// `gradients`, clipped, at the learning rate `rate`.
    pub(super) fn update(
        &self,
        mut learner: Learner<C>,
        gradients: Gradients<C>,
        loss: f64,
        documents: usize,
        rate: f64,
    ) -> Result<Learner<C>, TrainError> {
        learner.step += 1;
        let norm = gradients.norm();
        learner.take_loss(learner.step, loss, norm, documents)?;
        let factor = Clipping::Host(clipping_factor(norm, self.settings().gradient_clip));
        // By value: parameters that nothing else holds are updated in place.
        learner.model = learner.optimizer.step(learner.model, gradients, rate, factor);
        Ok(learner)
    }

    /// The dropout of the pass over one micro-batch of a step.
    pub(super) fn masks(&self, step: u64, micro: usize) -> Masks {
        let key = masks::key(&[self.job.trial.seed, 0xD809, step, micro as u64]);
        Masks::new(self.settings().dropout, key)
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

/// The training loss of a step that is shown, summed over documents; it lies where the gradients lie.
struct StepLoss<C: Compute> {
    on_host: f64,
    /// `[1]`
    on_device: Option<Tensor<C::InnerBackend, 1>>,
}

impl<C: Compute> Default for StepLoss<C> {
    fn default() -> Self {
        Self { on_host: 0.0, on_device: None }
    }
}

impl<C: Compute> StepLoss<C> {
    /// Adds the loss of `logits`, `[documents, classes]`, and returns the one that is learnt from.
    fn add(&mut self, objective: &Objective, logits: Tensor<C, 2>, labels: &[usize]) -> Tensor<C, 1> {
        if C::ON_HOST {
            self.on_host += cross_entropy(&values(logits.clone().inner()), labels);
            return objective.sum(logits, labels);
        }
        let targets = objective.targets(&logits, labels);
        let [learnt, shown] = C::losses(logits, targets, labels);
        let shown = shown.inner();
        self.on_device = Some(match self.on_device.take() {
            Some(sum) => sum + shown,
            None => shown,
        });
        learnt
    }
}

/// The factor that brings gradients of this norm to at most `norm_max`; 1 when `norm_max` is 0.
// As `torch.nn.utils.clip_grad_norm_`: min(1, norm_max / (norm + 1e-6)) (Pascanu, Mikolov and Bengio 2013, arXiv
// 1211.5063). The optimiser applies the factor as it reads the gradients, so they are not written once more.
fn clipping_factor(norm: f64, norm_max: f64) -> f64 {
    if norm_max > 0.0 { (norm_max / (norm + 1e-6)).min(1.0) } else { 1.0 }
}
