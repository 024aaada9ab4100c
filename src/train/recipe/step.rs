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
            loss::{cross_entropy, cross_entropy_on_device},
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
        let mut loss = StepLoss::<C>::Host(0.0);
        for (micro, documents) in micro_batches.iter().enumerate() {
            let key = masks::key(&[self.job.trial.seed, 0xD809, learner.step, micro as u64]);
            let masks = Masks::new(self.settings().dropout, key);
            let sink = RowSink::default();
            let pass = ForwardPass { masks: &masks, sink: &sink };
            let input = self.frozen.input(self.corpus, SplitName::Train);
            let logits = input.logits(&learner.model, documents, pass, self.device);
            let logits = aggregate(logits, &train.chunk_ranges(documents), self.settings().aggregate);
            let labels: Vec<usize> = documents.iter().map(|&document| train.label(document)).collect();
            loss = loss.with(logits.clone().inner(), &labels);
            // Divided by the total of the whole batch: micro-batches then add up to the mean over the batch, whatever
            // their sizes.
            let backward = (self.objective.sum(logits, &labels) / total).backward();
            gradients.add(&learner.model, backward);
            gradients.add_rows(&sink);
        }
        learner.step += 1;
        let norm_max = self.settings().gradient_clip;
        let on_device = gradients.clipping_on_device(norm_max);
        match (loss, on_device) {
            (StepLoss::Device(loss), Some(clipping)) => {
                let sums = Tensor::cat(vec![loss, clipping.clone()], 0);
                learner.model =
                    learner.optimizer.step(learner.model, gradients, rate, Clipping::Device(clipping));
                // What a step without a number has made of the parameters is dropped with the learner.
                learner.take_loss_later(sums, batch.len())?;
            }
            (loss, _) => {
                let norm = gradients.norm();
                learner.take_loss(learner.step, loss.on_host(), norm, batch.len())?;
                let clipping = Clipping::Host(clipping_factor(norm, norm_max));
                // By value: parameters that nothing else holds are updated in place.
                learner.model = learner.optimizer.step(learner.model, gradients, rate, clipping);
            }
        }
        Ok(learner)
    }

    /// Cuts `batch` as the settings ask, further where memory has run out before, and further where documents are long.
    fn micro_batches(&self, learner: &mut Learner<C>, batch: &[usize]) -> Vec<Vec<usize>> {
        let planned = batch.len().div_ceil(self.settings().gradient_accumulation);
        let documents_max = self.attempt.micro_batch.map_or(planned, |bound| planned.min(bound.max(1)));
        learner.saved.is_cut |= documents_max < planned;
        let parts = batch.chunks(documents_max);
        parts.flat_map(|part| self.corpus.train.groups(part, MICRO_BATCH_TOKENS_MAX)).collect()
    }
}

/// The training loss of a step that is shown, summed over documents.
enum StepLoss<C: Compute> {
    Host(f64),
    /// `[1]`
    Device(Tensor<C::InnerBackend, 1>),
}

impl<C: Compute> StepLoss<C> {
    /// Adds the loss of `logits`, `[documents, classes]`.
    fn with(self, logits: Tensor<C::InnerBackend, 2>, labels: &[usize]) -> Self {
        match self {
            Self::Host(sum) if C::ON_HOST => Self::Host(sum + cross_entropy(&values(logits), labels)),
            Self::Host(_) => Self::Device(cross_entropy_on_device(logits, labels)),
            Self::Device(sum) => Self::Device(sum + cross_entropy_on_device(logits, labels)),
        }
    }

    fn on_host(self) -> f64 {
        match self {
            Self::Host(sum) => sum,
            Self::Device(sum) => f64::from(values(sum)[0]),
        }
    }
}

/// The factor that brings gradients of this norm to at most `norm_max`; 1 when `norm_max` is 0.
// As `torch.nn.utils.clip_grad_norm_`: min(1, norm_max / (norm + 1e-6)) (Pascanu, Mikolov and Bengio 2013, arXiv
// 1211.5063). The optimiser applies the factor as it reads the gradients, so they are not written once more.
fn clipping_factor(norm: f64, norm_max: f64) -> f64 {
    if norm_max > 0.0 { (norm_max / (norm + 1e-6)).min(1.0) } else { 1.0 }
}
