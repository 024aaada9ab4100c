//! One optimiser step of the trials whose parameters stand side by side on a device; of one trial as of many.
//!
//! A step costs the same launches for one trial and for many. Nothing of it is read: loss, norm and factor of clipping
//! of each trial are left on the device.

use burn::{
    module::AutodiffModule,
    tensor::{Tensor, TensorData},
};

use super::{
    running_trial::RunningTrial,
    side_by_side::{Input, Part},
};
use crate::{
    data::SplitName,
    train::{
        backend::Compute,
        encoder::model::classifier::Classifier,
        learning::{
            adamw::{AdamW, Clipping},
            gradients::Gradients,
        },
        masks::Masks,
    },
};

/// The step of one trial.
pub(super) struct TrialStep<'a, C: Compute> {
    pub(super) trial: &'a RunningTrial<'a, C>,
    /// The trial's own model, of which only what is frozen is used.
    pub(super) model: &'a Classifier<C>,
    /// The documents of the parts that are computed one after another.
    pub(super) micro_batches: &'a [Vec<usize>],
    /// The number of the step, from 0.
    pub(super) step: u64,
    pub(super) rate: f64,
}

/// What a step leaves on the device: by trial the norm of the gradients, the factor of clipping, and the loss, summed over
/// documents, `[trials · 3]`.
pub(super) type StepSums<C> = Tensor<<C as burn::tensor::backend::AutodiffBackend>::InnerBackend, 1>;

/// Makes a step of each of `trials`, whose parameters stand side by side in `model`.
pub(super) fn step<C: Compute>(
    model: Classifier<C>,
    optimizer: &mut AdamW<C>,
    trials: &[TrialStep<'_, C>],
    device: &C::Device,
) -> (Classifier<C>, StepSums<C>) {
    let mut gradients = Gradients::new();
    let mut losses: Option<StepSums<C>> = None;
    let totals: Vec<f64> = trials.iter().map(TrialStep::total).collect();
    let passes = trials.iter().map(|own| own.micro_batches.len()).max().unwrap_or(0);
    for pass in 0..passes {
        let [learnt, shown] = pass_losses(&model, trials, &totals, pass, device);
        gradients.add(&model, learnt.backward());
        let shown = shown.inner();
        losses = Some(match losses {
            Some(sum) => sum + shown,
            None => shown,
        });
    }
    let norms_max: Vec<f32> = trials.iter().map(TrialStep::norm_max).collect();
    let sums = losses.and_then(|losses| gradients.clipping_on_device(losses, &norms_max));
    let sums = sums.unwrap_or_else(|| unreachable!("a batch has documents, and a classifier learns"));
    let rates: Vec<f64> = trials.iter().map(|own| own.rate).collect();
    let model = optimizer.step(model, gradients, &rates, Clipping::Device(sums.clone()));
    (model, sums)
}

/// By trial: the loss of a pass that is learnt from, and the one that is shown; see
/// [`crate::train::ops::fused::Fused::losses`].
fn pass_losses<C: Compute>(
    model: &Classifier<C>,
    trials: &[TrialStep<'_, C>],
    totals: &[f64],
    pass: usize,
    device: &C::Device,
) -> [Tensor<C, 1>; 2] {
    let models: Vec<_> = trials.iter().map(|own| || own.model.valid()).collect();
    let part = |(own, model)| {
        let TrialStep { trial, .. }: &TrialStep<'_, C> = own;
        let input = trial.frozen.input(trial.corpus, SplitName::Train);
        Part { input, documents: own.documents(pass), model }
    };
    let models = models.iter().map(|model| model as &dyn Fn() -> Classifier<C::InnerBackend>);
    let parts: Vec<Part<'_, C::InnerBackend>> = trials.iter().zip(models).map(part).collect();
    let masks = Masks::side_by_side(trials.iter().map(|own| own.trial.mask(own.step, pass)).collect());
    // A last smaller batch gets the shape of the others.
    let settings = trials[0].trial.settings();
    let planned = settings.batch_size.div_ceil(settings.gradient_accumulation.max(1));
    let input = Input::of(&parts, planned, device);
    let documents = input.documents.documents();
    let logits = input.logits(model, &masks, settings.aggregate, Tensor::from_inner, device);
    let (mut targets, mut labels) = (Vec::new(), Vec::new());
    let [_, classes] = logits.dims();
    for (trial, (own, total)) in trials.iter().zip(totals).enumerate() {
        let end = (trial + 1) * documents;
        targets.extend(own.targets(pass, *total));
        targets.resize(end * classes, 0.0);
        labels.extend(own.labels(pass).into_iter().map(Some));
        labels.resize(end, None);
    }
    let targets = Tensor::from_data(TensorData::new(targets, logits.dims()), device);
    C::losses(logits, targets, &labels, trials.len())
}

impl<C: Compute> TrialStep<'_, C> {
    /// The documents of a pass; none if the trial has no micro-batch of this number.
    fn documents(&self, pass: usize) -> &[usize] {
        self.micro_batches.get(pass).map_or(&[], Vec::as_slice)
    }

    fn labels(&self, pass: usize) -> Vec<usize> {
        self.documents(pass).iter().map(|&document| self.trial.corpus.train.label(document)).collect()
    }

    /// What the sum of the losses of the batch is divided by: micro-batches then add up to the mean over the batch, whatever
    /// their sizes.
    fn total(&self) -> f64 {
        let labels = (0..self.micro_batches.len()).flat_map(|pass| self.labels(pass));
        self.trial.objective.total(labels)
    }

    /// What the logarithms of the probabilities of a pass are multiplied by.
    #[expect(clippy::cast_possible_truncation, reason = "losses are f32")]
    fn targets(&self, pass: usize, total: f64) -> impl Iterator<Item = f32> {
        let share = 1.0 / total as f32;
        self.trial.objective.target_values(&self.labels(pass)).into_iter().map(move |target| share * target)
    }

    #[expect(clippy::cast_possible_truncation, reason = "tensors are f32")]
    fn norm_max(&self) -> f32 {
        self.trial.settings().gradient_clip as f32
    }
}
