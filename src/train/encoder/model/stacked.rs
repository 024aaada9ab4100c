//! The classifiers of several trials over frozen encoders as one model, with a leading axis of trials.
//!
//! Every product and every sum keeps the trials apart, so that a trial's slice is what the trial would
//! compute alone, a value that is not finite included. Whole encoders could be stacked in the same way.

use burn::{
    module::Param,
    nn::Linear,
    tensor::{Tensor, activation::relu, backend::Backend},
};

use super::classifier::Classifier;
use crate::train::{
    encoder::family::{Family, HeadActivation},
    ops::fused::Fused,
};

/// The classifiers of several trials: the dense layer over the first token, if they have one, and the output.
pub(crate) struct StackedHead<B: Backend> {
    pooler: Option<StackedLinear<B>>,
    head: StackedLinear<B>,
    family: &'static Family,
}

/// A linear layer of each trial: weights `[trials, inputs, outputs]` and biases `[trials, 1, outputs]`.
struct StackedLinear<B: Backend> {
    weight: Tensor<B, 3>,
    bias: Tensor<B, 3>,
}

/// Something for each parameter, by the parameter's path in [`Classifier`].
type OnParameter<'a, B, C> = dyn FnMut(&'static str, Tensor<B, 3>) -> Tensor<C, 3> + 'a;

impl<B: Backend> StackedLinear<B> {
    fn of(layers: &[&Linear<B>]) -> Self {
        let weights = layers.iter().map(|layer| layer.weight.val().unsqueeze::<3>()).collect();
        let bias = |layer: &&Linear<B>| layer.bias.as_ref().map(|bias| bias.val().unsqueeze::<3>());
        Self {
            weight: Tensor::cat(weights, 0),
            bias: Tensor::cat(layers.iter().filter_map(bias).collect(), 0),
        }
    }

    fn copy(&self) -> Self {
        Self { weight: self.weight.clone(), bias: self.bias.clone() }
    }

    fn map<C: Backend>(
        self,
        [weight, bias]: [&'static str; 2],
        change: &mut OnParameter<'_, B, C>,
    ) -> StackedLinear<C> {
        StackedLinear { weight: change(weight, self.weight), bias: change(bias, self.bias) }
    }

    /// The layer of the trial at `place`, with the parameters that are updated from now on as those of `layer` were.
    fn write_to(&self, place: usize, layer: Linear<B>) -> Linear<B> {
        let of = |stack: &Tensor<B, 3>| stack.clone().narrow(0, place, 1);
        let [_, inputs, outputs] = self.weight.dims();
        let weight = of(&self.weight).reshape([inputs, outputs]);
        let bias = layer.bias.map(|bias| replaced(bias, of(&self.bias).reshape([outputs])));
        Linear { weight: replaced(layer.weight, weight), bias }
    }
}

impl<B: Fused> StackedLinear<B> {
    /// `rows`, `[trials, rows, inputs]`, or `[1, rows, inputs]` for all trials, through each trial's layer.
    fn forward(&self, rows: Tensor<B, 3>) -> Tensor<B, 3> {
        let ([trials, ..], [given, ..]) = (self.weight.dims(), rows.dims());
        let rows = if given < trials { rows.repeat_dim(0, trials) } else { rows };
        B::multiply(rows, self.weight.clone()) + self.bias.clone()
    }
}

/// The parameter `param` with another value. It learns if it did before.
fn replaced<B: Backend, const D: usize>(
    param: Param<Tensor<B, D>>,
    value: Tensor<B, D>,
) -> Param<Tensor<B, D>> {
    let learns = param.is_require_grad();
    let (id, _, mapper) = param.consume();
    Param::from_mapped_value(id, value.set_require_grad(learns), mapper)
}

impl<B: Backend> StackedHead<B> {
    /// Stacks the classifiers of `models`, at least one, which have the same shape and family.
    pub(crate) fn of(models: &[&Classifier<B>]) -> Self {
        let poolers: Vec<&Linear<B>> = models.iter().filter_map(|model| model.pooler.as_ref()).collect();
        let heads: Vec<&Linear<B>> = models.iter().map(|model| &model.head).collect();
        Self {
            pooler: (!poolers.is_empty()).then(|| StackedLinear::of(&poolers)),
            head: StackedLinear::of(&heads),
            family: models[0].family,
        }
    }

    /// The same tensors once more.
    pub(crate) fn copy(&self) -> Self {
        Self { pooler: self.pooler.as_ref().map(StackedLinear::copy), head: self.head.copy(), ..*self }
    }

    /// Replaces each parameter by what `change` makes of it.
    pub(crate) fn map<C: Backend>(self, change: &mut OnParameter<'_, B, C>) -> StackedHead<C> {
        StackedHead {
            pooler: self.pooler.map(|pooler| pooler.map(["pooler.weight", "pooler.bias"], change)),
            head: self.head.map(["head.weight", "head.bias"], change),
            family: self.family,
        }
    }

    /// Each parameter by its path.
    pub(crate) fn parameters(&self) -> Vec<(&'static str, Tensor<B, 3>)> {
        let mut all = Vec::new();
        self.copy().map::<B>(&mut |name, value| {
            all.push((name, value.clone()));
            value
        });
        all
    }
}

impl<B: Fused> StackedHead<B> {
    /// Logits, `[trials, chunks, classes]`, from the encoder's output for each chunk, `[trials, chunks, width]`, or
    /// `[1, chunks, width]` where all trials have the same. `drop` applies each trial's dropout at the next place.
    pub(crate) fn classify(
        &self,
        chunks: Tensor<B, 3>,
        drop: &mut dyn FnMut(Tensor<B, 3>) -> Tensor<B, 3>,
    ) -> Tensor<B, 3> {
        let shape = &self.family.head;
        let chunks = match &self.pooler {
            Some(pooler) => {
                let chunks = if shape.dropout_first { drop(chunks) } else { chunks };
                let dense = pooler.forward(chunks);
                match shape.activation {
                    HeadActivation::Tanh => dense.tanh(),
                    HeadActivation::Relu => relu(dense),
                }
            }
            None => chunks,
        };
        self.head.forward(drop(chunks))
    }
}

impl<B: Fused> Classifier<B> {
    /// The model with the classifier of the trial at `place` of `stack`.
    pub(crate) fn with_head_of(self, stack: &StackedHead<B>, place: usize) -> Self {
        let pooler = match (self.pooler, &stack.pooler) {
            (Some(own), Some(stack)) => Some(stack.write_to(place, own)),
            (own, _) => own,
        };
        Self { pooler, head: stack.head.write_to(place, self.head), ..self }
    }

    /// The model with the encoder of `other` in place of its own, which has the same values: they take memory once.
    pub(crate) fn sharing_encoder(self, other: &Self) -> Self {
        Self { encoder: other.encoder.clone(), ..self }
    }
}
