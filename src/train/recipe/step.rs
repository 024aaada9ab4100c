//! One optimiser step.

use super::{
    device_step::{self, TrialStep},
    frozen::ForwardPass,
    learner::Learner,
    running_trial::RunningTrial,
};
use crate::{
    data::SplitName,
    train::{
        backend::Compute,
        error::TrainError,
        learning::{adamw::Clipping, aggregate::aggregate, gradients::Gradients, loss::cross_entropy},
        masks::{self, Masks, TrialMasks},
        ops::row_sink::RowSink,
        tensors::values,
    },
};

impl<C: Compute> RunningTrial<'_, C> {
    /// Makes one optimiser step over the documents of `batch`, at the learning rate `rate`.
    pub(super) fn step(
        &self,
        mut learner: Learner<C>,
        batch: &[usize],
        rate: f64,
    ) -> Result<Learner<C>, TrainError> {
        let micro_batches = self.micro_batches(&mut learner, batch);
        if C::ON_HOST {
            return self.step_on_host(learner, &micro_batches, rate);
        }
        let (micro_batches, step) = (&micro_batches, learner.step);
        // Only what is frozen is used of it.
        let model = learner.model.clone();
        let own = TrialStep { trial: self, model: &model, micro_batches, step, rate };
        let (model, sums) = device_step::step(learner.model, &mut learner.optimizer, &[own], self.device);
        (learner.model, learner.step) = (model, step + 1);
        // What a step without a number has made of the parameters is dropped with the learner.
        learner.take_loss_later(sums, batch.len())?;
        Ok(learner)
    }

    fn step_on_host(
        &self,
        learner: Learner<C>,
        micro_batches: &[Vec<usize>],
        rate: f64,
    ) -> Result<Learner<C>, TrainError> {
        let train = &self.corpus.train;
        let labels =
            |documents: &[usize]| documents.iter().map(|&document| train.label(document)).collect::<Vec<_>>();
        let total = self.objective.total(micro_batches.iter().flat_map(|documents| labels(documents)));
        let (mut gradients, mut loss) = (Gradients::new(), 0.0);
        for (micro, documents) in micro_batches.iter().enumerate() {
            let masks = Masks::side_by_side(vec![self.mask(learner.step, micro)]);
            let sink = RowSink::default();
            let pass = ForwardPass { masks: &masks, sink: &sink };
            let input = self.frozen.input(self.corpus, SplitName::Train);
            let logits = input.logits(&learner.model, documents, pass, self.device);
            let logits = aggregate(logits, &train.chunk_ranges(documents), self.settings().aggregate);
            let labels = labels(documents);
            loss += cross_entropy(&values(logits.clone().inner()), &labels);
            // Divided by the total of the whole batch: micro-batches then add up to the mean over the batch, whatever
            // their sizes.
            let backward = (self.objective.sum(logits, &labels) / total).backward();
            gradients.add(&learner.model, backward);
            gradients.add_rows(&sink);
        }
        let documents = micro_batches.iter().map(Vec::len).sum();
        self.update(learner, gradients, loss, documents, rate)
    }

    /// Ends a step whose loss, summed over `documents`, is in this process's memory: updates the parameters by
    /// `gradients`, clipped, at the learning rate `rate`.
    fn update(
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
        learner.model = learner.optimizer.step(learner.model, gradients, &[rate], factor);
        Ok(learner)
    }

    /// What the dropout of the pass over one micro-batch of a step begins with.
    pub(super) fn mask(&self, step: u64, micro: usize) -> TrialMasks {
        let key = masks::key(&[self.job.trial.seed, 0xD809, step, micro as u64]);
        TrialMasks { rate: self.settings().dropout, key }
    }

    /// Cuts `batch` as the settings ask, further where memory has run out before, and further where documents are long.
    pub(super) fn micro_batches(&self, learner: &mut Learner<C>, batch: &[usize]) -> Vec<Vec<usize>> {
        let planned = batch.len().div_ceil(self.settings().gradient_accumulation);
        let documents_max = self.attempt.micro_batch.map_or(planned, |bound| planned.min(bound.max(1)));
        learner.saved.is_cut |= documents_max < planned;
        let parts = batch.chunks(documents_max);
        parts.flat_map(|part| self.corpus.train.groups(part, self.settings().batch_tokens)).collect()
    }
}

/// The factor that brings gradients of this norm to at most `norm_max`; 1 when `norm_max` is 0.
// As `torch.nn.utils.clip_grad_norm_`: min(1, norm_max / (norm + 1e-6)) (Pascanu, Mikolov and Bengio 2013, arXiv
// 1211.5063). The optimiser applies the factor as it reads the gradients, so they are not written once more.
fn clipping_factor(norm: f64, norm_max: f64) -> f64 {
    if norm_max > 0.0 { (norm_max / (norm + 1e-6)).min(1.0) } else { 1.0 }
}
